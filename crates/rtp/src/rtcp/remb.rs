//! Receiver estimated maximum bit rate (draft-alvestrand-rmcat-remb-03).

use super::codec_control::{bitrate, mantissa_exponent};
use super::frame::{FEEDBACK_LEN, PAYLOAD_SPECIFIC, begin_feedback};
use super::{Entries, RtcpError, RtcpWrite};
use crate::wire::{be24, put24};

/// The receiver's estimate of what the sources given can send together. The media source of the
/// header is not used and is 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Remb<'a> {
    /// Who estimates.
    pub sender_ssrc: u32,
    /// The estimate in bit/s. Written with 18 significant bits, rounded down.
    pub bitrate_bps: u64,
    /// The sources it is about; at most 255.
    pub ssrcs: Entries<'a, u32>,
}

impl<'a> Remb<'a> {
    pub(super) const FORMAT: u8 = 15;
    pub(super) const NAME: &'static [u8] = b"REMB";

    /// Reads what follows the SSRCs, which begins with [`Remb::NAME`].
    pub(super) fn parse(ssrcs: (u32, u32), control: &'a [u8]) -> Result<Self, RtcpError> {
        let (fixed, list) = control.split_at_checked(8).ok_or(RtcpError::Truncated)?;
        let word = be24(fixed, 5);
        let (ssrc_list, _) = Entries::split(list, fixed[4])?;
        Ok(Self {
            sender_ssrc: ssrcs.0,
            bitrate_bps: bitrate(word & 0x3_ffff, word >> 18, 18),
            ssrcs: ssrc_list,
        })
    }
}

impl RtcpWrite for Remb<'_> {
    fn wire_len(&self) -> usize {
        FEEDBACK_LEN + 8 + self.ssrcs.wire_len()
    }

    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        let count = u8::try_from(self.ssrcs.len()).map_err(|_| RtcpError::TooMany)?;
        let (len, ssrcs) = (self.wire_len(), (self.sender_ssrc, 0));
        let control = begin_feedback(out, PAYLOAD_SPECIFIC, Self::FORMAT, ssrcs, len)?;
        let (mantissa, exponent) = mantissa_exponent(self.bitrate_bps, 18);
        control[..4].copy_from_slice(Self::NAME);
        control[4] = count;
        put24(control, 5, (exponent << 18) | mantissa);
        self.ssrcs.write(&mut control[8..]);
        Ok(len)
    }
}
