//! Requests through the front door to the application and back.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod support;

use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use support::{Client, Setup, address, bounded, counter, eventually, full, streamed};

fn post(path: &str) -> hyper::http::request::Builder {
    Request::post(path).header("host", "front.test")
}

#[tokio::test]
async fn a_body_passes_both_ways_unchanged() {
    let setup = Setup::new();
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let sent: String = (0..60_000_u32)
        .map(|n| char::from(b'a' + (n % 23) as u8))
        .collect();
    let reply = client
        .reply(post("/echo").body(full(sent.clone())).unwrap())
        .await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.text, sent);
    assert_eq!(counter(&front, "responses_2xx"), 1);
}

#[tokio::test]
async fn the_first_bytes_of_a_response_arrive_before_its_end() {
    let setup = Setup::new();
    let application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let request = Request::get("/stream")
        .header("host", "front.test")
        .body(full(""))
        .unwrap();
    let mut body = client.send(request).await.unwrap().into_body();
    let first = bounded(body.frame())
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap();
    assert_eq!(first, "first ");
    application.shared.gate.notify_one();
    let rest = bounded(body.collect()).await.unwrap().to_bytes();
    assert_eq!(rest, "second");
}

#[tokio::test]
async fn the_first_bytes_of_a_request_arrive_before_its_end() {
    for http2 in [false, true] {
        let setup = Setup::new();
        let _application = setup.application();
        let front = setup.start();
        let to = address(&front, "http");
        let mut client = if http2 {
            Client::http2(to).await
        } else {
            Client::http1(to).await
        };
        let (sender, body) = streamed();
        sender.send(Bytes::from("one")).await.unwrap();
        let target = if http2 {
            "http://front.test/echo"
        } else {
            "/echo"
        };
        let mut request = Request::post(target);
        if !http2 {
            request = request.header("host", "front.test");
        }
        let mut echo = client
            .send(request.body(body).unwrap())
            .await
            .unwrap()
            .into_body();
        let first = bounded(echo.frame())
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        assert_eq!(first, "one");
        sender.send(Bytes::from("two")).await.unwrap();
        drop(sender);
        assert_eq!(bounded(echo.collect()).await.unwrap().to_bytes(), "two");
    }
}

#[tokio::test]
async fn a_head_request_keeps_the_length_of_the_body_it_does_not_get() {
    let setup = Setup::new();
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let request = Request::head("/some")
        .header("host", "front.test")
        .body(full(""))
        .unwrap();
    let reply = client.reply(request).await;
    assert_eq!(
        reply.headers["content-length"],
        "application: /some".len().to_string()
    );
    assert_eq!(reply.text, "");
    assert_eq!(client.get("/some").await.text, "application: /some");
}

#[tokio::test]
async fn forwarding_headers_of_a_stranger_are_replaced() {
    let setup = Setup::new();
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let claims = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-port", "1"),
        ("forwarded", "for=203.0.113.7"),
        ("x-real-ip", "203.0.113.7"),
        ("x-front-bind", "metrics"),
    ];
    let reply = client.get_with("/headers", &claims).await;
    for line in [
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: front.test",
        "x-front-bind: http",
    ] {
        assert!(
            reply.text.lines().any(|own| own == line),
            "{line} in {}",
            reply.text
        );
    }
    for trace in ["203.0.113.7", "evil", "x-forwarded-port", "metrics"] {
        assert!(!reply.text.contains(trace), "{trace} in {}", reply.text);
    }
}

