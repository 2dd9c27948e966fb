//! The language boundary: the only crate that knows Python.
