//! Invariant: pictures and sound of any size at any times come out of a transport stream as they went in.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use roomtone_frames::{AacFormat, AccessUnit, Format, NalCodec, OpusFormat, annexb, h264};
use roomtone_mpegts::{Demuxer, Event, MuxError, Muxer, MuxerConfig, TrackId};

static PICTURES: LazyLock<Format> = LazyLock::new(|| {
    let stream = include_bytes!("../../crates/frames/tests/vectors/h264.h264");
    let mut sets = h264::ParameterSets::default();
    for piece in annexb::split_pictures(NalCodec::H264, stream) {
        annexb::read(NalCodec::H264, piece, |set| {
            sets.take(set);
        });
    }
    Format::H264(sets.format().expect("the vector has parameter sets"))
});

fn formats() -> [Format; 3] {
    let aac = AacFormat {
        config: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
    };
    let opus = OpusFormat {
        channels: 2,
        pre_skip: 312,
    };
    [PICTURES.clone(), Format::Aac(aac), Format::Opus(opus)]
}

/// Bytes without zeros: nothing in them looks like the beginning of another unit.
fn fill(len: usize, seed: u8) -> impl Iterator<Item = u8> {
    (0..len).map(move |at| (at as u8).wrapping_mul(31).wrapping_add(seed) | 1)
}

fn data(track: usize, keyframe: bool, len: usize, seed: u8) -> Bytes {
    match track {
        // One slice behind its length.
        0 => {
            let header = if keyframe { 0x65 } else { 0x41 };
            let length = (len as u32 + 1).to_be_bytes();
            length
                .into_iter()
                .chain([header])
                .chain(fill(len, seed))
                .collect()
        }
        1 => fill(len, seed).collect(),
        // A packet of one frame of 20 ms.
        _ => std::iter::once(0xfc).chain(fill(len, seed)).collect(),
    }
}

/// The unit of six bytes, behind the last one of its track.
fn unit(track: usize, last: i64, told: [u8; 5]) -> AccessUnit {
    let [step, later, low, high, seed] = told;
    // In units that are whole numbers of ticks on the clocks of sound and of the stream.
    let step = 16 * (i64::from(step) + 1);
    let keyframe = track != 0 || later & 1 == 1;
    let later = if track == 0 { 16 * i64::from(later) } else { 0 };
    let len = usize::from(u16::from_le_bytes([low, high & 0x1f])) + 1;
    AccessUnit {
        dts: last + step,
        pts: last + step + later,
        keyframe,
        data: data(track, keyframe, len, seed),
    }
}

fn read(stream: &[u8]) -> [Vec<AccessUnit>; 3] {
    let mut units = [vec![], vec![], vec![]];
    let mut demuxer = Demuxer::default();
    let mut take = |demuxer: &mut Demuxer| {
        while let Some(event) = demuxer.poll_event() {
            match event {
                Event::Unit {
                    track: TrackId(track),
                    unit,
                } => units[track as usize].push(unit),
                // Nothing can be seen before a keyframe.
                Event::Dropped { .. } => assert!(units[0].is_empty(), "{event:?}"),
                _ => {}
            }
        }
    };
    for run in stream.chunks(1316) {
        demuxer.handle_bytes(run);
        take(&mut demuxer);
    }
    demuxer.finish();
    take(&mut demuxer);
    units
}

fuzz_target!(|input: &[u8]| {
    let formats = formats();
    let config = MuxerConfig::default();
    let mut muxer = Muxer::new(config);
    let tracks = formats
        .clone()
        .map(|format| muxer.add_track(format, None).expect("it has a place"));
    let delay = formats
        .clone()
        .map(|format| config.delay * i64::from(format.clock_rate()) / 90_000);
    let mut last = [0; 3];
    let mut sent = [vec![], vec![], vec![]];
    let mut stream = Vec::new();
    for told in input.as_chunks::<6>().0 {
        let [track, told @ ..] = *told;
        let track = usize::from(track % 3);
        let mut unit = unit(track, last[track], told);
        match muxer.handle_unit(tracks[track], &unit) {
            Ok(()) => {
                last[track] = unit.dts;
                unit.dts += delay[track];
                unit.pts += delay[track];
                // Nothing can be seen before a keyframe.
                if unit.keyframe || !sent[track].is_empty() {
                    sent[track].push(unit);
                }
            }
            Err(error) => assert!(matches!(error, MuxError::TooLong(_)), "{error}"),
        }
        stream.extend(std::iter::from_fn(|| muxer.poll_datagram()).flatten());
    }
    stream.extend(std::iter::from_fn(|| muxer.poll_rest()).flatten());
    assert_eq!(read(&stream), sent);
});
