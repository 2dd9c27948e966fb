//! WebSockets through the front door.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod support;

use http_body_util::BodyExt;
use hyper::ext::Protocol;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use support::{Client, Setup, address, bounded, counter, eventually, full, read_to_end};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

fn upgrade(
    path: &str,
) -> Request<http_body_util::combinators::BoxBody<hyper::body::Bytes, std::convert::Infallible>> {
    Request::get(path)
        .header("host", "front.test")
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", "WebSocket")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-version", "13")
        .body(full(""))
        .unwrap()
}

async fn assert_echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut echo = vec![0; text.len()];
    bounded(stream.read_exact(&mut echo)).await.unwrap();
    assert_eq!(echo, text.as_bytes());
}

#[tokio::test]
async fn a_websocket_passes_bytes_both_ways() {
    let setup = Setup::new();
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let response = client.send(upgrade("/ws")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(response.headers()["sec-websocket-accept"], "computed");
    let mut stream = TokioIo::new(bounded(hyper::upgrade::on(response)).await.unwrap());
    assert_echo(&mut stream, "one").await;
    assert_echo(&mut stream, "two").await;
    assert_eq!(counter(&front, "tunnels_open"), 1);
    assert_eq!(counter(&front, "responses_1xx"), 1);
    drop(stream);
    eventually(|| counter(&front, "tunnels_open") == 0).await;
    eventually(|| counter(&front, "connections_open") == 0).await;
}

#[tokio::test]
async fn a_websocket_holds_its_connections_place() {
    let setup = Setup::with(|config| config.limits.max_connections = 1);
    let _application = setup.application();
    let front = setup.start();
    let to = address(&front, "http");
    let response = Client::http1(to).await.send(upgrade("/ws")).await.unwrap();
    let mut stream = TokioIo::new(bounded(hyper::upgrade::on(response)).await.unwrap());
    assert_echo(&mut stream, "open").await;
    let mut second = tokio::net::TcpStream::connect(to).await.unwrap();
    assert!(read_to_end(&mut second).await.starts_with("HTTP/1.1 503"));
    assert_eq!(counter(&front, "connections_refused_full"), 1);
}

#[tokio::test]
async fn a_websocket_comes_by_http2_extended_connect() {
    let setup = Setup::new();
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http2(address(&front, "http")).await;
    // The server's settings, which allow extended CONNECT, come before its first response.
    assert_eq!(client.get("/headers").await.status, StatusCode::OK);
    let mut request = Request::connect("http://front.test/ws")
        .header("sec-websocket-version", "13")
        .body(full(""))
        .unwrap();
    request
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    let response = client.send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    let mut stream = TokioIo::new(bounded(hyper::upgrade::on(response)).await.unwrap());
    assert_echo(&mut stream, "over http/2").await;
}

#[tokio::test]
async fn the_applications_refusal_reaches_the_client() {
    let setup = Setup::new();
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let reply = client.reply(upgrade("/refuse-ws")).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert_eq!(reply.text, "no");
    assert_eq!(counter(&front, "tunnels_opened"), 0);
}

#[tokio::test]
async fn a_websocket_to_an_absent_application_is_refused() {
    let setup = Setup::new();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    assert_eq!(
        client.reply(upgrade("/ws")).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn a_silent_websocket_is_closed() {
    let setup = Setup::with(|config| config.limits.tunnel_idle_timeout_ms = 20);
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let response = client.send(upgrade("/ws")).await.unwrap();
    let mut stream = TokioIo::new(bounded(hyper::upgrade::on(response)).await.unwrap());
    assert_eq!(read_to_end(&mut stream).await, "");
    assert_eq!(counter(&front, "tunnel_idle_timeouts"), 1);
}

#[tokio::test]
async fn connect_to_elsewhere_is_not_implemented() {
    let setup = Setup::new();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri("elsewhere.test:443")
        .header("host", "elsewhere.test")
        .body(full(""))
        .unwrap();
    let response = client.send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
    let text = bounded(response.into_body().collect())
        .await
        .unwrap()
        .to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("upgrade_unsupported"));
}
