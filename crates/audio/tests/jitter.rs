//! The jitter buffer over bad networks, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use roomtone_audio::codec::{Bandwidth, Codec, Encode, EncoderSetting};
use roomtone_audio::jitter::{JitterBuffer, JitterConfig, JitterCounters, Packet, PacketKind};
use roomtone_audio::{Goertzel, level_dbov, rms};
use roomtone_netem::{Link, LinkConfig};
use std::f64::consts::TAU;
use std::time::{Duration, Instant};

const FRAME_MS: u32 = 20;
const AMPLITUDE: f64 = 10_000.0;

/// A talker at one end of a line and a jitter buffer at the other.
struct Line {
    codec: Codec,
    rate_hz: u32,
    encoder: Box<dyn Encode>,
    buffer: JitterBuffer,
    link: Link,
    origin: Instant,
    now: Duration,
    frames: u32,
    tone_hz: f64,
    heard: Vec<i16>,
    /// The delay after each pull, in microseconds.
    delays_us: Vec<i64>,
}

impl Line {
    #[allow(
        clippy::disallowed_methods,
        reason = "any instant will do as the origin of virtual time"
    )]
    fn new(codec: Codec, rate_hz: u32, config: LinkConfig, seed: u64) -> Self {
        Self {
            codec,
            rate_hz,
            encoder: codec.encoder(rate_hz).unwrap(),
            buffer: JitterBuffer::new(codec, rate_hz, JitterConfig::default()).unwrap(),
            link: Link::new(config, seed).unwrap(),
            origin: Instant::now(),
            now: Duration::ZERO,
            frames: 0,
            tone_hz: 440.0,
            heard: Vec::new(),
            delays_us: Vec::new(),
        }
    }

    fn pcmu(config: LinkConfig, seed: u64) -> Self {
        Self::new(Codec::Pcmu, 8_000, config, seed)
    }

    fn counters(&self) -> JitterCounters {
        self.buffer.counters()
    }

    fn set_link(&mut self, config: LinkConfig) {
        let now = self.origin + self.now;
        self.link.set_config(now, config).unwrap();
    }

    fn send(&mut self) {
        let len = self.rate_hz * FRAME_MS / 1000;
        let from = self.frames * len;
        let pcm: Vec<i16> = (from..from + len)
            .map(|n| TAU * self.tone_hz * f64::from(n) / f64::from(self.rate_hz))
            .map(|angle| (AMPLITUDE * angle.sin()) as i16)
            .collect();
        let step = self.codec.clock_hz() * FRAME_MS / 1000;
        // Both wrap within seconds.
        let sequence = (self.frames as u16).wrapping_add(65_300);
        let timestamp = (self.frames * step).wrapping_sub(40_000);
        let mut data = [&sequence.to_be_bytes()[..], &timestamp.to_be_bytes()].concat();
        self.encoder.encode(&pcm, &mut data).unwrap();
        self.link.send(self.origin + self.now, data);
        self.frames += 1;
    }

    fn receive(&mut self) {
        while let Some(data) = self.link.poll(self.origin + self.now) {
            let packet = Packet {
                sequence: u16::from_be_bytes([data[0], data[1]]),
                timestamp: u32::from_be_bytes([data[2], data[3], data[4], data[5]]),
                kind: PacketKind::Sound,
                payload: &data[6..],
            };
            self.buffer.handle_packet(packet, self.now);
        }
    }

    /// Goes on for so many frames; `sends` says which are sent.
    fn run_if(&mut self, frames: u32, sends: impl Fn(u32) -> bool) {
        for _ in 0..frames {
            if sends(self.frames) {
                self.send();
            } else {
                self.frames += 1;
            }
            for ms in 0..FRAME_MS {
                self.receive();
                // Ticks and packets are out of step.
                if ms == 7 {
                    let mut out = vec![0; (self.rate_hz * FRAME_MS / 1000) as usize];
                    self.buffer.pull(&mut out, self.now);
                    self.heard.extend(out);
                    self.delays_us.extend(self.buffer.delay_us(self.now));
                }
                self.now += Duration::from_millis(1);
            }
        }
    }

    fn run(&mut self, seconds: u32) {
        self.run_if(seconds * 1000 / FRAME_MS, |_| true);
    }

    /// The tone's level in each 20 ms of what was heard from `from` frames on.
    fn levels(&self, from: usize) -> Vec<f64> {
        let filter = Goertzel::new(self.rate_hz, self.tone_hz);
        let frame = (self.rate_hz * FRAME_MS / 1000) as usize;
        self.heard[from * frame..]
            .chunks_exact(frame)
            .map(|pcm| filter.amplitude(pcm))
            .collect()
    }
}

