//! `roomtone._core.Engine`.

use std::sync::Arc;

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use roomtone_engine::values::{self, EngineConfig, Request};
use roomtone_hls::Shelf;

pyo3::create_exception!(_core, EngineError, PyException, "The engine did not start.");
pyo3::create_exception!(
    _core,
    QueueFull,
    PyException,
    "Too many commands wait, or their replies do, or the engine is closed."
);

/// Media threads. All values are MessagePack maps of `roomtone.media.values`.
#[pyclass(frozen, module = "roomtone._core")]
pub(crate) struct Engine {
    inner: Arc<roomtone_engine::Engine>,
    /// Live streams that it puts out.
    shelf: Arc<Shelf>,
}

fn wrong(error: &values::DecodeError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

impl Engine {
    /// The engine itself, for other parts of this module.
    pub(crate) fn shared(&self) -> Arc<roomtone_engine::Engine> {
        self.inner.clone()
    }

    /// Where its live streams are found.
    pub(crate) fn shelf(&self) -> Arc<Shelf> {
        self.shelf.clone()
    }
}

#[pymethods]
impl Engine {
    /// Binds sockets and starts threads; `config` is an `EngineConfig`.
    #[new]
    fn new(py: Python<'_>, config: &[u8]) -> PyResult<Self> {
        let config: EngineConfig =
            values::decode(config).map_err(|error| EngineError::new_err(error.to_string()))?;
        let shelf = Arc::<Shelf>::default();
        let inner = py.detach(|| roomtone_engine::Engine::start_with(config, shelf.clone()));
        let inner = inner.map_err(|error| EngineError::new_err(error.to_string()))?;
        Ok(Self {
            inner: Arc::new(inner),
            shelf,
        })
    }

    /// Takes a `Request`; its `Reply` comes out of `drain`. Raises `QueueFull`.
    fn submit(&self, command: &[u8]) -> PyResult<()> {
        let request: Request = values::decode(command).map_err(|error| wrong(&error))?;
        // A closed engine takes no commands either: whoever waits is told the same way.
        self.inner
            .submit(request)
            .map_err(|error| QueueFull::new_err(error.to_string()))
    }

    /// A descriptor that is readable while values wait.
    fn event_fd(&self) -> i32 {
        self.inner.event_fd()
    }

    /// Takes at most `limit` values: `Reply`, `EventOut` or `Question`.
    fn drain<'py>(&self, py: Python<'py>, limit: usize) -> Vec<Bound<'py, PyBytes>> {
        let encoded: Vec<Vec<u8>> =
            py.detach(|| self.inner.drain(limit).iter().map(values::encode).collect());
        encoded
            .iter()
            .map(|bytes| PyBytes::new(py, bytes))
            .collect()
    }

    /// Takes an `Answer`; one that nobody waits for is ignored and counted.
    fn answer(&self, answer: &[u8]) -> PyResult<()> {
        self.inner
            .answer(values::decode(answer).map_err(|error| wrong(&error))?);
        Ok(())
    }

    /// Tells the peers, ends the threads and waits for them.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.inner.close());
    }
}
