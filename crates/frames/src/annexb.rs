//! Byte streams with start codes (annex B of ITU-T H.264 and H.265), and units as a container has them: each made of
//! the other.

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem;

use crate::nal::split_lengths;
use crate::{NalCodec, NalKind};

const SHORT_CODE: &[u8] = &[0, 0, 1];
const START_CODE: &[u8] = &[0, 0, 0, 1];

/// A coded picture out of a byte stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// NAL units, each behind its length in four bytes, without parameter sets and delimiters.
    pub data: Bytes,
    /// Whether decoding may begin here.
    pub keyframe: bool,
    /// Whether there is any slice among the units; without one it is no picture.
    pub has_slice: bool,
    /// NAL units whose header was not whole; left out.
    pub malformed: u32,
}

/// Walk over the NAL units of a byte stream; bytes before the first start code are left out, as are empty units.
pub fn split(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut codes = memmem::find_iter(stream, SHORT_CODE);
    let mut begin = codes.next().map(|at| at + SHORT_CODE.len());
    std::iter::from_fn(move || {
        let from = begin?;
        let next = codes.next();
        begin = next.map(|at| at + SHORT_CODE.len());
        Some(trim_zeros(&stream[from..next.unwrap_or(stream.len())]))
    })
    .filter(|nal| !nal.is_empty())
}

/// Zeros behind a NAL unit belong to the next start code (annex B.1).
fn trim_zeros(nal: &[u8]) -> &[u8] {
    let end = nal
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    &nal[..end]
}

/// Read one picture; its parameter sets are handed to `take_set`, whole, in their order.
pub fn read(codec: NalCodec, stream: &[u8], mut take_set: impl FnMut(&[u8])) -> Picture {
    let mut picture = Picture::default();
    // A length is as long as the usual start code; those of three bytes are few.
    let mut data = BytesMut::with_capacity(stream.len() + 16);
    for nal in split(stream) {
        match codec.kind(nal) {
            Some(kind) if kind.is_set() => {
                take_set(nal);
                continue;
            }
            Some(NalKind::Delimiter) => continue,
            Some(kind) => {
                picture.keyframe |= kind == NalKind::Idr || codec.is_recovery_point(nal);
                picture.has_slice |= kind.is_slice();
            }
            None => {
                picture.malformed += 1;
                continue;
            }
        }
        data.put_u32(nal.len() as u32);
        data.put_slice(nal);
    }
    picture.data = data.freeze();
    picture
}

/// Write one picture: a delimiter, the parameter sets given, and the NAL units of `data`, which are behind their lengths.
///
/// A stream that others may join has the parameter sets before each keyframe. A delimiter first is what MPEG-TS asks for
/// (H.222.0 section 2.14.1).
pub fn write<'a>(
    codec: NalCodec,
    sets: impl IntoIterator<Item = &'a [u8]>,
    data: &'a [u8],
    out: &mut BytesMut,
) {
    out.reserve(data.len() + 64);
    // Any kind of slice may follow (H.264 table 7-5, H.265 table 7-2).
    let delimiter: &[u8] = match codec {
        NalCodec::H264 => &[0x09, 0xf0],
        NalCodec::Hevc => &[0x46, 0x01, 0x50],
    };
    let nals = std::iter::once(delimiter).chain(sets);
    for nal in nals.chain(split_lengths(data)) {
        out.put_slice(START_CODE);
        out.put_slice(nal);
    }
}

/// Walk over the coded pictures of a byte stream, each a piece of it that begins with a start code.
///
/// A piece ends where a delimiter, a parameter set or supplemental information comes behind a slice, or the first slice of
/// another picture (H.264 section 7.4.1.2.3, H.265 section 7.4.2.4.4). The two fields of an H.264 picture are two pieces
/// where nothing but that says that they belong together.
pub fn split_pictures(codec: NalCodec, stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut codes = memmem::find_iter(stream, SHORT_CODE).peekable();
    let mut begin = codes.peek().copied();
    std::iter::from_fn(move || {
        let from = begin.take()?;
        let mut has_slice = false;
        while let Some(at) = codes.next_if(|&at| {
            let nal = &stream[at + SHORT_CODE.len()..];
            !(has_slice && begins_unit(codec, nal))
        }) {
            let nal = &stream[at + SHORT_CODE.len()..];
            has_slice |= codec.kind(nal).is_some_and(NalKind::is_slice);
        }
        begin = codes.peek().copied();
        Some(&stream[from..begin.unwrap_or(stream.len())])
    })
}

