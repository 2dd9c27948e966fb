//! Invariant: whatever dependency descriptors a publisher sends, in whatever order, and whatever
//! layers its viewer wishes for, no sequence number goes out twice and nothing panics.
#![no_main]

use std::collections::HashSet;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use roomtone_rtp::{Codec, ExtensionKind, MediaKind, RtpPacket};
use roomtone_sfu::{
    CodecParams, ConsumerId, ConsumerParams, EncodingParams, FeedbackKinds, ProducerId,
    ProducerParams, Router, RouterConfig, TransportId, TransportParams, WallClock,
};

const CAMERA: TransportId = TransportId(1);
const VIEWER: TransportId = TransportId(2);
const TRACK: ProducerId = ProducerId(1);
const SHOWN: ConsumerId = ConsumerId(1);
const DESCRIPTOR: u8 = 5;

fn room(base: Instant) -> Router {
    let mut router = Router::new(RouterConfig::default(), WallClock { at: base, ntp: 0 }, 1);
    for id in [CAMERA, VIEWER] {
        let params = TransportParams {
            mixed_extensions: true,
            unlimited: true,
            ..TransportParams::default()
        };
        router.open_transport(id, params, base).expect("fresh");
        router.set_writable(id, true, base).expect("open");
    }
    let feedback = FeedbackKinds {
        nack: true,
        pli: true,
        ..FeedbackKinds::default()
    };
    let extensions = vec![(DESCRIPTOR, ExtensionKind::DependencyDescriptor)];
    let producer = ProducerParams {
        kind: MediaKind::Video,
        mid: None,
        codecs: vec![CodecParams {
            payload_type: 96,
            codec: Codec::Av1,
            clock_rate: 90_000,
            channels: 0,
            rtx_payload_type: None,
            feedback,
        }],
        encodings: vec![EncodingParams {
            ssrc: Some(7),
            ..EncodingParams::default()
        }],
        extensions: extensions.clone(),
        paused: false,
    };
    router
        .produce(CAMERA, TRACK, producer, base)
        .expect("valid");
    let consumer = ConsumerParams {
        producer: Some(TRACK),
        kind: MediaKind::Video,
        mid: None,
        payload_types: vec![(96, 96)],
        rtx_payload_types: vec![],
        extensions,
        ssrc: None,
        rtx_ssrc: None,
        paused: false,
        feedback,
        redundancy: None,
        verbatim: false,
    };
    router
        .consume(VIEWER, SHOWN, consumer, base)
        .expect("valid");
    router
}

fn packet(sequence: u16, timestamp: u32, marker: bool, descriptor: &[u8]) -> Vec<u8> {
    let mut out = vec![0x90, u8::from(marker) << 7 | 96];
    out.extend(sequence.to_be_bytes());
    out.extend(timestamp.to_be_bytes());
    out.extend(7_u32.to_be_bytes());
    let mut block = vec![DESCRIPTOR, descriptor.len() as u8];
    block.extend(descriptor);
    block.resize(block.len().next_multiple_of(4), 0);
    out.extend([0x10, 0, 0, (block.len() / 4) as u8]);
    out.extend(block);
    out.extend([0xa5; 8]);
    out
}

fuzz_target!(|input: &[u8]| {
    let base = Instant::now();
    let mut now = base;
    let mut router = room(base);
    let (mut sequence, mut timestamp) = (1_u16, 0_u32);
    let mut seen = HashSet::new();
    let mut rest = input;
    // Before each descriptor: a byte of steps and wishes, and one with its length.
    while let [steps, len, behind @ ..] = rest {
        let (descriptor, next) = behind.split_at(usize::from(*len).min(behind.len()));
        rest = next;
        // Forward by one or two, or back.
        sequence = match steps & 3 {
            0 | 1 => sequence.wrapping_add(1),
            2 => sequence.wrapping_add(2),
            _ => sequence.wrapping_sub(1),
        };
        if steps & 4 != 0 {
            timestamp = timestamp.wrapping_add(3_000);
            now += Duration::from_millis(33);
        }
        if steps & 8 != 0 {
            let wish = |bits: u8| Some(bits & 3).filter(|layer| *layer < 3);
            router
                .set_preferred_layers(SHOWN, wish(steps >> 4), wish(steps >> 6), now)
                .expect("it is there");
        }
        let bytes = packet(sequence, timestamp, steps & 0x80 != 0, descriptor);
        let _ = router.handle_rtp(CAMERA, &bytes, now);
        router.handle_timeout(now);
        let mut out = [0; 1_600];
        while let Some(transport) = router.poll_burst(now) {
            while let Some(written) = router.write_packet(transport, now, &mut out) {
                if transport == VIEWER && !written.rtcp {
                    let packet = RtpPacket::parse(&out[..written.len]).expect("it writes RTP");
                    assert!(seen.insert(packet.sequence()), "a number went out twice");
                }
            }
        }
        while router.poll_event().is_some() {}
        // A full cycle of numbers is no repetition.
        if seen.len() > 30_000 {
            seen.clear();
        }
    }
});
