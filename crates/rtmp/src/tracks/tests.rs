use bytes::{Bytes, BytesMut};
use hex_literal::hex;
use proptest::prelude::*;
use roomtone_frames::nal::with_lengths;
use roomtone_frames::{AacFormat, CarriedCodec, OpusFormat, h264};

use super::*;
use crate::{TagWriter, Unsupported};

/// x264, 1280x720, main profile.
const SPS: [u8; 24] = hex!("674d401fd9005005ba10000003001000000303c8f1832480");
/// The same with another level.
const OTHER_SPS: [u8; 24] = hex!("674d4020d9005005ba10000003001000000303c8f1832480");
const PPS: [u8; 5] = hex!("68ebc3cb20");
const IDR: &[u8] = &[0x65, 0x88, 0x80, 1];
const SLICE: &[u8] = &[0x41, 0x9a, 2];

fn h264(sps: &[u8]) -> Format {
    let mut sets = h264::ParameterSets::default();
    sets.take(sps);
    sets.take(&PPS);
    Format::H264(sets.format().unwrap())
}

fn video(first: u8, nals: &[&[u8]]) -> Bytes {
    let mut body = BytesMut::from(&[first, 1, 0, 0, 40][..]);
    body.extend_from_slice(&with_lengths(nals.iter().copied()));
    body.freeze()
}

fn unit(dts: i64, offset: i64, keyframe: bool, nals: &[&[u8]]) -> AccessUnit {
    AccessUnit {
        dts,
        pts: dts + offset,
        keyframe,
        data: with_lengths(nals.iter().copied()),
    }
}

fn all(tracks: &mut Tracks) -> Vec<Output> {
    std::iter::from_fn(|| tracks.poll_output()).collect()
}

#[test]
fn pictures_of_h264_come_out_without_parameter_sets_and_delimiters() {
    let mut tracks = Tracks::default();
    let format = h264(&SPS);
    let header = TagWriter::new(format.clone()).header().unwrap();
    tracks.handle_tag(Media::Video, 100, &header).unwrap();
    let body = video(0x17, &[&[9, 0xf0], &SPS, &PPS, IDR]);
    tracks.handle_tag(Media::Video, 100, &body).unwrap();
    tracks
        .handle_tag(Media::Video, 140, &video(0x27, &[SLICE]))
        .unwrap();
    assert_eq!(
        all(&mut tracks),
        [
            Output::Format(Media::Video, format),
            Output::Unit(Media::Video, unit(9000, 3600, true, &[IDR])),
            Output::Unit(Media::Video, unit(12_600, 3600, false, &[SLICE])),
        ]
    );
}

#[test]
fn a_configuration_or_sets_that_change_in_the_midst_are_a_new_format() {
    let mut tracks = Tracks::default();
    let header = |sps: &[u8]| TagWriter::new(h264(sps)).header().unwrap();
    let formats = |tracks: &mut Tracks| -> Vec<Format> {
        all(tracks)
            .into_iter()
            .filter_map(|output| match output {
                Output::Format(_, format) => Some(format),
                _ => None,
            })
            .collect()
    };
    let idr = video(0x17, &[IDR]);
    for header in [header(&SPS), header(&SPS), header(&OTHER_SPS)] {
        tracks.handle_tag(Media::Video, 0, &header).unwrap();
        tracks.handle_tag(Media::Video, 0, &idr).unwrap();
    }
    let in_band = video(0x17, &[&SPS, &PPS, IDR]);
    tracks.handle_tag(Media::Video, 0, &in_band).unwrap();
    let expected = [h264(&SPS), h264(&OTHER_SPS), h264(&SPS)];
    assert_eq!(formats(&mut tracks), expected);
}

#[test]
fn pictures_before_their_configuration_are_counted() {
    let mut tracks = Tracks::default();
    tracks
        .handle_tag(Media::Video, 0, &video(0x17, &[IDR]))
        .unwrap();
    assert_eq!(all(&mut tracks), []);
    assert_eq!(tracks.counters().without_format, 1);
}

#[test]
fn lengths_of_two_bytes_are_made_four() {
    let mut tracks = Tracks::default();
    let mut header = TagWriter::new(h264(&SPS)).header().unwrap().to_vec();
    // The length of lengths stands behind tag header, version, profile, compatibility and level.
    header[5 + 4] = 0xfd;
    tracks.handle_tag(Media::Video, 0, &header.into()).unwrap();
    let mut body = vec![0x17, 1, 0, 0, 0, 0, IDR.len() as u8];
    body.extend_from_slice(IDR);
    tracks.handle_tag(Media::Video, 0, &body.into()).unwrap();
    let expected = Output::Unit(Media::Video, unit(0, 0, true, &[IDR]));
    assert_eq!(all(&mut tracks).last(), Some(&expected));
}

