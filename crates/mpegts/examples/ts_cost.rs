//! Reads a transport stream and prints what is in it, and what a packet of it costs. Run with `--release`.
//!
//! `ts_cost FILE [RUNS [other]]`; the bytes come in runs of 1,316, as by SRT or UDP. `other` is `tst-core`, which leaves pictures
//! as they are in their packets.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use roomtone_mpegts::{Demuxer, Event, PACKET_BYTES};

const DATAGRAM_BYTES: usize = 7 * PACKET_BYTES;

fn main() -> Result<(), std::io::Error> {
    let mut words = std::env::args().skip(1);
    let path = words.next().unwrap_or_else(|| "/dev/stdin".to_owned());
    let runs: u32 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let stream = std::fs::read(path)?;
    describe(&stream);
    let packets = (stream.len() / PACKET_BYTES) as f64;
    if words.next().as_deref() == Some("other") {
        let other = nanoseconds(runs, || read_by_other(&stream));
        println!("tst-core: {:.1} ns a packet", other / packets);
    } else if runs > 0 {
        let ours = nanoseconds(runs, || {
            read(&stream, |event| {
                black_box(event);
            });
        });
        println!("{:.1} ns a packet", ours / packets);
    }
    Ok(())
}

fn describe(stream: &[u8]) {
    let mut units = BTreeMap::new();
    let stats = read(stream, |event| match event {
        Event::Unit { track, .. } => {
            *units.entry(track.0).or_insert(0_u64) += 1;
        }
        Event::Clock { .. } => {}
        other => println!("{other:?}"),
    });
    println!("units by track: {units:?}\n{stats:?}");
}

fn read(stream: &[u8], mut take: impl FnMut(Event)) -> roomtone_mpegts::Stats {
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
