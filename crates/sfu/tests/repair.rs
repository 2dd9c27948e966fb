//! Loss on both sides of the router, in virtual time over seeded bad links.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use roomtone_netem::{Link, LinkConfig};
use roomtone_rtp::rtcp::{
    CompoundWriter, Entries, Nack, NackPair, NackPairs, RtcpPacket, parse_compound,
};
use roomtone_rtp::{RtpPacket, SequenceUnwrapper, is_rtcp};
use roomtone_sfu::*;
use support::*;

const STEP: Duration = Duration::from_millis(1);

fn lossy(loss: f64, reorder: f64, duplicate: f64, seed: u64) -> Link {
    let config = LinkConfig {
        delay: Duration::from_millis(20),
        loss,
        reorder,
        duplicate,
        ..LinkConfig::default()
    };
    Link::new(config, seed).unwrap()
}

/// A publisher that answers NACKs.
#[derive(Default)]
struct Publisher {
    sent: HashMap<u16, Packet>,
    payloads: Vec<Vec<u8>>,
    next: u16,
    rtx: u16,
    keyframe_wanted: bool,
}

impl Publisher {
    fn frame(&mut self, timestamp: u32, key: bool) -> Vec<Vec<u8>> {
        (0..4)
            .map(|n| {
                let mut packet = vp8(self.next, timestamp, n == 0, key, n == 3, 600 + n * 10);
                packet.payload.extend(self.payloads.len().to_be_bytes());
                self.payloads.push(packet.payload.clone());
                self.next = self.next.wrapping_add(1);
                let bytes = packet.bytes();
                self.sent.insert(packet.sequence, packet);
                bytes
            })
            .collect()
    }

    fn on_rtcp(&mut self, data: &[u8]) -> Vec<Vec<u8>> {
        let mut again = vec![];
        for packet in parse_compound(data) {
            match packet.unwrap() {
                RtcpPacket::Nack(nack) => {
                    for sequence in nack.sequences() {
                        self.rtx = self.rtx.wrapping_add(1);
                        again.push(rtx(&self.sent[&sequence], self.rtx).bytes());
                    }
                }
                RtcpPacket::Pli(_) => self.keyframe_wanted = true,
                _ => {}
            }
        }
        again
    }
}

/// A subscriber that asks for what it misses.
#[derive(Default)]
struct Subscriber {
    unwrapper: SequenceUnwrapper,
    payloads: BTreeMap<u64, Vec<u8>>,
    asked: HashMap<u64, (Instant, u32)>,
    duplicates: u64,
}

impl Subscriber {
    fn on_rtp(&mut self, data: &[u8]) {
        let packet = RtpPacket::parse(data).unwrap();
        let (sequence, payload) = if packet.payload_type() == OUT_RTX {
            let (original, payload) = packet.payload().split_first_chunk::<2>().unwrap();
            (u16::from_be_bytes(*original), payload)
        } else {
            (packet.sequence(), packet.payload())
        };
        let seq = self.unwrapper.unwrap(sequence);
        let known = self.payloads.insert(seq, payload.to_vec());
        self.duplicates += u64::from(known.is_some());
        assert!(
            known.is_none_or(|known| known == payload),
            "one number, one packet"
        );
    }

    fn missing(&mut self, now: Instant) -> Vec<u16> {
        let (Some(first), Some(last)) = (
            self.payloads.keys().next(),
            self.payloads.keys().next_back(),
        ) else {
            return vec![];
        };
        let from = (*first).max(last.saturating_sub(300));
        let mut wanted = vec![];
        for seq in from..*last {
            if self.payloads.contains_key(&seq) {
                continue;
            }
            let (at, count) = self.asked.entry(seq).or_insert((now, 0));
            if *count == 0 || (now - *at >= Duration::from_millis(60) && *count < 10) {
                (*at, *count) = (now, *count + 1);
                wanted.push(seq as u16);
            }
        }
        wanted
    }
}

fn nack(ssrc: u32, sequences: &[u16]) -> Vec<u8> {
    let mut out = [0; 1_400];
    let mut writer = CompoundWriter::new(&mut out);
    let pairs: Vec<NackPair> = NackPairs::from_sorted(sequences.iter().copied()).collect();
    writer
        .push(&Nack {
            sender_ssrc: 1,
            media_ssrc: ssrc,
            pairs: Entries::new(&pairs),
        })
        .unwrap();
    let len = writer.finish();
    out[..len].to_vec()
}

