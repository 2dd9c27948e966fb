//! Sender and receiver reports (RFC 3550 section 6.4).

use super::frame::{RECEIVER_REPORT, SENDER_REPORT, begin, count};
use super::{Entries, RtcpError, RtcpWrite, WireEntry};
use crate::NtpTime;
use crate::wire::{be24, be32, be64, put24, put32, put64};

/// What one receiver saw of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The source reported on.
    pub ssrc: u32,
    /// Packets lost since the last report, in 256ths of those expected.
    pub fraction_lost: u8,
    /// Packets lost in all; negative where duplicates outnumber losses. Written clamped to 24
    /// bits.
    pub cumulative_lost: i32,
    /// Cycles (upper half) and highest sequence number received.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's time; 0 where none came.
    pub last_sr: u32,
    /// Time since that report came, in 65,536ths of a second.
    pub delay_since_last_sr: u32,
}

impl WireEntry for ReportBlock {
    const SIZE: usize = 24;

    fn read(bytes: &[u8]) -> Self {
        Self {
            ssrc: be32(bytes, 0),
            fraction_lost: bytes[4],
            // Sign extension of 24 bits.
            cumulative_lost: (be24(bytes, 5) << 8).cast_signed() >> 8,
            highest_sequence: be32(bytes, 8),
            jitter: be32(bytes, 12),
            last_sr: be32(bytes, 16),
            delay_since_last_sr: be32(bytes, 20),
        }
    }

    fn write(&self, out: &mut [u8]) {
        put32(out, 0, self.ssrc);
        out[4] = self.fraction_lost;
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff);
        put24(out, 5, lost.cast_unsigned() & 0x00ff_ffff);
        put32(out, 8, self.highest_sequence);
        put32(out, 12, self.jitter);
        put32(out, 16, self.last_sr);
        put32(out, 20, self.delay_since_last_sr);
    }
}

/// A sender report.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SenderReport<'a> {
    /// Who reports.
    pub ssrc: u32,
    /// When the report was sent.
    pub ntp: NtpTime,
    /// The same moment on the clock of the RTP timestamps.
    pub rtp_timestamp: u32,
    /// Packets sent so far.
    pub packet_count: u32,
    /// Payload bytes sent so far.
    pub octet_count: u32,
    /// What the sender received, by source; at most 31.
    pub reports: Entries<'a, ReportBlock>,
    /// Profile-specific extension, a multiple of four bytes.
    pub extension: &'a [u8],
}

impl<'a> SenderReport<'a> {
    const FIXED: usize = 24;

    pub(super) fn parse(count: u8, body: &'a [u8]) -> Result<Self, RtcpError> {
        let (fixed, rest) = body
            .split_at_checked(Self::FIXED)
            .ok_or(RtcpError::Truncated)?;
        let (reports, extension) = Entries::split(rest, count)?;
        Ok(Self {
            ssrc: be32(fixed, 0),
            ntp: NtpTime(be64(fixed, 4)),
            rtp_timestamp: be32(fixed, 12),
            packet_count: be32(fixed, 16),
            octet_count: be32(fixed, 20),
            reports,
            extension,
        })
    }
}

impl RtcpWrite for SenderReport<'_> {
    fn wire_len(&self) -> usize {
        (4 + Self::FIXED + self.reports.wire_len() + self.extension.len()).next_multiple_of(4)
    }

    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        let len = self.wire_len();
        let body = begin(out, SENDER_REPORT, count(self.reports.len())?, len)?;
        put32(body, 0, self.ssrc);
        put64(body, 4, self.ntp.0);
        put32(body, 12, self.rtp_timestamp);
        put32(body, 16, self.packet_count);
        put32(body, 20, self.octet_count);
        write_tail(&mut body[Self::FIXED..], &self.reports, self.extension)?;
        Ok(len)
    }
}

/// A receiver report.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub ssrc: u32,
    /// What it received, by source; at most 31.
    pub reports: Entries<'a, ReportBlock>,
    /// Profile-specific extension, a multiple of four bytes.
    pub extension: &'a [u8],
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Result<Self, RtcpError> {
        let (ssrc, rest) = body.split_at_checked(4).ok_or(RtcpError::Truncated)?;
        let (reports, extension) = Entries::split(rest, count)?;
        Ok(Self {
            ssrc: be32(ssrc, 0),
            reports,
            extension,
        })
    }
}

impl RtcpWrite for ReceiverReport<'_> {
    fn wire_len(&self) -> usize {
        (8 + self.reports.wire_len() + self.extension.len()).next_multiple_of(4)
    }

    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        let len = self.wire_len();
        let body = begin(out, RECEIVER_REPORT, count(self.reports.len())?, len)?;
        put32(body, 0, self.ssrc);
        write_tail(&mut body[4..], &self.reports, self.extension)?;
        Ok(len)
    }
}

fn write_tail(
    out: &mut [u8],
    reports: &Entries<'_, ReportBlock>,
    extension: &[u8],
) -> Result<(), RtcpError> {
    if !extension.len().is_multiple_of(4) {
        return Err(RtcpError::Length);
    }
    let (blocks, tail) = out.split_at_mut(reports.wire_len());
    reports.write(blocks);
    tail.copy_from_slice(extension);
    Ok(())
}
