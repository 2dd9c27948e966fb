//! Redundancy and correction that lie: nothing panics, and what goes out stays bounded and in order.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use std::collections::{HashMap, HashSet};

use roomtone_rtp::{Codec, MediaKind};
use roomtone_sfu::*;
use support::*;

const RED: u8 = 63;
const FEC: u8 = 117;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Block headers that mostly make sense, in front of anything.
fn payload(random: &mut Random, types: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    let pick = |random: &mut Random| types[random.below(types.len() as u64) as usize];
    for _ in 0..random.below(4) {
        let (offset, len) = (random.below(4) * 960, random.below(40));
        out.push(0x80 | pick(random));
        out.push((offset >> 6) as u8);
        out.push(((offset << 2) & 0xfc) as u8);
        out.push(len as u8);
    }
    out.push(pick(random));
    for _ in 0..random.below(160) {
        out.push(random.next() as u8);
    }
    if random.below(8) == 0 {
        let at = random.below(out.len() as u64) as usize;
        out[at] ^= random.next() as u8;
    }
    if random.below(8) == 0 {
        out.truncate(random.below(out.len() as u64 + 1) as usize);
    }
    out
}

fn run(kind: MediaKind, seed: u64) -> (u64, usize) {
    let mut rig = Rig::with(RouterConfig {
        audio_top_n: Some(1),
        ..RouterConfig::default()
    });
    let video = kind == MediaKind::Video;
    let (media, codec) = if video {
        (VP8, Codec::Vp8)
    } else {
        (OPUS, Codec::Opus)
    };
    let codecs = [(media, codec), (RED, Codec::Red), (FEC, Codec::Ulpfec)]
        .into_iter()
        .map(|(payload_type, codec)| CodecParams {
            payload_type,
            codec,
            clock_rate: if video { 90_000 } else { 48_000 },
            channels: 2,
            rtx_payload_type: None,
            feedback: FeedbackKinds::default(),
        })
        .collect();
    let params = ProducerParams {
        kind,
        codecs,
        extensions: vec![],
        ..audio_params()
    };
    rig.router
        .produce(PUBLISHER, AUDIO, params, rig.now)
        .unwrap();
    let asked = Redundancy {
        payload_type: 64,
        protects: media,
        blocks: 4,
    };
    let all = vec![(media, media), (RED, RED), (FEC, FEC)];
    let wishes = [
        (20, vec![(media, media)], None, false),
        (21, all.clone(), None, false),
        (22, vec![(media, media)], (!video).then_some(asked), false),
        (23, vec![(media, 100), (RED, 101)], None, false),
        (24, all, None, true),
    ];
    for (id, payload_types, redundancy, verbatim) in wishes {
        let transport = TransportId(50 + id);
        rig.open(transport);
        let params = ConsumerParams {
            kind,
            mid: None,
            payload_types,
            rtx_payload_types: vec![],
            extensions: vec![],
            redundancy,
            verbatim,
            ..out_params(Some(AUDIO))
        };
        rig.router
            .consume(transport, ConsumerId(id), params, rig.now)
            .unwrap();
    }
    let mut random = Random(seed);
    let (mut sequence, mut timestamp) = (65_000_u16, u32::MAX - 50_000);
    let mut seen: HashMap<TransportId, HashSet<u16>> = HashMap::new();
    let mut sent = 0;
    for _ in 0..3_000 {
        let step = random.below(20);
        sequence = sequence.wrapping_add(if step == 0 { 7 } else { 1 });
        timestamp = timestamp.wrapping_add(960);
        let late = random.below(10) == 0;
        let back = if late { random.below(12) as u16 } else { 0 };
        let types = [media, media, media, RED, FEC, 5];
        let packet = Packet {
            payload_type: [media, RED, RED, RED, FEC][random.below(5) as usize],
            extensions: vec![],
            marker: random.below(3) == 0,
            payload: payload(&mut random, &types),
            ..opus(
                sequence.wrapping_sub(back),
                timestamp.wrapping_sub(u32::from(back) * 960),
                0,
            )
        };
        let _ = rig.rtp(&packet.bytes());
        rig.pass_ms(5);
        for out in rig.media() {
            assert!(out.bytes.len() < 1_400);
            let numbers = seen.entry(out.transport).or_default();
            let number = out.rtp().sequence();
            assert!(
                numbers.insert(number),
                "{number} twice to {:?}",
                out.transport
            );
            sent += 1;
        }
    }
    let stats = rig.router.producer_stats(AUDIO).unwrap().streams[0].clone();
    (stats.packets_recovered, sent)
}

#[test]
fn audio_of_lies_is_survived() {
    for seed in 0..8 {
        let (recovered, sent) = run(MediaKind::Audio, seed);
        assert!(recovered <= 3_000 * 8 && sent > 3_000, "{recovered} {sent}");
    }
}

#[test]
fn video_of_lies_is_survived() {
    for seed in 0..8 {
        let (recovered, sent) = run(MediaKind::Video, seed);
        assert!(recovered == 0 && sent > 1_000, "{recovered} {sent}");
    }
}