struct Outcome {
    published: usize,
    arrived: usize,
    subscriber: Subscriber,
    stats: InboundStreamStats,
}

/// Half a minute of video over four lossy links.
fn run(loss: f64, reorder: f64, duplicate: f64, seed: u64) -> Outcome {
    let mut rig = Rig::video();
    rig.router
        .set_round_trip(PUBLISHER, Duration::from_millis(40))
        .unwrap();
    let ssrc = rig.router.consumer_dump(VIDEO_OUT).unwrap().ssrc;
    let mut links: Vec<Link> = (0..4)
        .map(|n| lossy(loss, reorder, duplicate, seed * 10 + n))
        .collect();
    let (mut publisher, mut subscriber) = (Publisher::default(), Subscriber::default());
    // Close to the wrap, so that it is part of every run.
    publisher.next = 65_000;
    let frames = 900_u32;
    let end = 33 * frames + 3_000;
    for ms in 0..end {
        let now = rig.now;
        if ms % 33 == 0 && ms / 33 < frames {
            let key = ms == 0 || std::mem::take(&mut publisher.keyframe_wanted);
            for packet in publisher.frame(ms * 90, key) {
                links[0].send(now, packet);
            }
        }
        while let Some(data) = links[1].poll(now) {
            for packet in publisher.on_rtcp(&data) {
                links[0].send(now, packet);
            }
        }
        while let Some(data) = links[0].poll(now) {
            let _ = rig.router.handle_rtp(PUBLISHER, &data, now);
        }
        while let Some(data) = links[2].poll(now) {
            if !is_rtcp(&data) {
                subscriber.on_rtp(&data);
            }
        }
        let missing = subscriber.missing(now);
        if !missing.is_empty() {
            links[3].send(now, nack(ssrc, &missing));
        }
        while let Some(data) = links[3].poll(now) {
            rig.router.handle_rtcp(SUBSCRIBER, &data, now).unwrap();
        }
        rig.pass(STEP);
        for out in std::mem::take(&mut rig.sent) {
            let link = if out.transport == PUBLISHER { 1 } else { 2 };
            links[link].send(rig.now, out.bytes);
        }
    }
    let stats = rig.router.producer_stats(VIDEO).unwrap().streams[0].clone();
    let arrived: HashSet<_> = subscriber.payloads.values().collect();
    // A first frame that came with a hole is nobody's entry point: what counts begins after it.
    let began = publisher
        .payloads
        .iter()
        .position(|payload| arrived.contains(payload))
        .unwrap();
    let (published, arrived) = (publisher.payloads.len() - began, arrived.len());
    assert!(began < 8, "forwarding began at packet {began}");
    Outcome {
        published,
        arrived,
        subscriber,
        stats,
    }
}

#[test]
fn five_per_cent_of_loss_on_every_link_end_as_less_than_a_thousandth() {
    for seed in 1..=5 {
        let outcome = run(0.05, 0.0, 0.0, seed);
        let lost = outcome.published - outcome.arrived;
        println!(
            "seed {seed}: {} published, {lost} lost, {:?}",
            outcome.published, outcome.stats
        );
        assert!(
            lost * 1_000 < outcome.published,
            "seed {seed}: {lost} of {}",
            outcome.published
        );
        assert!(
            outcome.stats.packets_repaired > 50,
            "seed {seed}: the loss was real"
        );
    }
}

#[test]
fn reordering_and_duplication_lose_nothing_and_double_nothing() {
    for seed in 1..=3 {
        let outcome = run(0.0, 0.05, 0.05, seed);
        assert_eq!(outcome.arrived, outcome.published, "seed {seed}");
        assert!(outcome.stats.duplicates > 0, "seed {seed}");
        // Numbers without a hole: nothing was given a number twice or passed over.
        let (first, last) = (
            outcome.subscriber.payloads.keys().next(),
            outcome.subscriber.payloads.keys().next_back(),
        );
        let span = last.unwrap() - first.unwrap() + 1;
        assert_eq!(
            span as usize,
            outcome.subscriber.payloads.len(),
            "seed {seed}"
        );
    }
}

#[test]
fn on_a_clean_line_nothing_is_asked_for() {
    let outcome = run(0.0, 0.0, 0.0, 1);
    assert_eq!(
        (outcome.arrived, outcome.subscriber.duplicates),
        (outcome.published, 0)
    );
    assert_eq!(
        (outcome.stats.nack_count, outcome.stats.packets_lost),
        (0, 0)
    );
}
