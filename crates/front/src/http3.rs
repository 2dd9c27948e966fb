//! HTTP/3 (RFC 9114) on the UDP port beside a TLS port.
//!
//! `listening` takes QUIC connections (quinn), `session` says what the front door wants of a library that speaks
//! HTTP/3 on one, `library` is the one that does (h3, over `quic`), and `connection` serves requests with any.
//!
//! Left out: server push, WebSockets (RFC 9220), WebTransport, datagrams, and 0-RTT, whose requests anybody who
//! listens could send again.

mod connection;
mod library;
mod listening;
mod quic;
mod session;

pub(crate) use self::listening::QuicListener;