fn jitter(ms: u64) -> LinkConfig {
    LinkConfig {
        delay: Duration::from_millis(40),
        jitter: Duration::from_millis(ms),
        ..LinkConfig::default()
    }
}

#[test]
fn at_30_ms_of_jitter_60_ms_are_added_at_most_and_few_packets_are_late() {
    for (codec, rate_hz, seeds) in [
        (Codec::Pcmu, 8_000, 1..=5),
        (Codec::G722, 16_000, 1..=3),
        (Codec::Opus, 48_000, 1..=1),
    ] {
        for seed in seeds {
            let mut line = Line::new(codec, rate_hz, jitter(30), seed);
            line.run(60);
            let counters = line.counters();
            let late = counters.late as f64 / counters.received as f64;
            assert!(late < 0.005, "{codec:?}, seed {seed}: {late} late");
            // The first seconds learn what the line is like.
            let most = line.delays_us[150..].iter().max().unwrap();
            assert!(*most <= 60_000, "{codec:?}, seed {seed}: {most} us added");
        }
    }
}

#[test]
fn when_jitter_ends_the_delay_shrinks_within_5_s_without_a_gap() {
    for (codec, rate_hz) in [(Codec::Pcmu, 8_000), (Codec::Opus, 48_000)] {
        for seed in 1..=5 {
            let mut line = Line::new(codec, rate_hz, jitter(60), seed);
            line.run(20);
            let before = *line.delays_us.last().unwrap();
            assert!(before > 50_000, "{codec:?}, seed {seed}: {before} us");
            let counters = line.counters();
            line.set_link(jitter(0));
            let from = line.delays_us.len();
            line.run(5);
            let after = *line.delays_us.last().unwrap();
            assert!(
                after <= 32_000,
                "{codec:?}, seed {seed}: {after} us after 5 s"
            );
            let now = line.counters();
            let same = |of: fn(&JitterCounters) -> u64| assert_eq!(of(&counters), of(&now));
            same(|counters| counters.concealed);
            same(|counters| counters.quiet);
            assert!(now.shortened > counters.shortened);
            let quietest = line.levels(from).into_iter().fold(f64::MAX, f64::min);
            assert!(
                quietest > 0.7 * AMPLITUDE,
                "{codec:?}, seed {seed}: {quietest}"
            );
        }
    }
}

#[test]
fn a_steady_line_gets_a_small_delay_and_sound_is_left_alone() {
    let mut line = Line::pcmu(jitter(0), 1);
    line.run(10);
    let settled = line.counters();
    line.run(30);
    assert!(*line.delays_us.last().unwrap() <= 32_000);
    let counters = line.counters();
    assert_eq!(counters.late + counters.concealed + counters.undecodable, 0);
    assert_eq!(counters.shortened, settled.shortened);
    assert_eq!(counters.lengthened, settled.lengthened);
    assert_eq!(counters.decoded, counters.received);
}

