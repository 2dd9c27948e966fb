//! Starting, several binds, draining and closing.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod support;

use hyper::{Request, StatusCode};
use roomtone_front::{BindConfig, Front};
use support::{Client, Setup, address, bind, bounded, close, counter, full};
use tokio::net::TcpStream;

#[test]
fn an_address_in_use_is_an_error_of_the_start() {
    let first = Setup::new().start();
    let setup = Setup::with(|config| config.binds[0].address = address(&first, "http"));
    let error = Front::start(&setup.config).err().unwrap();
    assert_eq!(error.code(), "addr_in_use");
    assert!(error.to_string().contains("another port"), "{error}");
}

#[test]
fn an_optional_bind_in_use_is_missing_from_the_addresses() {
    let first = Setup::new().start();
    let setup = Setup::with(|config| {
        let address = address(&first, "http");
        config.binds.push(BindConfig {
            address,
            optional: true,
            ..bind("second", false)
        });
    });
    let front = setup.start();
    let names: Vec<_> = front
        .addresses()
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["http"]);
}

#[tokio::test]
async fn both_address_families_serve() {
    let setup = Setup::with(|config| {
        let v6 = BindConfig {
            address: "[::1]:0".parse().unwrap(),
            ..bind("v6", false)
        };
        config.binds.push(v6);
    });
    let _application = setup.application();
    let front = setup.start();
    let reply = Client::http1(address(&front, "v6"))
        .await
        .get("/headers")
        .await;
    assert!(
        reply.text.contains("x-forwarded-for: ::1\n"),
        "{}",
        reply.text
    );
}

#[tokio::test]
async fn a_bind_with_a_prefix_serves_it_and_no_other_does() {
    let setup = Setup::with(|config| {
        config.binds.push(BindConfig {
            only: vec!["/metrics".into()],
            ..bind("metrics", false)
        });
    });
    let _application = setup.application();
    let front = setup.start();
    let mut metrics = Client::http1(address(&front, "metrics")).await;
    assert_eq!(metrics.get("/metrics").await.text, "application: /metrics");
    for path in ["/", "/headers", "/metricsx"] {
        assert_eq!(
            metrics.get(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let mut public = Client::http1(address(&front, "http")).await;
    for path in [
        "/metrics",
        "/metrics/",
        "/metrics/x",
        "//metrics",
        "/%6detrics",
        "/metrics?x",
    ] {
        assert_eq!(
            public.get(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    assert_eq!(counter(&front, "paths_withheld"), 9);
}

#[tokio::test]
async fn draining_finishes_what_is_under_way_and_takes_nothing_new() {
    let setup = Setup::with(|config| config.limits.drain_timeout_ms = 0);
    let application = setup.application();
    let front = setup.start();
    let to = address(&front, "http");
    let mut client = Client::http1(to).await;
    let waiting = tokio::spawn(async move {
        let reply = client.get("/gate").await;
        (reply, client)
    });
    bounded(application.shared.reached.notified()).await;
    front.drain();
    // The listening socket closes soon after; a connection made before that is closed unanswered.
    bounded(async { while TcpStream::connect(to).await.is_ok() {} }).await;
    let closing = tokio::spawn(close(front));
    application.shared.gate.notify_one();
    let (reply, mut client) = bounded(waiting).await.unwrap();
    assert_eq!(
        (reply.status, reply.text.as_str()),
        (StatusCode::OK, "passed")
    );
    let front = bounded(closing).await.unwrap();
    assert_eq!(counter(&front, "drain_cut"), 0);
    let request = Request::get("/headers")
        .header("host", "x")
        .body(full(""))
        .unwrap();
    assert!(client.send(request).await.is_err());
}

#[tokio::test]
async fn closing_cuts_what_outlasts_the_deadline() {
    let setup = Setup::with(|config| config.limits.drain_timeout_ms = 20);
    let application = setup.application();
    let front = setup.start();
    let mut client = Client::http1(address(&front, "http")).await;
    let request = Request::get("/gate")
        .header("host", "x")
        .body(full(""))
        .unwrap();
    let waiting = tokio::spawn(async move { client.send(request).await.is_err() });
    bounded(application.shared.reached.notified()).await;
    let front = close(front).await;
    assert_eq!(counter(&front, "drain_cut"), 1);
    assert!(bounded(waiting).await.unwrap());
}

#[tokio::test]
async fn closing_does_not_wait_for_idle_connections() {
    let setup = Setup::with(|config| config.limits.drain_timeout_ms = 0);
    let _application = setup.application();
    let front = setup.start();
    let to = address(&front, "http");
    let _silent = TcpStream::connect(to).await.unwrap();
    let mut http1 = Client::http1(to).await;
    let mut http2 = Client::http2(to).await;
    assert_eq!(http1.get("/headers").await.status, StatusCode::OK);
    assert_eq!(http2.get("/headers").await.status, StatusCode::OK);
    let front = close(front).await;
    assert_eq!(counter(&front, "drain_cut"), 0);
    assert_eq!(counter(&front, "connections_open"), 0);
}

#[tokio::test]
async fn closing_twice_is_closing_once() {
    let front = Setup::new().start();
    front.close();
    front.close();
}
