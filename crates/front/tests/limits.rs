//! What the front door refuses, how it says so, and that it counts it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod support;

use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use support::{Client, Setup, address, bounded, counter, eventually, full, read_to_end, streamed};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn post(path: &str) -> hyper::http::request::Builder {
    Request::post(path).header("host", "front.test")
}

async fn say(to: std::net::SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

#[tokio::test]
async fn a_body_announced_over_the_limit_is_refused_unread() {
    let setup = Setup::with(|config| config.limits.max_body_bytes = 1000);
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let reply = client
        .reply(post("/echo").body(full(vec![b'x'; 1001])).unwrap())
        .await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(reply.text.contains("body_too_large"), "{}", reply.text);
    assert_eq!(counter(&front, "bodies_too_large"), 1);
}

#[tokio::test]
async fn a_body_at_the_limit_passes() {
    let setup = Setup::with(|config| config.limits.max_body_bytes = 1000);
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let reply = client
        .reply(post("/echo").body(full(vec![b'x'; 1000])).unwrap())
        .await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_grows_over_the_limit_is_refused() {
    let setup = Setup::with(|config| config.limits.max_body_bytes = 1000);
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let (sender, body) = streamed();
    let feed = tokio::spawn(async move {
        for _ in 0..11 {
            if sender.send(Bytes::from(vec![b'x'; 100])).await.is_err() {
                return;
            }
        }
    });
    // `/gate` does not answer before the body has ended.
    let reply = client.reply(post("/gate").body(body).unwrap()).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    bounded(feed).await.unwrap();
}

#[tokio::test]
async fn a_body_that_stalls_is_timed_out() {
    let setup = Setup::with(|config| config.limits.body_timeout_ms = 20);
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let (sender, body) = streamed();
    sender.send(Bytes::from("begun")).await.unwrap();
    let reply = client.reply(post("/gate").body(body).unwrap()).await;
    assert_eq!(reply.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(counter(&front, "body_timeouts"), 1);
}

#[tokio::test]
async fn headers_over_the_limit_are_refused() {
    let setup = Setup::with(|config| config.limits.max_header_bytes = 2000);
    let _application = setup.application();
    let front = setup.start();
    let to = address(&front, "http");
    let mut client = Client::http1(to).await;
    let reply = client
        .get_with("/headers", &[("x-long", &"x".repeat(2000))])
        .await;
    assert_eq!(reply.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert!(reply.text.contains("headers_too_large"), "{}", reply.text);

    // So long that it does not even fit the buffer.
    let mut stream = say(
        to,
        format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "x".repeat(20_000)).as_bytes(),
    )
    .await;
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 431"));
    eventually(|| counter(&front, "headers_too_large") == 2).await;
}

#[tokio::test]
async fn too_many_headers_are_refused() {
    let setup = Setup::with(|config| config.limits.max_headers = 10);
    let _application = setup.application();
    let front = setup.start();
    let many = "x-many: 1\r\n".repeat(20);
    let request = format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    let mut stream = say(address(&front, "http"), request.as_bytes()).await;
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 431"));
    eventually(|| counter(&front, "headers_too_large") == 1).await;
}

#[tokio::test]
async fn http2_headers_over_the_limit_are_refused() {
    let setup = Setup::with(|config| config.limits.max_header_bytes = 2000);
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http2(address(&front, "http")).await;
    let reply = client
        .get_with("/headers", &[("x-long", &"x".repeat(1950))])
        .await;
    assert_eq!(reply.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_when_to_come_back() {
    let setup = Setup::with(|config| {
        config.limits.requests_per_second = 1;
        config.limits.request_burst = 2;
    });
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    assert_eq!(client.get("/headers").await.status, StatusCode::OK);
    assert_eq!(client.get("/headers").await.status, StatusCode::OK);
    let reply = client.get("/headers").await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(counter(&front, "rate_limited"), 1);
}

#[tokio::test]
async fn the_rate_of_a_client_behind_a_trusted_proxy_is_its_own() {
    let setup = Setup::with(|config| {
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config.limits.requests_per_second = 1;
        config.limits.request_burst = 1;
    });
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    for (from, expected) in [
        ("203.0.113.1", StatusCode::OK),
        ("203.0.113.1", StatusCode::TOO_MANY_REQUESTS),
        ("203.0.113.2", StatusCode::OK),
    ] {
        let reply = client
            .get_with("/headers", &[("x-forwarded-for", from)])
            .await;
        assert_eq!(reply.status, expected, "{from}");
    }
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away() {
    let setup = Setup::with(|config| config.limits.max_connections_per_address = 1);
    let _application = setup.application();
    let front = setup.start();
    let to = address(&front, "http");
    let mut first = Client::http1(to).await;
    assert_eq!(first.get("/headers").await.status, StatusCode::OK);
    let mut second = TcpStream::connect(to).await.unwrap();
    let answer = read_to_end(&mut second).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("Retry-After"), "{answer}");
    assert_eq!(counter(&front, "connections_refused_address"), 1);
    drop(first);
    eventually(|| counter(&front, "connections_open") == 0).await;
    let mut third = Client::http1(to).await;
    assert_eq!(third.get("/headers").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let setup = Setup::with(|config| config.limits.header_timeout_ms = 20);
    let front = setup.start();
    let to = address(&front, "http");
    for beginning in [
        &b""[..],
        b"G",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-sl",
        b"PRI * HT",
    ] {
        let mut stream = say(to, beginning).await;
        assert_eq!(read_to_end(&mut stream).await, "", "{beginning:?}");
    }
    assert_eq!(counter(&front, "header_timeouts"), 4);
}

#[tokio::test]
async fn a_later_head_that_does_not_end_is_cut_off_too() {
    let setup = Setup::with(|config| config.limits.header_timeout_ms = 50);
    let _application = setup.application();
    let front = setup.start();
    let mut stream = say(
        address(&front, "http"),
        b"GET /hop HTTP/1.1\r\nhost: x\r\n\r\n",
    )
    .await;
    eventually(|| counter(&front, "responses_2xx") == 1 && counter(&front, "requests_open") == 0)
        .await;
    stream.write_all(b"GET /hop HTTP/1.1\r\nhos").await.unwrap();
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(counter(&front, "header_timeouts"), 1);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let setup = Setup::with(|config| config.limits.idle_timeout_ms = 20);
    let _application = setup.application();
    let front = setup.start();
    let mut stream = say(
        address(&front, "http"),
        b"GET /hop HTTP/1.1\r\nhost: x\r\n\r\n",
    )
    .await;
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(counter(&front, "idle_timeouts"), 1);
}

#[tokio::test]
async fn garbage_is_refused_and_counted() {
    let setup = Setup::new();
    let front = setup.start();
    let to = address(&front, "http");
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\r\n\r\n"[..],
        b"\0\0\0\0\r\n\r\n",
        b"hello\r\n\r\n",
    ] {
        let mut stream = say(to, garbage).await;
        let answer = read_to_end(&mut stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 400"),
            "{answer:?} to {garbage:?}"
        );
    }
    eventually(|| counter(&front, "malformed_http") == 3).await;
}

#[tokio::test]
async fn a_request_without_exactly_one_host_is_refused() {
    let setup = Setup::new();
    let front = setup.start();
    for hosts in ["", "host: a\r\nhost: b\r\n"] {
        let request = format!("GET / HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        let mut stream = say(address(&front, "http"), request.as_bytes()).await;
        assert!(
            read_to_end(&mut stream).await.starts_with("HTTP/1.1 400"),
            "{hosts:?}"
        );
    }
}

#[tokio::test]
async fn requests_beyond_the_applications_places_are_refused() {
    let setup = Setup::with(|config| config.limits.max_application_requests = 1);
    let application = setup.application();
    let front = setup.start();
    let mut client = Client::http2(address(&front, "http")).await;
    let Client::Http2(sender) = &client else {
        unreachable!()
    };
    let mut waiting = Client::Http2(sender.clone());
    let gate = tokio::spawn(async move { waiting.get("/gate").await.status });
    bounded(application.shared.reached.notified()).await;
    let reply = client.get("/headers").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.text.contains("application_busy"), "{}", reply.text);
    application.shared.gate.notify_one();
    assert_eq!(bounded(gate).await.unwrap(), StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_dropped() {
    let setup = Setup::with(|config| {
        config.limits.write_timeout_ms = 50;
        config.limits.max_body_bytes = 1 << 30;
    });
    let _application = setup.application();
    let front = setup.start();
    let mut stream = say(
        address(&front, "http"),
        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n",
    )
    .await;
    let block = vec![b'x'; 1 << 16];
    // Sends without ever reading, until the front door gives up.
    bounded(async { while stream.write_all(&block).await.is_ok() {} }).await;
    assert_eq!(counter(&front, "write_timeouts"), 1);
}

#[tokio::test]
async fn a_length_beside_chunks_smuggles_nothing() {
    let setup = Setup::new();
    let _application = setup.application();
    let front = setup.start();
    let request = b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\
        transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let mut stream = say(address(&front, "http"), request).await;
    let answer = read_to_end(&mut stream).await;
    // Refusing it is as good as taking the chunks for what they are.
    assert!(
        answer.starts_with("HTTP/1.1 400") || answer.contains("hello"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_client_that_sends_on_still_reads_the_refusal() {
    let setup = Setup::with(|config| config.limits.max_body_bytes = 1000);
    let front = setup.start();
    let to = address(&front, "http");
    let body = vec![b'x'; 5_000_000];
    for framing in [
        "content-length: 5000000\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n4c4b40\r\n",
    ] {
        let head = format!("POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{framing}");
        let mut stream = say(to, head.as_bytes()).await;
        bounded(stream.write_all(&body)).await.unwrap();
        if framing.contains("chunked") {
            stream.write_all(b"\r\n0\r\n\r\n").await.unwrap();
        }
        let answer = read_to_end(&mut stream).await;
        // Without an application the chunked body is refused for that instead.
        let expected = if framing.contains("chunked") {
            "503"
        } else {
            "413"
        };
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{answer:?}"
        );
    }
    assert_eq!(counter(&front, "bodies_abandoned"), 0);
}

#[tokio::test]
async fn a_client_that_expects_100_is_refused_without_sending() {
    let setup = Setup::with(|config| config.limits.max_body_bytes = 1000);
    let front = setup.start();
    let head =
        b"POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5000\r\n\r\n";
    let mut stream = say(address(&front, "http"), head).await;
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer:?}");
}

#[tokio::test]
async fn a_refused_body_without_end_is_not_read_for_ever() {
    let setup = Setup::with(|config| config.limits.max_body_bytes = 1000);
    let front = setup.start();
    let head = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000000\r\n\r\n";
    let mut stream = say(address(&front, "http"), head).await;
    let block = vec![b'x'; 1 << 16];
    bounded(async { while stream.write_all(&block).await.is_ok() {} }).await;
    eventually(|| counter(&front, "bodies_abandoned") == 1).await;
}
