//! What the multiplexer writes the demultiplexer reads, whatever is done to it on the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bytes::Bytes;
use common::{read, read_split, units};
use proptest::prelude::*;
use roomtone_frames::{AacFormat, AccessUnit, Format, NalCodec, OpusFormat, annexb, h264, hevc};
use roomtone_mpegts::{
    DropReason, Event, MuxError, Muxer, MuxerConfig, PACKET_BYTES, Pid, TrackId,
};

const DELAY: i64 = 27_000;

/// Pictures and their format out of a byte stream that FFmpeg encoded; each is decoded 3,600 ticks after the last and
/// shown one later.
fn pictures(codec: NalCodec, stream: &[u8]) -> (Format, Vec<AccessUnit>) {
    let mut avc = h264::ParameterSets::default();
    let mut sets = hevc::ParameterSets::default();
    let units = annexb::split_pictures(codec, stream)
        .map(|piece| {
            annexb::read(codec, piece, |set| {
                avc.take(set);
                sets.take(set);
            })
        })
        .enumerate()
        .map(|(n, picture)| AccessUnit {
            dts: n as i64 * 3600,
            pts: n as i64 * 3600 + 3600,
            keyframe: picture.keyframe,
            data: picture.data,
        })
        .collect();
    let format = match codec {
        NalCodec::H264 => Format::H264(avc.format().unwrap()),
        NalCodec::Hevc => Format::Hevc(sets.format().unwrap()),
    };
    (format, units)
}

fn h264_pictures() -> (Format, Vec<AccessUnit>) {
    pictures(
        NalCodec::H264,
        include_bytes!("../../frames/tests/vectors/h264.h264"),
    )
}

fn hevc_pictures() -> (Format, Vec<AccessUnit>) {
    pictures(
        NalCodec::Hevc,
        include_bytes!("../../frames/tests/vectors/hevc.hevc"),
    )
}

fn aac() -> Format {
    Format::Aac(AacFormat {
        config: Bytes::from_static(&[0x12, 0x10]),
        sample_rate: 44_100,
        channels: 2,
    })
}

fn opus() -> Format {
    Format::Opus(OpusFormat {
        channels: 2,
        pre_skip: 312,
    })
}

/// Frames of sound; the first byte is the configuration where it is Opus.
fn frames(count: i64, samples: i64, begin: i64) -> Vec<AccessUnit> {
    (0..count)
        .map(|n| AccessUnit {
            dts: begin + n * samples,
            pts: begin + n * samples,
            keyframe: true,
            data: Bytes::from([&[0xfc][..], &vec![n as u8; 40 + n as usize * 7 % 300]].concat()),
        })
        .collect()
}

/// Tracks written in the order of their decode times.
fn write(config: MuxerConfig, tracks: &[(Format, Vec<AccessUnit>)]) -> Vec<u8> {
    let mut muxer = Muxer::new(config);
    let mut all = Vec::new();
    for (format, units) in tracks {
        let track = muxer.add_track(format.clone(), None).unwrap();
        let rate = i64::from(format.clock_rate());
        all.extend(
            units
                .iter()
                .map(|unit| (unit.dts * 90_000 / rate, track, unit)),
        );
    }
    all.sort_by_key(|(time, track, _)| (*time, *track));
    let mut out = Vec::new();
    for (_, track, unit) in all {
        muxer.handle_unit(track, unit).unwrap();
        while let Some(datagram) = muxer.poll_datagram() {
            assert_eq!(datagram.len(), 7 * PACKET_BYTES);
            out.extend(datagram);
        }
    }
    out.extend(std::iter::from_fn(|| muxer.poll_rest()).flatten());
    out
}

/// What is to come out: later by the delay of the multiplexer.
fn expected(format: &Format, units: &[AccessUnit]) -> Vec<(i64, i64, bool, Vec<u8>)> {
    let delay = DELAY * i64::from(format.clock_rate()) / 90_000;
    units
        .iter()
        .map(|unit| {
            (
                unit.dts + delay,
                unit.pts + delay,
                unit.keyframe,
                unit.data.to_vec(),
            )
        })
        .collect()
}

