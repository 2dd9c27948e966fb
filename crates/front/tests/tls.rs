//! TLS, its certificate, and media on the same port.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, mpsc};

use hyper::StatusCode;
use roomtone_front::{Front, FrontConfig};
use support::{Client, Setup, address, bind, counter, eventually, read_to_end};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

fn https(config: &mut FrontConfig) {
    config.binds = vec![bind("https", true)];
}

/// Connects with the certificate in `trusted` as the only authority.
async fn connect(
    front: &Front,
    trusted: &Path,
    alpn: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    support::tls(address(front, "https"), trusted, alpn).await
}

/// A certificate and key of our own, written where the configuration points.
fn write_pair(config: &FrontConfig) {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(config.tls.certificate.as_ref().unwrap(), pair.cert.pem()).unwrap();
    fs::write(
        config.tls.key.as_ref().unwrap(),
        pair.signing_key.serialize_pem(),
    )
    .unwrap();
}

fn configured() -> Setup {
    let mut setup = Setup::with(https);
    setup.config.tls.certificate = Some(setup.directory.path().join("own.crt"));
    setup.config.tls.key = Some(setup.directory.path().join("own.key"));
    write_pair(&setup.config);
    setup
}

#[tokio::test]
async fn alpn_chooses_the_http_version() {
    let setup = Setup::with(https);
    let _application = setup.application();
    let front = setup.start();
    let certificate = setup.config.tls.directory.join("self-signed.crt");

    let stream = connect(&front, &certificate, b"h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let reply = Client::http2_over(stream).await.get("/headers").await;
    assert!(
        reply.text.contains("x-forwarded-proto: https"),
        "{}",
        reply.text
    );

    let stream = connect(&front, &certificate, b"http/1.1").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let reply = Client::http1_over(stream).await.get("/headers").await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn a_self_signed_certificate_is_private_and_kept() {
    let setup = Setup::with(https);
    let directory = &setup.config.tls.directory;
    drop(setup.start());
    let read = || {
        ["self-signed.crt", "self-signed.key"].map(|name| fs::read(directory.join(name)).unwrap())
    };
    let first = read();
    for name in ["self-signed.crt", "self-signed.key"] {
        let mode = fs::metadata(directory.join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let front = setup.start();
    assert_eq!(read(), first);
    connect(&front, &directory.join("self-signed.crt"), b"h2")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named() {
    let mut setup = Setup::with(https);
    // A file where the directory should be refuses even root.
    setup.config.tls.directory = setup.directory.path().join("file");
    fs::write(&setup.config.tls.directory, "").unwrap();
    let error = Front::start(&setup.config).err().unwrap();
    assert_eq!(error.code(), "io");
    assert!(error.to_string().contains("another directory"), "{error}");
}

#[tokio::test]
async fn a_bad_certificate_names_its_file() {
    let setup = configured();
    let certificate = setup.config.tls.certificate.clone().unwrap();
    let key = setup.config.tls.key.clone().unwrap();

    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let error = Front::start(&setup.config).err().unwrap();
    assert_eq!(error.code(), "bad_certificate");
    assert!(
        error.to_string().contains("does not belong to the key"),
        "{error}"
    );

    fs::write(&key, "no key").unwrap();
    let error = Front::start(&setup.config).err().unwrap().to_string();
    assert!(error.contains("own.key"), "{error}");

    fs::remove_file(&certificate).unwrap();
    let error = Front::start(&setup.config).err().unwrap().to_string();
    assert!(error.contains("own.crt"), "{error}");
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    let mut setup = configured();
    setup.config.tls.key = None;
    let error = Front::start(&setup.config).err().unwrap();
    assert_eq!(error.code(), "bad_certificate");
}

#[tokio::test]
async fn reloading_takes_the_new_certificate() {
    let setup = configured();
    let front = setup.start();
    let certificate = setup.config.tls.certificate.as_ref().unwrap();
    connect(&front, certificate, b"h2").await.unwrap();
    write_pair(&setup.config);
    assert!(
        connect(&front, certificate, b"h2").await.is_err(),
        "still the old one"
    );
    front.reload_certificate().unwrap();
    connect(&front, certificate, b"h2").await.unwrap();
}

#[tokio::test]
async fn reloading_a_bad_certificate_keeps_the_old_one() {
    let setup = configured();
    let front = setup.start();
    let certificate = setup.config.tls.certificate.as_ref().unwrap();
    let kept = setup.directory.path().join("kept.crt");
    fs::copy(certificate, &kept).unwrap();
    fs::write(certificate, "garbage").unwrap();
    assert_eq!(
        front.reload_certificate().unwrap_err().code(),
        "bad_certificate"
    );
    connect(&front, &kept, b"h2").await.unwrap();
}

#[tokio::test]
async fn without_tls_there_is_nothing_to_reload() {
    let setup = Setup::new();
    assert_eq!(
        setup.start().reload_certificate().unwrap_err().code(),
        "bad_config"
    );
}

#[tokio::test]
async fn what_is_not_tls_goes_to_the_media_sink_unread() {
    let setup = Setup::with(https);
    let (sender, taken) = mpsc::channel();
    let sink = move |stream: std::net::TcpStream, remote| sender.send((stream, remote)).is_ok();
    let front = Front::start_with(&setup.config, Some(Arc::new(sink)), None).unwrap();
    let mut client = TcpStream::connect(address(&front, "https")).await.unwrap();
    // RFC 4571: a length, then a STUN binding request.
    let frame = b"\x00\x14\x00\x01\x00\x00\x21\x12\xa4\x42";
    client.write_all(frame).await.unwrap();
    eventually(|| counter(&front, "media_tcp_connections") == 1).await;
    let (stream, remote) = taken.recv().unwrap();
    assert_eq!(remote, client.local_addr().unwrap());
    let mut stream = TcpStream::from_std(stream).unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(
        read_to_end(&mut stream).await.as_bytes(),
        String::from_utf8_lossy(frame).as_bytes()
    );
    eventually(|| counter(&front, "connections_open") == 0).await;
}

#[tokio::test]
async fn what_is_not_tls_is_closed_where_nobody_wants_it() {
    let setup = Setup::with(https);
    let unwilling = |_stream: std::net::TcpStream, _remote| false;
    for front in [
        setup.start(),
        Front::start_with(&setup.config, Some(Arc::new(unwilling)), None).unwrap(),
    ] {
        let mut client = TcpStream::connect(address(&front, "https")).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(read_to_end(&mut client).await, "");
        eventually(|| counter(&front, "not_tls_connections") == 1).await;
    }
}

#[tokio::test]
async fn a_handshake_of_garbage_fails_and_is_counted() {
    let setup = Setup::with(https);
    let front = setup.start();
    let mut client = TcpStream::connect(address(&front, "https")).await.unwrap();
    client
        .write_all(b"\x16garbage garbage garbage")
        .await
        .unwrap();
    read_to_end(&mut client).await;
    eventually(|| counter(&front, "tls_handshake_failures") == 1).await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut_off() {
    let setup = Setup::with(|config| {
        https(config);
        config.limits.header_timeout_ms = 20;
    });
    let front = setup.start();
    for beginning in [&b""[..], b"\x16", b"\x16\x03\x01"] {
        let mut client = TcpStream::connect(address(&front, "https")).await.unwrap();
        client.write_all(beginning).await.unwrap();
        assert_eq!(read_to_end(&mut client).await, "");
    }
    eventually(|| counter(&front, "header_timeouts") == 3).await;
}
