//! Coded pictures and sound between the wire and whoever takes them whole.
//!
//! A packet becomes part of an [`AccessUnit`], a unit belongs to a track with a [`Format`]. Units are what packagers,
//! recorders and transcoders read. Nothing here opens a socket or reads a clock.

#![forbid(unsafe_code)]

pub mod annexb;
pub mod av1;
pub mod depacketize;
pub mod exchange;
mod format;
pub mod h264;
pub mod hevc;
pub mod nal;
pub mod packetize;
mod pressure;
pub mod timeline;
mod unit;

pub use format::{
    AacFormat, Av1Colour, Av1Format, CarriedCodec, CarriedFormat, Format, FrameRate, H264Format,
    HevcFormat, HevcProfile, OpusFormat,
};
pub use nal::{NalCodec, NalKind};
pub use pressure::{Gauge, Pressure};
pub use timeline::Timeline;
pub use unit::AccessUnit;
