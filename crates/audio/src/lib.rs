//! What sounds: codecs, resampling, tones, jitter buffer and mixing, without I/O.
//!
//! Everything here is a value: samples and payloads go in, samples and payloads come out, time is
//! an argument. Samples are mono, 16 bits, at one of [`codec::RATES_HZ`].
//!
//! `unsafe` stands in one file only: `codec/opus/sys.rs`, around libopus.

mod agc;
mod clip;
pub mod codec;
mod complexity;
mod conceal;
mod discontinuous;
pub mod dtmf;
mod goertzel;
pub mod jitter;
mod level;
pub mod mixer;
mod noise;
mod oscillator;
mod resample;
mod stretch;
pub mod tones;
mod transcode;
mod vad;

pub use agc::{Agc, AgcConfig};
pub use clip::{Clip, ClipError, ClipPlayer, MAX_CLIP_SECONDS};
pub use complexity::ComplexityControl;
pub use conceal::Concealer;
pub use discontinuous::{DiscontinuousSender, Sending};
pub use goertzel::{Goertzel, rms};
pub use level::{Gain, level_dbov};
pub use noise::{ComfortNoise, MAX_ORDER, Noise, NoiseDescription};
pub use resample::{HALF_TAPS, Resampler};
pub use transcode::{TranscodeCounters, TranscodeSpec, Transcoded, Transcoder};
pub use vad::VoiceDetector;
