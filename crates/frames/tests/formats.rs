//! What is read of streams that FFmpeg encoded; `tools/frame_vectors.py` draws them and says what was asked for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use roomtone_frames::{
    Av1Format, Format, FrameRate, H264Format, HevcFormat, NalCodec, NalKind, annexb, av1, h264,
    hevc, nal,
};

const H264: &[u8] = include_bytes!("vectors/h264.h264");
const H264_REORDERED: &[u8] = include_bytes!("vectors/h264_reordered.h264");
const HEVC: &[u8] = include_bytes!("vectors/hevc.hevc");
const HEVC_REORDERED: &[u8] = include_bytes!("vectors/hevc_reordered.hevc");
const HEVC_10BIT: &[u8] = include_bytes!("vectors/hevc_10bit.hevc");
const AV1: &[u8] = include_bytes!("vectors/av1.obu");

fn h264_format(stream: &[u8]) -> H264Format {
    let mut sets = h264::ParameterSets::default();
    for nal in annexb::split(stream) {
        sets.take(nal);
    }
    assert_eq!(sets.refused, 0);
    sets.format().unwrap()
}

fn hevc_format(stream: &[u8]) -> HevcFormat {
    let mut sets = hevc::ParameterSets::default();
    for nal in annexb::split(stream) {
        sets.take(nal);
    }
    assert_eq!(sets.refused, 0);
    sets.format().unwrap()
}

/// The temporal units of a stream of OBUs, which delimiters part.
fn temporal_units(stream: &[u8]) -> Vec<av1::TemporalUnit> {
    let mut units: Vec<BytesMut> = Vec::new();
    for obu in av1::split(stream) {
        if obu.kind() == av1::ObuKind::TemporalDelimiter {
            units.push(BytesMut::new());
        }
        obu.write(units.last_mut().unwrap());
    }
    units.iter().map(|unit| av1::read(unit).unwrap()).collect()
}

fn av1_format() -> Av1Format {
    temporal_units(AV1)[0].format.clone().unwrap()
}

#[test]
fn sizes_and_depths_are_those_that_were_encoded() {
    let formats = [
        Format::H264(h264_format(H264)),
        Format::Hevc(hevc_format(HEVC)),
        Format::Av1(av1_format()),
    ];
    for format in formats {
        assert_eq!(format.size(), Some((160, 90)), "{}", format.name());
    }
    let hevc = hevc_format(HEVC);
    assert_eq!((hevc.luma_bits, hevc.chroma_format), (8, 1));
    let deep = hevc_format(HEVC_10BIT);
    assert_eq!((deep.luma_bits, deep.chroma_bits), (10, 10));
    assert_eq!((deep.width, deep.height), (160, 90));
}

#[test]
fn frame_rates_are_read_where_they_are_said() {
    let rate = |format: Format| format.frame_rate().map(FrameRate::per_second);
    assert_eq!(rate(Format::H264(h264_format(H264))), Some(25.0));
    assert_eq!(rate(Format::Hevc(hevc_format(HEVC))), Some(25.0));
    assert_eq!(rate(Format::Hevc(hevc_format(HEVC_REORDERED))), Some(25.0));
    let ntsc = rate(Format::Hevc(hevc_format(HEVC_10BIT))).unwrap();
    assert!((ntsc - 30_000.0 / 1001.0).abs() < 1e-6, "{ntsc}");
    assert_eq!(rate(Format::Av1(av1_format())), None, "not said by libaom");
}

#[test]
fn codecs_are_named_with_profile_tier_and_level() {
    assert_eq!(
        Format::H264(h264_format(H264)).codec_string(),
        "avc1.42c00b"
    );
    // Main at level 1, progressive, frames only.
    assert_eq!(
        Format::Hevc(hevc_format(HEVC)).codec_string(),
        "hvc1.1.6.L30.90"
    );
    let deep = Format::Hevc(hevc_format(HEVC_10BIT)).codec_string();
    assert!(deep.starts_with("hvc1.2.4.L"), "{deep}");
    let av1 = Format::Av1(av1_format()).codec_string();
    assert!(av1.starts_with("av01.0.00M.08"), "{av1}");
}

#[test]
fn streams_that_reorder_pictures_say_so() {
    assert_eq!(h264_format(H264).max_reorder(), Some(0));
    assert!(h264_format(H264_REORDERED).max_reorder().unwrap() > 0);
    assert_eq!(hevc_format(HEVC).max_reorder, 0);
    assert!(hevc_format(HEVC_REORDERED).max_reorder > 0);
}

