//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1): for a
//! run of transport-wide sequence numbers, which packets came and when.

mod build;
mod chunks;

pub use build::{FeedbackTarget, WrittenFeedback, write_transport_feedback};

use self::chunks::{Symbol, Symbols};
use super::frame::{FEEDBACK_LEN, TRANSPORT_SPECIFIC, begin_feedback};
use super::{RtcpError, RtcpWrite};
use crate::wire::{be16, be24, put16, put24};

/// What a delta counts.
const TICK_US: i64 = 250;
/// Ticks in a unit of the reference time (64 ms).
const TICKS_PER_REFERENCE: i64 = 256;
/// Base sequence, status count, reference time, feedback count.
const FIXED: usize = 8;

/// A received feedback packet. Its chunks and deltas were checked in parsing and are read from
/// the packet as they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// Who reports.
    pub sender_ssrc: u32,
    /// A source of the transport.
    pub media_ssrc: u32,
    base_sequence: u16,
    status_count: u16,
    reference_time: i32,
    feedback_count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

/// What became of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketStatus {
    /// It had not come when the feedback was made.
    NotReceived,
    /// It came.
    Received {
        /// Arrival in microseconds of the receiver's clock, whose zero is any; counted from the
        /// reference time, so that arrivals in one packet can be compared with one another. Those of two
        /// packets can be too, but for the reference time's wrap after 12 days.
        arrival_us: i64,
    },
}

impl<'a> TransportFeedback<'a> {
    pub(super) const FORMAT: u8 = 15;

    pub(super) fn parse(ssrcs: (u32, u32), control: &'a [u8]) -> Result<Self, RtcpError> {
        let (fixed, body) = control
            .split_at_checked(FIXED)
            .ok_or(RtcpError::Truncated)?;
        let status_count = be16(fixed, 2);
        if status_count == 0 {
            return Err(RtcpError::Value);
        }
        let mut symbols = Symbols::new(body, status_count);
        let mut delta_bytes = 0;
        for symbol in symbols.by_ref() {
            delta_bytes += symbol?.delta_len();
        }
        let (chunks, rest) = body.split_at(symbols.chunk_bytes());
        Ok(Self {
            sender_ssrc: ssrcs.0,
            media_ssrc: ssrcs.1,
            base_sequence: be16(fixed, 0),
            status_count,
            reference_time: (be24(fixed, 4) << 8).cast_signed() >> 8,
            feedback_count: fixed[7],
            chunks,
            deltas: rest.get(..delta_bytes).ok_or(RtcpError::Truncated)?,
        })
    }

    /// The first sequence number reported on.
    pub fn base_sequence(&self) -> u16 {
        self.base_sequence
    }

    /// How many sequence numbers are reported on.
    pub fn status_count(&self) -> u16 {
        self.status_count
    }

    /// The reference time in units of 64 ms, signed 24 bits.
    pub fn reference_time(&self) -> i32 {
        self.reference_time
    }

    /// The number of this feedback packet; a gap in them means that one was lost.
    pub fn feedback_count(&self) -> u8 {
        self.feedback_count
    }

    /// Sequence numbers and what became of their packets, in the order of the numbers.
    pub fn statuses(&self) -> FeedbackStatuses<'a> {
        FeedbackStatuses {
            symbols: Symbols::new(self.chunks, self.status_count),
            deltas: self.deltas,
            sequence: self.base_sequence,
            ticks: i64::from(self.reference_time) * TICKS_PER_REFERENCE,
        }
    }
}

impl RtcpWrite for TransportFeedback<'_> {
    fn wire_len(&self) -> usize {
        FEEDBACK_LEN + (FIXED + self.chunks.len() + self.deltas.len()).next_multiple_of(4)
    }

    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        let (len, ssrcs) = (self.wire_len(), (self.sender_ssrc, self.media_ssrc));
        let control = begin_feedback(out, TRANSPORT_SPECIFIC, Self::FORMAT, ssrcs, len)?;
        put16(control, 0, self.base_sequence);
        put16(control, 2, self.status_count);
        put24(
            control,
            4,
            self.reference_time.cast_unsigned() & 0x00ff_ffff,
        );
        control[7] = self.feedback_count;
        let deltas_at = FIXED + self.chunks.len();
        control[FIXED..deltas_at].copy_from_slice(self.chunks);
        control[deltas_at..deltas_at + self.deltas.len()].copy_from_slice(self.deltas);
        Ok(len)
    }
}

/// Iterates over the statuses of a [`TransportFeedback`].
#[derive(Debug, Clone)]
pub struct FeedbackStatuses<'a> {
    symbols: Symbols<'a>,
    deltas: &'a [u8],
    sequence: u16,
    ticks: i64,
}

impl Iterator for FeedbackStatuses<'_> {
    type Item = (u16, PacketStatus);

    fn next(&mut self) -> Option<Self::Item> {
        let symbol = self.symbols.next()?.ok()?;
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let (delta, rest) = self.deltas.split_at_checked(symbol.delta_len())?;
        self.deltas = rest;
        self.ticks += match symbol {
            Symbol::NotReceived => return Some((sequence, PacketStatus::NotReceived)),
            Symbol::Small => i64::from(delta[0]),
            Symbol::Large => i64::from(be16(delta, 0).cast_signed()),
        };
        Some((
            sequence,
            PacketStatus::Received {
                arrival_us: self.ticks * TICK_US,
            },
        ))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.symbols.size_hint()
    }
}

#[cfg(test)]
mod tests;