/// Whether a NAL unit that comes behind a slice is the first of another picture.
pub fn begins_unit(codec: NalCodec, nal: &[u8]) -> bool {
    match codec.kind(nal) {
        Some(NalKind::Vps | NalKind::Sps | NalKind::Pps | NalKind::Sei) => true,
        // Ends of sequence and filler belong to the picture before.
        Some(NalKind::Delimiter) => match codec {
            NalCodec::H264 => nal[0] & 0x1f == 9,
            NalCodec::Hevc => nal[0] >> 1 & 0x3f == 35,
        },
        Some(NalKind::Idr | NalKind::Slice) => codec.begins_picture(nal),
        Some(NalKind::Other) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;
    use crate::nal::with_lengths;

    /// x264, 1280x720, main profile.
    const SPS: [u8; 24] = hex!("674d401fd9005005ba10000003001000000303c8f1832480");
    const PPS: [u8; 5] = hex!("68ebc3cb20");
    const IDR: [u8; 3] = [0x65, 0x88, 0x80];

    fn stream(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter()
            .flat_map(|nal| [START_CODE, nal].concat())
            .collect()
    }

    #[test]
    fn a_byte_stream_is_taken_apart_whatever_its_start_codes() {
        let stream = [
            &[7, 0, 0, 0, 1][..],
            &SPS,
            &[0, 0, 1],
            &PPS,
            &[0, 0, 0, 0, 1, 0x65, 0x88, 0, 0],
        ]
        .concat();
        let nals: Vec<&[u8]> = split(&stream).collect();
        assert_eq!(nals, [&SPS[..], &PPS[..], &[0x65, 0x88][..]]);
        assert_eq!(split(&SPS).count(), 0, "no start code");
    }

    #[test]
    fn sets_and_delimiters_stay_out_of_the_picture() {
        let stream = stream(&[&[0x09, 0xf0], &SPS, &PPS, &[0x06, 5, 1, 0x80], &IDR]);
        let mut sets = Vec::new();
        let picture = read(NalCodec::H264, &stream, |set| sets.push(set.to_vec()));
        assert_eq!(sets, [SPS.to_vec(), PPS.to_vec()]);
        assert!(picture.keyframe && picture.has_slice);
        let nals: Vec<_> = split_lengths(&picture.data).collect();
        assert_eq!(nals, [&[0x06, 5, 1, 0x80][..], &IDR]);
    }

    #[test]
    fn sets_alone_are_no_picture_and_half_a_header_is_counted() {
        let picture = read(NalCodec::Hevc, &stream(&[&[0x42, 1, 2], &[0x40]]), |_| {});
        let expected = Picture {
            malformed: 1,
            ..Picture::default()
        };
        assert_eq!(picture, expected);
    }

    #[test]
    fn a_written_picture_begins_with_a_delimiter_and_its_sets() {
        let mut out = BytesMut::new();
        write(
            NalCodec::H264,
            [&SPS[..], &PPS],
            &with_lengths([&IDR[..]]),
            &mut out,
        );
        assert_eq!(out, stream(&[&[0x09, 0xf0], &SPS, &PPS, &IDR])[..]);
        out.clear();
        write(
            NalCodec::Hevc,
            [],
            &with_lengths([&[0x02, 1, 0x80][..]]),
            &mut out,
        );
        assert_eq!(out, stream(&[&[0x46, 0x01, 0x50], &[0x02, 1, 0x80]])[..]);
    }

    #[test]
    fn pictures_are_told_apart_with_delimiters_and_without() {
        let slice: &[u8] = &[0x41, 0x9a, 1];
        let more: &[u8] = &[0x41, 0x40, 2];
        let with = [&[0x09, 0xf0][..], &SPS, &PPS, &IDR, &[0x09, 0xf0], slice];
        let pieces = |nals: &[&[u8]]| -> Vec<Vec<u8>> {
            split_pictures(NalCodec::H264, &stream(nals))
                .map(|piece| split(piece).next().unwrap().to_vec())
                .collect()
        };
        assert_eq!(pieces(&with), [vec![0x09, 0xf0], vec![0x09, 0xf0]]);
        let without = [&IDR[..], slice, more, &[0x0b], slice];
        assert_eq!(pieces(&without), [&IDR[..], slice, slice]);
        assert!(split_pictures(NalCodec::H264, &IDR).next().is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_upset_it_and_pictures_are_all_of_the_stream(
            bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1u8), any::<u8>()], 0..200)
        ) {
            for codec in [NalCodec::H264, NalCodec::Hevc] {
                let picture = read(codec, &bytes, |_| {});
                let length: usize = split_lengths(&picture.data).map(|nal| nal.len() + 4).sum();
                prop_assert_eq!(length, picture.data.len());
                let pieces: Vec<u8> = split_pictures(codec, &bytes).flatten().copied().collect();
                prop_assert!(bytes.ends_with(&pieces));
                let whole: Vec<_> = split(&bytes).collect();
                let by_piece: Vec<_> = split_pictures(codec, &bytes).flat_map(split).collect();
                prop_assert_eq!(whole, by_piece);
            }
        }

        #[test]
        fn written_and_read_a_picture_is_the_same(
            nals in prop::collection::vec(prop::collection::vec(2u8..255, 3..40), 1..6)
        ) {
            let nals: Vec<Vec<u8>> = nals.into_iter().map(|nal| [vec![0x41], nal].concat()).collect();
            let data = with_lengths(nals.iter().map(Vec::as_slice));
            let mut out = BytesMut::new();
            write(NalCodec::H264, [&SPS[..]], &data, &mut out);
            prop_assert_eq!(read(NalCodec::H264, &out, |_| {}).data, data);
        }
    }
}
