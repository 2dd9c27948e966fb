//! Invariant: whatever timestamps and reports come whenever, the decode times of a track rise and are never negative.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use roomtone_frames::Timeline;
use roomtone_frames::timeline::{Stamp, Stamps};

fuzz_target!(|input: &[u8]| {
    let begun = Instant::now();
    let mut timeline = Timeline::new(begun);
    for number in 0..4 {
        let shared = number < 2;
        let stamps = Stamps {
            source: number / 2,
            shared,
            rate: [90_000, 1000, 48_000, 90_000][number as usize],
            bits: if shared { 33 } else { 32 },
        };
        timeline.add_track(stamps, 90_000);
    }
    let (mut last, mut now, mut rest) = ([-1; 4], begun, input);
    while let Some((&[kind, ms, near, a, b, c, d, e], behind)) = rest.split_first_chunk::<8>() {
        rest = behind;
        let track = usize::from(kind & 3);
        let far = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
        now += Duration::from_millis(u64::from(ms) << (kind >> 6) * 3);
        match kind >> 2 & 7 {
            0 => timeline.restart(track as u32 / 2),
            1 => timeline.handle_report(track, far as i64 * 40 - (1 << 44), u64::from(near) << 24),
            _ => {
                let dts = far >> (near & 31);
                let stamp = Stamp {
                    dts,
                    pts: dts.wrapping_add(near.into()),
                };
                let placed = timeline.handle_unit(track, stamp, now).expect("a track");
                assert!(placed.dts > last[track]);
                last[track] = placed.dts;
            }
        }
    }
});
