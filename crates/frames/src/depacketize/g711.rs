//! G.711 (RFC 3551 section 4.5.14): a packet is as many samples as it has bytes for each channel.

use bytes::Bytes;

use crate::AccessUnit;
use crate::depacketize::Payload;

/// Samples of a unit: 20 ms, as most packets have. What is longer is cut, so that whoever sends it on needs no larger
/// packets than others do.
const FRAME: usize = 160;

/// The units of a packet, in their order; none where it holds no sound, or a part of a sample.
pub fn g711_units(
    payload: Payload<'_>,
    channels: u8,
) -> Option<impl Iterator<Item = AccessUnit> + '_> {
    let channels = usize::from(channels.max(1));
    let bytes = payload.bytes;
    if bytes.is_empty() || !bytes.len().is_multiple_of(channels) {
        return None;
    }
    let frames = bytes.chunks(FRAME * channels).enumerate();
    Some(frames.map(move |(number, frame)| {
        let at = payload.timestamp + (number * FRAME) as i64;
        AccessUnit {
            dts: at,
            pts: at,
            keyframe: true,
            data: Bytes::copy_from_slice(frame),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(bytes: &[u8], channels: u8) -> Option<Vec<(i64, usize)>> {
        let payload = Payload {
            sequence: 0,
            timestamp: 800,
            marker: false,
            bytes,
        };
        let units = g711_units(payload, channels)?;
        Some(units.map(|unit| (unit.pts, unit.data.len())).collect())
    }

    #[test]
    fn a_packet_lasts_as_long_as_its_bytes_and_a_long_one_is_several_units() {
        assert_eq!(units(&[0xff; 160], 1).unwrap(), [(800, 160)]);
        assert_eq!(units(&[0xff; 80], 1).unwrap(), [(800, 80)]);
        let cut = [(800, 160), (960, 160), (1_120, 80)];
        assert_eq!(units(&[0xff; 400], 1).unwrap(), cut);
        assert_eq!(units(&[0xff; 400], 2).unwrap(), [(800, 320), (960, 80)]);
        assert_eq!(units(&[0xff; 161], 2), None);
        assert_eq!(units(&[], 1), None);
    }
}
