//! Accepting connections and speaking HTTP on them.

use std::convert::Infallible;
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use crate::activity::{Activity, RequestMark, WatchedStream, quiet_for_too_long};
use crate::body::{GuardedBody, ResponseBody};
use crate::config::{self, Limits};
use crate::door::{Door, Entrance, OpenConnection, Peer};
use crate::forwarded::Scheme;
use crate::front::Lifetimes;
use crate::linger::LingeringBody;
use crate::rate::{ConnectionRefusal, ConnectionTable};
use crate::sniff::{self, MediaTcpSink};
use crate::stats::Stats;

/// How long to wait when the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a quiet connection gets to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// Bytes of a response that one HTTP/2 stream may hold for a client that takes them slowly.
const STREAM_BUFFER: usize = 64 << 10;
/// Smallest buffer hyper accepts.
const SMALLEST_BUFFER: usize = 8192;
const RETRY_LATER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// One bind at work.
pub(crate) struct Listener {
    pub(crate) door: Arc<Door>,
    pub(crate) entrance: Arc<Entrance>,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) media: Option<Arc<dyn MediaTcpSink>>,
    pub(crate) table: Arc<ConnectionTable>,
    pub(crate) lifetimes: Arc<Lifetimes>,
    pub(crate) http: auto::Builder<TokioExecutor>,
}

/// What speaks HTTP, set up once for all connections.
pub(crate) fn http(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        // The watchdog tells an idle connection from a head that drips in; hyper does not.
        .header_read_timeout(None)
        .max_headers(limits.max_headers)
        .max_buf_size(limits.max_header_bytes.max(SMALLEST_BUFFER));
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.max_streams)
        .max_send_buf_size(STREAM_BUFFER)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .enable_connect_protocol();
    http
}

impl Listener {
    /// Accepts until the front door drains.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener) {
        let mut draining = self.lifetimes.draining();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = draining.wait_for(|draining| *draining) => return,
            };
            match accepted {
                Ok((stream, remote)) => self.admit(stream, remote),
                Err(error) if is_of_the_connection(error.kind()) => {
                    self.stats().accept_errors.increment();
                }
                Err(_) => {
                    self.stats().accept_errors.increment();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn stats(&self) -> &Stats {
        &self.door.stats
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr) {
        self.stats().connections_accepted.increment();
        let exempt = self.door.trusts(remote.ip());
        match self.table.open(remote.ip(), exempt) {
            Ok(place) => {
                // Small answers go out at once; failure only costs latency.
                let _ = stream.set_nodelay(true);
                let open = OpenConnection::new(place, self.lifetimes.enter(), &self.door.stats);
                let listener = Arc::clone(self);
                tokio::spawn(async move { listener.serve(stream, remote, open).await });
            }
            Err(refusal) => {
                match refusal {
                    ConnectionRefusal::Full => self.stats().connections_refused_full.increment(),
                    ConnectionRefusal::Address => {
                        self.stats().connections_refused_address.increment();
                    }
                }
                if self.tls.is_none() {
                    // Best effort: a fresh socket has room for it, and we wait for nobody.
                    let _ = stream.try_write(RETRY_LATER);
                }
            }
        }
    }

    async fn serve(&self, stream: TcpStream, remote: SocketAddr, connection: Arc<OpenConnection>) {
        let head = config::timeout(self.door.limits.header_timeout_ms);
        let peer = |scheme| Peer {
            address: remote.ip(),
            scheme,
            entrance: Arc::clone(&self.entrance),
            connection,
        };
        let Some(acceptor) = &self.tls else {
            return self.speak(stream, peer(Scheme::Http)).await;
        };
        let handshake = async {
            let stream =
                sniff::tls_only(stream, remote, self.media.as_deref(), self.stats()).await?;
            let shaken = acceptor.accept(stream).await;
            if shaken.is_err() {
                self.stats().tls_handshake_failures.increment();
            }
            shaken.ok()
        };
        let mut draining = self.lifetimes.draining();
        let shaken = tokio::select! {
            shaken = timeout(head, handshake) => shaken,
            _ = draining.wait_for(|draining| *draining) => return,
        };
        match shaken {
            Ok(Some(stream)) => self.speak(stream, peer(Scheme::Https)).await,
            Ok(None) => {}
            Err(_) => self.stats().header_timeouts.increment(),
        }
    }

    async fn speak<S>(&self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::new(Instant::now());
        let write_timeout = config::timeout(self.door.limits.write_timeout_ms);
        let stats = Arc::clone(&self.door.stats);
        let stream = WatchedStream::new(stream, Arc::clone(&activity), stats, write_timeout);
        let service = service_fn(|request: Request<Incoming>| {
            let door = Arc::clone(&self.door);
            let peer = peer.clone();
            let mark = activity.begin_request(request.version() == Version::HTTP_2);
            async move { Ok::<_, Infallible>(respond(&door, &peer, request, mark).await) }
        });
        let connection = self
            .http
            .serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let mut ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = quiet_for_too_long(&activity, &self.door.limits, &self.door.stats) => None,
            () = drained(self.lifetimes.draining()) => None,
        };
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            ended = goodbye(connection, &activity).await;
        }
        if let Some(Err(error)) = ended {
            self.count_failure(error.as_ref());
        }
    }

    fn count_failure(&self, error: &(dyn std::error::Error + 'static)) {
        let stats = self.stats();
        match error.downcast_ref::<hyper::Error>() {
            Some(error) if error.is_parse_too_large() => {
                // hyper has answered 431 or 414 itself, and 400 below.
                stats.headers_too_large.increment();
                stats.responses_4xx.increment();
            }
            Some(error) if error.is_parse() => {
                stats.malformed_http.increment();
                stats.responses_4xx.increment();
            }
            _ => stats.connections_broken.increment(),
        }
    }
}

async fn respond(
    door: &Door,
    peer: &Peer,
    request: Request<Incoming>,
    mark: RequestMark,
) -> Response<ResponseBody> {
    let open = OpenRequest::new(Arc::clone(&door.stats), mark);
    let (head, body) = request.into_parts();
    let body = LingeringBody::new(body, head.version, &head.headers, &door.stats);
    let request = Request::from_parts(head, body.boxed_unsync());
    let response = door.handle(peer, request).await;
    response.map(|body| GuardedBody::wrap(body, open))
}

/// One request until the last byte of its response is on its way.
pub(crate) struct OpenRequest {
    stats: Arc<Stats>,
    _mark: RequestMark,
}

impl OpenRequest {
    pub(crate) fn new(stats: Arc<Stats>, mark: RequestMark) -> Self {
        stats.requests_open.increment();
        Self { stats, _mark: mark }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.stats.requests_open.decrement();
    }
}

async fn drained(mut draining: watch::Receiver<bool>) {
    // An error means that the front door is gone, which is drained too.
    let _ = draining.wait_for(|draining| *draining).await;
}

/// Lets a connection finish what it has begun; one that has begun nothing gets a moment.
async fn goodbye<C: Future>(mut connection: Pin<&mut C>, activity: &Activity) -> Option<C::Output> {
    loop {
        if let Ok(ended) = timeout(GOODBYE, connection.as_mut()).await {
            return Some(ended);
        }
        if activity.is_quiet() {
            return None;
        }
    }
}

/// Failures of accept(2) that concern the connection only, not us.
fn is_of_the_connection(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}
