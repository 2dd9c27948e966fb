//! The common header of RTCP packets and the dispatch on it.

use super::{
    App, ExtendedReport, Fir, Goodbye, Nack, Pli, ReceiverReport, Remb, RtcpError, RtcpPacket,
    SenderReport, Sli, SourceDescription, Tmmbn, Tmmbr, TransportFeedback, Tstn, Tstr, Unknown,
};
use crate::wire::{be16, be32, put16, put32};

pub(super) const SENDER_REPORT: u8 = 200;
pub(super) const RECEIVER_REPORT: u8 = 201;
pub(super) const SOURCE_DESCRIPTION: u8 = 202;
pub(super) const GOODBYE: u8 = 203;
pub(super) const APP: u8 = 204;
pub(super) const TRANSPORT_SPECIFIC: u8 = 205;
pub(super) const PAYLOAD_SPECIFIC: u8 = 206;
pub(super) const EXTENDED_REPORT: u8 = 207;

pub(super) const HEADER_LEN: usize = 4;
/// Header, SSRC of the sender, SSRC of the media source.
pub(super) const FEEDBACK_LEN: usize = 12;

/// How a packet is written.
pub trait RtcpWrite {
    /// The bytes [`RtcpWrite::write`] needs, a multiple of four.
    fn wire_len(&self) -> usize;

    /// Writes the packet to the start of `out` and gives its length. On an error the contents
    /// of `out` mean nothing.
    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError>;
}

/// Writes the common header of a packet of `len` bytes (a multiple of four) and gives the bytes
/// behind it, zeroed.
pub(super) fn begin(
    out: &mut [u8],
    packet_type: u8,
    count: u8,
    len: usize,
) -> Result<&mut [u8], RtcpError> {
    debug_assert!(len.is_multiple_of(4) && len >= HEADER_LEN);
    if count > 31 {
        return Err(RtcpError::TooMany);
    }
    let words = u16::try_from(len / 4 - 1).map_err(|_| RtcpError::Length)?;
    let packet = out.get_mut(..len).ok_or(RtcpError::NoSpace)?;
    packet[0] = 0x80 | count;
    packet[1] = packet_type;
    put16(packet, 2, words);
    let body = &mut packet[HEADER_LEN..];
    body.fill(0);
    Ok(body)
}

/// As [`begin`] for feedback messages (RFC 4585 section 6.1); gives the bytes behind the SSRCs.
pub(super) fn begin_feedback(
    out: &mut [u8],
    packet_type: u8,
    format: u8,
    ssrcs: (u32, u32),
    len: usize,
) -> Result<&mut [u8], RtcpError> {
    let body = begin(out, packet_type, format, len)?;
    put32(body, 0, ssrcs.0);
    put32(body, 4, ssrcs.1);
    Ok(&mut body[8..])
}

/// The count of a list as the common header says it.
pub(super) fn count(len: usize) -> Result<u8, RtcpError> {
    if len > super::MAX_COUNT {
        Err(RtcpError::TooMany)
    } else {
        Ok(len as u8)
    }
}

/// One packet cut out of a datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    packet_type: u8,
    count: u8,
    padded: bool,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Cuts the first packet off `data`.
    pub(super) fn cut(data: &'a [u8]) -> Result<(Self, &'a [u8]), RtcpError> {
        if data.len() < HEADER_LEN {
            return Err(RtcpError::Truncated);
        }
        if data[0] >> 6 != 2 {
            return Err(RtcpError::Version);
        }
        let len = 4 * (usize::from(be16(data, 2)) + 1);
        let (packet, rest) = data.split_at_checked(len).ok_or(RtcpError::Truncated)?;
        let frame = Self {
            packet_type: packet[1],
            count: packet[0] & 0x1f,
            padded: packet[0] & 0x20 != 0,
            body: &packet[HEADER_LEN..],
        };
        Ok((frame, rest))
    }

    fn unpadded(&self) -> Result<&'a [u8], RtcpError> {
        if !self.padded {
            return Ok(self.body);
        }
        let padding = self.body.last().map_or(0, |count| usize::from(*count));
        if padding == 0 || padding > self.body.len() {
            return Err(RtcpError::Padding);
        }
        Ok(&self.body[..self.body.len() - padding])
    }

    pub(super) fn read(&self) -> Result<RtcpPacket<'a>, RtcpError> {
        let body = self.unpadded()?;
        let count = self.count;
        Ok(match self.packet_type {
            SENDER_REPORT => SenderReport::parse(count, body)?.into(),
            RECEIVER_REPORT => ReceiverReport::parse(count, body)?.into(),
            SOURCE_DESCRIPTION => SourceDescription::parse(count, body)?.into(),
            GOODBYE => Goodbye::parse(count, body)?.into(),
            APP => App::parse(count, body)?.into(),
            EXTENDED_REPORT => ExtendedReport::parse(body)?.into(),
            TRANSPORT_SPECIFIC | PAYLOAD_SPECIFIC => return self.feedback(body),
            _ => self.unknown(body),
        })
    }

    fn feedback(&self, body: &'a [u8]) -> Result<RtcpPacket<'a>, RtcpError> {
        if body.len() < 8 {
            return Err(RtcpError::Truncated);
        }
        let ssrcs = (be32(body, 0), be32(body, 4));
        let control = &body[8..];
        Ok(match (self.packet_type, self.count) {
            (TRANSPORT_SPECIFIC, Nack::FORMAT) => Nack::parse(ssrcs, control)?.into(),
            (TRANSPORT_SPECIFIC, Tmmbr::FORMAT) => Tmmbr::parse(ssrcs, control)?.into(),
            (TRANSPORT_SPECIFIC, Tmmbn::FORMAT) => Tmmbn::parse(ssrcs, control)?.into(),
            (TRANSPORT_SPECIFIC, TransportFeedback::FORMAT) => {
                TransportFeedback::parse(ssrcs, control)?.into()
            }
            (PAYLOAD_SPECIFIC, Pli::FORMAT) => Pli::parse(ssrcs).into(),
            (PAYLOAD_SPECIFIC, Sli::FORMAT) => Sli::parse(ssrcs, control)?.into(),
            (PAYLOAD_SPECIFIC, Fir::FORMAT) => Fir::parse(ssrcs, control)?.into(),
            (PAYLOAD_SPECIFIC, Tstr::FORMAT) => Tstr::parse(ssrcs, control)?.into(),
            (PAYLOAD_SPECIFIC, Tstn::FORMAT) => Tstn::parse(ssrcs, control)?.into(),
            (PAYLOAD_SPECIFIC, Remb::FORMAT) if control.starts_with(Remb::NAME) => {
                Remb::parse(ssrcs, control)?.into()
            }
            _ => self.unknown(body),
        })
    }

    fn unknown(&self, body: &'a [u8]) -> RtcpPacket<'a> {
        Unknown {
            packet_type: self.packet_type,
            count: self.count,
            body,
        }
        .into()
    }
}
