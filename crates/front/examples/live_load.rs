//! Players of a live stream, for `benches/llhls.py`: they follow picture and sound with blocking reloads and fetch each
//! new part, as `llhls_rps` of the folder of peers does.
//!
//! `live_load ADDRESS PATH [--clients N] [--seconds N] [--speaks http1|http2|tls1|tls2] [--waits]` prints one line of JSON.
//! With `--waits` nobody fetches parts, and for each playlist it says how many answers came, when the first and when the
//! last; those that wait do next to nothing themselves, and ask again as late as one does that is a network away. `--flood` asks for the same playlist again and again, `--streams` at a time on each connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Body = Empty<Bytes>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
    Tls1,
    Tls2,
}

struct Words {
    address: SocketAddr,
    path: String,
    clients: u64,
    streams: u64,
    seconds: u64,
    speaks: Speaks,
    waits: bool,
    flood: bool,
}

fn words() -> Words {
    let mut given = std::env::args().skip(1);
    let mut next = || given.next();
    let mut words = Words {
        address: next().and_then(|text| text.parse().ok()).expect("ADDRESS"),
        path: next().expect("PATH"),
        clients: 100,
        streams: 16,
        seconds: 10,
        speaks: Speaks::Http1,
        waits: false,
        flood: false,
    };
    while let Some(name) = next() {
        let mut number = || {
            next()
                .and_then(|text| text.parse::<u64>().ok())
                .expect("a number")
        };
        match name.as_str() {
            "--clients" => words.clients = number(),
            "--streams" => words.streams = number(),
            "--seconds" => words.seconds = number(),
            "--waits" => words.waits = true,
            "--flood" => words.flood = true,
            "--speaks" => {
                words.speaks = match next().as_deref() {
                    Some("http1") => Speaks::Http1,
                    Some("http2") => Speaks::Http2,
                    Some("tls1") => Speaks::Tls1,
                    Some("tls2") => Speaks::Tls2,
                    other => panic!("{other:?} is none of http1, http2, tls1, tls2"),
                }
            }
            _ => panic!("{name} is unknown"),
        }
    }
    words
}

/// What all players count.
#[derive(Default)]
struct Counts {
    playlists: AtomicU64,
    parts: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
    measuring: AtomicBool,
    /// By segment and part that were waited for.
    answers: Mutex<BTreeMap<(u64, u64), Answers>>,
}

/// How many answers came, when the first and when the last, in nanoseconds since 1970.
struct Answers {
    count: u64,
    first: u128,
    last: u128,
}

impl Counts {
    fn add(&self, counter: &AtomicU64, len: usize) {
        if self.measuring.load(Ordering::Relaxed) {
            counter.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(len as u64, Ordering::Relaxed);
        }
    }

    fn note(&self, wanted: (u64, u64)) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let mut answers = self.answers.lock().expect("nobody panics inside");
        let seen = answers.entry(wanted).or_insert(Answers {
            count: 0,
            first: now,
            last: now,
        });
        seen.count += 1;
        seen.last = now;
    }
}

/// Takes any certificate: the server made its own.
#[derive(Debug)]
struct Anybody(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn connector(alpn: &[u8]) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    TlsConnector::from(Arc::new(config))
}

#[derive(Clone)]
enum Sender {
    Http1(Arc<tokio::sync::Mutex<http1::SendRequest<Body>>>),
    Http2(http2::SendRequest<Body>),
}

/// One connection.
#[derive(Clone)]
struct Client {
    sender: Sender,
    authority: String,
}

impl Client {
    async fn connect(words: &Words) -> Self {
        let stream = TcpStream::connect(words.address).await.expect("a listener");
        stream.set_nodelay(true).expect("a TCP socket");
        let name = ServerName::try_from("localhost").expect("a name");
        let sender = match words.speaks {
            Speaks::Http1 => by_http1(TokioIo::new(stream)).await,
            Speaks::Http2 => by_http2(TokioIo::new(stream)).await,
            Speaks::Tls1 => {
                let stream = connector(b"http/1.1").connect(name, stream).await;
                by_http1(TokioIo::new(stream.expect("TLS"))).await
            }
            Speaks::Tls2 => {
                let stream = connector(b"h2").connect(name, stream).await;
                by_http2(TokioIo::new(stream.expect("TLS"))).await
            }
        };
        Self {
            sender,
            authority: words.address.to_string(),
        }
    }

    async fn get(&self, path: &str) -> Option<Bytes> {
        let absolute = format!("http://{}{path}", self.authority);
        let mut request = Request::new(Body::new());
        let answer = match &self.sender {
            Sender::Http1(sender) => {
                *request.uri_mut() = path.parse().ok()?;
                let host = self.authority.parse().ok()?;
                request.headers_mut().insert(hyper::header::HOST, host);
                let mut sender = sender.lock().await;
                sender.ready().await.ok()?;
                let answer = sender.send_request(request).await.ok()?;
                // The next request goes out only when this body is read, so the lock stays.
                let (head, body) = answer.into_parts();
                let body = body.collect().await.ok()?.to_bytes();
                return (head.status == StatusCode::OK).then_some(body);
            }
            Sender::Http2(sender) => {
                *request.uri_mut() = absolute.parse().ok()?;
                let mut sender = sender.clone();
                sender.ready().await.ok()?;
                sender.send_request(request).await.ok()?
            }
        };
        let (head, body) = answer.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        (head.status == StatusCode::OK).then_some(body)
    }
}

async fn by_http1<S>(stream: S) -> Sender
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(stream).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    Sender::Http1(Arc::new(tokio::sync::Mutex::new(sender)))
}

async fn by_http2<S>(stream: S) -> Sender
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .expect("HTTP/2");
    tokio::spawn(connection);
    Sender::Http2(sender)
}

