//! Sound that is carried frame by frame and not looked into: MPEG audio (ISO/IEC 11172-3, 13818-3), AC-3 and E-AC-3
//! (ETSI TS 102 366).

use roomtone_frames::{CarriedCodec, CarriedFormat};

use crate::bits::Bits;
use crate::codec::Codec;
use crate::framing::Measure;

/// What the header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub bytes: usize,
    pub samples: i64,
    pub format: CarriedFormat,
    /// More channels of the frame before it, to be played with it.
    pub dependent: bool,
}

/// Bytes of a header that are looked at.
const MPEG_HEADER_BYTES: usize = 4;
const DOLBY_HEADER_BYTES: usize = 7;

/// Kilobits a second by index, of MPEG-1 layers I, II, III and MPEG-2 layers I, II and III.
const MPEG_RATES: [[usize; 14]; 5] = [
    [
        32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448,
    ],
    [
        32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
    ],
    [
        32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ],
    [
        32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256,
    ],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Kilobits a second by half of `frmsizecod` (table 4.13).
const AC3_RATES: [usize; 19] = [
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
];
const DOLBY_SAMPLE_RATES: [u32; 3] = [48_000, 44_100, 32_000];
/// Front and surround channels by `acmod`.
const DOLBY_CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];

/// How long the frame at the front is.
pub(crate) fn measure(codec: Codec, bytes: &[u8]) -> Measure {
    match codec {
        Codec::MpegAudio => measure_mpeg(bytes),
        _ => measure_dolby(bytes),
    }
}

/// The header of a frame; none where something in it is reserved.
pub(crate) fn read(codec: Codec, frame: &[u8]) -> Option<Header> {
    match codec {
        Codec::MpegAudio => read_mpeg(frame),
        _ => read_dolby(frame),
    }
}

fn measure_mpeg(bytes: &[u8]) -> Measure {
    let looks_like = bytes.first().is_none_or(|&byte| byte == 0xff)
        && bytes.get(1).is_none_or(|&byte| byte & 0xe0 == 0xe0);
    measure_by(bytes, looks_like, MPEG_HEADER_BYTES, read_mpeg)
}

fn measure_dolby(bytes: &[u8]) -> Measure {
    let looks_like = bytes
        .iter()
        .zip([0x0b, 0x77])
        .all(|(&is, should)| is == should);
    measure_by(bytes, looks_like, DOLBY_HEADER_BYTES, read_dolby)
}

fn measure_by(
    bytes: &[u8],
    looks_like: bool,
    header: usize,
    read: fn(&[u8]) -> Option<Header>,
) -> Measure {
    if !looks_like {
        Measure::Bad
    } else if bytes.len() < header {
        Measure::More
    } else {
        read(bytes).map_or(Measure::Bad, |header| Measure::Bytes(header.bytes))
    }
}

/// MPEG audio; none where its rate is free, too.
fn read_mpeg(bytes: &[u8]) -> Option<Header> {
    let [_, kind, rates, mode] = *bytes.first_chunk::<MPEG_HEADER_BYTES>()?;
    let (version, layer) = (kind >> 3 & 3, 4 - (kind >> 1 & 3));
    // 3 is MPEG-1, 2 MPEG-2, 0 what came after with half the rates.
    let halvings = match version {
        3 => 0,
        2 => 1,
        0 => 2,
        _ => return None,
    };
    let (table, samples, per_kilobit) = match (layer, halvings) {
        (1, 0) => (0, 384, 12),
        (1, _) => (3, 384, 12),
        (2, 0) => (1, 1152, 144),
        (2, _) => (4, 1152, 144),
        (3, 0) => (2, 1152, 144),
        (3, _) => (4, 576, 72),
        _ => return None,
    };
    let rate = *MPEG_RATES[table].get((rates >> 4).checked_sub(1)? as usize)? * 1000;
    let sample_rate = [44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 3))? >> halvings;
    let padding = usize::from(rates >> 1 & 1);
    // Slots of layer I have four bytes.
    let slots = per_kilobit * rate / sample_rate as usize + padding;
    Some(Header {
        bytes: if layer == 1 { slots * 4 } else { slots },
        samples,
        format: CarriedFormat {
            codec: CarriedCodec::Mp3,
            clock_rate: sample_rate,
            channels: if mode >> 6 == 3 { 1 } else { 2 },
        },
        dependent: false,
    })
}

/// AC-3 (section 4.3) or E-AC-3 (section E.1.2).
fn read_dolby(bytes: &[u8]) -> Option<Header> {
    let head = bytes.first_chunk::<DOLBY_HEADER_BYTES>()?;
    match head[5] >> 3 {
        0..=10 => read_ac3(head),
        11..=16 => read_eac3(head),
        _ => None,
    }
}