#[test]
fn pictures_and_sound_come_out_as_they_went_in() {
    for video in [h264_pictures(), hevc_pictures()] {
        let tracks = [
            video,
            (aac(), frames(30, 1024, 0)),
            (opus(), frames(30, 960, 0)),
        ];
        let (events, stats) = read(&write(MuxerConfig::default(), &tracks));
        for (n, (format, sent)) in tracks.iter().enumerate() {
            let track = TrackId(n as u32);
            assert_eq!(units(&events, track), expected(format, sent), "track {n}");
            let told = events.iter().find_map(|event| match event {
                Event::Format { track: its, format } if *its == track => Some(format),
                _ => None,
            });
            assert_eq!(told, Some(format));
        }
        let dropped: u64 = stats.dropped.iter().sum();
        assert_eq!((dropped, stats.continuity_errors, stats.unnamed), (0, 0, 0));
    }
}

#[test]
fn times_go_on_over_the_wrap_of_33_bits() {
    let begin = (1 << 33) - 5 * 3600 - DELAY;
    let (format, mut sent) = h264_pictures();
    for unit in &mut sent {
        unit.dts += begin;
        unit.pts += begin;
    }
    let sound = frames(30, 960, begin * 48_000 / 90_000);
    let tracks = [(format.clone(), sent.clone()), (opus(), sound.clone())];
    let (events, _) = read(&write(MuxerConfig::default(), &tracks));
    assert_eq!(units(&events, TrackId(0)), expected(&format, &sent));
    assert_eq!(units(&events, TrackId(1)), expected(&opus(), &sound));
    let clocks: Vec<i64> = clocks(&events);
    assert!(clocks.is_sorted() && clocks[0] < 300 << 33 && *clocks.last().unwrap() > 300 << 33);
}

fn clocks(events: &[Event]) -> Vec<i64> {
    let clock = |event: &Event| match event {
        Event::Clock { pcr, .. } => Some(*pcr),
        _ => None,
    };
    events.iter().filter_map(clock).collect()
}

#[test]
fn the_clock_comes_every_40_ms_even_where_units_are_rare() {
    let (format, mut sent) = h264_pictures();
    for (n, unit) in sent.iter_mut().enumerate() {
        (unit.dts, unit.pts) = (n as i64 * 30_000, n as i64 * 30_000);
    }
    for tracks in [vec![(format, sent)], vec![(aac(), frames(100, 1024, 0))]] {
        let (events, _) = read(&write(MuxerConfig::default(), &tracks));
        let clocks = clocks(&events);
        assert!(clocks.len() > 10);
        assert!(clocks.is_sorted_by(|a, b| a < b && b - a <= 27_000 * 40));
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::Discontinuity { .. }))
        );
    }
}

#[test]
fn a_clock_that_jumps_is_announced() {
    let (format, mut sent) = h264_pictures();
    for unit in &mut sent[6..] {
        unit.dts += 9_000_000;
        unit.pts += 9_000_000;
    }
    let (events, _) = read(&write(
        MuxerConfig::default(),
        &[(format.clone(), sent.clone())],
    ));
    let jumps = events
        .iter()
        .filter(|event| matches!(event, Event::Discontinuity { .. }));
    assert_eq!(jumps.count(), 1);
    assert_eq!(units(&events, TrackId(0)), expected(&format, &sent));
}

#[test]
fn a_picture_with_a_hole_is_dropped_with_all_that_refer_to_it() {
    let (format, mut sent) = h264_pictures();
    // A second group of pictures behind the first.
    for unit in sent.clone() {
        sent.push(AccessUnit {
            dts: unit.dts + 43_200,
            pts: unit.pts + 43_200,
            ..unit
        });
    }
    let stream = write(MuxerConfig::default(), &[(format.clone(), sent.clone())]);
    let expected = expected(&format, &sent);
    let packets: Vec<_> = stream.chunks(PACKET_BYTES).collect();
    for lost in 4..packets.len() - 1 {
        if packets[lost][3] & 0x10 == 0 || packets[lost][1] & 0x1f != 1 {
            continue;
        }
        let rest = [&packets[..lost], &packets[lost + 1..]].concat().concat();
        let (events, stats) = read(&rest);
        assert_eq!(stats.continuity_errors, 1, "packet {lost}");
        let got = units(&events, TrackId(0));
        assert!(got.len() < expected.len());
        assert!(
            got.iter().all(|unit| expected.contains(unit)),
            "packet {lost}"
        );
        let gap = got.windows(2).find(|two| two[1].0 - two[0].0 != 3600);
        assert!(gap.is_none_or(|two| two[1].2), "it goes on at a keyframe");
        assert!(stats.dropped(DropReason::Continuity) + stats.dropped(DropReason::Undecodable) > 0);
    }
}

