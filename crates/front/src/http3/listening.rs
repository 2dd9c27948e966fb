//! Taking QUIC connections (RFC 9000) on a UDP socket.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Endpoint, EndpointConfig, IdleTimeout, Incoming, ServerConfig, TokioRuntime, TransportConfig,
    VarInt,
};
use tokio::time::timeout;

use super::connection;
use super::library::H3Session;
use super::session::Ended;
use crate::config::{self, Limits};
use crate::door::{Door, Entrance, OpenConnection, Peer};
use crate::error::FrontError;
use crate::forwarded::Scheme;
use crate::front::Lifetimes;
use crate::rate::{ConnectionRefusal, ConnectionTable};
use crate::tls::Certificate;

/// Handshakes under way above which a client has to prove its address first (RFC 9000 section 8.1): sources can be
/// forged as long as nothing comes back.
const UNPROVEN_HANDSHAKES: usize = 64;
/// Connection attempts, and bytes of them, that may wait for us.
const MAX_INCOMING: usize = 1024;
const INCOMING_BYTES: u64 = 64 << 10;
const INCOMING_BYTES_TOTAL: u64 = 16 << 20;
/// Streams a client may have for control: settings, two of QPACK, and some that mean nothing.
const CONTROL_STREAMS: u32 = 16;
/// Bytes that a client may have under way to us, by stream and in all.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Bytes under way to a client or not yet acknowledged by it; enough for 100 Mbit/s at 160 ms.
const SEND_WINDOW: u64 = 2 << 20;
/// A silent connection whose request waits for media stays known to routers on the way.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A connection that answers nothing for so long is lost.
const LOST_AFTER_MS: u32 = 40_000;
/// How long what says goodbye may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// One UDP socket at work.
pub(crate) struct QuicListener {
    door: Arc<Door>,
    entrance: Arc<Entrance>,
    table: Arc<ConnectionTable>,
    lifetimes: Arc<Lifetimes>,
    endpoint: Endpoint,
    handshakes: AtomicUsize,
}

impl QuicListener {
    /// Listens; inside a runtime.
    pub(crate) fn new(
        socket: UdpSocket,
        certificate: &Arc<Certificate>,
        door: Arc<Door>,
        entrance: Arc<Entrance>,
        table: Arc<ConnectionTable>,
        lifetimes: Arc<Lifetimes>,
    ) -> Result<Self, FrontError> {
        let config = server_config(certificate, &door.limits)?;
        let endpoint = Endpoint::new(
            EndpointConfig::default(),
            Some(config),
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(|error| FrontError::io("cannot listen for HTTP/3", error))?;
        Ok(Self {
            door,
            entrance,
            table,
            lifetimes,
            endpoint,
            handshakes: AtomicUsize::new(0),
        })
    }

    /// Accepts until the front door drains.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut draining = self.lifetimes.draining();
        loop {
            let incoming = tokio::select! {
                incoming = self.endpoint.accept() => incoming,
                _ = draining.wait_for(|draining| *draining) => break,
            };
            match incoming {
                Some(incoming) => self.admit(incoming),
                None => return,
            }
        }
        // Whoever comes now is refused by QUIC itself.
        self.endpoint.set_server_config(None);
    }

    /// Waits a moment until the last packets of ended connections are sent.
    pub(crate) async fn settle(&self) {
        self.endpoint.close(VarInt::from_u32(0x100), b"");
        let _ = timeout(LAST_WORDS, self.endpoint.wait_idle()).await;
    }

    fn admit(self: &Arc<Self>, incoming: Incoming) {
        let stats = &self.door.stats;
        let remote = incoming.remote_address();
        let is_crowded = self.handshakes.load(Ordering::Relaxed) >= UNPROVEN_HANDSHAKES;
        if is_crowded && incoming.may_retry() && !incoming.remote_address_validated() {
            stats.quic_retries.increment();
            // Fails only where `may_retry` says so.
            let _ = incoming.retry();
            return;
        }
        stats.connections_accepted.increment();
        let exempt = self.door.trusts(remote.ip());
        match self.table.open(remote.ip(), exempt) {
            Ok(place) => {
                let open = OpenConnection::new(place, self.lifetimes.enter(), stats);
                let listener = Arc::clone(self);
                tokio::spawn(async move { listener.serve(incoming, open).await });
            }
            Err(refusal) => {
                match refusal {
                    ConnectionRefusal::Full => stats.connections_refused_full.increment(),
                    ConnectionRefusal::Address => stats.connections_refused_address.increment(),
                }
                incoming.refuse();
            }
        }
    }

    async fn serve(&self, incoming: Incoming, open: Arc<OpenConnection>) {
        let Some(connection) = self.shake_hands(incoming).await else {
            return;
        };
        self.door.stats.quic_connections.increment();
        let opened = H3Session::open(connection.clone(), self.door.limits.max_header_bytes).await;
        let session = match opened {
            Ok(session) => session,
            Err(Ended::Malformed) => return self.door.stats.malformed_http.increment(),
            Err(Ended::Closed | Ended::Lost) => {
                return self.door.stats.connections_broken.increment();
            }
        };
        let peer = || Peer {
            // Clients move from one network to another.
            address: connection.remote_address().ip(),
            scheme: Scheme::Https,
            entrance: Arc::clone(&self.entrance),
            connection: Arc::clone(&open),
        };
        connection::serve(session, &self.door, &self.lifetimes, peer).await;
    }

    async fn shake_hands(&self, incoming: Incoming) -> Option<quinn::Connection> {
        let stats = &self.door.stats;
        let _under_way = UnderWay::new(&self.handshakes);
        let patience = config::timeout(self.door.limits.header_timeout_ms);
        let mut draining = self.lifetimes.draining();
        let shaken = tokio::select! {
            shaken = timeout(patience, incoming.into_future()) => shaken,
            _ = draining.wait_for(|draining| *draining) => return None,
        };
        match shaken {
            Ok(Ok(connection)) => Some(connection),
            Ok(Err(_)) => {
                stats.tls_handshake_failures.increment();
                None
            }
            Err(_) => {
                stats.header_timeouts.increment();
                None
            }
        }
    }
}

/// Counts a handshake until dropped.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn server_config(
    certificate: &Arc<Certificate>,
    limits: &Limits,
) -> Result<ServerConfig, FrontError> {
    let tls = certificate.quic_config()?;
    let crypto = QuicServerConfig::try_from(tls)
        .map_err(|error| FrontError::BadConfig(format!("TLS for HTTP/3: {error}")))?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.max_streams))
        .max_concurrent_uni_streams(VarInt::from_u32(CONTROL_STREAMS))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(LOST_AFTER_MS))));
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::new(transport))
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL);
    Ok(config)
}
