//! PES packets (H.222.0 section 2.4.3.6): their headers, read and written.

/// Prefix, stream id, length.
const PREFIX_BYTES: usize = 6;
/// The same with flags and the length of what is optional.
const HEADER_BYTES: usize = 9;

/// Stream ids of what this crate writes.
pub(crate) const PRIVATE_STREAM_1: u8 = 0xbd;
pub(crate) const VIDEO_STREAM: u8 = 0xe0;
pub(crate) const AUDIO_STREAM: u8 = 0xc0;

/// How long a PES packet is, and what it says of its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PesHeader {
    /// Where the payload begins.
    pub payload_at: usize,
    /// 33 bits of 90 kHz.
    pub pts: Option<u64>,
    /// The same, where it differs.
    pub dts: Option<u64>,
    pub scrambled: bool,
}

/// What can be said of the beginning of a PES packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderState {
    /// More bytes are needed.
    Partial,
    Malformed,
    Read(PesHeader),
}

/// The whole length of a PES packet: none before it is known, or where it is unbounded.
pub(crate) fn whole_length(bytes: &[u8]) -> Option<usize> {
    let prefix = bytes.first_chunk::<PREFIX_BYTES>()?;
    let length = u16::from_be_bytes([prefix[4], prefix[5]]) as usize;
    (length != 0).then_some(PREFIX_BYTES + length)
}

/// Read the header at the front.
pub(crate) fn read_header(bytes: &[u8]) -> HeaderState {
    let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else {
        return if bytes
            .iter()
            .zip(&[0, 0, 1])
            .all(|(is, should)| is == should)
        {
            HeaderState::Partial
        } else {
            HeaderState::Malformed
        };
    };
    if head[..3] != [0, 0, 1] || head[6] & 0xc0 != 0x80 {
        return HeaderState::Malformed;
    }
    let payload_at = HEADER_BYTES + head[8] as usize;
    let Some(optional) = bytes.get(HEADER_BYTES..payload_at) else {
        return HeaderState::Partial;
    };
    let (pts, dts) = match head[7] >> 6 {
        2 => (optional.first_chunk().copied().map(read_time), None),
        3 => {
            let dts = optional
                .get(5..)
                .and_then(|behind| behind.first_chunk().copied());
            (
                optional.first_chunk().copied().map(read_time),
                dts.map(read_time),
            )
        }
        _ => (None, None),
    };
    HeaderState::Read(PesHeader {
        payload_at,
        pts,
        dts,
        scrambled: head[6] & 0x30 != 0,
    })
}

/// 33 bits between marker bits.
fn read_time(bytes: [u8; 5]) -> u64 {
    let all = bytes
        .iter()
        .fold(0, |all, &byte| all << 8 | u64::from(byte));
    all >> 3 & 7 << 30 | all >> 2 & 0x7fff << 15 | all >> 1 & 0x7fff
}

fn write_time(marker: u8, time: i64) -> [u8; 5] {
    let time = time as u64;
    [
        marker << 4 | (time >> 29) as u8 & 0x0e | 1,
        (time >> 22) as u8,
        (time >> 14) as u8 | 1,
        (time >> 7) as u8,
        (time << 1) as u8 | 1,
    ]
}

/// Write a header for a payload of this many bytes; times are cut to 33 bits. A video payload too long to be counted
/// has a length of 0 (section 2.4.3.7).
pub(crate) fn write_header(stream_id: u8, pts: i64, dts: i64, payload: usize) -> Vec<u8> {
    let times = if pts == dts { 1 } else { 2 };
    let optional = 5 * times;
    let length = u16::try_from(HEADER_BYTES - PREFIX_BYTES + optional + payload).unwrap_or(0);
    let mut out = vec![0, 0, 1, stream_id];
    out.extend(length.to_be_bytes());
    // Data alignment: each packet begins with a unit.
    out.extend([0x84, if times == 1 { 0x80 } else { 0xc0 }, optional as u8]);
    if times == 1 {
        out.extend(write_time(2, pts));
    } else {
        out.extend(write_time(3, pts));
        out.extend(write_time(1, dts));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_were_written() {
        for (pts, dts) in [(0, 0), ((1 << 33) - 1, 1 << 32), (0x1_2345_6789, 7)] {
            let header = write_header(VIDEO_STREAM, pts, dts, 10);
            let HeaderState::Read(read) = read_header(&header) else {
                panic!()
            };
            assert_eq!(read.pts, Some(pts as u64));
            assert_eq!(read.dts.or(read.pts), Some(dts as u64));
            assert_eq!(read.payload_at, header.len());
            assert_eq!(whole_length(&header), Some(header.len() + 10));
            for cut in 0..header.len() {
                assert_eq!(read_header(&header[..cut]), HeaderState::Partial);
            }
        }
    }

    #[test]
    fn a_long_picture_has_no_length() {
        assert_eq!(
            whole_length(&write_header(VIDEO_STREAM, 0, 0, 70_000)),
            None
        );
    }

    #[test]
    fn what_is_no_header_is_refused_at_once() {
        assert_eq!(read_header(&[0, 0, 2]), HeaderState::Malformed);
        assert_eq!(
            read_header(&[0, 0, 1, 0xe0, 0, 0, 0, 0, 0]),
            HeaderState::Malformed
        );
    }
}
