//! What a mixer is told and what it gives.

use crate::codec::{Codec, CodecError};
use thiserror::Error;

/// Inputs of one mixer, at most.
pub const MAX_INPUTS: usize = 500;

/// Outputs of one mixer, at most: one for each input, and listeners beside.
pub const MAX_OUTPUTS: usize = 1_000;

/// An input of a mixer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputId(pub(super) u32);

/// An output of a mixer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputId(pub(super) u32);

/// What an output is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    /// How it is coded.
    pub codec: Codec,
    /// Sampling rate that it is mixed and encoded at, one that the codec has. For Opus the highest
    /// of the inputs is enough.
    pub rate_hz: u32,
    /// Length of a packet, in milliseconds: a multiple of the tick, or the tick a multiple of it.
    pub ptime_ms: u32,
    /// The input that it does not hear: its own.
    pub without: Option<InputId>,
}

/// A packet's worth of mix, for all outputs that hear the same.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// For whom.
    pub outputs: &'a [OutputId],
    /// The payload; empty where the encoder sends nothing in silence.
    pub payload: &'a [u8],
    /// What was encoded, at the rate of the outputs.
    pub pcm: &'a [i16],
    /// How far the RTP timestamp moves on behind it.
    pub timestamp_step: u32,
}

/// What a mixer has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MixerCounters {
    /// Ticks.
    pub ticks: u64,
    /// Inputs mixed, summed over ticks.
    pub mixed: u64,
    /// Inputs left out as silent, summed over ticks.
    pub silent: u64,
    /// Frames encoded.
    pub encoded: u64,
    /// Payloads handed out, one for each output.
    pub delivered: u64,
    /// Frames that an encoder failed on.
    pub failed: u64,
}

/// Why a mixer refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MixerError {
    /// There are [`MAX_INPUTS`] already.
    #[error("the mixer has as many inputs as it may")]
    TooManyInputs,
    /// There are [`MAX_OUTPUTS`] already.
    #[error("the mixer has as many outputs as it may")]
    TooManyOutputs,
    /// There is no such input.
    #[error("the mixer has no such input")]
    NoSuchInput,
    /// There is no such output.
    #[error("the mixer has no such output")]
    NoSuchOutput,
    /// A frame is not as long as a tick.
    #[error("a frame of {samples} samples is not as long as a tick")]
    FrameLength {
        /// The samples given.
        samples: usize,
    },
    /// Packets do not fit ticks.
    #[error("packets of {ptime_ms} ms do not fit the ticks of the mixer")]
    Ptime {
        /// The length asked for.
        ptime_ms: u32,
    },
    /// The codec refuses.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
