//! Streams that FFmpeg wrote, taken apart as FFmpeg takes them apart (`python tools/ts_vectors.py` draws both).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{read, read_split};
use roomtone_frames::Format;
use roomtone_mpegts::{Event, TrackId};

/// Of the header that FFmpeg leaves before each frame.
const ADTS_BYTES: usize = 7;

struct Vector {
    stream: &'static [u8],
    packets: &'static str,
}

macro_rules! vector {
    ($name:literal) => {
        Vector {
            stream: include_bytes!(concat!("vectors/", $name)),
            packets: include_str!(concat!("vectors/", $name, ".packets")),
        }
    };
}

/// Decode time, time, bytes.
type Times = Vec<(i64, i64, usize)>;

impl Vector {
    fn events(&self) -> Vec<Event> {
        let (events, stats) = read(self.stream);
        assert_eq!(stats.dropped.iter().sum::<u64>(), 0, "{stats:?}");
        assert_eq!((stats.continuity_errors, stats.skipped_bytes), (0, 0));
        events
    }

    /// What FFmpeg found in a stream.
    fn expected(&self, stream: u32) -> Times {
        self.packets
            .lines()
            .map(|line| {
                let fields: Vec<i64> = line
                    .split(' ')
                    .map(|field| field.parse().unwrap())
                    .collect();
                (fields[0], (fields[1], fields[2], fields[3] as usize))
            })
            .filter(|(its, _)| *its == i64::from(stream))
            .map(|(_, packet)| packet)
            .collect()
    }
}

/// What was found, in ticks of 90 kHz; those of FFmpeg are rounded in another direction.
fn found(events: &[Event], track: u32) -> (Format, Times) {
    let track = TrackId(track);
    let format = events.iter().find_map(|event| match event {
        Event::Format { track: its, format } if *its == track => Some(format.clone()),
        _ => None,
    });
    let format = format.unwrap();
    let rate = i64::from(format.clock_rate());
    let times = common::units(events, track)
        .into_iter()
        .map(|(dts, pts, _, data)| (dts * 90_000 / rate, pts * 90_000 / rate, data.len()))
        .collect();
    (format, times)
}

fn assert_times(found: &Times, expected: &Times) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let apart = (found.0 - expected.0)
            .abs()
            .max((found.1 - expected.1).abs());
        assert!(apart <= 1, "{found:?} {expected:?}");
    }
}

fn assert_pictures(vector: &Vector, events: &[Event], keyframes: &[usize]) {
    let (_, times) = found(events, 0);
    assert_times(&times, &vector.expected(0));
    let units = common::units(events, TrackId(0));
    let found: Vec<_> = (0..units.len()).filter(|&n| units[n].2).collect();
    assert_eq!(found, keyframes);
}

fn assert_sound(vector: &Vector, events: &[Event], header: usize) {
    let (_, times) = found(events, 1);
    let expected: Times = vector
        .expected(1)
        .iter()
        .map(|&(dts, pts, size)| (dts, pts, size - header))
        .collect();
    assert_times(&times, &expected);
    let sizes = |times: &Times| times.iter().map(|time| time.2).collect::<Vec<_>>();
    assert_eq!(sizes(&times), sizes(&expected));
}

#[test]
fn reordered_h264_and_aac_are_taken_apart_as_ffmpeg_does_it() {
    let vector = vector!("h264_aac.ts");
    let events = vector.events();
    assert_pictures(&vector, &events, &[0, 12, 24]);
    assert_sound(&vector, &events, ADTS_BYTES);
    let (format, times) = found(&events, 0);
    assert_eq!((format.name(), format.size()), ("H.264", Some((160, 90))));
    assert!(
        times.iter().any(|time| time.1 > time.0),
        "pictures are reordered"
    );
    let (format, _) = found(&events, 1);
    assert_eq!((format.clock_rate(), format.channels()), (44_100, Some(2)));
}

#[test]
fn interlaced_h264_and_latm_are_taken_apart_as_ffmpeg_does_it() {
    let vector = vector!("h264_fields_latm.ts");
    let events = vector.events();
    assert_pictures(&vector, &events, &[0, 12, 24]);
    let (format, times) = found(&events, 1);
    assert_eq!(format.codec_string(), "mp4a.40.2");
    assert_times(&times, &vector.expected(1));
}

#[test]
fn open_groups_of_pictures_are_entered_where_they_recover() {
    let vector = vector!("h264_open_gop.ts");
    let events = vector.events();
    let units = common::units(&events, TrackId(0));
    assert_times(&found(&events, 0).1, &vector.expected(0));
    let keyframes = units.iter().filter(|unit| unit.2).count();
    assert!(keyframes >= 2, "only the first is an IDR picture");
}

#[test]
fn hevc_and_opus_are_taken_apart_as_ffmpeg_does_it() {
    let vector = vector!("hevc_opus.ts");
    let events = vector.events();
    assert_pictures(&vector, &events, &[0, 12, 24]);
    assert_sound(&vector, &events, 0);
    let (format, _) = found(&events, 1);
    assert_eq!((format.name(), format.channels()), ("Opus", Some(2)));
}

#[test]
fn mp3_and_ac3_are_carried_frame_by_frame_as_ffmpeg_does_it() {
    let vector = vector!("mp3_ac3.ts");
    let events = vector.events();
    for (track, name, rate) in [(0, "MP3", 44_100), (1, "AC-3", 48_000)] {
        let (format, times) = found(&events, track);
        assert_eq!(
            (format.name(), format.clock_rate(), format.channels()),
            (name, rate, Some(1))
        );
        assert_times(&times, &vector.expected(track));
        let sizes = |times: &Times| times.iter().map(|time| time.2).collect::<Vec<_>>();
        assert_eq!(sizes(&times), sizes(&vector.expected(track)));
    }
}

#[test]
fn all_of_them_cut_anywhere_and_in_any_runs_give_the_same_or_less() {
    let all = [
        vector!("h264_aac.ts"),
        vector!("h264_fields_latm.ts"),
        vector!("h264_open_gop.ts"),
        vector!("hevc_opus.ts"),
        vector!("mp3_ac3.ts"),
    ];
    for vector in all {
        let (whole, _) = read(vector.stream);
        for run in [1, 7, 188, 1316, 5000] {
            assert_eq!(read_split(vector.stream, run).0, whole);
        }
        for cut in (0..vector.stream.len()).step_by(501) {
            let (events, _) = read(&vector.stream[..cut]);
            let units = common::units(&events, TrackId(0));
            let expected = common::units(&whole, TrackId(0));
            // The last picture ends where the stream does: nobody can say that it goes on.
            let sure = units.len().saturating_sub(1);
            assert_eq!(units[..sure], expected[..sure]);
        }
    }
}