#[test]
fn a_loss_of_60_ms_is_bridged_and_a_longer_one_fades() {
    for (codec, rate_hz) in [
        (Codec::Pcmu, 8_000),
        (Codec::G722, 16_000),
        (Codec::Opus, 16_000),
        (Codec::Opus, 48_000),
    ] {
        let mut line = Line::new(codec, rate_hz, jitter(0), 1);
        line.run_if(200, |frame| !(100..103).contains(&frame));
        let levels = line.levels(50);
        let quietest = levels.iter().copied().fold(f64::MAX, f64::min);
        // The first frame of Opus behind a loss builds on what was lost.
        let least = if codec == Codec::Opus { 0.4 } else { 0.7 };
        assert!(
            quietest > least * AMPLITUDE,
            "{codec:?} {rate_hz}: {:?}",
            &levels[45..62]
        );
        assert_eq!(line.counters().concealed, u64::from(rate_hz) * 60 / 1000);

        line.run_if(100, |frame| !(230..250).contains(&frame));
        let levels = line.levels(200);
        assert!(
            levels[32] > 0.5 * AMPLITUDE,
            "{codec:?}: {:?}",
            &levels[28..45]
        );
        assert!(
            levels[40..50].iter().all(|&level| level < 0.05 * AMPLITUDE),
            "{levels:?}"
        );
        assert!(
            levels[60..].iter().all(|&level| level > 0.9 * AMPLITUDE),
            "{levels:?}"
        );
    }
}

#[test]
fn frames_of_opus_are_recovered_from_the_packets_behind_them() {
    let mut line = Line::new(Codec::Opus, 48_000, jitter(0), 1);
    for setting in [
        EncoderSetting::Fec(true),
        EncoderSetting::ExpectedLossPercent(20),
        EncoderSetting::BitrateBps(32_000),
        EncoderSetting::MaxBandwidth(Bandwidth::Wide),
    ] {
        line.encoder.set(setting).unwrap();
    }
    // Copies are made of speech, and a tone that never changes is none.
    for round in 0..100 {
        line.tone_hz = 300.0 + 150.0 * f64::from(round % 4);
        line.run_if(5, |frame| frame % 10 != 7);
    }
    let counters = line.counters();
    assert!(counters.recovered >= 45, "{counters:?}");
    // Until the first loss nothing is waited for.
    assert!(counters.concealed <= 960, "{counters:?}");
    let frames = line.heard[48_000..].chunks_exact(960);
    let quietest = frames.map(rms).fold(f64::MAX, f64::min);
    assert!(quietest > 0.4 * AMPLITUDE, "{quietest}");
}

#[test]
fn packets_out_of_order_and_twice_are_played_once_and_in_order() {
    let config = LinkConfig {
        reorder: 0.2,
        duplicate: 0.1,
        ..jitter(5)
    };
    let mut line = Line::pcmu(config, 3);
    line.run(30);
    let counters = line.counters();
    assert!(counters.duplicate > 100, "{counters:?}");
    assert!(counters.late < 8, "{counters:?}");
    assert!(
        counters.decoded + counters.late + 10 > 1_500,
        "{counters:?}"
    );
}

#[test]
fn a_line_that_stands_still_for_half_a_second_costs_that_and_no_more() {
    let mut line = Line::pcmu(jitter(5), 1);
    line.run(10);
    let freeze = LinkConfig {
        rate_bps: Some(0),
        queue_bytes: 1 << 20,
        ..jitter(5)
    };
    line.set_link(freeze);
    line.run_if(25, |_| true);
    line.set_link(jitter(5));
    line.run(20);
    let levels = line.levels(550);
    assert!(
        levels.iter().all(|&level| level > 0.7 * AMPLITUDE),
        "{levels:?}"
    );
    assert!(*line.delays_us.last().unwrap() < 45_000);
    assert_eq!(line.counters().overflow, 0);
}

#[test]
fn more_packets_than_may_wait_cost_the_oldest() {
    let config = JitterConfig::default();
    let mut buffer = JitterBuffer::new(Codec::Pcmu, 8_000, config).unwrap();
    for number in 0..10_000_u32 {
        let packet = Packet {
            sequence: number as u16,
            timestamp: number * 160,
            kind: PacketKind::Sound,
            payload: &[0xff; 160],
        };
        buffer.handle_packet(packet, Duration::ZERO);
    }
    let counters = buffer.counters();
    // Each three seconds of timestamps in no time are a new timeline too.
    assert!(
        counters.overflow + counters.restarts * 128 > 9_000,
        "{counters:?}"
    );
    let mut out = [0; 160];
    for tick in 0..1_000 {
        buffer.pull(&mut out, Duration::from_millis(20 * tick));
    }
    assert!(buffer.counters().decoded <= 128);
}

