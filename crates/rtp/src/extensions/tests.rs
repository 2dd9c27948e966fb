//! Tests of the extension registry and of every value.

mod map;
mod values;
