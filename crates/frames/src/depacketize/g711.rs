//! G.711 (RFC 3551 section 4.5.14): a packet is as many samples as it has bytes for each channel.

use bytes::Bytes;

use crate::AccessUnit;
use crate::depacketize::Payload;

/// The unit of a packet, and how many samples it lasts; none where it holds no sound, or a part of a sample.
pub fn g711_unit(payload: Payload<'_>, channels: u8) -> Option<(AccessUnit, u32)> {
    let channels = usize::from(channels.max(1));
    if payload.bytes.is_empty() || !payload.bytes.len().is_multiple_of(channels) {
        return None;
    }
    let unit = AccessUnit {
        dts: payload.timestamp,
        pts: payload.timestamp,
        keyframe: true,
        data: Bytes::copy_from_slice(payload.bytes),
    };
    Some((unit, (payload.bytes.len() / channels) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_lasts_as_long_as_its_bytes() {
        let payload = |bytes| Payload {
            sequence: 0,
            timestamp: 160,
            marker: false,
            bytes,
        };
        let (unit, samples) = g711_unit(payload(&[0xff; 160]), 1).unwrap();
        assert_eq!((unit.pts, samples), (160, 160));
        assert_eq!(g711_unit(payload(&[0xff; 160]), 2).unwrap().1, 80);
        assert_eq!(g711_unit(payload(&[0xff; 161]), 2), None);
        assert_eq!(g711_unit(payload(&[]), 1), None);
    }
}
