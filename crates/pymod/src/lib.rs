//! The language boundary: the only crate that knows Python.
//!
//! Bytes go in, bytes come out; nothing here knows what they mean beyond their types, and no Python object is ever
//! touched by a thread of the engine.

mod engine;
mod front;

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Binary half of roomtone: media engine and front door.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<engine::Engine>()?;
    module.add("EngineError", module.py().get_type::<engine::EngineError>())?;
    module.add("QueueFull", module.py().get_type::<engine::QueueFull>())?;
    module.add_function(wrap_pyfunction!(build_info, module)?)?;
    front::register(module)
}

/// How this module was built: `version`, `profile` ("release" or "debug") and `target`.
#[pyfunction]
fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item(
        "profile",
        if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        },
    )?;
    info.set_item(
        "target",
        format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
    )?;
    Ok(info)
}
