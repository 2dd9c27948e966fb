//! Opus (RFC 7587): one packet, one frame of sound.

use bytes::Bytes;

use crate::AccessUnit;
use crate::depacketize::Payload;

/// A unit and how long it sounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpusFrame {
    /// The frame; its times are in ticks of 48 kHz.
    pub unit: AccessUnit,
    /// Samples at 48 kHz.
    pub samples: u32,
}

/// Units of one Opus source. A lost packet is a gap in the times, as is a pause of a sender that sends no silence.
#[derive(Debug, Default)]
pub struct OpusDepacketizer {
    /// Packets that were no Opus.
    pub malformed: u64,
}

impl OpusDepacketizer {
    /// Take one packet; none where it holds no sound.
    pub fn handle_payload(&mut self, payload: Payload<'_>) -> Option<OpusFrame> {
        if payload.bytes.is_empty() {
            return None;
        }
        let Some(samples) = opus_samples(payload.bytes) else {
            self.malformed += 1;
            return None;
        };
        let unit = AccessUnit {
            dts: payload.timestamp,
            pts: payload.timestamp,
            keyframe: true,
            data: Bytes::copy_from_slice(payload.bytes),
        };
        Some(OpusFrame { unit, samples })
    }
}

/// How long a packet sounds, in samples at 48 kHz (RFC 6716 section 3.1); none where it is not valid.
pub fn opus_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let each = match toc >> 3 {
        config @ 0..12 => [480, 960, 1920, 2880][(config & 3) as usize],
        config @ 12..16 => [480, 960][(config & 1) as usize],
        config => [120, 240, 480, 960][(config & 3) as usize],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    // At most 120 ms (RFC 6716 section 3.2.5).
    Some(each * frames).filter(|samples| (1..=5760).contains(samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_the_table_of_configurations() {
        assert_eq!(opus_samples(&[0 << 3]), Some(480));
        assert_eq!(opus_samples(&[3 << 3]), Some(2880));
        assert_eq!(opus_samples(&[13 << 3]), Some(960));
        assert_eq!(opus_samples(&[16 << 3]), Some(120));
        assert_eq!(opus_samples(&[31 << 3 | 1]), Some(1920));
        assert_eq!(opus_samples(&[31 << 3 | 3, 6]), Some(5760));
    }

    #[test]
    fn what_is_longer_than_120_ms_or_has_no_frames_is_refused() {
        assert_eq!(opus_samples(&[31 << 3 | 3, 7]), None);
        assert_eq!(opus_samples(&[31 << 3 | 3, 0]), None);
        assert_eq!(opus_samples(&[31 << 3 | 3]), None);
        assert_eq!(opus_samples(&[]), None);
    }

    #[test]
    fn a_packet_is_a_unit_and_padding_is_none() {
        let mut depacketizer = OpusDepacketizer::default();
        let packet = |bytes| Payload {
            sequence: 1,
            timestamp: 960,
            marker: false,
            bytes,
        };
        let frame = depacketizer
            .handle_payload(packet(&[31 << 3, 1, 2]))
            .unwrap();
        assert_eq!((frame.unit.pts, frame.samples), (960, 960));
        assert_eq!(depacketizer.handle_payload(packet(&[])), None);
        assert_eq!(depacketizer.handle_payload(packet(&[31 << 3 | 3])), None);
        assert_eq!(depacketizer.malformed, 1);
    }
}