/// The next part to ask for, and the name of the newest that is listed.
fn newest(playlist: &str) -> Option<(u64, u64, &str)> {
    let first: u64 = playlist
        .lines()
        .find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"))?
        .parse()
        .ok()?;
    let (mut segments, mut parts, mut last) = (0, 0, "");
    for line in playlist.lines() {
        if let Some(rest) = line.strip_prefix("#EXT-X-PART:") {
            parts += 1;
            last = rest.split("URI=\"").nth(1)?.split('"').next()?;
        } else if line.starts_with("#EXTINF") {
            segments += 1;
            parts = 0;
        }
    }
    Some((first + segments, parts, last))
}

/// Follows one media playlist with a connection of its own, as a browser without HTTP/2 does.
async fn follow(words: Arc<Words>, track: &'static str, counts: Arc<Counts>) {
    let client = Client::connect(&words).await;
    let folder = format!("{}/{track}", words.path);
    let mut query = String::new();
    let mut wanted = None;
    loop {
        let path = format!("{folder}/index.m3u8{query}");
        let Some(body) = client.get(&path).await else {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(200)).await;
            query.clear();
            wanted = None;
            continue;
        };
        counts.add(&counts.playlists, body.len());
        let text = std::str::from_utf8(&body).unwrap_or_default();
        let Some((segment, part, last)) = newest(text) else {
            continue;
        };
        query = format!("?_HLS_msn={segment}&_HLS_part={part}");
        let is_first = wanted.replace((segment, part)).is_none();
        if is_first {
            continue;
        }
        match client.get(&format!("{folder}/{last}")).await {
            Some(body) => counts.add(&counts.parts, body.len()),
            None => _ = counts.failed.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// From an answer to the next request, of one that is so far away.
const ROUND_TRIP: Duration = Duration::from_millis(30);

/// Waits for one playlist of the pictures after the other, by HTTP/1.1: no client library takes its time meanwhile.
async fn wait(words: Arc<Words>, counts: Arc<Counts>) {
    let mut stream = TcpStream::connect(words.address).await.expect("a listener");
    stream.set_nodelay(true).expect("a TCP socket");
    let mut space = vec![0; 64 << 10];
    let (mut query, mut wanted) = (String::new(), None);
    loop {
        let request = format!(
            "GET {}/video/index.m3u8{query} HTTP/1.1\r\nHost: {}\r\n\r\n",
            words.path, words.address
        );
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it is sent");
        let body = answer(&mut stream, &mut space).await;
        if let Some(wanted) = wanted {
            counts.note(wanted);
        }
        tokio::time::sleep(ROUND_TRIP).await;
        let Some(body) = body else {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            (query, wanted) = (String::new(), None);
            continue;
        };
        counts.add(&counts.playlists, body.len());
        let text = std::str::from_utf8(body).unwrap_or_default();
        if let Some((segment, part, _)) = newest(text) {
            query = format!("?_HLS_msn={segment}&_HLS_part={part}");
            wanted = Some((segment, part));
        }
    }
}

/// The body of an answer whose length stands in its head; none of one that is no 200.
async fn answer<'a>(stream: &mut TcpStream, space: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut len = 0;
    let (body, whole) = loop {
        let came = stream.read(&mut space[len..]).await.expect("an answer");
        assert!(came > 0, "the server has hung up");
        len += came;
        let ends = space[..len].windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(ends) = ends {
            let head = std::str::from_utf8(&space[..ends]).expect("a head of ASCII");
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut told = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let told: usize = told.next_back()?.1.parse().expect("a length");
            break (ends + 4, ends + 4 + told);
        }
    };
    while len < whole {
        len += stream.read(&mut space[len..whole]).await.expect("a body");
    }
    space
        .starts_with(b"HTTP/1.1 200")
        .then(|| &space[body..whole])
}

/// Asks for the same again and again.
async fn flood(client: Client, path: String, counts: Arc<Counts>) {
    loop {
        match client.get(&path).await {
            Some(body) => counts.add(&counts.playlists, body.len()),
            None => _ = counts.failed.fetch_add(1, Ordering::Relaxed),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words = Arc::new(words());
    let counts = Arc::new(Counts::default());
    for client in 0..words.clients {
        if words.flood {
            let client = Client::connect(&words).await;
            for _ in 0..words.streams {
                let path = format!("{}/video/index.m3u8", words.path);
                tokio::spawn(flood(client.clone(), path, Arc::clone(&counts)));
            }
            continue;
        }
        if words.waits {
            tokio::spawn(wait(Arc::clone(&words), Arc::clone(&counts)));
        } else {
            tokio::spawn(follow(Arc::clone(&words), "video", Arc::clone(&counts)));
            tokio::spawn(follow(Arc::clone(&words), "audio", Arc::clone(&counts)));
        }
        if client % 10 == 9 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("{{\"begun\": true}}");
    counts.measuring.store(true, Ordering::Relaxed);
    counts.answers.lock().expect("nobody panics inside").clear();
    tokio::time::sleep(Duration::from_secs(words.seconds)).await;
    counts.measuring.store(false, Ordering::Relaxed);
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (playlists, parts) = (of(&counts.playlists), of(&counts.parts));
    let answers = counts.answers.lock().expect("nobody panics inside");
    let answers: Vec<_> = answers
        .values()
        .map(|one| format!("[{}, {}, {}]", one.count, one.first, one.last))
        .collect();
    println!(
        "{{\"requests\": {}, \"playlists\": {playlists}, \"parts\": {parts}, \"bytes\": {}, \"failed\": {}, \"answers\": [{}]}}",
        playlists + parts,
        of(&counts.bytes),
        of(&counts.failed),
        answers.join(", ")
    );
}