#[tokio::test]
async fn forwarding_headers_of_a_trusted_proxy_are_believed() {
    let setup = Setup::with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let claims = [
        ("x-forwarded-for", "6.6.6.6, 203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "from-the-proxy"),
    ];
    let reply = client.get_with("/headers", &claims).await;
    assert!(
        reply.text.contains("x-forwarded-for: 203.0.113.7\n"),
        "{}",
        reply.text
    );
    assert!(
        reply.text.contains("x-forwarded-proto: https"),
        "{}",
        reply.text
    );
    assert_eq!(reply.headers["x-request-id"], "from-the-proxy");
}

#[tokio::test]
async fn headers_of_one_hop_stay_there() {
    let setup = Setup::new();
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let hop = [
        ("connection", "x-secret"),
        ("x-secret", "1"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
    ];
    let reply = client.get_with("/headers", &hop).await;
    for name in ["x-secret", "te:", "upgrade", "connection"] {
        assert!(!reply.text.contains(name), "{name} in {}", reply.text);
    }
    let reply = client.get("/hop").await;
    assert!(!reply.headers.contains_key("x-private"));
    assert!(reply.headers.contains_key("x-public"));
}

#[tokio::test]
async fn application_and_client_see_the_same_request_id() {
    let setup = Setup::new();
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let reply = client
        .get_with("/headers", &[("x-request-id", "mine")])
        .await;
    let id = reply.headers["x-request-id"].to_str().unwrap();
    assert_ne!(id, "mine");
    assert!(
        reply.text.contains(&format!("x-request-id: {id}")),
        "{}",
        reply.text
    );
    let other = client.get("/headers").await;
    assert_ne!(other.headers["x-request-id"], id);
}

#[tokio::test]
async fn http2_with_prior_knowledge_becomes_http1_towards_the_application() {
    let setup = Setup::new();
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http2(address(&front, "http")).await;
    let reply = client
        .get_with("/headers", &[("cookie", "a=1"), ("cookie", "b=2")])
        .await;
    assert!(
        reply.text.starts_with("GET /headers HTTP/1.1\n"),
        "{}",
        reply.text
    );
    assert!(reply.text.contains("host: front.test\n"), "{}", reply.text);
    assert!(reply.text.contains("cookie: a=1; b=2"), "{}", reply.text);
    assert_eq!(counter(&front, "requests_http2"), 1);
}

#[tokio::test]
async fn connections_to_the_application_are_kept() {
    let setup = Setup::new();
    let application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    // A connection is back in the pool only after its response: some requests may find the pool empty.
    for _ in 0..50 {
        assert_eq!(client.get("/headers").await.status, StatusCode::OK);
    }
    assert!(
        application.connections() < 25,
        "{} connections",
        application.connections()
    );
}

#[tokio::test]
async fn a_kept_connection_the_application_closed_is_replaced() {
    let setup = Setup::new();
    let application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    for _ in 0..20 {
        assert_eq!(client.get("/headers").await.status, StatusCode::OK);
        application.hang_up();
    }
    assert_eq!(counter(&front, "application_failures"), 0);
}

#[tokio::test]
async fn an_absent_application_is_said_to_be_absent_until_it_comes() {
    let setup = Setup::new();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let reply = client.get("/headers").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(reply.headers["content-type"], "application/json");
    assert!(
        reply.text.contains(r#""code":"application_absent""#),
        "{}",
        reply.text
    );
    assert_eq!(counter(&front, "application_absent"), 1);
    let _application = setup.application();
    assert_eq!(client.get("/headers").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_application_that_breaks_off_is_a_bad_gateway() {
    let setup = Setup::new();
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let reply = client.get("/break").await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    assert!(reply.text.contains("application_failed"), "{}", reply.text);
}

#[tokio::test]
async fn an_application_that_does_not_answer_is_a_gateway_timeout() {
    let setup = Setup::with(|config| config.limits.application_response_timeout_ms = 20);
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    assert_eq!(
        client.get("/hang").await.status,
        StatusCode::GATEWAY_TIMEOUT
    );
    assert_eq!(counter(&front, "application_timeouts"), 1);
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request_at_the_application() {
    let setup = Setup::with(|config| config.limits.max_application_requests = 1);
    let application = setup.application();
    let front = setup.start();
    let to = address(&front, "http");
    let mut leaving = Client::http1(to).await;
    let request = Request::get("/gate")
        .header("host", "front.test")
        .body(full(""))
        .unwrap();
    let leave = tokio::spawn(async move { leaving.send(request).await.map(|_| ()) });
    bounded(application.shared.reached.notified()).await;
    assert_eq!(counter(&front, "requests_open"), 1);
    leave.abort();
    eventually(|| counter(&front, "requests_open") == 0).await;
    let mut client = Client::http1(to).await;
    assert_eq!(client.get("/headers").await.status, StatusCode::OK);
}

#[tokio::test]
async fn several_threads_serve_as_one_does() {
    let setup = Setup::with(|config| config.threads = 3);
    let _application = setup.application();
    let front = setup.start();
    let mut client = Client::http2(address(&front, "http")).await;
    assert_eq!(client.get("/headers").await.status, StatusCode::OK);
}
