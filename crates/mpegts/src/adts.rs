//! AAC with a header before each frame (ISO/IEC 13818-7 section 6.2).

use bytes::Bytes;
use roomtone_frames::AacFormat;

use crate::framing::Measure;

/// Samples a second by index (ISO/IEC 14496-3 table 1.18).
pub(crate) const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
/// Samples of a frame.
pub(crate) const FRAME_SAMPLES: i64 = 1024;

const HEADER_BYTES: usize = 7;
const CRC_BYTES: usize = 2;

/// How long the frame at the front is.
pub(crate) fn measure(bytes: &[u8]) -> Measure {
    let looks_like = bytes.first().is_none_or(|&byte| byte == 0xff)
        && bytes.get(1).is_none_or(|&byte| byte & 0xf6 == 0xf0);
    if !looks_like {
        return Measure::Bad;
    }
    let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Measure::More;
    };
    let length = (head[3] as usize & 3) << 11 | (head[4] as usize) << 3 | head[5] as usize >> 5;
    if length < header_length(*head) {
        Measure::Bad
    } else {
        Measure::Bytes(length)
    }
}

fn header_length(head: [u8; HEADER_BYTES]) -> usize {
    HEADER_BYTES + if head[1] & 1 == 0 { CRC_BYTES } else { 0 }
}

/// A frame without its header; none where it is of a kind that is not supported: several blocks in one frame, channels
/// that only the frame describes, a reserved rate.
pub(crate) fn read(frame: &[u8]) -> Option<(AacFormat, &[u8])> {
    let head = frame.first_chunk::<HEADER_BYTES>()?;
    let object_type = (head[2] >> 6) + 1;
    let rate_index = head[2] >> 2 & 0x0f;
    let channel_code = (head[2] & 1) << 2 | head[3] >> 6;
    if head[6] & 3 != 0 {
        return None;
    }
    let config = [
        object_type << 3 | rate_index >> 1,
        (rate_index & 1) << 7 | channel_code << 3,
    ];
    let format = AacFormat {
        sample_rate: *SAMPLE_RATES.get(rate_index as usize)?,
        channels: channels(channel_code)?,
        config: Bytes::copy_from_slice(&config),
    };
    Some((format, frame.get(header_length(*head)..)?))
}

/// Channels by code (ISO/IEC 14496-3 table 1.19); none where the frame itself describes them, or it is reserved.
pub(crate) fn channels(code: u8) -> Option<u8> {
    match code {
        1..=6 => Some(code),
        7 | 12 | 14 => Some(8),
        11 => Some(7),
        _ => None,
    }
}

/// The header of a frame of this many bytes; none where the format cannot be written so.
pub(crate) fn write_header(format: &AacFormat, payload: usize) -> Option<[u8; HEADER_BYTES]> {
    let length = HEADER_BYTES + payload;
    // Of AAC with spectral band replication the core is written; receivers find the rest (section 1.6.5.3 of 14496-3).
    let object_type = match format.object_type() {
        5 | 29 => 2,
        kind @ 1..=4 => kind,
        _ => return None,
    };
    let rate_index = SAMPLE_RATES
        .iter()
        .position(|&rate| rate == format.sample_rate)? as u8;
    let channel_code = match format.channels {
        8 => 7,
        code @ 1..=6 => code,
        _ => return None,
    };
    (length < 1 << 13).then(|| {
        [
            0xff,
            0xf1,
            (object_type - 1) << 6 | rate_index << 2 | channel_code >> 2,
            (channel_code & 3) << 6 | (length >> 11) as u8,
            (length >> 3) as u8,
            (length << 5) as u8 | 0x1f,
            0xfc,
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let format = AacFormat {
            config: Bytes::from_static(&[0x12, 0x10]),
            sample_rate: 44_100,
            channels: 2,
        };
        let mut frame = write_header(&format, 300).unwrap().to_vec();
        frame.extend([5; 300]);
        assert_eq!(measure(&frame), Measure::Bytes(307));
        assert_eq!(read(&frame), Some((format, &[5; 300][..])));
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let mut format = AacFormat {
            config: Bytes::from_static(&[0xf9, 0x40]),
            sample_rate: 48_000,
            channels: 2,
        };
        assert_eq!(write_header(&format, 10), None, "xHE-AAC");
        format.config = Bytes::from_static(&[0x12, 0x10]);
        assert_eq!(write_header(&format, 9_000), None, "too long");
        format.sample_rate = 47_999;
        assert_eq!(write_header(&format, 10), None);
    }

    #[test]
    fn a_header_with_a_checksum_is_two_bytes_longer() {
        let frame = [0xff, 0xf0, 0x4c, 0x80, 0x01, 0x60, 0x00, 1, 2, 7, 8];
        assert_eq!(measure(&frame), Measure::Bytes(11));
        assert_eq!(read(&frame).unwrap().1, [7, 8]);
        let blocks = [0xff, 0xf1, 0x4c, 0x80, 0x01, 0x60, 0x01, 1, 2, 7, 8];
        assert_eq!(read(&blocks), None, "two blocks");
    }
}