#[test]
fn a_sender_that_begins_anew_is_followed() {
    let mut line = Line::pcmu(jitter(5), 1);
    line.run(5);
    // As after a transfer: numbers and timestamps from elsewhere.
    line.frames += 40_000;
    let from = line.delays_us.len();
    line.run(5);
    assert!(line.counters().restarts >= 1);
    let levels = line.levels(from + 10);
    assert!(
        levels.iter().all(|&level| level > 0.7 * AMPLITUDE),
        "{levels:?}"
    );
}

#[test]
fn a_clock_that_runs_fast_or_slow_is_followed_without_a_gap() {
    let pcm: Vec<i16> = (0..160)
        .map(|n| (AMPLITUDE * (TAU * f64::from(n) / 20.0).sin()) as i16)
        .collect();
    let payload: Vec<u8> = pcm
        .iter()
        .map(|&sample| roomtone_audio::codec::g711::encode_a(sample))
        .collect();
    // 500 parts in a million, ten times what a cheap crystal is off.
    for packet_us in [19_990_u64, 20_010] {
        let mut buffer = JitterBuffer::new(Codec::Pcma, 8_000, JitterConfig::default()).unwrap();
        let (mut sent, mut out) = (0_u32, [0; 160]);
        for tick in 0..15_000_u64 {
            let now = Duration::from_micros(20_000 * tick);
            while u64::from(sent) * packet_us <= 20_000 * tick {
                let packet = Packet {
                    sequence: sent as u16,
                    timestamp: sent * 160,
                    kind: PacketKind::Sound,
                    payload: &payload,
                };
                let arrived = Duration::from_micros(u64::from(sent) * packet_us);
                buffer.handle_packet(packet, arrived);
                sent += 1;
            }
            buffer.pull(&mut out, now);
            if tick > 50 {
                assert!(
                    rms(&out) > 0.6 * AMPLITUDE,
                    "{tick}: {:?}",
                    buffer.counters()
                );
                assert!(buffer.delay_us(now).unwrap() < 40_000);
            }
        }
        let counters = buffer.counters();
        assert_eq!((counters.late, counters.overflow), (0, 0), "{counters:?}");
        // 150 ms in five minutes; holding the delay back and forth costs some more.
        let (less, more) = (counters.shortened as i64, counters.lengthened as i64);
        let drift = if packet_us < 20_000 {
            less - more
        } else {
            more - less
        };
        assert!((900..1_500).contains(&drift), "{counters:?}");
        assert!(
            less.min(more) < 2_000 && counters.concealed < 800,
            "{counters:?}"
        );
    }
}

#[test]
fn silence_that_is_not_sent_is_no_loss_and_sounds_as_described() {
    let mut buffer = JitterBuffer::new(Codec::Pcmu, 8_000, JitterConfig::default()).unwrap();
    let mut out = [0; 160];
    let mut sequence = 0_u16;
    let mut heard = Vec::new();
    let loud: Vec<u8> = (0..160)
        .map(|n| roomtone_audio::codec::g711::encode_mu(if n % 20 < 10 { 9_000 } else { -9_000 }))
        .collect();
    for tick in 0..500_u32 {
        let now = Duration::from_millis(20 * u64::from(tick));
        // Words of half a second, silence of half a second; 40 dB below overload, told once.
        let (kind, payload) = match tick % 50 {
            0..25 => (PacketKind::Sound, loud.as_slice()),
            25 => (PacketKind::ComfortNoise, &[40_u8][..]),
            _ => (PacketKind::Event, &[][..]),
        };
        if kind != PacketKind::Event {
            let timestamp = tick * 160;
            let packet = Packet {
                sequence,
                timestamp,
                kind,
                payload,
            };
            buffer.handle_packet(packet, now);
            sequence += 1;
        }
        buffer.pull(&mut out, now);
        heard.push(rms(&out));
    }
    let counters = buffer.counters();
    assert_eq!((counters.concealed, counters.late), (0, 0), "{counters:?}");
    let loud = heard[100..]
        .iter()
        .filter(|&&level| level > 7_000.0)
        .count();
    assert!((180..=220).contains(&loud), "{loud} loud frames of 200");
    let noise = heard[100..]
        .iter()
        .filter(|&&level| (200.0..500.0).contains(&level));
    let noise = noise.count();
    assert!((170..=210).contains(&noise), "{noise} frames of noise");
}

