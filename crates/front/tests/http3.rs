//! HTTP/3: the same routes and limits as by the other versions, and what is its own.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod support;

use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use quinn::{ConnectionError, VarInt};
use roomtone_frames::{AccessUnit, Format, OpusFormat};
use roomtone_front::{Front, FrontConfig};
use roomtone_hls::{Channel, Packager, PackagerConfig, Shelf, Track};
use support::http3_client::{read, request};
use support::{Http3, Setup, address, bind, bounded, counter, eventually};

fn quic(config: &mut FrontConfig) {
    let mut https = bind("https", true);
    https.http3 = true;
    config.binds = vec![https];
}

fn certificate(setup: &Setup) -> PathBuf {
    setup.config.tls.directory.join("self-signed.crt")
}

async fn connect(setup: &Setup, front: &Front) -> Http3 {
    Http3::connect(address(front, "https"), &certificate(setup)).await
}

/// A stream of sound that has played for ten seconds.
fn tone() -> (Arc<Shelf>, Arc<Channel>) {
    let config = PackagerConfig {
        run: "r".into(),
        part_us: None,
        window_us: 60_000_000,
        zero_us: 0,
    };
    let format = Format::Opus(OpusFormat {
        channels: 2,
        pre_skip: 0,
    });
    let track = Track {
        name: "audio".into(),
        format,
    };
    let channel = Arc::new(Channel::new(Packager::new(config, vec![track])));
    feed(&channel, 0, 500);
    let shelf = Arc::new(Shelf::default());
    shelf.put("tone".into(), Arc::clone(&channel));
    (shelf, channel)
}

fn feed(channel: &Channel, from: i64, to: i64) {
    let now = Instant::now();
    for frame in from..to {
        let dts = frame * 960;
        let unit = AccessUnit {
            dts,
            pts: dts,
            keyframe: true,
            data: vec![0xf8; 100].into(),
        };
        channel
            .with(|packager| packager.handle_unit(0, unit, now))
            .unwrap();
    }
}

#[tokio::test]
async fn requests_reach_the_application_with_their_bodies() {
    let setup = Setup::with(quic);
    let _application = setup.application();
    let front = setup.start();
    let mut client = connect(&setup, &front).await;

    let reply = client.get("/headers").await;
    assert!(
        reply.text.starts_with("GET /headers HTTP/1.1"),
        "{}",
        reply.text
    );
    for line in ["host: localhost", "x-forwarded-proto: https"] {
        assert!(reply.text.contains(line), "{}", reply.text);
    }
    // No body, so none is announced.
    assert!(!reply.text.contains("transfer-encoding"), "{}", reply.text);
    assert!(!reply.headers.contains_key("alt-svc"));

    let echoed = client
        .send(request(Method::POST, "/echo"), "ping".into())
        .await;
    assert_eq!(echoed.text, "ping");
    let hop = client.get("/hop").await;
    assert!(hop.headers.contains_key("x-public"));
    assert!(!hop.headers.contains_key("connection"));
    assert_eq!(counter(&front, "requests_http3"), 3);
    assert_eq!(counter(&front, "quic_connections"), 1);
}

#[tokio::test]
async fn other_versions_are_told_where_http3_is() {
    let mut setup = Setup::with(quic);
    setup.config.binds.push(bind("http", false));
    let _application = setup.application();
    let front = setup.start();
    let secure = address(&front, "https");

    let told = |reply: &support::ReplyText| {
        reply
            .headers
            .get("alt-svc")
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let expected = format!("h3=\":{}\"; ma=86400", secure.port());
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let mut client = support::over_tls(secure, &certificate(&setup), alpn).await;
        assert_eq!(told(&client.get("/x").await), Some(expected.clone()));
    }
    let mut plain = support::Client::http1(address(&front, "http")).await;
    assert_eq!(told(&plain.get("/x").await), None);
}

