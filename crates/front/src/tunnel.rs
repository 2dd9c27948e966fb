//! WebSockets: from an HTTP/1.1 upgrade (RFC 6455) or an HTTP/2 extended CONNECT (RFC 8441) to an upgrade of the
//! application's, and then bytes both ways.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::ext::Protocol;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};

use crate::body::{self, GuardedBody, RequestBody, ResponseBody};
use crate::headers;
use crate::stats::Stats;

/// Bytes buffered each way; signalling messages are small.
const BUFFER: usize = 4096;
/// Any key will do: RFC 6455 section 4.1 wants 16 bytes, and in HTTP/2 the client has none to check (RFC 8441
/// section 5.1).
const KEY: HeaderValue = HeaderValue::from_static("cm9vbXRvbmUtZnJvbnQtMQ==");

/// How the client asked for a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Upgrade,
    ExtendedConnect,
}

/// What kind of request this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    WebSocket(Asked),
    /// A CONNECT to elsewhere, or to something that is no WebSocket.
    Unsupported,
}

/// Tells WebSocket requests from others. Other upgrades (RFC 9110 section 7.8) may be passed over.
pub(crate) fn kind<B>(request: &Request<B>) -> Kind {
    if request.method() == Method::CONNECT {
        return match request.extensions().get::<Protocol>() {
            Some(protocol) if protocol.as_str() == "websocket" => {
                Kind::WebSocket(Asked::ExtendedConnect)
            }
            _ => Kind::Unsupported,
        };
    }
    let asks = request.version() == Version::HTTP_11
        && request.method() == Method::GET
        && headers::connection_tokens(request.headers())
            .any(|token| token.eq_ignore_ascii_case("upgrade"))
        && request
            .headers()
            .get(UPGRADE)
            .is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if asks {
        Kind::WebSocket(Asked::Upgrade)
    } else {
        Kind::Plain
    }
}

/// Turns a request whose hop-by-hop headers are gone into the application's upgrade.
pub(crate) fn prepare(request: &mut Request<RequestBody>, asked: Asked) {
    *request.method_mut() = Method::GET;
    *request.body_mut() = body::empty();
    let headers = request.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if asked == Asked::ExtendedConnect {
        headers.insert(SEC_WEBSOCKET_KEY, KEY);
        let version: HeaderName = SEC_WEBSOCKET_VERSION;
        headers
            .entry(version)
            .or_insert(HeaderValue::from_static("13"));
    }
}

/// What lives as long as a tunnel, and how long it may be silent.
pub(crate) struct Terms<G> {
    pub(crate) idle: Duration,
    pub(crate) stats: Arc<Stats>,
    /// Dropped when the tunnel ends.
    pub(crate) guard: G,
}

/// Joins both sides if the application agreed, and gives the client its answer in any case.
pub(crate) fn answer<G: Send + Unpin + 'static>(
    client: OnUpgrade,
    mut response: Response<hyper::body::Incoming>,
    asked: Asked,
    terms: Terms<G>,
) -> Response<ResponseBody> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        headers::remove_hop_by_hop(response.headers_mut());
        let guard = terms.guard;
        return response
            .map(|body| GuardedBody::wrap(body.map_err(Into::into).boxed_unsync(), guard));
    }
    let application = hyper::upgrade::on(&mut response);
    tokio::spawn(run(client, application, terms));
    let (mut parts, _) = response.into_parts();
    headers::remove_hop_by_hop(&mut parts.headers);
    match asked {
        Asked::Upgrade => agree_to_upgrade(&mut parts.headers),
        Asked::ExtendedConnect => {
            parts.status = StatusCode::OK;
            parts.headers.remove(SEC_WEBSOCKET_ACCEPT);
        }
    }
    let mut agreed = Response::new(body::empty());
    *agreed.status_mut() = parts.status;
    *agreed.headers_mut() = parts.headers;
    agreed
}

fn agree_to_upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

async fn run<G>(client: OnUpgrade, application: OnUpgrade, terms: Terms<G>) {
    let (Ok(client), Ok(application)) = tokio::join!(client, application) else {
        return;
    };
    terms.stats.tunnels_opened.increment();
    terms.stats.tunnels_open.increment();
    relay(client, application, terms.idle, &terms.stats).await;
    terms.stats.tunnels_open.decrement();
}

async fn relay(client: Upgraded, application: Upgraded, idle: Duration, stats: &Stats) {
    let bytes = Arc::new(AtomicU64::new(0));
    let mut client = Counted {
        inner: TokioIo::new(client),
        bytes: Arc::clone(&bytes),
    };
    let mut application = TokioIo::new(application);
    let copy = copy_bidirectional_with_sizes(&mut client, &mut application, BUFFER, BUFFER);
    tokio::select! {
        // Either side's end or error ends the tunnel; WebSocket has its own close handshake inside.
        _ = copy => {}
        () = silence(&bytes, idle) => stats.tunnel_idle_timeouts.increment(),
    }
}

/// Returns when no byte has passed for between one and two times `idle`.
async fn silence(bytes: &AtomicU64, idle: Duration) {
    let mut seen = bytes.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(idle).await;
        let now = bytes.load(Ordering::Relaxed);
        if now == seen {
            return;
        }
        seen = now;
    }
}

/// The client's side, counting what passes either way.
struct Counted<S> {
    inner: S,
    bytes: Arc<AtomicU64>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.bytes
            .fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = result {
            self.bytes.fetch_add(written as u64, Ordering::Relaxed);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
