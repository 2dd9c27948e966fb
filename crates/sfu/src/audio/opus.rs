//! How long an Opus packet lasts (RFC 6716 section 3.1), in units of its 48 kHz clock.

/// The longest packet: 120 ms (RFC 6716 section 3.4, requirement 5).
const LONGEST: u32 = 5_760;

/// The duration of a packet; `None`: it is none.
pub(crate) fn duration(packet: &[u8]) -> Option<u32> {
    let first = *packet.first()?;
    let config = u32::from(first >> 3);
    let frame = match config {
        // SILK: 10, 20, 40, 60 ms.
        0..12 => [480, 960, 1_920, 2_880][(config & 3) as usize],
        // Hybrid: 10, 20 ms.
        12..16 => 480 << (config & 1),
        // CELT: 2.5, 5, 10, 20 ms.
        _ => 120 << (config & 3),
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    let duration = frame * frames;
    (duration > 0 && duration <= LONGEST).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells_frame_and_count() {
        // TOC bytes by hand: configuration << 3 | stereo << 2 | count.
        let cases: [(&[u8], Option<u32>); 9] = [
            (&[0b0000_1000], Some(960)),                // SILK NB 20 ms, one frame
            (&[0b0101_1000], Some(2_880)),              // SILK WB 60 ms
            (&[0b0110_0000], Some(480)),                // hybrid SWB 10 ms
            (&[0b0111_1100], Some(960)),                // hybrid FB 20 ms, stereo
            (&[0b1111_1100], Some(960)),                // CELT FB 20 ms, stereo
            (&[0b1000_0001], Some(240)),                // CELT NB 2.5 ms, twice
            (&[0b1111_1111, 0b1000_0011], Some(2_880)), // CELT FB 20 ms, three frames
            (&[0b1111_1111, 0b0000_0111], None),        // seven of 20 ms are too many
            (&[0b1111_1111], None),                     // ends before its count
        ];
        for (packet, expected) in cases {
            assert_eq!(duration(packet), expected, "{packet:?}");
        }
        assert_eq!(duration(&[]), None);
        assert_eq!(duration(&[0b1111_1111, 0]), None);
    }
}