#[tokio::test]
async fn a_proxy_is_told_nothing_of_http3() {
    let mut setup = Setup::with(quic);
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let _application = setup.application();
    let front = setup.start();
    let secure = address(&front, "https");
    let mut client = support::over_tls(secure, &certificate(&setup), b"h2").await;
    assert!(!client.get("/x").await.headers.contains_key("alt-svc"));
}

#[tokio::test]
async fn a_playlist_that_is_not_there_yet_is_waited_for() {
    let setup = Setup::with(quic);
    let (shelf, channel) = tone();
    let front = Front::start_with(&setup.config, None, Some(shelf)).unwrap();
    let mut client = connect(&setup, &front).await;

    let text = client.get("/live/tone/audio/index.m3u8").await.text;
    let hint = text
        .lines()
        .find_map(|line| line.strip_prefix("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\""))
        .unwrap()
        .trim_end_matches('"')
        .to_owned();
    let part = format!("/live/tone/audio/{hint}");
    let mut waiting = client.open(request(Method::GET, &part)).await;
    waiting.finish().await.unwrap();
    eventually(|| counter(&front, "live_waits") == 1).await;
    feed(&channel, 500, 520);
    let head = bounded(waiting.recv_response()).await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-type"], "video/mp4");
    assert!(bounded(waiting.recv_data()).await.unwrap().is_some());
}

