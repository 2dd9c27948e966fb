//! Payload-specific feedback: PLI, SLI (RFC 4585 section 6.3) and FIR (RFC 5104 section 4.3.1).

use super::frame::{FEEDBACK_LEN, PAYLOAD_SPECIFIC, begin_feedback};
use super::{Entries, RtcpError, RtcpWrite, WireEntry};
use crate::wire::{be32, put32};

/// A picture was lost; the sender may answer by a keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pli {
    /// Who lost it.
    pub sender_ssrc: u32,
    /// The source of the picture.
    pub media_ssrc: u32,
}

impl Pli {
    pub(super) const FORMAT: u8 = 1;

    pub(super) fn parse(ssrcs: (u32, u32)) -> Self {
        Self {
            sender_ssrc: ssrcs.0,
            media_ssrc: ssrcs.1,
        }
    }
}

impl RtcpWrite for Pli {
    fn wire_len(&self) -> usize {
        FEEDBACK_LEN
    }

    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        let ssrcs = (self.sender_ssrc, self.media_ssrc);
        begin_feedback(out, PAYLOAD_SPECIFIC, Self::FORMAT, ssrcs, FEEDBACK_LEN)?;
        Ok(FEEDBACK_LEN)
    }
}

/// One source of which a keyframe is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FirEntry {
    /// The source.
    pub ssrc: u32,
    /// Number of the request; the same number is the same request repeated.
    pub sequence: u8,
}

impl WireEntry for FirEntry {
    const SIZE: usize = 8;

    fn read(bytes: &[u8]) -> Self {
        Self {
            ssrc: be32(bytes, 0),
            sequence: bytes[4],
        }
    }

    fn write(&self, out: &mut [u8]) {
        put32(out, 0, self.ssrc);
        out[4] = self.sequence;
    }
}

/// Keyframes are wanted. The media source of the header is not used and is 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Fir<'a> {
    /// Who asks.
    pub sender_ssrc: u32,
    /// Of which sources.
    pub entries: Entries<'a, FirEntry>,
}

impl<'a> Fir<'a> {
    pub(super) const FORMAT: u8 = 4;

    pub(super) fn parse(ssrcs: (u32, u32), control: &'a [u8]) -> Result<Self, RtcpError> {
        Ok(Self {
            sender_ssrc: ssrcs.0,
            entries: Entries::parse(control)?,
        })
    }
}

impl RtcpWrite for Fir<'_> {
    fn wire_len(&self) -> usize {
        FEEDBACK_LEN + self.entries.wire_len()
    }

    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        let (len, ssrcs) = (self.wire_len(), (self.sender_ssrc, 0));
        self.entries.write(begin_feedback(
            out,
            PAYLOAD_SPECIFIC,
            Self::FORMAT,
            ssrcs,
            len,
        )?);
        Ok(len)
    }
}

/// Macroblocks that were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SliEntry {
    /// The first lost macroblock; 13 bits are used.
    pub first: u16,
    /// How many are lost; 13 bits are used.
    pub number: u16,
    /// The low six bits of the picture's id.
    pub picture_id: u8,
}

impl WireEntry for SliEntry {
    const SIZE: usize = 4;

    fn read(bytes: &[u8]) -> Self {
        let word = be32(bytes, 0);
        Self {
            first: (word >> 19) as u16,
            number: (word >> 6) as u16 & 0x1fff,
            picture_id: word as u8 & 0x3f,
        }
    }

    fn write(&self, out: &mut [u8]) {
        let first = u32::from(self.first & 0x1fff) << 19;
        let number = u32::from(self.number & 0x1fff) << 6;
        put32(out, 0, first | number | u32::from(self.picture_id & 0x3f));
    }
}

/// Parts of pictures were lost.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sli<'a> {
    /// Who lost them.
    pub sender_ssrc: u32,
    /// The source of the pictures.
    pub media_ssrc: u32,
    /// Which parts.
    pub entries: Entries<'a, SliEntry>,
}

impl<'a> Sli<'a> {
    pub(super) const FORMAT: u8 = 2;

    pub(super) fn parse(ssrcs: (u32, u32), control: &'a [u8]) -> Result<Self, RtcpError> {
        Ok(Self {
            sender_ssrc: ssrcs.0,
            media_ssrc: ssrcs.1,
            entries: Entries::parse(control)?,
        })
    }
}

impl RtcpWrite for Sli<'_> {
    fn wire_len(&self) -> usize {
        FEEDBACK_LEN + self.entries.wire_len()
    }

    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        let (len, ssrcs) = (self.wire_len(), (self.sender_ssrc, self.media_ssrc));
        self.entries.write(begin_feedback(
            out,
            PAYLOAD_SPECIFIC,
            Self::FORMAT,
            ssrcs,
            len,
        )?);
        Ok(len)
    }
}
