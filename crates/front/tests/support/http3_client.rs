//! A client of HTTP/3, by h3 over h3-quinn.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use h3::client::{RequestStream, SendRequest};
use hyper::body::{Buf, Bytes};
use hyper::{Method, Request};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};

use super::secure::client_config;
use super::{ReplyText, bounded};

type Stream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

pub(crate) struct Http3 {
    pub(crate) connection: quinn::Connection,
    sender: SendRequest<h3_quinn::OpenStreams, Bytes>,
    _endpoint: Endpoint,
}

impl Http3 {
    pub(crate) async fn connect(address: SocketAddr, trusted: &Path) -> Self {
        let (endpoint, connection) = Self::quic(address, trusted).await.unwrap();
        let (mut driver, sender) = h3::client::new(h3_quinn::Connection::new(connection.clone()))
            .await
            .unwrap();
        tokio::spawn(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
        Self {
            connection,
            sender,
            _endpoint: endpoint,
        }
    }

    /// The connection alone.
    pub(crate) async fn quic(
        address: SocketAddr,
        trusted: &Path,
    ) -> Result<(Endpoint, quinn::Connection), quinn::ConnectionError> {
        let tls = client_config(trusted, &[&rustls::version::TLS13], b"h3");
        let crypto = QuicClientConfig::try_from(tls).unwrap();
        let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let connecting = endpoint
            .connect_with(ClientConfig::new(Arc::new(crypto)), address, "localhost")
            .unwrap();
        let connection = bounded(connecting).await?;
        Ok((endpoint, connection))
    }

    pub(crate) async fn open(&mut self, request: Request<()>) -> Stream {
        bounded(self.sender.send_request(request)).await.unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> ReplyText {
        self.send(request(Method::GET, path), Bytes::new()).await
    }

    pub(crate) async fn send(&mut self, request: Request<()>, body: Bytes) -> ReplyText {
        let mut stream = self.open(request).await;
        // A server that refuses stops us, and then h3-quinn cannot finish.
        if body.is_empty() || bounded(stream.send_data(body)).await.is_ok() {
            bounded(stream.finish()).await.unwrap();
        }
        read(&mut stream).await
    }
}

pub(crate) fn request(method: Method, path: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"))
        .body(())
        .unwrap()
}

pub(crate) async fn read(stream: &mut Stream) -> ReplyText {
    let head = bounded(stream.recv_response()).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(mut data) = bounded(stream.recv_data()).await.unwrap() {
        let len = data.remaining();
        bytes.extend_from_slice(&data.copy_to_bytes(len));
    }
    let (parts, ()) = head.into_parts();
    ReplyText {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes).unwrap(),
    }
}