#[tokio::test]
async fn whoever_gives_up_is_no_longer_waited_for() {
    let setup = Setup::with(quic);
    let _application = setup.application();
    let front = setup.start();
    let mut client = connect(&setup, &front).await;
    let mut hanging = client.open(request(Method::GET, "/hang")).await;
    hanging.finish().await.unwrap();
    eventually(|| counter(&front, "requests_open") == 1).await;
    hanging.stop_sending(h3::error::Code::H3_REQUEST_CANCELLED);
    eventually(|| counter(&front, "requests_open") == 0).await;
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_with_an_answer() {
    let mut setup = Setup::with(quic);
    setup.config.limits.max_body_bytes = 1000;
    let _application = setup.application();
    let front = setup.start();
    let mut client = connect(&setup, &front).await;
    let body = Bytes::from(vec![0; 300_000]);
    let refused = client.send(request(Method::POST, "/echo"), body).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    // The connection goes on.
    assert_eq!(client.get("/x").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_shorter_than_said_is_not_taken() {
    let setup = Setup::with(quic);
    let _application = setup.application();
    let front = setup.start();
    let mut client = connect(&setup, &front).await;
    let (mut parts, ()) = request(Method::POST, "/echo").into_parts();
    parts.headers.insert("content-length", 10.into());
    let reply = client
        .send(Request::from_parts(parts, ()), "short".into())
        .await;
    assert!(!reply.status.is_success(), "{}", reply.status);
}

#[tokio::test]
async fn heads_over_the_limit_are_refused_with_an_answer() {
    let setup = Setup::with(quic);
    let _application = setup.application();
    let front = setup.start();
    let mut client = connect(&setup, &front).await;
    let (mut parts, ()) = request(Method::GET, "/x").into_parts();
    parts
        .headers
        .insert("x-long", "a".repeat(34_000).parse().unwrap());
    let mut stream = client.open(Request::from_parts(parts, ())).await;
    let head = bounded(stream.recv_response()).await.unwrap();
    assert_eq!(head.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(counter(&front, "headers_too_large"), 1);
}

/// A frame may announce any length; nobody gathers it.
#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let setup = Setup::with(quic);
    let front = setup.start();
    let (_endpoint, connection) = Http3::quic(address(&front, "https"), &certificate(&setup))
        .await
        .unwrap();
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    // HEADERS of a gibibyte.
    send.write_all(&[0x01, 0x80 | 0x40, 0, 0, 0, 0x40, 0, 0, 0])
        .await
        .unwrap();
    let flood = async {
        loop {
            if let Err(error) = send.write_all(&[0; 4096]).await {
                return error;
            }
        }
    };
    let stopped = bounded(flood).await;
    let code = VarInt::from_u32(0x107);
    assert_eq!(
        stopped,
        quinn::WriteError::Stopped(code),
        "H3_EXCESSIVE_LOAD"
    );
}

#[tokio::test]
async fn garbage_on_the_port_hurts_nobody() {
    let setup = Setup::with(quic);
    let _application = setup.application();
    let front = setup.start();
    let port = address(&front, "https");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut state = 1_u64;
    for length in (0..1500).step_by(13) {
        let mut datagram = vec![0_u8; length];
        for byte in &mut datagram {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (state >> 33) as u8;
        }
        if let Some(first) = datagram.first_mut() {
            // A long header of version 1 in every other one, which is looked at.
            *first |= 0xc0;
            if length > 5 && length % 2 == 0 {
                datagram[1..5].copy_from_slice(&[0, 0, 0, 1]);
            }
        }
        socket.send_to(&datagram, port).unwrap();
    }
    let mut client = connect(&setup, &front).await;
    assert_eq!(client.get("/x").await.status, StatusCode::OK);
    assert_eq!(counter(&front, "connection_panics"), 0);
}

/// What is no HTTP/3 ends its own connection.
#[tokio::test]
async fn a_broken_control_stream_ends_the_connection() {
    let setup = Setup::with(quic);
    let front = setup.start();
    let (_endpoint, connection) = Http3::quic(address(&front, "https"), &certificate(&setup))
        .await
        .unwrap();
    let mut control = connection.open_uni().await.unwrap();
    // A control stream that begins with DATA.
    control.write_all(&[0x00, 0x00, 0x01, 0xff]).await.unwrap();
    let closed = bounded(connection.closed()).await;
    assert!(
        matches!(closed, ConnectionError::ApplicationClosed(_)),
        "{closed}"
    );
    eventually(|| counter(&front, "malformed_http") == 1).await;
    eventually(|| counter(&front, "connections_open") == 0).await;
}

#[tokio::test]
async fn an_address_with_too_many_connections_is_refused() {
    let mut setup = Setup::with(quic);
    setup.config.limits.max_connections_per_address = 1;
    let front = setup.start();
    let _first = connect(&setup, &front).await;
    let second = Http3::quic(address(&front, "https"), &certificate(&setup)).await;
    assert!(matches!(
        second.unwrap_err(),
        ConnectionError::ConnectionClosed(_)
    ));
    assert_eq!(counter(&front, "connections_refused_address"), 1);
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_in_order() {
    let mut setup = Setup::with(quic);
    setup.config.limits.idle_timeout_ms = 50;
    let _application = setup.application();
    let front = setup.start();
    let mut client = connect(&setup, &front).await;
    assert_eq!(client.get("/x").await.status, StatusCode::OK);
    let closed = bounded(client.connection.closed()).await;
    let ConnectionError::ApplicationClosed(close) = closed else {
        panic!("{closed}");
    };
    assert_eq!(close.error_code, VarInt::from_u32(0x100));
    assert_eq!(counter(&front, "idle_timeouts"), 1);
}

#[tokio::test]
async fn draining_finishes_what_was_begun() {
    let mut setup = Setup::with(quic);
    setup.config.limits.drain_timeout_ms = 20_000;
    let application = setup.application();
    let front = setup.start();
    let mut client = connect(&setup, &front).await;
    let mut under_way = client.open(request(Method::GET, "/gate")).await;
    under_way.finish().await.unwrap();
    bounded(application.shared.reached.notified()).await;
    front.drain();
    application.shared.gate.notify_one();
    assert_eq!(read(&mut under_way).await.text, "passed");
    let closing = tokio::task::spawn_blocking(move || front.close());
    let closed = bounded(client.connection.closed()).await;
    assert!(
        matches!(closed, ConnectionError::ApplicationClosed(_)),
        "{closed}"
    );
    bounded(closing).await.unwrap();
}