#[test]
fn packets_lost_in_silence_sound_as_the_noise_that_was_described() {
    let mut buffer = JitterBuffer::new(Codec::Pcmu, 8_000, JitterConfig::default()).unwrap();
    let loud: Vec<u8> = (0..160)
        .map(|n| roomtone_audio::codec::g711::encode_mu(if n % 20 < 10 { 9_000 } else { -9_000 }))
        .collect();
    let (mut out, mut heard) = ([0; 160], Vec::new());
    for tick in 0..150_u32 {
        let now = Duration::from_millis(20 * u64::from(tick));
        // Two descriptions on their way are lost (sequence numbers 51 and 52), and then nothing comes at all.
        let (kind, payload) = match tick {
            0..50 => (PacketKind::Sound, loud.as_slice()),
            50 => (PacketKind::ComfortNoise, &[45_u8][..]),
            80 => (PacketKind::ComfortNoise, &[55_u8][..]),
            _ => (PacketKind::Event, &[][..]),
        };
        if kind != PacketKind::Event {
            let sequence = if tick == 80 { 53 } else { tick as u16 };
            let packet = Packet {
                sequence,
                timestamp: tick * 160,
                kind,
                payload,
            };
            buffer.handle_packet(packet, now);
        }
        buffer.pull(&mut out, now);
        heard.push(-level_dbov(&out));
    }
    let counters = buffer.counters();
    assert_eq!(
        counters.concealed, 0,
        "silence is nothing to bridge: {counters:?}"
    );
    let near =
        |levels: &[f64], wanted: f64| levels.iter().all(|level| (level - wanted).abs() < 2.0);
    assert!(near(&heard[60..78], 45.0), "{:?}", &heard[60..78]);
    assert!(near(&heard[95..], 55.0), "{:?}", &heard[95..]);
}

#[test]
fn an_event_between_packets_is_no_loss() {
    let mut buffer = JitterBuffer::new(Codec::Pcmu, 8_000, JitterConfig::default()).unwrap();
    let mut out = [0; 160];
    for tick in 0..100_u32 {
        let now = Duration::from_millis(20 * u64::from(tick));
        let is_event = (40..50).contains(&tick);
        let packet = Packet {
            sequence: tick as u16,
            timestamp: if is_event { 40 * 160 } else { tick * 160 },
            kind: if is_event {
                PacketKind::Event
            } else {
                PacketKind::Sound
            },
            payload: &[0x10; 160],
        };
        buffer.handle_packet(packet, now);
        buffer.pull(&mut out, now);
    }
    let counters = buffer.counters();
    assert_eq!((counters.concealed, counters.late), (0, 0), "{counters:?}");
    assert!((85..=90).contains(&counters.decoded), "{counters:?}");
}

proptest! {
    #[test]
    fn whatever_comes_each_pull_is_filled(
        packets in prop::collection::vec(
            (any::<u16>(), any::<u32>(), 0_u8..8, prop::collection::vec(any::<u8>(), 0..200), 0_u64..100),
            0..100,
        ),
        near in any::<bool>(),
        opus in any::<bool>(),
    ) {
        let codec = if opus { Codec::Opus } else { Codec::Pcmu };
        let mut buffer = JitterBuffer::new(codec, 8_000, JitterConfig::default()).unwrap();
        let mut now = Duration::ZERO;
        for (sequence, timestamp, kind, payload, wait_ms) in packets {
            let kind = match kind {
                0 => PacketKind::Event,
                1 => PacketKind::ComfortNoise,
                _ => PacketKind::Sound,
            };
            let (sequence, timestamp) = if near {
                (sequence % 40, timestamp % 8_000)
            } else {
                (sequence, timestamp)
            };
            buffer.handle_packet(Packet { sequence, timestamp, kind, payload: &payload }, now);
            now += Duration::from_millis(wait_ms);
            buffer.pull(&mut [0; 160], now);
        }
    }
}
