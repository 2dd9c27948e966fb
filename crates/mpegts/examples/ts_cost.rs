//! What a packet of a transport stream costs, taken apart and written. Run with `--release`.
//!
//! `ts_cost [RUNS]`: nanoseconds a packet, the best of so many runs, beside `tst-core`, which leaves pictures as they are in
//! their packets. `ts_cost count PICTURES`: the packets of one run, for counting instructions in `counted`.
//! `ts_cost FILE`: what is in a stream. Bytes come in runs of 1,316, as by SRT or UDP.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use roomtone_frames::{AacFormat, AccessUnit, Format, h264, nal};
use roomtone_mpegts::{Demuxer, Event, Muxer, MuxerConfig, PACKET_BYTES, Stats};

const DATAGRAM_BYTES: usize = 7 * PACKET_BYTES;
/// x264, 1280x720, main profile.
const SPS: &[u8] = &[
    0x67, 0x4d, 0x40, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xba, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
    0x00, 0x03, 0x03, 0xc8, 0xf1, 0x83, 0x24, 0x80,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xc3, 0xcb, 0x20];
/// Four megabits a second: a keyframe every two seconds, and other pictures of 25 a second.
const KEYFRAME_BYTES: usize = 120_000;
const PICTURE_BYTES: usize = 18_000;
const GROUP: u32 = 50;
/// 128 kilobits a second.
const SOUND_BYTES: usize = 341;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["count", pictures] => {
            let stream = counted::write(&units(pictures.parse()?))?;
            black_box(counted::read(&stream, drop));
            println!("{}", stream.len() / PACKET_BYTES);
        }
        [word] if word.parse::<u32>().is_err() => describe(&std::fs::read(word)?),
        [] => print_times(20)?,
        [runs, ..] => print_times(runs.parse()?)?,
    }
    Ok(())
}

/// What is counted, apart from the making of units.
mod counted {
    use super::{
        AccessUnit, BoxedError, DATAGRAM_BYTES, Demuxer, Event, Muxer, MuxerConfig, Stats, formats,
    };

    #[inline(never)]
    pub(crate) fn read(stream: &[u8], mut take: impl FnMut(Event)) -> Stats {
        let mut demuxer = Demuxer::default();
        for datagram in stream.chunks(DATAGRAM_BYTES) {
            demuxer.handle_bytes(datagram);
            while let Some(event) = demuxer.poll_event() {
                take(event);
            }
        }
        demuxer.finish();
        while let Some(event) = demuxer.poll_event() {
            take(event);
        }
        demuxer.stats()
    }

    #[inline(never)]
    pub(crate) fn write(units: &[(usize, AccessUnit)]) -> Result<Vec<u8>, BoxedError> {
        let mut muxer = Muxer::new(MuxerConfig::default());
        let mut tracks = Vec::new();
        for format in formats() {
            tracks.push(muxer.add_track(format, None)?);
        }
        let mut out = Vec::new();
        for (track, unit) in units {
            muxer.handle_unit(tracks[*track], unit)?;
            while let Some(datagram) = muxer.poll_datagram() {
                out.extend_from_slice(&datagram);
            }
        }
        out.extend(std::iter::from_fn(|| muxer.poll_rest()).flatten());
        Ok(out)
    }
}

type BoxedError = Box<dyn std::error::Error>;

/// Pictures and sound.
fn formats() -> Vec<Format> {
    let mut sets = h264::ParameterSets::default();
    sets.take(SPS);
    sets.take(PPS);
    let sound = AacFormat {
        config: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
    };
    let video = sets.format().map(Format::H264);
    video.into_iter().chain([Format::Aac(sound)]).collect()
}

/// So many pictures, and the sound beside them, in the order of their times.
fn units(pictures: u32) -> Vec<(usize, AccessUnit)> {
    let mut noise = Noise(7);
    let mut units: Vec<(i64, usize, AccessUnit)> = (0..pictures)
        .map(|n| {
            let keyframe = n % GROUP == 0;
            let bytes = if keyframe {
                KEYFRAME_BYTES
            } else {
                PICTURE_BYTES
            };
            let mut slice = vec![if keyframe { 0x65 } else { 0x41 }, 0x88];
            slice.extend(noise.by_ref().take(bytes));
            let time = i64::from(n) * 3600;
            (
                time,
                0,
                unit(time, keyframe, nal::with_lengths([&slice[..]])),
            )
        })
        .collect();
    for n in 0..i64::from(pictures) * 3600 / 1920 {
        let data = noise.by_ref().take(SOUND_BYTES).collect();
        units.push((n * 1920, 1, unit(n * 1024, true, data)));
    }
    units.sort_by_key(|(time, track, _)| (*time, *track));
    units
        .into_iter()
        .map(|(_, track, unit)| (track, unit))
        .collect()
}

fn unit(time: i64, keyframe: bool, data: Bytes) -> AccessUnit {
    AccessUnit {
        dts: time,
        pts: time,
        keyframe,
        data,
    }
}

/// Bytes as of a coded picture: none of three is a start code.
struct Noise(u32);

impl Iterator for Noise {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(((self.0 >> 24) as u8).max(1))
    }
}

fn describe(stream: &[u8]) {
    let mut units = BTreeMap::new();
    let stats = counted::read(stream, |event| match event {
        Event::Unit { track, .. } => *units.entry(track.0).or_insert(0_u64) += 1,
        Event::Clock { .. } => {}
        other => println!("{other:?}"),
    });
    println!("units by track: {units:?}\n{stats:?}");
}

fn print_times(runs: u32) -> Result<(), BoxedError> {
    let units = units(250);
    let stream = counted::write(&units)?;
    let packets = (stream.len() / PACKET_BYTES) as f64;
    let read = nanoseconds(runs, || {
        counted::read(&stream, |event| {
            black_box(event);
        });
    });
    let other = nanoseconds(runs, || read_by_other(&stream));
    let written = nanoseconds(runs, || {
        black_box(counted::write(&units).is_ok());
    });
    println!(
        "taken apart {:.1} ns a packet, tst-core {:.1}",
        read / packets,
        other / packets
    );
    println!("written {:.1} ns a packet", written / packets);
    Ok(())
}

#[allow(
    clippy::disallowed_methods,
    reason = "a measurement reads the clock; the library never does"
)]
fn nanoseconds(runs: u32, mut work: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..runs {
        let begin = Instant::now();
        work();
        best = best.min(begin.elapsed().as_secs_f64() * 1e9);
    }
    best
}

fn read_by_other(stream: &[u8]) {
    let mut demuxer = tst_core::mpegts::demux::Demuxer::new();
    for datagram in stream.chunks(DATAGRAM_BYTES) {
        if demuxer.feed(datagram).is_err() {
            println!("tst-core refuses it");
        }
        while let Some(event) = demuxer.next_event() {
            black_box(event);
        }
    }
}
