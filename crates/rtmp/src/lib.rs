//! RTMP without I/O, both sides (Adobe's Real Time Messaging Protocol 1.0, Enhanced RTMP v2).
//!
//! A [`Server`] takes what an encoder sends and asks who may publish; a [`Client`] publishes to or plays from another
//! server. Both give media as FLV tag bodies; [`Tracks`] makes units of them and [`TagWriter`] the way back.
//! Nothing here opens a socket, reads a clock or draws a random number.

#![forbid(unsafe_code)]

mod address;
mod amf;
mod chunk;
mod client;
mod command;
mod error;
mod flv;
mod handshake;
mod message;
mod server;
mod tags;
mod tracks;
mod wire;

pub use address::{Address, Credential, MAX_NAME_BYTES, Target, TargetError};
pub use amf::{AmfError, MAX_DEPTH, MAX_VALUES, Value, read_values};
pub use chunk::{
    ChunkReader, ChunkWriter, Dropped, MAX_CHUNK_STREAMS, MAX_MESSAGE_BYTES, MAX_UNFINISHED_BYTES,
};
pub use client::{Client, ClientConfig, ClientEnd, ClientEvent, Purpose};
pub use command::Command;
pub use error::{ProtocolError, Violation};
pub use flv::{AudioTag, Codec, TagError, Unsupported, VideoTag};
pub use message::{Kind, Media, Message};
pub use server::{
    Counters, Ended, MAX_MEDIA_BYTES, MAX_OUTPUT_BYTES, MAX_STREAMS, Refusal, Request, Server,
    ServerConfig, ServerEvent, Wish,
};
pub use tags::TagWriter;
pub use tracks::{Output, TextLine, TrackCounters, Tracks};
