//! Codec control: bit rate limits and temporal-spatial trade-offs (RFC 5104 sections 4.2 and 4.3).

use super::frame::{FEEDBACK_LEN, PAYLOAD_SPECIFIC, TRANSPORT_SPECIFIC, begin_feedback};
use super::{Entries, RtcpError, RtcpWrite, WireEntry};
use crate::wire::{be32, put32};

/// Splits a bit rate into a mantissa of `bits` bits and an exponent, rounding down: a limit must
/// not grow on its way.
pub(super) fn mantissa_exponent(bitrate_bps: u64, bits: u32) -> (u32, u32) {
    let exponent = (u64::BITS - bitrate_bps.leading_zeros()).saturating_sub(bits);
    ((bitrate_bps >> exponent) as u32, exponent)
}

/// The bit rate of a mantissa of `bits` bits and an exponent. Where it does not fit 64 bits, the
/// largest that does, so that it is the same when written again.
pub(super) fn bitrate(mantissa: u32, exponent: u32, bits: u32) -> u64 {
    let wide = u128::from(mantissa) << exponent;
    u64::try_from(wide).unwrap_or(u64::MAX << (u64::BITS - bits))
}

/// A limit to the bit rate that one source may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tmmb {
    /// The source limited (in requests), or who set the limit (in notifications).
    pub ssrc: u32,
    /// The limit in bit/s. Written with 17 significant bits, rounded down.
    pub bitrate_bps: u64,
    /// Bytes of headers a packet has on the way measured; nine bits are used.
    pub overhead: u16,
}

impl WireEntry for Tmmb {
    const SIZE: usize = 8;

    fn read(bytes: &[u8]) -> Self {
        let word = be32(bytes, 4);
        let bitrate_bps = bitrate((word >> 9) & 0x1_ffff, word >> 26, 17);
        Self {
            ssrc: be32(bytes, 0),
            bitrate_bps,
            overhead: word as u16 & 0x1ff,
        }
    }

    fn write(&self, out: &mut [u8]) {
        let (mantissa, exponent) = mantissa_exponent(self.bitrate_bps, 17);
        put32(out, 0, self.ssrc);
        put32(
            out,
            4,
            (exponent << 26) | (mantissa << 9) | u32::from(self.overhead & 0x1ff),
        );
    }
}

/// A trade-off between sharp pictures and many pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TemporalTradeOff {
    /// The source asked (in requests), or who asked it (in notifications).
    pub ssrc: u32,
    /// Number of the request; the same number is the same request repeated.
    pub sequence: u8,
    /// 0 for the sharpest pictures, 31 for the highest frame rate; five bits are used.
    pub index: u8,
}

impl WireEntry for TemporalTradeOff {
    const SIZE: usize = 8;

    fn read(bytes: &[u8]) -> Self {
        Self {
            ssrc: be32(bytes, 0),
            sequence: bytes[4],
            index: bytes[7] & 0x1f,
        }
    }

    fn write(&self, out: &mut [u8]) {
        put32(out, 0, self.ssrc);
        out[4] = self.sequence;
        out[7] = self.index & 0x1f;
    }
}

macro_rules! control {
    ($(#[$doc:meta])* $name:ident, $entry:ty, $packet_type:expr, $format:literal) => {
        $(#[$doc])*
        /// The media source of the header is not used and is 0.
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        pub struct $name<'a> {
            /// Who sends it.
            pub sender_ssrc: u32,
            /// By source.
            pub entries: Entries<'a, $entry>,
        }

        impl<'a> $name<'a> {
            pub(super) const FORMAT: u8 = $format;

            pub(super) fn parse(ssrcs: (u32, u32), control: &'a [u8]) -> Result<Self, RtcpError> {
                Ok(Self { sender_ssrc: ssrcs.0, entries: Entries::parse(control)? })
            }
        }

        impl RtcpWrite for $name<'_> {
            fn wire_len(&self) -> usize {
                FEEDBACK_LEN + self.entries.wire_len()
            }

            fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
                let (len, ssrcs) = (self.wire_len(), (self.sender_ssrc, 0));
                self.entries.write(begin_feedback(out, $packet_type, Self::FORMAT, ssrcs, len)?);
                Ok(len)
            }
        }
    };
}

control!(
    /// Limits to the bit rate are asked for.
    Tmmbr, Tmmb, TRANSPORT_SPECIFIC, 3
);
control!(
    /// The limits in force; empty where there are none.
    Tmmbn, Tmmb, TRANSPORT_SPECIFIC, 4
);
control!(
    /// Trade-offs are asked for.
    Tstr, TemporalTradeOff, PAYLOAD_SPECIFIC, 5
);
control!(
    /// The trade-offs in force.
    Tstn, TemporalTradeOff, PAYLOAD_SPECIFIC, 6
);
