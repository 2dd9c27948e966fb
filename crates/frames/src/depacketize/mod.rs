//! Units out of RTP payloads.
//!
//! A depacketizer takes the packets of one source in order, repaired as far as they can be, and gives whole units. A
//! unit with a hole is dropped, and with it all pictures up to the next at which decoding may begin, counted by reason.

mod aac;
mod assembly;
mod av1;
mod g711;
pub(crate) mod h264;
pub(crate) mod hevc;
mod opus;
mod vp8;

pub use aac::AacDepacketizer;
pub use av1::Av1Depacketizer;
pub use g711::g711_units;
pub use h264::H264Depacketizer;
pub use hevc::HevcDepacketizer;
pub use opus::{OpusDepacketizer, OpusFrame, opus_samples};
pub use vp8::Vp8Depacketizer;

/// Units that were dropped, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// A packet of it was missing.
    pub incomplete: u64,
    /// Its payload could not be read.
    pub malformed: u64,
    /// It refers to a picture that was dropped, or came before the first keyframe.
    pub undecodable: u64,
    /// It was larger than a unit may be.
    pub too_large: u64,
}

impl Dropped {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.incomplete + self.malformed + self.undecodable + self.too_large
    }
}

/// The largest unit taken, in bytes: a keyframe of 2160p at a quantiser nobody uses.
pub const MAX_UNIT_BYTES: usize = 8 << 20;

/// One packet as the depacketizers want it.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// Sequence number, unwrapped.
    pub sequence: u64,
    /// RTP timestamp, unwrapped.
    pub timestamp: i64,
    /// The marker bit.
    pub marker: bool,
    /// Behind header, extensions and padding.
    pub bytes: &'a [u8],
}