fn read_ac3(head: &[u8]) -> Option<Header> {
    let mut bits = Bits::new(&head[4..]);
    let rate_code = bits.read(2)? as usize;
    let size_code = bits.read(6)? as usize;
    bits.skip(8)?;
    let sample_rate = *DOLBY_SAMPLE_RATES.get(rate_code)?;
    let mode = bits.read(3)? as u8;
    // What stands between depends on which channels there are (table 4.1).
    if mode & 1 != 0 && mode != 1 {
        bits.skip(2)?;
    }
    if mode & 4 != 0 {
        bits.skip(2)?;
    }
    if mode == 2 {
        bits.skip(2)?;
    }
    let low = bits.read(1)? as u8;
    let rate = *AC3_RATES.get(size_code / 2)?;
    // Words of 16 bits in 1,536 samples; at 44.1 kHz every other size is a word longer.
    let words = match sample_rate {
        48_000 => rate * 2,
        44_100 => rate * 1000 * 96 / 44_100 + size_code % 2,
        _ => rate * 3,
    };
    Some(Header {
        bytes: words * 2,
        samples: 1536,
        format: CarriedFormat {
            codec: CarriedCodec::Ac3,
            clock_rate: sample_rate,
            channels: DOLBY_CHANNELS[mode as usize] + low,
        },
        dependent: false,
    })
}

fn read_eac3(head: &[u8]) -> Option<Header> {
    let mut bits = Bits::new(&head[2..]);
    let kind = bits.read(2)?;
    bits.skip(3)?;
    let words = bits.read(11)? as usize + 1;
    let rate_code = bits.read(2)? as usize;
    let (sample_rate, blocks) = if rate_code == 3 {
        let half = *DOLBY_SAMPLE_RATES.get(bits.read(2)? as usize)? / 2;
        (half, 6)
    } else {
        let blocks = [1, 2, 3, 6][bits.read(2)? as usize];
        (DOLBY_SAMPLE_RATES[rate_code], blocks)
    };
    let mode = bits.read(3)?;
    let low = bits.read(1)? as u8;
    (kind != 3 && words * 2 >= DOLBY_HEADER_BYTES).then_some(Header {
        bytes: words * 2,
        samples: blocks * 256,
        format: CarriedFormat {
            codec: CarriedCodec::Eac3,
            clock_rate: sample_rate,
            channels: DOLBY_CHANNELS[mode as usize] + low,
        },
        dependent: kind == 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_mpeg_audio_are_measured_by_version_and_layer() {
        let read = |head: [u8; 4]| {
            read_mpeg(&head).map(|it| {
                (
                    it.bytes,
                    it.samples,
                    it.format.clock_rate,
                    it.format.channels,
                )
            })
        };
        // 128 kbit/s of MPEG-1 layer III at 44.1 kHz, with and without padding.
        assert_eq!(read([0xff, 0xfb, 0x90, 0x00]), Some((417, 1152, 44_100, 2)));
        assert_eq!(read([0xff, 0xfb, 0x92, 0xc0]), Some((418, 1152, 44_100, 1)));
        // 192 kbit/s of layer II at 48 kHz; 64 kbit/s of MPEG-2 layer III at 24 kHz.
        assert_eq!(read([0xff, 0xfd, 0xa4, 0x00]), Some((576, 1152, 48_000, 2)));
        assert_eq!(read([0xff, 0xf3, 0x84, 0x00]), Some((192, 576, 24_000, 2)));
        assert_eq!(read([0xff, 0xfb, 0x00, 0x00]), None, "a free rate");
        assert_eq!(read([0xff, 0xfb, 0x9c, 0x00]), None, "a reserved rate");
        assert_eq!(read([0xff, 0xe9, 0x90, 0x00]), None, "a reserved version");
    }

    #[test]
    fn frames_of_dolby_are_measured() {
        let read = |head: [u8; 7]| {
            read_dolby(&head).map(|it| {
                (
                    it.bytes,
                    it.samples,
                    it.format.clock_rate,
                    it.format.channels,
                )
            })
        };
        // 192 kbit/s of stereo at 48 kHz; 448 kbit/s of 5.1 at 44.1 kHz.
        assert_eq!(
            read([0x0b, 0x77, 0, 0, 0x14, 0x40, 0x40]),
            Some((768, 1536, 48_000, 2))
        );
        assert_eq!(
            read([0x0b, 0x77, 0, 0, 0x5f, 0x40, 0xe1]),
            Some((1952, 1536, 44_100, 6))
        );
        // E-AC-3: 768 bytes, six blocks, 5.1; what depends on it.
        assert_eq!(
            read([0x0b, 0x77, 0x01, 0x7f, 0x3f, 0x80, 0]),
            Some((768, 1536, 48_000, 6))
        );
        let dependent = read_dolby(&[0x0b, 0x77, 0x41, 0x7f, 0x34, 0x80, 0]);
        assert!(dependent.is_some_and(|header| header.dependent));
        assert_eq!(
            read([0x0b, 0x77, 0, 0, 0xd4, 0x40, 0x40]),
            None,
            "a reserved rate"
        );
    }
}