#[test]
fn a_packet_sent_twice_is_taken_once() {
    let tracks = [h264_pictures(), (aac(), frames(30, 1024, 0))];
    let stream = write(MuxerConfig::default(), &tracks);
    let (events, _) = read(&stream);
    let twice: Vec<u8> = stream
        .chunks(PACKET_BYTES)
        .flat_map(|one| [one, one].concat())
        .collect();
    let (again, stats) = read(&twice);
    let media = |events: &[Event]| -> Vec<Event> {
        let is_media = |event: &&Event| matches!(event, Event::Unit { .. } | Event::Dropped { .. });
        events.iter().filter(is_media).cloned().collect()
    };
    assert_eq!(media(&again), media(&events));
    assert!(stats.duplicates > 0);
    assert_eq!(stats.continuity_errors, 0);
}

#[test]
fn streams_that_move_to_other_pids_are_other_tracks_and_nothing_is_lost() {
    let (format, sent) = h264_pictures();
    let first = write(MuxerConfig::default(), &[(format.clone(), sent.clone())]);
    let moved = MuxerConfig {
        first_pid: Pid::new(0x200),
        ..MuxerConfig::default()
    };
    let second = write(
        moved,
        &[(format.clone(), sent.clone()), (aac(), frames(20, 1024, 0))],
    );
    let (events, stats) = read(&[first, second].concat());
    assert_eq!(units(&events, TrackId(0)), expected(&format, &sent));
    assert_eq!(units(&events, TrackId(1)), expected(&format, &sent));
    let removed = events
        .iter()
        .position(|event| *event == Event::TrackRemoved { track: TrackId(0) });
    let last = events.iter().rposition(|event| {
        matches!(
            event,
            Event::Unit {
                track: TrackId(0),
                ..
            }
        )
    });
    assert!(
        last < removed,
        "the last picture is given before its track goes"
    );
    // The second multiplexer counts its tables from the beginning.
    assert!(stats.continuity_errors <= 2);
}

#[test]
fn what_has_no_place_is_refused() {
    let mut muxer = Muxer::new(MuxerConfig::default());
    let strange = AacFormat {
        config: Bytes::from_static(&[0xf9, 0x40]),
        sample_rate: 48_000,
        channels: 2,
    };
    let refused = muxer.add_track(Format::Aac(strange), None);
    assert_eq!(refused, Err(MuxError::Unsupported("mp4a.40.42".to_owned())));
    let track = muxer.add_track(aac(), Some(*b"deu")).unwrap();
    let unit = AccessUnit {
        dts: 0,
        pts: 0,
        keyframe: true,
        data: Bytes::from(vec![0; 9000]),
    };
    assert_eq!(
        muxer.handle_unit(track, &unit),
        Err(MuxError::TooLong(9000))
    );
    assert_eq!(
        muxer.poll_rest(),
        None,
        "a refused unit leaves nothing behind"
    );
    muxer.remove_track(track).unwrap();
    assert_eq!(muxer.handle_unit(track, &unit), Err(MuxError::UnknownTrack));
    let many = (0..300)
        .map(|_| muxer.add_track(aac(), None))
        .find(Result::is_err);
    assert_eq!(many, Some(Err(MuxError::TooManyTracks)));
}

#[derive(Debug, Clone)]
enum Damage {
    Byte(usize, u8),
    Cut(usize, usize),
    Insert(usize, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0..20_000_usize;
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (at.clone(), 0..700_usize).prop_map(|(at, bytes)| Damage::Cut(at, bytes)),
        (
            at,
            prop::collection::vec(prop_oneof![Just(0x47), any::<u8>()], 0..400)
        )
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_comes_out_of_a_damaged_stream_however_it_is_split(
        damages in prop::collection::vec(damage(), 0..12),
        run in prop_oneof![1..10_usize, 100..2000_usize],
    ) {
        let tracks = [h264_pictures(), (aac(), frames(20, 1024, 0)), (opus(), frames(20, 960, 0))];
        let mut stream = write(MuxerConfig::default(), &tracks);
        for damage in damages {
            match damage {
                Damage::Byte(at, byte) if at < stream.len() => stream[at] = byte,
                Damage::Cut(at, bytes) if at < stream.len() => {
                    stream.drain(at..(at + bytes).min(stream.len()));
                }
                Damage::Insert(at, bytes) if at < stream.len() => {
                    stream.splice(at..at, bytes);
                }
                _ => {}
            }
        }
        prop_assert_eq!(read_split(&stream, run), read(&stream));
    }

    #[test]
    fn no_bytes_upset_it(
        bytes in prop::collection::vec(prop_oneof![Just(0x47_u8), Just(0), any::<u8>()], 0..4000),
    ) {
        read(&bytes);
    }
}
