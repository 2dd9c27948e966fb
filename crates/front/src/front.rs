//! Starting and closing, and what there is to ask in between.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::HeaderValue;
use roomtone_hls::{Held, Shelf};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::bind::{self, Bound};
use crate::config::{self, FrontConfig};
use crate::connection::{self, Listener};
use crate::door::{Door, Entrance};
use crate::error::FrontError;
use crate::http3::QuicListener;
use crate::live::{KickError, Viewer};
use crate::rate::ConnectionTable;
use crate::sniff::MediaTcpSink;
use crate::stats::Stats;
use crate::tls::Certificate;

/// How long closing waits for a read from disk that does not come back.
const DISK_PATIENCE: Duration = Duration::from_secs(1);
/// How long a client may remember, in seconds, that it is served by HTTP/3.
const ALTERNATIVE_S: u32 = 86_400;

/// The running front door. Dropping it closes it.
pub struct Front {
    addresses: Vec<(String, SocketAddr)>,
    door: Arc<Door>,
    certificate: Option<Arc<Certificate>>,
    lifetimes: Arc<Lifetimes>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Front {
    /// Binds, loads the certificate and starts serving.
    pub fn start(config: &FrontConfig) -> Result<Self, FrontError> {
        Self::start_with(config, None, None)
    }

    /// As [`Front::start`]; connections on TLS binds that are not TLS go to `media`, requests below `/live/` to the
    /// streams of `live`.
    pub fn start_with(
        config: &FrontConfig,
        media: Option<Arc<dyn MediaTcpSink>>,
        live: Option<Arc<Shelf>>,
    ) -> Result<Self, FrontError> {
        let door = Arc::new(Door::new(config, live)?);
        let has_tls = config.binds.iter().any(|bind| bind.tls);
        let certificate = has_tls
            .then(|| Certificate::load(&config.tls))
            .transpose()?;
        let lifetimes = Arc::new(Lifetimes::new());
        let limits = &config.limits;
        let shared = Listening {
            table: Arc::new(ConnectionTable::new(
                limits.max_connections,
                limits.max_connections_per_address,
            )),
            acceptor: certificate.as_ref().map(acceptor).transpose()?,
            media,
            door: Arc::clone(&door),
            lifetimes: Arc::clone(&lifetimes),
        };
        let bound = bind::bind_all(&config.binds)?;
        let addresses = bound
            .iter()
            .map(|one| (one.config.name.clone(), one.address))
            .collect();
        let runtime = runtime(config.threads)?;
        let (listeners, quic) = {
            let _inside = runtime.enter();
            let mut listeners = Vec::new();
            let mut quic = Vec::new();
            for one in bound {
                let entrance = Arc::new(entrance(&one)?);
                quic.extend(shared.quic(&one, &entrance, certificate.as_ref())?);
                listeners.push(shared.listener(one, entrance)?);
            }
            (listeners, quic)
        };
        let drain = config::timeout(limits.drain_timeout_ms);
        let main = serve(
            listeners,
            quic,
            Arc::clone(&lifetimes),
            drain,
            Arc::clone(&door.stats),
        );
        let thread = std::thread::Builder::new()
            .name("front".to_owned())
            .spawn(move || {
                runtime.block_on(main);
                runtime.shutdown_timeout(DISK_PATIENCE);
            })
            .map_err(|error| FrontError::io("cannot start the front door's thread", error))?;
        Ok(Self {
            addresses,
            door,
            certificate,
            lifetimes,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The name and address of each bind, in the order configured; an optional bind left out is missing.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// All counters and gauges by name, in a fixed order.
    pub fn stats(&self) -> Vec<(String, u64)> {
        let stats = &self.door.stats;
        if let Some(live) = &self.door.live {
            live.settle(stats);
        }
        stats.snapshot()
    }

    /// Who watches a live stream now; nobody where none is served.
    pub fn viewers(&self, name: &str) -> Vec<Viewer> {
        let live = self.door.live.as_ref();
        live.map_or_else(Vec::new, |live| live.viewers(name, &self.door.stats))
    }

    /// How many watch each live stream that anybody watches.
    pub fn audience(&self) -> HashMap<String, u64> {
        let live = self.door.live.as_ref();
        live.map_or_else(HashMap::new, |live| live.audience(&self.door.stats))
    }

    /// The last keyframe of a live stream as a file of one picture; none where there is no such stream, or no keyframe.
    pub fn keyframe(&self, name: &str) -> Option<Bytes> {
        self.door.live.as_ref()?.keyframe(name)
    }

    /// What is in memory of a live stream, by track, and how many requests wait for it; none where there is no such stream.
    pub fn held(&self, name: &str) -> Option<(Vec<Held>, u64)> {
        self.door.live.as_ref()?.held(name)
    }

    /// Sends a viewer of a live stream away, and gives it: its grant is good no more, one without is kept away for a while.
    pub fn kick(&self, name: &str, viewer: u64) -> Result<Viewer, KickError> {
        let live = self.door.live.as_ref().ok_or(KickError::Unknown)?;
        live.kick(name, viewer, &self.door.stats)
    }

    /// Reads certificate and key again. On error the old ones stay in use.
    pub fn reload_certificate(&self) -> Result<(), FrontError> {
        match &self.certificate {
            Some(certificate) => certificate.reload(),
            None => Err(FrontError::BadConfig(
                "no bind uses TLS, so there is no certificate".into(),
            )),
        }
    }

    /// Stops accepting; connections end after the request they are at. Returns at once.
    pub fn drain(&self) {
        self.lifetimes.drain();
    }

    /// Drains, waits for requests under way up to the deadline, and joins all threads. Again: nothing.
    pub fn close(&self) {
        self.drain();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic there was printed by the hook; there is nobody else to tell while closing.
            let _ = thread.join();
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.close();
    }
}

fn acceptor(certificate: &Arc<Certificate>) -> Result<TlsAcceptor, FrontError> {
    Ok(TlsAcceptor::from(Arc::new(certificate.server_config()?)))
}

fn runtime(threads: usize) -> Result<Runtime, FrontError> {
    let mut builder = if threads <= 1 {
        Builder::new_current_thread()
    } else {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads);
        builder
    };
    builder
        .enable_all()
        .thread_name("front-worker")
        .build()
        .map_err(|error| FrontError::io("cannot start the front door's runtime", error))
}

/// What all listeners share.
struct Listening {
    door: Arc<Door>,
    table: Arc<ConnectionTable>,
    acceptor: Option<TlsAcceptor>,
    media: Option<Arc<dyn MediaTcpSink>>,
    lifetimes: Arc<Lifetimes>,
}

/// What requests see of a bind.
fn entrance(bound: &Bound) -> Result<Entrance, FrontError> {
    let Bound {
        config,
        address,
        quic,
        ..
    } = bound;
    let name = HeaderValue::try_from(config.name.as_str())
        .map_err(|_| FrontError::BadConfig(format!("{:?} is no name for a bind", config.name)))?;
    let alternative = format!("h3=\":{}\"; ma={ALTERNATIVE_S}", address.port());
    Ok(Entrance {
        name,
        only: config.only.clone(),
        alternative: quic
            .as_ref()
            .and_then(|_| HeaderValue::try_from(alternative).ok()),
    })
}

impl Listening {
    fn quic(
        &self,
        bound: &Bound,
        entrance: &Arc<Entrance>,
        certificate: Option<&Arc<Certificate>>,
    ) -> Result<Option<Arc<QuicListener>>, FrontError> {
        let (Some(socket), Some(certificate)) = (&bound.quic, certificate) else {
            return Ok(None);
        };
        let socket = socket
            .try_clone()
            .map_err(|error| FrontError::io("cannot listen for HTTP/3", error))?;
        let listener = QuicListener::new(
            socket,
            certificate,
            Arc::clone(&self.door),
            Arc::clone(entrance),
            Arc::clone(&self.table),
            Arc::clone(&self.lifetimes),
        )?;
        Ok(Some(Arc::new(listener)))
    }

    fn listener(
        &self,
        bound: Bound,
        entrance: Arc<Entrance>,
    ) -> Result<(Arc<Listener>, TcpListener), FrontError> {
        let Bound {
            config,
            listener,
            address,
            ..
        } = bound;
        let socket = TcpListener::from_std(listener)
            .map_err(|error| FrontError::io(format!("cannot listen on {address}"), error))?;
        let listener = Listener {
            door: Arc::clone(&self.door),
            entrance,
            tls: self.acceptor.clone().filter(|_| config.tls),
            media: self.media.clone(),
            table: Arc::clone(&self.table),
            lifetimes: Arc::clone(&self.lifetimes),
            http: connection::http(&self.door.limits),
        };
        Ok((Arc::new(listener), socket))
    }
}

async fn serve(
    listeners: Vec<(Arc<Listener>, TcpListener)>,
    quic: Vec<Arc<QuicListener>>,
    lifetimes: Arc<Lifetimes>,
    drain: Duration,
    stats: Arc<Stats>,
) {
    for (listener, socket) in listeners {
        tokio::spawn(listener.run(socket));
    }
    for listener in &quic {
        tokio::spawn(Arc::clone(listener).run());
    }
    let _ = lifetimes.draining().wait_for(|draining| *draining).await;
    let mut open = lifetimes.open.subscribe();
    if tokio::time::timeout(drain, open.wait_for(|open| *open == 0))
        .await
        .is_err()
    {
        let cut = *open.borrow();
        (0..cut).for_each(|_| stats.drain_cut.increment());
    }
    for listener in quic {
        listener.settle().await;
    }
}

/// Whether the front door drains, and how much is still open.
pub(crate) struct Lifetimes {
    draining: watch::Sender<bool>,
    open: watch::Sender<u64>,
}

impl Lifetimes {
    fn new() -> Self {
        Self {
            draining: watch::Sender::new(false),
            open: watch::Sender::new(0),
        }
    }

    fn drain(&self) {
        self.draining.send_replace(true);
    }

    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Notes something open until the result is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Alive {
        self.open.send_modify(|open| *open += 1);
        Alive(Arc::clone(self))
    }
}

/// A connection or tunnel that closing waits for.
pub(crate) struct Alive(Arc<Lifetimes>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}
