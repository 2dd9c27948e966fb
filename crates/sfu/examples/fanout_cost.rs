//! What one forwarded packet costs without socket and cipher: one publisher, many subscribers.
//!
//! `cargo run --release -p roomtone-sfu --example fanout_cost [subscribers]`
#![allow(clippy::disallowed_methods)] // It measures: it is allowed to look at the clock.

use std::hint::black_box;
use std::time::{Duration, Instant};

use roomtone_rtp::{Codec, ExtensionKind, MediaKind};
use roomtone_sfu::{
    CodecParams, ConsumerId, ConsumerParams, EncodingParams, FeedbackKinds, ProducerId,
    ProducerParams, Router, RouterConfig, TransportId, TransportParams, WallClock,
};

const FRAME_PACKETS: u16 = 5;
const VP8: u8 = 96;

fn router(subscribers: u64, base: Instant) -> Router {
    let mut router = Router::new(RouterConfig::default(), WallClock { at: base, ntp: 0 }, 1);
    let publisher = TransportId(0);
    router
        .open_transport(publisher, TransportParams::default(), base)
        .expect("fresh id");
    let feedback = FeedbackKinds {
        nack: true,
        pli: true,
        transport_cc: false,
        ..FeedbackKinds::default()
    };
    let params = ProducerParams {
        kind: MediaKind::Video,
        mid: Some("0".into()),
        codecs: vec![CodecParams {
            payload_type: VP8,
            codec: Codec::Vp8,
            clock_rate: 90_000,
            channels: 0,
            rtx_payload_type: None,
            feedback,
        }],
        encodings: vec![EncodingParams {
            ssrc: Some(1),
            ..EncodingParams::default()
        }],
        extensions: vec![
            (1, ExtensionKind::Mid),
            (2, ExtensionKind::TransportSequence),
        ],
        paused: false,
    };
    router
        .produce(publisher, ProducerId(0), params, base)
        .expect("valid");
    for n in 1..=subscribers {
        let transport = TransportId(n);
        router
            .open_transport(transport, everything(), base)
            .expect("fresh id");
        router.set_writable(transport, true, base).expect("open");
        let params = ConsumerParams {
            producer: Some(ProducerId(0)),
            kind: MediaKind::Video,
            mid: Some("0".into()),
            payload_types: vec![(VP8, 100)],
            rtx_payload_types: vec![(100, 101)],
            extensions: vec![
                (1, ExtensionKind::Mid),
                (2, ExtensionKind::TransportSequence),
            ],
            ssrc: None,
            rtx_ssrc: None,
            paused: false,
            feedback,
            redundancy: None,
            verbatim: false,
        };
        router
            .consume(transport, ConsumerId(n), params, base)
            .expect("valid");
    }
    router
}

/// A packet with MID and transport sequence; the payload is `len` bytes.
/// A transport that is given all there is at once: what is measured is forwarding.
fn everything() -> TransportParams {
    TransportParams {
        unlimited: true,
        ..TransportParams::default()
    }
}

fn packet(
    sequence: u16,
    timestamp: u32,
    first: bool,
    key: bool,
    marker: bool,
    len: usize,
) -> Vec<u8> {
    let mut out = vec![0x90, (u8::from(marker) << 7) | VP8];
    out.extend(sequence.to_be_bytes());
    out.extend(timestamp.to_be_bytes());
    out.extend(1_u32.to_be_bytes());
    out.extend([0xbe, 0xde, 0, 2, 0x10, b'0', 0x21]);
    out.extend(sequence.to_be_bytes());
    out.extend([0; 3]);
    out.extend([
        if first { 0x10 } else { 0 },
        u8::from(!key),
        0,
        0,
        0x9d,
        0x01,
        0x2a,
        0,
        0,
        0,
        0,
    ]);
    out.resize(24 + len, 0x55);
    out
}

/// CPU time of this thread in nanoseconds, where the kernel tells it: wall time counts the neighbours too.
fn cpu_ns() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Nanoseconds a packet forwarded, its share of receiving, timers and reports included.
fn measure(subscribers: u64, len: usize) -> f64 {
    let base = Instant::now();
    let mut router = router(subscribers, base);
    let mut out = vec![0; 1_600];
    let (mut written, mut received) = (0_u64, 0_u64);
    let mut sequence = 0_u16;
    let frames = (400_000 / subscribers) as u32;
    let (began, began_cpu) = (Instant::now(), cpu_ns());
    for frame in 0..frames {
        let now = base + Duration::from_micros(u64::from(frame) * 33_333);
        for n in 0..FRAME_PACKETS {
            sequence = sequence.wrapping_add(1);
            let (first, last) = (n == 0, n + 1 == FRAME_PACKETS);
            let packet = packet(sequence, frame * 3_000, first, frame == 0, last, len);
            router
                .handle_rtp(TransportId(0), &packet, now)
                .expect("in order");
            received += 1;
        }
        while let Some(transport) = router.poll_burst(now) {
            while let Some(packet) = router.write_packet(transport, now, &mut out) {
                black_box(&out[..packet.len]);
                written += u64::from(!packet.rtcp);
            }
        }
        router.handle_timeout(now);
        while router.poll_event().is_some() {}
    }
    let spent = match (began_cpu, cpu_ns()) {
        (Some(began), Some(ended)) => ended - began,
        _ => began.elapsed().as_nanos() as u64,
    };
    assert_eq!(
        written,
        received * subscribers,
        "every packet went to every subscriber"
    );
    spent as f64 / written as f64
}

fn main() {
    let asked = std::env::args().nth(1).and_then(|count| count.parse().ok());
    let counts = asked.map_or_else(|| vec![50, 100, 200], |count| vec![count]);
    for len in [1_100, 120] {
        for subscribers in &counts {
            let cost = measure(*subscribers, len);
            println!("{len:>5} B, 1 -> {subscribers:<4} {cost:6.1} ns of CPU a packet forwarded");
        }
    }
}
