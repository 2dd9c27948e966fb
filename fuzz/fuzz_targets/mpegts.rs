//! Invariant: any bytes give the same events however they are split, no more is held than the limits say, and nothing is
//! held at the end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_mpegts::{Demuxer, Event, Limits, Stats};

const LIMITS: Limits = Limits {
    programs: 4,
    tracks: 8,
    unit_bytes: 4096,
    held_bytes: 16_384,
    events: 1 << 20,
};

fn read(bytes: &[u8], run: usize) -> (Vec<Event>, Stats) {
    let mut demuxer = Demuxer::new(LIMITS);
    let mut events = Vec::new();
    for run in bytes.chunks(run) {
        demuxer.handle_bytes(run);
        assert!(demuxer.held_bytes() <= LIMITS.held_bytes + LIMITS.unit_bytes);
        events.extend(std::iter::from_fn(|| demuxer.poll_event()));
    }
    demuxer.finish();
    assert_eq!(demuxer.held_bytes(), 0);
    events.extend(std::iter::from_fn(|| demuxer.poll_event()));
    (events, demuxer.stats())
}

fuzz_target!(|input: &[u8]| {
    let Some((&run, bytes)) = input.split_first() else {
        return;
    };
    let whole = read(bytes, usize::MAX);
    assert_eq!(read(bytes, usize::from(run) + 1), whole);
    for event in &whole.0 {
        if let Event::Unit { unit, .. } = event {
            assert!(unit.data.len() <= 2 * LIMITS.unit_bytes);
        }
    }
});
