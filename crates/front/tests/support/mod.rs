//! What the tests share: a front door, an application behind it, and clients. All waits are bounded.
#![allow(dead_code, unused_imports, reason = "each test program uses its part")]

mod application;
mod client;
pub(crate) mod http3_client;
mod secure;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use roomtone_front::{BindConfig, Front, FrontConfig};
use tempfile::TempDir;

pub(crate) use application::Application;
pub(crate) use client::{Client, ReplyText, chunks, full, read_to_end, streamed};
pub(crate) use http3_client::Http3;
pub(crate) use secure::{over_tls, tls};

/// Longer than anything here takes; it only catches hangs.
const BOUND: Duration = Duration::from_secs(20);

/// Runs a test to its end, or fails it.
pub(crate) async fn bounded<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(BOUND, future)
        .await
        .expect("the test hangs")
}

/// Waits until something is so.
pub(crate) async fn eventually(mut is_so: impl FnMut() -> bool) {
    bounded(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A front door on free ports, with a directory of its own.
pub(crate) struct Setup {
    pub(crate) directory: TempDir,
    pub(crate) config: FrontConfig,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = FrontConfig {
            binds: vec![bind("http", false)],
            application: directory.path().join("application.sock"),
            ..FrontConfig::default()
        };
        // A test's clients stand still while it drops its front door; none of them is waited for long.
        config.limits.drain_timeout_ms = 200;
        config.tls.directory = directory.path().join("tls");
        Self { directory, config }
    }

    pub(crate) fn with(change: impl FnOnce(&mut FrontConfig)) -> Self {
        let mut setup = Self::new();
        change(&mut setup.config);
        setup
    }

    pub(crate) fn start(&self) -> Front {
        Front::start(&self.config).unwrap()
    }

    pub(crate) fn application(&self) -> Application {
        Application::start(&self.config.application)
    }
}

pub(crate) fn bind(name: &str, tls: bool) -> BindConfig {
    BindConfig {
        name: name.into(),
        tls,
        ..BindConfig::default()
    }
}

pub(crate) fn address(front: &Front, name: &str) -> SocketAddr {
    front
        .addresses()
        .iter()
        .find(|(own, _)| own == name)
        .expect("the bind")
        .1
}

pub(crate) fn counter(front: &Front, name: &str) -> u64 {
    front
        .stats()
        .iter()
        .find(|(own, _)| own == name)
        .expect("the counter")
        .1
}

/// Closes without holding up the test's own runtime.
pub(crate) async fn close(front: Front) -> Front {
    let closing = tokio::task::spawn_blocking(move || {
        front.close();
        front
    });
    bounded(closing).await.unwrap()
}
