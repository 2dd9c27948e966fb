//! Who sends a stream is slowed down by who takes it too slowly, over real sockets: encoders that call, and servers that
//! streams are fetched from.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rtmp;
mod srt;
mod stage;
