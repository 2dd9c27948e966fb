//! Commands, lines and publishers at random for minutes of virtual time: nobody is lost on the way.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use roomtone_sfu::*;
use support::*;

const VIEWERS: u64 = 3;
const TRACKS: u64 = 3;
const ENCODINGS: u32 = 3;
/// What a picture of each encoding has in packets.
const PACKETS: [usize; 3] = [1, 2, 6];

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// An estimator that believes what it was made with.
#[derive(Debug)]
struct Fixed(u64);

impl BandwidthEstimator for Fixed {
    fn tracks_packets(&self) -> bool {
        true
    }

    fn estimate(&self) -> Estimate {
        Estimate {
            bps: self.0,
            pacing_bps: None,
            confirmed: self.0 > 0,
            at_least: false,
            state: LineState::Normal,
        }
    }

    fn handle_timeout(&mut self, _now: Instant) {}
}

struct Soak {
    rig: Rig,
    dice: Dice,
    sequences: HashMap<u32, u16>,
    /// Encodings the publisher does not send.
    off: Vec<u32>,
    frames: u32,
    /// The viewers' lines.
    lines: Vec<u64>,
    consumers: Vec<(TransportId, ConsumerId)>,
    next: u64,
    starved: HashMap<ConsumerId, bool>,
}

fn viewer(at: u64) -> TransportId {
    TransportId(100 + at)
}

fn ssrc(track: u64, encoding: u32) -> u32 {
    (track as u32 + 1) * 1_000 + encoding * 10
}

impl Soak {
    fn new(seed: u64) -> Self {
        let mut rig = Rig::new();
        for at in 0..VIEWERS {
            rig.open(viewer(at));
        }
        for track in 0..TRACKS {
            let ssrcs: Vec<_> = (0..ENCODINGS).map(|at| Some(ssrc(track, at))).collect();
            let params = ProducerParams {
                mid: Some(track.to_string()),
                ..video_params(&ssrcs)
            };
            let id = ProducerId(10 + track);
            rig.router.produce(PUBLISHER, id, params, rig.now).unwrap();
        }
        Self {
            rig,
            dice: Dice(seed),
            sequences: HashMap::new(),
            off: vec![],
            frames: 0,
            lines: vec![0; VIEWERS as usize],
            consumers: vec![],
            next: 1_000,
            starved: HashMap::new(),
        }
    }

    fn set_line(&mut self, at: u64, kbps: u64) {
        self.lines[at as usize] = kbps;
        let estimator = Box::new(Fixed(kbps * 1_000));
        let now = self.rig.now;
        self.rig
            .router
            .set_estimator(viewer(at), estimator, now)
            .unwrap();
    }

    fn some_consumer(&mut self) -> Option<ConsumerId> {
        let count = self.consumers.len() as u64;
        (count > 0).then(|| self.consumers[self.dice.roll(count) as usize].1)
    }

    fn command(&mut self) {
        let now = self.rig.now;
        let kind = self.dice.roll(12);
        let value = self.dice.roll(4);
        if kind == 0 && self.consumers.len() < 9 {
            let transport = viewer(self.dice.roll(VIEWERS));
            let producer = ProducerId(10 + self.dice.roll(TRACKS));
            self.next += 1;
            let id = ConsumerId(self.next);
            let params = ConsumerParams {
                mid: Some((self.next % 900).to_string()),
                ..out_params(Some(producer))
            };
            self.rig.router.consume(transport, id, params, now).unwrap();
            self.consumers.push((transport, id));
            return;
        }
        if kind == 1 {
            let at = self.dice.roll(VIEWERS);
            let kbps = [0, 60, 250, 700, 1_300, 2_600, 9_000][self.dice.roll(7) as usize];
            return self.set_line(at, kbps);
        }
        if kind == 2 {
            let track = self.dice.roll(TRACKS);
            let encoding = ssrc(track, self.dice.roll(3) as u32);
            if self.off.contains(&encoding) {
                self.off.retain(|other| *other != encoding);
            } else {
                self.off.push(encoding);
            }
            return;
        }
        let producer = ProducerId(10 + self.dice.roll(TRACKS));
        let router = &mut self.rig.router;
        if kind == 3 {
            return if value == 0 {
                router.pause_producer(producer, now).unwrap();
            } else {
                router.resume_producer(producer, now).unwrap();
            };
        }
        let Some(id) = self.some_consumer() else {
            return;
        };
        let router = &mut self.rig.router;
        let limit = |value: u64| (value > 0).then_some(value);
        match kind {
            4 => router.pause_consumer(id, now).unwrap(),
            5 | 6 => router.resume_consumer(id, now).unwrap(),
            7 => router.set_priority(id, value as u8, now).unwrap(),
            8 => {
                let limits = ConsumerLimits {
                    max_width: limit(value).map(|value| value as u32 * 320),
                    max_bitrate: limit(3 - value).map(|value| value * 400_000),
                    ..ConsumerLimits::default()
                };
                router.set_limits(id, limits, now).unwrap();
            }
            9 => {
                let spatial = limit(value).map(|value| value as u8 - 1);
                router.set_preferred_layers(id, spatial, None, now).unwrap();
            }
            10 => {
                let codecs = vec![(VP8, OUT_VP8)];
                router
                    .switch_source(id, Some(producer), codecs, now)
                    .unwrap();
            }
            _ => {
                router.close_consumer(id, now).unwrap();
                self.consumers.retain(|(_, other)| *other != id);
            }
        }
    }

