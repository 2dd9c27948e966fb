//! `roomtone._core.Front`.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use roomtone_front::{FrontConfig, KickError, MediaTcpSink};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;

pyo3::create_exception!(
    _core,
    FrontError,
    PyException,
    "The front door did not start, or is not started. `args` are code and message."
);

/// The HTTP front door. Made idle; `start` binds and serves.
#[pyclass(frozen, module = "roomtone._core")]
pub(crate) struct Front {
    running: Mutex<Option<roomtone_front::Front>>,
}

/// Adds the front door to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Front>()?;
    module.add("FrontError", module.py().get_type::<FrontError>())
}

fn failed(error: &roomtone_front::FrontError) -> PyErr {
    FrontError::new_err((error.code(), error.to_string()))
}

fn not_started() -> PyErr {
    FrontError::new_err(("wrong_state", "the front door is not started"))
}

/// Addresses and networks travel as text.
fn decode(config: &[u8]) -> PyResult<FrontConfig> {
    let mut reader = rmp_serde::Deserializer::new(config).with_human_readable();
    FrontConfig::deserialize(&mut reader)
        .map_err(|error| FrontError::new_err(("bad_config", error.to_string())))
}

fn encode<'py, T: Serialize>(py: Python<'py>, value: &T) -> PyResult<Bound<'py, PyBytes>> {
    let bytes = rmp_serde::to_vec_named(value)
        .map_err(|error| FrontError::new_err(("internal", error.to_string())))?;
    Ok(PyBytes::new(py, &bytes))
}

/// A viewer as it crosses.
#[derive(Serialize)]
struct Viewer {
    id: u64,
    grant: Option<u64>,
    address: String,
    agent: String,
    since_ms: u64,
    seen_ms: u64,
    playlists: u64,
}

/// What is in memory of a stream, as it crosses.
#[derive(Serialize)]
struct Held {
    waiting: u64,
    tracks: Vec<HeldTrack>,
}

#[derive(Serialize)]
struct HeldTrack {
    name: String,
    listed_ms: u64,
    segments: u64,
    bytes: u64,
    stored: u64,
    late: u64,
    mean_bps: u64,
}

impl From<roomtone_hls::Held> for HeldTrack {
    fn from(held: roomtone_hls::Held) -> Self {
        Self {
            name: held.name,
            listed_ms: held.listed_ms,
            segments: held.segments,
            bytes: held.bytes,
            stored: held.stored,
            late: held.late,
            mean_bps: held.mean_bps,
        }
    }
}

impl From<roomtone_front::Viewer> for Viewer {
    fn from(viewer: roomtone_front::Viewer) -> Self {
        Self {
            id: viewer.id,
            grant: viewer.grant,
            address: viewer.address.to_string(),
            agent: viewer.agent,
            since_ms: viewer.since_ms,
            seen_ms: viewer.seen_ms,
            playlists: viewer.playlists,
        }
    }
}

impl Front {
    fn running(&self) -> MutexGuard<'_, Option<roomtone_front::Front>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T>(&self, question: impl FnOnce(&roomtone_front::Front) -> T) -> PyResult<T> {
        self.running()
            .as_ref()
            .map(question)
            .ok_or_else(not_started)
    }
}

#[pymethods]
impl Front {
    #[new]
    fn new() -> Self {
        Self {
            running: Mutex::new(None),
        }
    }

    /// Binds, loads the certificate and serves; `config` is a MessagePack map of `FrontConfig`. With `engine`, its live
    /// streams are served below `/live/`; with `takes_media` too, connections on TLS ports that are not TLS are media for
    /// it. Raises `FrontError`.
    #[pyo3(signature = (config, engine=None, *, takes_media=false))]
    fn start(
        &self,
        py: Python<'_>,
        config: &[u8],
        engine: Option<&Bound<'_, Engine>>,
        takes_media: bool,
    ) -> PyResult<()> {
        let config = decode(config)?;
        let shelf = engine.map(|engine| engine.get().shelf());
        let media = engine.filter(|_| takes_media).map(|engine| {
            let engine = engine.get().shared();
            let sink = move |stream: TcpStream, _: SocketAddr| engine.adopt(stream);
            Arc::new(sink) as Arc<dyn MediaTcpSink>
        });
        py.detach(|| {
            let mut running = self.running();
            if running.is_some() {
                let message = "the front door is started already";
                return Err(FrontError::new_err(("wrong_state", message)));
            }
            let front = roomtone_front::Front::start_with(&config, media, shelf);
            *running = Some(front.map_err(|error| failed(&error))?);
            Ok(())
        })
    }

    /// Name and address (`ip:port`) of each bind, in the order configured; an optional bind left out is missing.
    fn addresses(&self) -> PyResult<Vec<(String, String)>> {
        self.ask(|front| {
            front
                .addresses()
                .iter()
                .map(|(name, address)| (name.clone(), address.to_string()))
                .collect()
        })
    }

    /// Counters and gauges by name, as a MessagePack map.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let counters: std::collections::BTreeMap<String, u64> =
            self.ask(|front| front.stats().into_iter().collect())?;
        encode(py, &counters)
    }

    /// Who watches a live stream now: a MessagePack list of maps.
    fn viewers<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyBytes>> {
        let viewers = self.ask(|front| front.viewers(name))?;
        let viewers: Vec<Viewer> = viewers.into_iter().map(Viewer::from).collect();
        encode(py, &viewers)
    }

    /// How many watch each live stream that is watched, as a MessagePack map.
    fn audience<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        encode(py, &self.ask(roomtone_front::Front::audience)?)
    }

    /// The last keyframe of a live stream as a file (MP4) of one picture; none where there is no such stream, or no keyframe.
    fn keyframe<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let file = self.ask(|front| front.keyframe(name))?;
        Ok(file.map(|file| PyBytes::new(py, &file)))
    }

    /// What is in memory of a live stream: a MessagePack map of `waiting` and `tracks`; none where there is no such stream.
    fn held<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let held = self.ask(|front| front.held(name))?;
        held.map(|(tracks, waiting)| {
            let tracks = tracks.into_iter().map(HeldTrack::from).collect();
            encode(py, &Held { waiting, tracks })
        })
        .transpose()
    }

    /// Sends a viewer of a live stream away, and gives it as a MessagePack map. Raises `FrontError`: `unknown_viewer`, or
    /// `too_many_kicked`.
    fn kick<'py>(&self, py: Python<'py>, name: &str, viewer: u64) -> PyResult<Bound<'py, PyBytes>> {
        match self.ask(|front| front.kick(name, viewer))? {
            Ok(gone) => encode(py, &Viewer::from(gone)),
            Err(KickError::Unknown) => Err(FrontError::new_err((
                "unknown_viewer",
                "there is no such viewer of this stream",
            ))),
            Err(KickError::Full) => Err(FrontError::new_err((
                "too_many_kicked",
                "too many viewers are kept away already",
            ))),
        }
    }

    /// Reads certificate and key again. Raises `FrontError`, and the old ones stay in use.
    fn reload_certificate(&self) -> PyResult<()> {
        self.ask(roomtone_front::Front::reload_certificate)?
            .map_err(|error| failed(&error))
    }

    /// Stops accepting; connections end after the request they are at. Returns at once.
    fn drain(&self) -> PyResult<()> {
        self.ask(roomtone_front::Front::drain)
    }

    /// Drains, waits for requests under way up to the deadline, and joins all threads. Again: nothing.
    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            let running = self.running().take();
            drop(running);
        });
    }
}
