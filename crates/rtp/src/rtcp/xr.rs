//! Extended reports (RFC 3611): receiver reference time, DLRR, VoIP metrics.

use super::frame::{EXTENDED_REPORT, begin};
use super::{Entries, RtcpError, RtcpWrite, WireEntry};
use crate::NtpTime;
use crate::wire::{be16, be32, be64, put16, put32, put64};

const RECEIVER_REFERENCE_TIME: u8 = 4;
const DLRR: u8 = 5;
const VOIP_METRICS: u8 = 7;

/// When a receiver's reference time report came, for the round trip of those who only receive
/// (RFC 3611 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DlrrEntry {
    /// The receiver that is answered.
    pub ssrc: u32,
    /// The middle 32 bits of its reference time.
    pub last_rr: u32,
    /// Time since its report came, in 65,536ths of a second.
    pub delay_since_last_rr: u32,
}

impl WireEntry for DlrrEntry {
    const SIZE: usize = 12;

    fn read(bytes: &[u8]) -> Self {
        Self {
            ssrc: be32(bytes, 0),
            last_rr: be32(bytes, 4),
            delay_since_last_rr: be32(bytes, 8),
        }
    }

    fn write(&self, out: &mut [u8]) {
        put32(out, 0, self.ssrc);
        put32(out, 4, self.last_rr);
        put32(out, 8, self.delay_since_last_rr);
    }
}

/// The quality of a call as its receiver measured it (RFC 3611 section 4.7). 127 in a level or
/// factor means that it is not available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VoipMetrics {
    /// The source reported on.
    pub ssrc: u32,
    /// Packets lost, in 256ths of those expected.
    pub loss_rate: u8,
    /// Packets discarded for coming too late or early, in 256ths.
    pub discard_rate: u8,
    /// Losses within bursts, in 256ths.
    pub burst_density: u8,
    /// Losses within gaps, in 256ths.
    pub gap_density: u8,
    /// Mean length of bursts in ms.
    pub burst_duration_ms: u16,
    /// Mean length of gaps in ms.
    pub gap_duration_ms: u16,
    /// Round trip between the RTP interfaces in ms.
    pub round_trip_delay_ms: u16,
    /// Delay within this end system in ms.
    pub end_system_delay_ms: u16,
    /// Speech level in dBm0.
    pub signal_level: i8,
    /// Noise level in dBm0.
    pub noise_level: i8,
    /// Residual echo return loss in dB.
    pub echo_return_loss: u8,
    /// The least number of good packets that end a burst; 16 by the RFC's recommendation.
    pub gmin: u8,
    /// R factor, 0-100.
    pub r_factor: u8,
    /// R factor of an attached network.
    pub external_r_factor: u8,
    /// Listening quality, ten times the MOS.
    pub mos_listening: u8,
    /// Conversational quality, ten times the MOS.
    pub mos_conversational: u8,
    /// Concealment, adaptivity and rate of the jitter buffer, as the RFC packs them.
    pub receiver_config: u8,
    /// Nominal delay of the jitter buffer in ms.
    pub jitter_buffer_nominal_ms: u16,
    /// Largest delay the jitter buffer has reached in ms.
    pub jitter_buffer_maximum_ms: u16,
    /// Largest delay it may reach in ms.
    pub jitter_buffer_absolute_ms: u16,
}

impl WireEntry for VoipMetrics {
    const SIZE: usize = 32;

    fn read(bytes: &[u8]) -> Self {
        Self {
            ssrc: be32(bytes, 0),
            loss_rate: bytes[4],
            discard_rate: bytes[5],
            burst_density: bytes[6],
            gap_density: bytes[7],
            burst_duration_ms: be16(bytes, 8),
            gap_duration_ms: be16(bytes, 10),
            round_trip_delay_ms: be16(bytes, 12),
            end_system_delay_ms: be16(bytes, 14),
            signal_level: bytes[16].cast_signed(),
            noise_level: bytes[17].cast_signed(),
            echo_return_loss: bytes[18],
            gmin: bytes[19],
            r_factor: bytes[20],
            external_r_factor: bytes[21],
            mos_listening: bytes[22],
            mos_conversational: bytes[23],
            receiver_config: bytes[24],
            jitter_buffer_nominal_ms: be16(bytes, 26),
            jitter_buffer_maximum_ms: be16(bytes, 28),
            jitter_buffer_absolute_ms: be16(bytes, 30),
        }
    }

    fn write(&self, out: &mut [u8]) {
        put32(out, 0, self.ssrc);
        out[4..8].copy_from_slice(&[
            self.loss_rate,
            self.discard_rate,
            self.burst_density,
            self.gap_density,
        ]);
        put16(out, 8, self.burst_duration_ms);
        put16(out, 10, self.gap_duration_ms);
        put16(out, 12, self.round_trip_delay_ms);
        put16(out, 14, self.end_system_delay_ms);
        out[16..25].copy_from_slice(&[
            self.signal_level.cast_unsigned(),
            self.noise_level.cast_unsigned(),
            self.echo_return_loss,
            self.gmin,
            self.r_factor,
            self.external_r_factor,
            self.mos_listening,
            self.mos_conversational,
            self.receiver_config,
        ]);
        put16(out, 26, self.jitter_buffer_nominal_ms);
        put16(out, 28, self.jitter_buffer_maximum_ms);
        put16(out, 30, self.jitter_buffer_absolute_ms);
    }
}