#[test]
fn sound_is_on_the_clock_of_its_samples() {
    let aac = Format::Aac(AacFormat {
        config: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
    });
    let writer = TagWriter::new(aac.clone());
    let mut tracks = Tracks::default();
    tracks
        .handle_tag(Media::Audio, 0, &writer.header().unwrap())
        .unwrap();
    for milliseconds in [0, 21, 43, 64] {
        tracks
            .handle_tag(
                Media::Audio,
                milliseconds,
                &Bytes::from_static(&[0xaf, 1, 7]),
            )
            .unwrap();
    }
    let outputs = all(&mut tracks);
    assert_eq!(outputs[0], Output::Format(Media::Audio, aac));
    let times: Vec<i64> = outputs[1..]
        .iter()
        .map(|output| match output {
            Output::Unit(_, unit) => unit.dts,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(times, [0, 1024, 2048, 3072]);
    assert_eq!(tracks.counters().sound_jumps, 0);
}

#[test]
fn what_is_only_carried_is_named() {
    let mut tracks = Tracks::default();
    let vp9 = Bytes::from_static(&hex!("91 76703039 8249"));
    let ac3 = Bytes::from_static(&hex!("91 61632d33 0b77"));
    tracks.handle_tag(Media::Video, 10, &vp9).unwrap();
    tracks.handle_tag(Media::Audio, 10, &ac3).unwrap();
    let codecs: Vec<_> = all(&mut tracks)
        .into_iter()
        .filter_map(|output| match output {
            Output::Format(_, Format::Carried(carried)) => Some(carried.codec),
            _ => None,
        })
        .collect();
    assert_eq!(codecs, [CarriedCodec::Vp9, CarriedCodec::Ac3]);
}

#[test]
fn what_is_not_taken_is_an_error_each_time() {
    let mut tracks = Tracks::default();
    let second_track = Bytes::from_static(&hex!("96 01 61763031 01 aa"));
    for _ in 0..2 {
        assert_eq!(
            tracks.handle_tag(Media::Video, 0, &second_track),
            Err(Unsupported::Multitrack.into())
        );
    }
    assert_eq!(tracks.counters().unsupported, 2);
}

fn any_format() -> impl Strategy<Value = Format> {
    prop_oneof![
        Just(h264(&SPS)),
        Just(Format::Opus(OpusFormat {
            channels: 2,
            pre_skip: 312,
        })),
        Just(Format::Aac(AacFormat {
            config: Bytes::from_static(&[0x12, 0x10]),
            sample_rate: 44_100,
            channels: 2,
        })),
    ]
}

proptest! {
    #[test]
    fn units_written_as_tags_read_as_they_were(format in any_format(), milliseconds in 0i64..1 << 40) {
        let writer = TagWriter::new(format.clone());
        let rate = i64::from(format.clock_rate());
        let data = if format.is_video() { with_lengths([IDR]) } else { Bytes::from_static(&[0xfc, 1, 2]) };
        let dts = milliseconds * rate / 1000;
        let unit = AccessUnit { dts, pts: dts, keyframe: true, data };
        let mut tracks = Tracks::default();
        tracks.handle_tag(writer.media(), writer.timestamp(&unit), &writer.header().unwrap()).unwrap();
        tracks.handle_tag(writer.media(), writer.timestamp(&unit), &writer.unit(&unit)).unwrap();
        let outputs = all(&mut tracks);
        prop_assert_eq!(&outputs[0], &Output::Format(writer.media(), format));
        let Output::Unit(_, read) = &outputs[1] else { panic!("{:?}", outputs[1]) };
        prop_assert_eq!(&read.data, &unit.data);
        // Times are in milliseconds of 32 bits on the wire.
        let wrapped = (milliseconds & 0xffff_ffff) * rate / 1000;
        prop_assert!((read.dts - wrapped).abs() <= rate / 1000 + 1);
    }

    #[test]
    fn no_bytes_upset_it(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..8)) {
        let mut tracks = Tracks::default();
        for (at, body) in bodies.into_iter().enumerate() {
            let media = if at % 2 == 0 { Media::Video } else { Media::Audio };
            let _ = tracks.handle_tag(media, at as u32, &body.into());
        }
        all(&mut tracks);
    }
}

#[test]
fn lines_of_text_have_the_times_of_the_tracks_and_their_language() {
    let mut tracks = Tracks::default();
    let header = TagWriter::new(h264(&SPS)).header().unwrap();
    tracks.handle_tag(Media::Video, 0, &header).unwrap();
    let late = u32::MAX - 20;
    let frame = video(0x17, &[IDR]);
    tracks.handle_tag(Media::Video, late, &frame).unwrap();
    let line = |members: &[(&'static str, &str)]| {
        let members = members
            .iter()
            .map(|(name, text)| (*name, Value::from(*text)));
        [Value::object(members)]
    };
    let ffmpeg = line(&[("type", "Text"), ("text", "hello")]);
    tracks.handle_data("onTextData", 30, &ffmpeg).unwrap();
    let wowza = line(&[("text", ""), ("language", "eng")]);
    tracks.handle_data("onTextData", 90, &wowza).unwrap();
    tracks.handle_data("onCuePoint", 95, &ffmpeg).unwrap();
    let endless = "x".repeat(5000);
    let endless = line(&[("text", endless.as_str())]);
    for malformed in [
        &[][..],
        &[Value::Null],
        &line(&[("type", "Text")]),
        &endless,
    ] {
        let read = tracks.handle_data("onTextData", 99, malformed);
        assert_eq!(read, Err(TagError::Malformed));
    }
    let lines: Vec<TextLine> = all(&mut tracks)
        .into_iter()
        .filter_map(|output| match output {
            Output::Text(line) => Some(line),
            _ => None,
        })
        .collect();
    // Behind the turn of 32 bits, as pictures would be.
    let turn = 1_i64 << 32;
    let expected = |milliseconds, language: Option<&str>, text: &str| TextLine {
        milliseconds: turn + milliseconds,
        language: language.map(str::to_owned),
        text: text.to_owned(),
    };
    assert_eq!(
        lines,
        [expected(30, None, "hello"), expected(90, Some("eng"), "")]
    );
    assert_eq!(tracks.counters().malformed, 4);
}
