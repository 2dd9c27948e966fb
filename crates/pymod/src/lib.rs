//! The language boundary: the only crate that knows Python.
//!
//! Bytes go in, bytes come out; nothing here knows what they mean beyond their types, and no Python object is ever
//! touched by a thread of the engine.

mod engine;
mod front;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use roomtone_engine::values::{self, Answer, DecodeError, EngineConfig, Outbound, Request};

/// Binary half of roomtone: media engine and front door.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<engine::Engine>()?;
    module.add("EngineError", module.py().get_type::<engine::EngineError>())?;
    module.add("QueueFull", module.py().get_type::<engine::QueueFull>())?;
    module.add_function(wrap_pyfunction!(build_info, module)?)?;
    module.add_function(wrap_pyfunction!(mirror, module)?)?;
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

/// Reads a boundary value and writes it again, to prove that both sides mean the same. `kind` is "config", "request",
/// "outbound" or "answer"; raises `ValueError` for what is none.
#[pyfunction]
fn mirror<'py>(py: Python<'py>, kind: &str, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let mirrored = match kind {
        "config" => again::<EngineConfig>(data),
        "request" => again::<Request>(data),
        "outbound" => again::<Outbound>(data),
        "answer" => again::<Answer>(data),
        _ => {
            return Err(PyValueError::new_err(format!(
                "no such kind of value: {kind}"
            )));
        }
    };
    let bytes = mirrored.map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyBytes::new(py, &bytes))
}

fn again<'a, T: serde::Deserialize<'a> + serde::Serialize>(
    data: &'a [u8],
) -> Result<Vec<u8>, DecodeError> {
    Ok(values::encode(&values::decode::<T>(data)?))
}
