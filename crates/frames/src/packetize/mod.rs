//! RTP payloads out of units: the way back of [`depacketize`](crate::depacketize).
//!
//! A packet's timestamp is the unit's `pts` for all of its packets. Receivers of RTP without more are told no decode
//! time: units of a track that reorders its pictures ([`Reordering`]) go to no browser.

mod av1;
mod nals;
mod sound;

use bytes::Bytes;
use std::fmt;

use crate::{AccessUnit, CarriedCodec, Format};

/// Payloads are never cut shorter than this.
pub const LEAST_PAYLOAD_BYTES: usize = 64;

/// One payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// What is behind the header.
    pub bytes: Bytes,
    /// The marker bit: the last packet of a picture, or of a frame of AAC.
    pub marker: bool,
}

/// Why a unit cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsendable {
    /// Nobody here makes packets of the codec.
    Codec(&'static str),
    /// A frame has more bytes than its format can say.
    TooLarge,
    /// There is nothing in it that could be sent.
    Empty,
}

impl fmt::Display for Unsendable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Codec(name) => write!(out, "no packets are made of {name}"),
            Self::TooLarge => out.write_str("the frame is too large for its packets"),
            Self::Empty => out.write_str("the unit is empty"),
        }
    }
}

impl std::error::Error for Unsendable {}

/// Add the payloads of a unit to `out`, none larger than `limit` bytes; parameter sets go before each keyframe. A frame of
/// Opus is never taken apart, whatever its size.
pub fn packetize(
    format: &Format,
    unit: &AccessUnit,
    limit: usize,
    out: &mut Vec<Packet>,
) -> Result<(), Unsendable> {
    let limit = limit.max(LEAST_PAYLOAD_BYTES);
    let before = out.len();
    match format {
        Format::H264(_) | Format::Hevc(_) => {
            let sets = if unit.keyframe {
                format.parameter_sets()
            } else {
                Vec::new()
            };
            if let Some(codec) = format.nal_codec() {
                nals::packetize(codec, &sets, &unit.data, limit, out);
            }
        }
        Format::Av1(_) => av1::packetize(unit, limit, out),
        Format::Aac(_) => sound::aac(&unit.data, limit, out)?,
        Format::Opus(_) => sound::whole(&unit.data, out),
        Format::Carried(carried) => match carried.codec {
            CarriedCodec::Pcmu | CarriedCodec::Pcma => sound::whole(&unit.data, out),
            codec => return Err(Unsendable::Codec(codec.name())),
        },
    }
    if out.len() == before {
        return Err(Unsendable::Empty);
    }
    Ok(())
}

/// Whether pictures of a track are shown in another order than they are decoded in.
#[derive(Debug, Clone, Default)]
pub struct Reordering {
    latest: Option<i64>,
    /// Units that are shown before one that came before them.
    pub seen: u64,
}

impl Reordering {
    /// Look at the next unit, in the order of decoding; true once any was out of order.
    pub fn handle_unit(&mut self, unit: &AccessUnit) -> bool {
        self.seen += u64::from(self.latest.is_some_and(|latest| unit.pts < latest));
        self.latest = self.latest.max(Some(unit.pts));
        self.seen > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CarriedFormat;

    fn unit(pts: i64, data: &'static [u8]) -> AccessUnit {
        AccessUnit {
            dts: 0,
            pts,
            keyframe: true,
            data: Bytes::from_static(data),
        }
    }

    #[test]
    fn what_cannot_be_sent_is_told_why() {
        let carried = |codec| {
            Format::Carried(CarriedFormat {
                codec,
                clock_rate: 90_000,
                channels: 0,
            })
        };
        let mut out = Vec::new();
        let refused = packetize(&carried(CarriedCodec::Vp8), &unit(0, &[1]), 1200, &mut out);
        assert_eq!(refused, Err(Unsendable::Codec("VP8")));
        assert_eq!(
            refused.unwrap_err().to_string(),
            "no packets are made of VP8"
        );
        let pcm = carried(CarriedCodec::Pcmu);
        let empty = packetize(&pcm, &unit(0, &[]), 1200, &mut out);
        assert_eq!(empty, Err(Unsendable::Empty));
        assert!(out.is_empty());
        packetize(&pcm, &unit(0, &[7]), 1200, &mut out).unwrap();
        assert_eq!(&out[0].bytes[..], [7]);
    }

    #[test]
    fn pictures_shown_before_others_that_came_earlier_are_noticed() {
        let mut order = Reordering::default();
        let seen: Vec<bool> = [0, 3, 1, 2, 6]
            .map(|pts| order.handle_unit(&unit(pts, &[1])))
            .into();
        assert_eq!(seen, [false, false, true, true, true]);
        assert_eq!(order.seen, 2);
    }
}
