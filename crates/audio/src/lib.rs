//! What sounds: codecs, resampling, tones, jitter buffer and mixing, without I/O.
//!
//! Everything here is a value: samples and payloads go in, samples and payloads come out, time is
//! an argument. Samples are mono, 16 bits, at one of [`codec::RATES_HZ`].
//!
//! `unsafe` stands in one file only: `codec/opus/sys.rs`, around libopus.

pub mod codec;
mod goertzel;
mod resample;

pub use goertzel::{Goertzel, rms};
pub use resample::{HALF_TAPS, Resampler};
