//! Negative acknowledgements (RFC 4585 section 6.2.1).

use super::frame::{FEEDBACK_LEN, TRANSPORT_SPECIFIC, begin_feedback};
use super::{Entries, RtcpError, RtcpWrite, WireEntry};
use crate::wire::{be16, put16};

/// A lost packet, and which of the 16 after it are lost too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NackPair {
    /// Sequence number of a lost packet.
    pub packet_id: u16,
    /// Bit `i` set: packet `packet_id + i + 1` is lost too.
    pub lost_after: u16,
}

impl NackPair {
    /// The sequence numbers of the lost packets, in order.
    pub fn sequences(self) -> impl Iterator<Item = u16> {
        let after = (0..16).filter(move |bit| self.lost_after & (1 << bit) != 0);
        std::iter::once(self.packet_id)
            .chain(after.map(move |bit| self.packet_id.wrapping_add(bit + 1)))
    }
}

impl WireEntry for NackPair {
    const SIZE: usize = 4;

    fn read(bytes: &[u8]) -> Self {
        Self {
            packet_id: be16(bytes, 0),
            lost_after: be16(bytes, 2),
        }
    }

    fn write(&self, out: &mut [u8]) {
        put16(out, 0, self.packet_id);
        put16(out, 2, self.lost_after);
    }
}

/// Packs sequence numbers, given in order, into as few pairs as they need.
#[derive(Debug, Clone)]
pub struct NackPairs<I: Iterator<Item = u16>> {
    sequences: std::iter::Peekable<I>,
}

impl<I: Iterator<Item = u16>> NackPairs<I> {
    /// Pairs for `sequences`, which are in (wrapping) order; repeated ones count once.
    pub fn from_sorted(sequences: impl IntoIterator<IntoIter = I>) -> Self {
        Self {
            sequences: sequences.into_iter().peekable(),
        }
    }
}

impl<I: Iterator<Item = u16>> Iterator for NackPairs<I> {
    type Item = NackPair;

    fn next(&mut self) -> Option<NackPair> {
        let packet_id = self.sequences.next()?;
        let mut lost_after = 0;
        while let Some(next) = self
            .sequences
            .next_if(|next| next.wrapping_sub(packet_id) <= 16)
        {
            let distance = next.wrapping_sub(packet_id);
            if distance > 0 {
                lost_after |= 1 << (distance - 1);
            }
        }
        Some(NackPair {
            packet_id,
            lost_after,
        })
    }
}

/// Packets wanted again.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Nack<'a> {
    /// Who asks.
    pub sender_ssrc: u32,
    /// The source whose packets are wanted.
    pub media_ssrc: u32,
    /// Which packets.
    pub pairs: Entries<'a, NackPair>,
}

impl<'a> Nack<'a> {
    pub(super) const FORMAT: u8 = 1;

    pub(super) fn parse(ssrcs: (u32, u32), control: &'a [u8]) -> Result<Self, RtcpError> {
        Ok(Self {
            sender_ssrc: ssrcs.0,
            media_ssrc: ssrcs.1,
            pairs: Entries::parse(control)?,
        })
    }

    /// The sequence numbers of all packets wanted.
    pub fn sequences(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.pairs.iter().flat_map(NackPair::sequences)
    }
}

impl RtcpWrite for Nack<'_> {
    fn wire_len(&self) -> usize {
        FEEDBACK_LEN + self.pairs.wire_len()
    }

    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        let (len, ssrcs) = (self.wire_len(), (self.sender_ssrc, self.media_ssrc));
        self.pairs.write(begin_feedback(
            out,
            TRANSPORT_SPECIFIC,
            Self::FORMAT,
            ssrcs,
            len,
        )?);
        Ok(len)
    }
}
