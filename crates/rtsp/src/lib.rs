//! RTSP 1.0 without I/O, as a client that plays (RFC 2326).
//!
//! A [`Client`] has what a server offers described, chooses with its driver what to take, sets that up, interleaved in
//! its own connection or in datagrams, and keeps the session alive. What it gives are packets of RTP and RTCP as they
//! came. Nothing here opens a socket, reads a clock or draws a random number, and no address that a server names is
//! connected to: they are told.

#![forbid(unsafe_code)]

mod auth;
mod client;
mod sdp;
mod target;
mod transport;
mod wire;

pub use auth::Credentials;
pub use client::{
    Choice, Client, ClientConfig, ClientEnd, ClientEvent, MAX_OUTPUT_BYTES, Placed, Ports,
};
pub use sdp::{Description, MAX_MEDIA, Media, MediaKind};
pub use target::{Target, TargetError};
pub use transport::Answered;
pub use wire::{
    Headers, Incoming, MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, Reader, ServerRequest,
    ServerResponse, WireError,
};
