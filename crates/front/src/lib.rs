//! The front door: one HTTP server for everything that is not media over RTP.
//!
//! It speaks HTTP/1.1 and HTTP/2 (with prior knowledge on plain ports, by ALPN on TLS ports) and HTTP/3 on the UDP ports beside TLS ports, serves the web
//! pages from disk and live streams from memory ([`roomtone_hls`]), and proxies all else, WebSockets included, to the application on a Unix domain socket.
//! It is the one place for body limits, header limits, time-outs, rate limits and forwarding headers, so that
//! the application may believe what it is told: nobody but the front door can reach its socket.
//!
//! Contract:
//! - *Inputs*: a [`FrontConfig`], optionally a [`MediaTcpSink`] for connections on a shared TLS port that are
//!   not TLS, and a [`Shelf`](roomtone_hls::Shelf) of live streams.
//! - *Outputs*: [`Front::addresses`], [`Front::stats`].
//! - *Order*: [`Front::start`] binds before it returns, so that an address in use is the caller's error;
//!   [`Front::drain`] stops accepting; [`Front::close`] drains, waits up to the deadline and joins all threads.
//! - *Limits*: [`Limits`], each with its policy and counter.

#![forbid(unsafe_code)]

mod activity;
mod bind;
mod body;
mod certificate;
mod conditions;
mod config;
mod connection;
mod door;
mod error;
mod file_body;
mod forwarded;
mod front;
mod headers;
mod http3;
mod linger;
mod live;
mod media_type;
mod network;
mod paths;
mod rate;
mod refusal;
mod sniff;
mod static_files;
mod stats;
mod tls;
mod tunnel;
mod upstream;

pub use config::{BindConfig, FrontConfig, Limits, LiveConfig, StaticDir, TlsConfig};
pub use error::FrontError;
pub use front::Front;
pub use live::{KickError, Viewer};
pub use network::{Network, NetworkError};
pub use sniff::MediaTcpSink;
