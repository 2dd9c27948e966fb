//! Invariant: pictures of any size, at times that waver, with keyframes anywhere, are in the listed segments as they came.
#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use roomtone_frames::{AccessUnit, Format, H264Format};
use roomtone_hls::{Directives, MediaAnswer, Packager, PackagerConfig, PlaylistAnswer, Track};

const CLOCK_RATE: u64 = 90_000;
const DEPENDENT: u32 = 0x0001_0000;

fn packager() -> Packager {
    let format = Format::H264(H264Format {
        sps: Bytes::from_static(&[0x67, 0x4d, 0x40, 0x1f, 0xd9]),
        pps: vec![Bytes::from_static(&[0x68, 0xeb])],
        width: 640,
        height: 360,
        chroma_format: 1,
        luma_bits: 8,
        chroma_bits: 8,
    });
    let config = PackagerConfig {
        run: "r1".to_owned(),
        part_us: None,
        window_us: 1_000_000_000,
        zero_us: 1_767_225_600_000_000,
    };
    let name = "video".to_owned();
    Packager::new(config, vec![Track { name, format }])
}

/// The unit of four bytes, behind the last one.
fn unit(last: i64, told: [u8; 4]) -> AccessUnit {
    let [step, kind, len, seed] = told;
    // From 30 ms to 45: what comes at less even times is told of as gaps.
    let dts = last + 2_700 + 90 * i64::from(step & 15);
    AccessUnit {
        dts,
        pts: dts + 90 * i64::from(kind >> 2),
        keyframe: kind & 3 == 3,
        data: Bytes::from(vec![seed; 1 + usize::from(len)]),
    }
}

/// The boxes that lie one behind the other: names and bodies.
fn boxes(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut found = vec![];
    while !bytes.is_empty() {
        let size = word(bytes, 0) as usize;
        found.push((&bytes[4..8], &bytes[8..size]));
        bytes = &bytes[size..];
    }
    found
}

fn inside<'a>(bytes: &'a [u8], name: &[u8; 4]) -> &'a [u8] {
    let found = boxes(bytes).into_iter().find(|(its, _)| *its == name);
    found.expect("it has the box").1
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The samples of `moof` and `mdat`, one pair behind the other (ISO/IEC 14496-12 section 8.8).
fn samples(bytes: &[u8]) -> Vec<AccessUnit> {
    let mut read = vec![];
    for pair in boxes(bytes).chunks(2) {
        let [(b"moof", moof), (b"mdat", mut data)] = *pair else {
            panic!("moof and mdat")
        };
        let traf = inside(moof, b"traf");
        let tfdt = inside(traf, b"tfdt");
        let mut dts = if tfdt[0] == 1 {
            i64::from(word(tfdt, 4)) << 32 | i64::from(word(tfdt, 8))
        } else {
            i64::from(word(tfdt, 4))
        };
        let mut trun = inside(traf, b"trun");
        let mut next = || {
            let (word, rest) = trun.split_first_chunk().expect("four bytes");
            trun = rest;
            u32::from_be_bytes(*word)
        };
        let told = next() & 0x00ff_ffff;
        let count = next();
        assert_eq!(told & 0x301, 0x301, "each has a duration and a size");
        let _data_at = next();
        let mut first = (told & 0x4 != 0).then(&mut next);
        for _ in 0..count {
            let (duration, size) = (next(), next());
            let flags = if told & 0x400 == 0 {
                first.take().unwrap_or(0)
            } else {
                next()
            };
            let later = if told & 0x800 == 0 {
                0
            } else {
                i64::from(next())
            };
            let (body, rest) = data.split_at(size as usize);
            data = rest;
            read.push(AccessUnit {
                dts,
                pts: dts + later,
                keyframe: flags & DEPENDENT == 0,
                data: Bytes::copy_from_slice(body),
            });
            dts += i64::from(duration);
        }
        assert!(data.is_empty());
    }
    read
}

fn listed(packager: &mut Packager) -> Vec<AccessUnit> {
    let whole = Directives::parse("").expect("no directives");
    let PlaylistAnswer::Ready(playlist) = packager.playlist("video", whole) else {
        return vec![];
    };
    let text = std::str::from_utf8(&playlist.text).expect("text");
    let uris = text.lines().filter(|line| !line.starts_with('#'));
    uris.flat_map(|uri| match packager.media("video", uri) {
        MediaAnswer::Ready(bodies) => samples(&bodies.concat()),
        other => panic!("{uri}: {other:?} in {text}"),
    })
    .collect()
}

fuzz_target!(|input: &[u8]| {
    let mut packager = packager();
    let begun = Instant::now();
    let (mut last, mut sent, mut now) = (0, vec![], begun);
    for told in input.as_chunks::<4>().0.iter().take(4_000) {
        let unit = unit(last, *told);
        last = unit.dts;
        now = begun + Duration::from_micros(last as u64 * 1_000_000 / CLOCK_RATE);
        // Nothing can be seen before a keyframe.
        if unit.keyframe || !sent.is_empty() {
            sent.push(unit.clone());
        }
        packager
            .handle_unit(0, unit, now)
            .expect("it fits its boxes");
    }
    packager.end(now).expect("it fits its boxes");
    assert_eq!(packager.held().iter().map(|held| held.late).sum::<u64>(), 0);
    assert_eq!(listed(&mut packager), sent);
});