    fn picture(&mut self) {
        for track in 0..TRACKS {
            for (encoding, count) in (0..ENCODINGS).zip(PACKETS) {
                let ssrc = ssrc(track, encoding);
                if self.off.contains(&ssrc) {
                    continue;
                }
                let sequence = self.sequences.entry(ssrc).or_default();
                for part in 0..count {
                    *sequence = sequence.wrapping_add(1);
                    let key = self.frames.is_multiple_of(15);
                    let (first, last) = (part == 0, part + 1 == count);
                    let mut packet = vp8(*sequence, self.frames * 3_000, first, key, last, 1_000);
                    packet.ssrc = ssrc;
                    let sent = self
                        .rig
                        .router
                        .handle_rtp(PUBLISHER, &packet.bytes(), self.rig.now);
                    assert!(matches!(sent, Ok(()) | Err(RtpDrop::Paused)), "{sent:?}");
                }
            }
        }
        self.frames += 1;
        self.rig.drain();
        self.rig.pass(Duration::from_millis(33));
        self.check();
    }

    fn check(&mut self) {
        for event in std::mem::take(&mut self.rig.events) {
            let (consumer, starved) = match event {
                RouterEvent::ConsumerStarved { consumer } => (consumer, true),
                RouterEvent::ConsumerFed { consumer } => (consumer, false),
                _ => continue,
            };
            let before = self.starved.insert(consumer, starved);
            assert_eq!(
                before.unwrap_or_default(),
                !starved,
                "told twice: {event:?}"
            );
        }
        self.rig.sent.clear();
        for (_, id) in &self.consumers {
            let stats = self.rig.router.consumer_stats(*id).unwrap();
            let starved = self.starved.get(id).copied().unwrap_or_default();
            let said = stats.paused == Some(PauseReason::Bandwidth);
            assert_eq!(starved, said, "{stats:?}");
        }
    }

    fn fits(&mut self) {
        for at in 0..VIEWERS {
            let stats = self.rig.router.transport_stats(viewer(at)).unwrap();
            let line = self.lines[at as usize] * 1_000;
            // One track is kept whatever its cheapest layer costs.
            let on_it = self.consumers.iter().filter(|(on, _)| *on == viewer(at));
            let fed = on_it
                .filter(|(_, id)| {
                    self.rig
                        .router
                        .consumer_stats(*id)
                        .unwrap()
                        .paused
                        .is_none()
                })
                .count();
            let fits = stats.allocated_bitrate <= line || fed == 1;
            assert!(line == 0 || fits, "{line} {stats:?}");
        }
    }
}

fn soak(seed: u64, commands: usize) {
    let mut soak = Soak::new(seed);
    for at in 0..VIEWERS {
        soak.set_line(at, 2_600);
    }
    for _ in 0..commands {
        soak.command();
        for _ in 0..soak.dice.roll(30) {
            soak.picture();
        }
    }
    // Half a minute in which nothing happens.
    for track in 0..TRACKS {
        let (id, now) = (ProducerId(10 + track), soak.rig.now);
        soak.rig.router.resume_producer(id, now).unwrap();
    }
    for _ in 0..900 {
        soak.picture();
    }
    soak.fits();
    // Everything is made good again: everybody is given the best there is.
    soak.off.clear();
    let now = soak.rig.now;
    for (_, id) in soak.consumers.clone() {
        let router = &mut soak.rig.router;
        router.resume_consumer(id, now).unwrap();
        router
            .set_limits(id, ConsumerLimits::default(), now)
            .unwrap();
        router.set_preferred_layers(id, None, None, now).unwrap();
    }
    for at in 0..VIEWERS {
        soak.set_line(at, 100_000);
    }
    for _ in 0..900 {
        soak.picture();
    }
    for (_, id) in soak.consumers.clone() {
        let stats = soak.rig.router.consumer_stats(id).unwrap();
        assert_eq!(stats.paused, None);
        assert_eq!(stats.layers.current_spatial, Some(2), "{stats:?}");
        let before = stats.outbound.packets_sent;
        soak.picture();
        let stats = soak.rig.router.consumer_stats(id).unwrap();
        assert_eq!(stats.outbound.packets_sent - before, PACKETS[2] as u64);
    }
}

#[test]
fn whatever_is_commanded_everybody_is_given_the_best_in_the_end() {
    for seed in 1..5 {
        soak(seed, 60);
    }
}