/// One block of an extended report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum XrBlock<'a> {
    /// The reporter's clock, to be answered by a DLRR block.
    ReceiverReferenceTime(NtpTime),
    /// Answers to reference times.
    Dlrr(Entries<'a, DlrrEntry>),
    /// The quality of a call.
    VoipMetrics(VoipMetrics),
    /// A block this crate does not read.
    Other {
        /// Its type; one of the above is refused in writing.
        block_type: u8,
        /// The byte that each type uses as it likes.
        type_specific: u8,
        /// Its contents, a multiple of four bytes.
        body: &'a [u8],
    },
}

impl<'a> XrBlock<'a> {
    /// Cuts a block off the front of `bytes`.
    fn cut(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), RtcpError> {
        let (header, rest) = bytes.split_at_checked(4).ok_or(RtcpError::Truncated)?;
        let len = 4 * usize::from(be16(header, 2));
        let (body, rest) = rest.split_at_checked(len).ok_or(RtcpError::Truncated)?;
        let block = match header[0] {
            RECEIVER_REFERENCE_TIME if len == 8 => {
                Self::ReceiverReferenceTime(NtpTime(be64(body, 0)))
            }
            DLRR => Self::Dlrr(Entries::parse(body)?),
            VOIP_METRICS if len == VoipMetrics::SIZE => Self::VoipMetrics(VoipMetrics::read(body)),
            RECEIVER_REFERENCE_TIME | VOIP_METRICS => return Err(RtcpError::Length),
            block_type => Self::Other {
                block_type,
                type_specific: header[1],
                body,
            },
        };
        Ok((block, rest))
    }

    fn wire_len(&self) -> usize {
        4 + match self {
            Self::ReceiverReferenceTime(_) => 8,
            Self::Dlrr(entries) => entries.wire_len(),
            Self::VoipMetrics(_) => VoipMetrics::SIZE,
            Self::Other { body, .. } => body.len(),
        }
    }

    /// Writes the block to zeroed bytes.
    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        let len = self.wire_len();
        let words = u16::try_from(len / 4 - 1).map_err(|_| RtcpError::Length)?;
        put16(out, 2, words);
        let (header, contents) = out[..len].split_at_mut(4);
        header[0] = match self {
            Self::ReceiverReferenceTime(time) => {
                put64(contents, 0, time.0);
                RECEIVER_REFERENCE_TIME
            }
            Self::Dlrr(entries) => {
                entries.write(contents);
                DLRR
            }
            Self::VoipMetrics(metrics) => {
                metrics.write(contents);
                VOIP_METRICS
            }
            Self::Other {
                block_type,
                type_specific,
                body,
            } => {
                if [RECEIVER_REFERENCE_TIME, DLRR, VOIP_METRICS].contains(block_type) {
                    return Err(RtcpError::Value);
                }
                if !body.len().is_multiple_of(4) {
                    return Err(RtcpError::Length);
                }
                contents.copy_from_slice(body);
                header[1] = *type_specific;
                *block_type
            }
        };
        Ok(len)
    }
}

/// The blocks of a report, received or to be written.
#[derive(Debug, Clone, Copy)]
pub enum XrBlocks<'a> {
    /// Received, checked.
    Wire(#[doc(hidden)] WireBlocks<'a>),
    /// A caller's.
    Values(&'a [XrBlock<'a>]),
}

/// Blocks whose lengths were checked when the packet was parsed.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct WireBlocks<'a>(&'a [u8]);

impl<'a> XrBlocks<'a> {
    /// The blocks in their order.
    pub fn iter(&self) -> impl Iterator<Item = XrBlock<'a>> + use<'a> {
        let (mut bytes, mut values) = match *self {
            Self::Wire(WireBlocks(bytes)) => (bytes, [].iter()),
            Self::Values(values) => (&[][..], values.iter()),
        };
        std::iter::from_fn(move || {
            if bytes.is_empty() {
                return values.next().copied();
            }
            let (block, rest) = XrBlock::cut(bytes).ok()?;
            bytes = rest;
            Some(block)
        })
    }
}

impl PartialEq for XrBlocks<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// An extended report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExtendedReport<'a> {
    /// Who reports.
    pub ssrc: u32,
    /// What it reports.
    pub blocks: XrBlocks<'a>,
}

impl<'a> ExtendedReport<'a> {
    /// A report of a caller's blocks.
    pub const fn new(ssrc: u32, blocks: &'a [XrBlock<'a>]) -> Self {
        Self {
            ssrc,
            blocks: XrBlocks::Values(blocks),
        }
    }

    pub(super) fn parse(body: &'a [u8]) -> Result<Self, RtcpError> {
        let (ssrc, blocks) = body.split_at_checked(4).ok_or(RtcpError::Truncated)?;
        let mut rest = blocks;
        while !rest.is_empty() {
            (_, rest) = XrBlock::cut(rest)?;
        }
        Ok(Self {
            ssrc: be32(ssrc, 0),
            blocks: XrBlocks::Wire(WireBlocks(blocks)),
        })
    }
}

impl RtcpWrite for ExtendedReport<'_> {
    fn wire_len(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(|block| block.wire_len()).sum();
        (8 + blocks).next_multiple_of(4)
    }

    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        let len = self.wire_len();
        let body = begin(out, EXTENDED_REPORT, 0, len)?;
        put32(body, 0, self.ssrc);
        let mut at = 4;
        for block in self.blocks.iter() {
            at += block.write(&mut body[at..])?;
        }
        Ok(len)
    }
}
