//! A small application on a Unix domain socket.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::client::chunks;

type Reply = Response<BoxBody<Bytes, hyper::Error>>;

/// What the application and its test tell each other.
#[derive(Default)]
pub(crate) struct Shared {
    /// Lets `/gate` and `/stream` go on.
    pub(crate) gate: Notify,
    /// Says that `/gate` was reached.
    pub(crate) reached: Notify,
    pub(crate) connections: AtomicUsize,
    hang_up: watch::Sender<()>,
}

pub(crate) struct Application {
    pub(crate) shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Application {
    pub(crate) fn start(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { shared, accepting }
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Closes all connections, as an application does with idle ones.
    pub(crate) fn hang_up(&self) {
        self.shared.hang_up.send_replace(());
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(stream: UnixStream, shared: Arc<Shared>) {
    let mut hang_up = shared.hang_up.subscribe();
    let service = service_fn(|request| reply(request, Arc::clone(&shared)));
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        _ = connection => {}
        _ = hang_up.changed() => {}
    }
}

fn text(text: impl Into<Bytes>) -> Reply {
    Response::new(
        Full::new(text.into())
            .map_err(|never| match never {})
            .boxed(),
    )
}

async fn reply(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Reply, Stop> {
    match request.uri().path() {
        "/echo" => Ok(Response::new(request.into_body().boxed())),
        "/headers" => Ok(text(head_as_text(&request))),
        "/hop" => {
            let mut reply = text("");
            reply
                .headers_mut()
                .insert("connection", "x-private".parse().unwrap());
            reply
                .headers_mut()
                .insert("x-private", "1".parse().unwrap());
            reply.headers_mut().insert("x-public", "1".parse().unwrap());
            Ok(reply)
        }
        "/stream" => Ok(stream(shared)),
        "/gate" => {
            shared.reached.notify_one();
            shared.gate.notified().await;
            Ok(text("passed"))
        }
        "/hang" => std::future::pending().await,
        "/break" => Err(Stop),
        "/ws" => Ok(upgrade(request)),
        "/refuse-ws" => {
            let mut reply = text("no");
            *reply.status_mut() = StatusCode::FORBIDDEN;
            Ok(reply)
        }
        path => Ok(text(format!("application: {path}"))),
    }
}

/// Makes hyper close the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
struct Stop;

fn head_as_text(request: &Request<Incoming>) -> String {
    let mut lines = vec![format!(
        "{} {} {:?}",
        request.method(),
        request.uri(),
        request.version()
    )];
    for (name, value) in request.headers() {
        lines.push(format!("{name}: {}", value.to_str().unwrap()));
    }
    lines.join("\n")
}

fn stream(shared: Arc<Shared>) -> Reply {
    let (sender, body) = chunks();
    tokio::spawn(async move {
        sender.send(Bytes::from("first ")).await.unwrap();
        shared.gate.notified().await;
        sender.send(Bytes::from("second")).await.unwrap();
    });
    Response::new(body.map_err(|never: Infallible| match never {}).boxed())
}

fn upgrade(request: Request<Incoming>) -> Reply {
    let key = request.headers().get("sec-websocket-key").is_some();
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else {
            return;
        };
        let mut stream = TokioIo::new(upgraded);
        let mut buf = [0; 1024];
        while let Ok(read @ 1..) = stream.read(&mut buf).await {
            stream.write_all(&buf[..read]).await.unwrap();
        }
    });
    let mut reply = text("");
    *reply.status_mut() = if key {
        StatusCode::SWITCHING_PROTOCOLS
    } else {
        StatusCode::BAD_REQUEST
    };
    let headers = reply.headers_mut();
    headers.insert("connection", "Upgrade".parse().unwrap());
    headers.insert("upgrade", "websocket".parse().unwrap());
    headers.insert("sec-websocket-accept", "computed".parse().unwrap());
    reply
}
