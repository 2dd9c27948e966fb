//! `roomtone._core.Front`, once the front door is there.

use pyo3::prelude::*;

/// Adds the front door to the module.
#[allow(
    clippy::unnecessary_wraps,
    reason = "it will add a class, which can fail"
)]
pub(crate) fn register(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
