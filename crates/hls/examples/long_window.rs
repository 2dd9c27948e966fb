//! What a state of a playlist costs when the window is a day: `cargo run --release -p roomtone-hls --example long_window`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]
#![allow(clippy::disallowed_methods, reason = "a measurement")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roomtone_frames::{AccessUnit, Format, H264Format};
use roomtone_hls::{Directives, Packager, PackagerConfig, PlaylistAnswer, Stored, Track};

const TICKS: i64 = 3_600;
/// Pictures of a segment.
const GROUP: i64 = 100;

fn track(name: &str) -> Track {
    let format = H264Format {
        sps: Bytes::from_static(&[0x67, 0x4d, 0x40, 0x1f, 0xd9]),
        pps: vec![Bytes::from_static(&[0x68, 0xeb])],
        width: 1280,
        height: 720,
        chroma_format: 1,
        luma_bits: 8,
        chroma_bits: 8,
    };
    Track {
        name: name.to_owned(),
        format: Format::H264(format),
    }
}

fn main() {
    for hours in [0, 1, 6, 24] {
        measure(hours);
    }
}

fn measure(hours: u64) {
    let config = PackagerConfig {
        run: "e6f1c2d31".to_owned(),
        part_us: None,
        window_us: hours.max(1) * 3_600_000_000 / if hours == 0 { 30 } else { 1 },
        zero_us: 1_767_225_600_000_000,
    };
    let names = ["video", "video2", "video3"];
    let mut packager = Packager::new(config, names.map(track).into());
    let begun = Instant::now();
    let picture = Bytes::from(vec![0; 100]);
    let mut number = 0;
    let mut step = |packager: &mut Packager| {
        let now = begun + Duration::from_millis(number as u64 * 40);
        for track in 0..names.len() {
            let unit = AccessUnit {
                dts: number * TICKS,
                pts: number * TICKS,
                keyframe: number % GROUP == 0,
                data: picture.clone(),
            };
            packager.handle_unit(track, unit, now).unwrap();
        }
        number += 1;
        while let Some(leaving) = packager.next_leaving(60_000_000) {
            let stored = Stored::new(PathBuf::new(), leaving.bytes, Arc::new(|_, _| {}));
            packager.handle_left(leaving.track, leaving.segment, Some(stored));
        }
    };
    for _ in 0..(hours * 3600 + 300) * 25 {
        step(&mut packager);
    }
    let (mut feed, mut whole, mut delta, mut zip) =
        <(Duration, Duration, Duration, Duration)>::default();
    let (mut states, mut bytes, mut zipped) = (0, 0, 0);
    let mut version = packager.version();
    while states < 60 {
        let begin = Instant::now();
        step(&mut packager);
        feed += begin.elapsed();
        if packager.version() == version {
            continue;
        }
        version = packager.version();
        states += 1;
        let mut ask = |skip| {
            let begin = Instant::now();
            let wanted = Directives { wanted: None, skip };
            let PlaylistAnswer::Ready(list) = packager.playlist("video", wanted) else {
                panic!("no list");
            };
            (list, begin.elapsed())
        };
        let (list, took) = ask(false);
        whole += took;
        delta += ask(true).1;
        let begin = Instant::now();
        zipped = list.gzip().len();
        zip += begin.elapsed();
        bytes = list.text.len();
    }
    let each = |all: Duration| all.as_secs_f64() * 1e6 / f64::from(states);
    println!(
        "{hours:>2} h, {} segments: a part of 3 variants {:.0} us, whole list {:.0} us ({bytes} bytes), delta {:.0} us, \
         gzip {:.0} us ({zipped} bytes)",
        hours * 900,
        each(feed),
        each(whole),
        each(delta),
        each(zip)
    );
}