#[test]
fn byte_streams_are_pictures_with_keyframes_where_they_were_asked_for() {
    for (codec, stream) in [(NalCodec::H264, H264), (NalCodec::Hevc, HEVC)] {
        let keyframes: Vec<bool> = annexb::split_pictures(codec, stream)
            .map(|piece| annexb::read(codec, piece, |_| {}))
            .inspect(|picture| assert!(picture.has_slice && picture.malformed == 0))
            .map(|picture| picture.keyframe)
            .collect();
        let asked: Vec<bool> = (0..12).map(|number| number % 6 == 0).collect();
        assert_eq!(keyframes, asked, "{codec:?}");
    }
    for (codec, stream) in [
        (NalCodec::H264, H264_REORDERED),
        (NalCodec::Hevc, HEVC_REORDERED),
    ] {
        assert_eq!(annexb::split_pictures(codec, stream).count(), 12);
    }
}

#[test]
fn decoding_may_begin_at_recovery_points_of_open_groups() {
    let stream = include_bytes!("vectors/h264_open.h264");
    let pictures: Vec<_> = annexb::split_pictures(NalCodec::H264, stream)
        .map(|piece| annexb::read(NalCodec::H264, piece, |_| {}))
        .collect();
    let idr = |picture: &annexb::Picture| {
        nal::split_lengths(&picture.data).any(|nal| NalCodec::H264.kind(nal) == Some(NalKind::Idr))
    };
    let keyframes = pictures.iter().filter(|picture| picture.keyframe);
    assert_eq!(keyframes.count(), 2);
    assert_eq!(pictures.iter().filter(|picture| idr(picture)).count(), 1);
}

#[test]
fn a_byte_stream_written_again_has_the_same_pictures_and_its_sets() {
    let format = Format::Hevc(hevc_format(HEVC));
    for piece in annexb::split_pictures(NalCodec::Hevc, HEVC) {
        let picture = annexb::read(NalCodec::Hevc, piece, |_| {});
        let sets = format.parameter_sets();
        let sets = sets.iter().map(|set| &set[..]);
        let mut out = BytesMut::new();
        annexb::write(NalCodec::Hevc, sets, &picture.data, &mut out);
        let mut seen = Vec::new();
        let again = annexb::read(NalCodec::Hevc, &out, |set| seen.push(set.to_vec()));
        assert_eq!(again, picture);
        let seen: Vec<_> = seen.iter().collect();
        assert_eq!(seen, format.parameter_sets());
    }
}

#[test]
fn temporal_units_of_av1_have_sizes_and_their_key_frames_are_known() {
    let units = temporal_units(AV1);
    let keyframes: Vec<bool> = units.iter().map(|unit| unit.keyframe).collect();
    let asked: Vec<bool> = (0..12).map(|number| number % 6 == 0).collect();
    assert_eq!(keyframes, asked);
    let first = av1::split(&units[0].data).next().unwrap();
    assert_eq!(first.kind(), av1::ObuKind::SequenceHeader);
}

#[test]
fn a_set_of_hevc_cut_short_is_refused_and_counted() {
    let whole = hevc_format(HEVC).sps;
    let mut sets = hevc::ParameterSets::default();
    for length in 2..20 {
        assert!(!sets.take(&whole[..length]), "{length}");
    }
    assert_eq!(sets.refused, 18);
    // An enhancement layer is nothing to a decoder of the base.
    let mut layered = whole.to_vec();
    layered[1] |= 1 << 3;
    assert!(!sets.take(&layered));
    assert_eq!(sets.refused, 18);
}

#[test]
fn nal_units_of_pictures_hold_no_sets() {
    for piece in annexb::split_pictures(NalCodec::H264, H264) {
        let picture = annexb::read(NalCodec::H264, piece, |_| {});
        assert!(
            nal::split_lengths(&picture.data)
                .all(|nal| !NalCodec::H264.kind(nal).unwrap().is_set())
        );
    }
}

mod hostile {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_change_of_a_set_upsets_it(
            changes in prop::collection::vec((2usize..40, any::<u8>()), 1..6),
            ten_bit in any::<bool>(),
        ) {
            let mut sps = hevc_format(if ten_bit { HEVC_10BIT } else { HEVC }).sps.to_vec();
            let length = sps.len();
            for (at, value) in changes {
                sps[at % (length - 2) + 2] = value;
            }
            let mut sets = hevc::ParameterSets::default();
            sets.take(&hevc_format(HEVC).vps[0]);
            sets.take(&hevc_format(HEVC).pps[0]);
            sets.take(&sps);
            if let Some(format) = sets.format() {
                prop_assert!(format.width > 0 && format.height > 0);
                let _ = Format::Hevc(format).codec_string();
            }
        }

        #[test]
        fn no_change_of_a_temporal_unit_upsets_it(
            changes in prop::collection::vec((0usize..60, any::<u8>()), 1..6)
        ) {
            let mut unit = AV1[..AV1.len().min(400)].to_vec();
            for (at, value) in changes {
                unit[at] = value;
            }
            if let Some(format) = av1::read(&unit).and_then(|unit| unit.format) {
                let _ = Format::Av1(format).codec_string();
            }
        }
    }
}
