//! A publisher that takes nothing but REMB, behind a bad line, in virtual time.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use std::time::{Duration, Instant};

use roomtone_netem::{Link, LinkConfig};
use roomtone_rtp::rtcp::{RtcpPacket, parse_compound};
use support::*;

const FRAME: Duration = Duration::from_micros(33_333);

/// The publisher, its line and what it is told.
struct Scene {
    rig: Rig,
    link: Link,
    start: Instant,
    frames: u32,
    sequence: u16,
    told: u64,
    /// Seconds of the start, and what was told then.
    history: Vec<(f64, u64)>,
    /// Longest time on the line in the last second.
    worst: Duration,
    sent_at: std::collections::VecDeque<(u16, Instant)>,
}

/// The most it sends.
const MOST: u64 = 3_000_000;

fn line(kbps: u64) -> LinkConfig {
    LinkConfig {
        rate_bps: Some(kbps * 1_000),
        delay: Duration::from_millis(25),
        queue_delay: Some(Duration::from_millis(200)),
        ..LinkConfig::default()
    }
}

impl Scene {
    fn new(config: LinkConfig, seed: u64) -> Self {
        let mut rig = Rig::new();
        let mut params = video_params(&[Some(1_000)]);
        params.codecs[0].feedback.transport_cc = false;
        rig.router
            .produce(PUBLISHER, VIDEO, params, rig.now)
            .unwrap();
        Self {
            link: Link::new(config, seed).unwrap(),
            start: rig.now,
            frames: 0,
            sequence: 0,
            told: 1_000_000,
            history: vec![],
            worst: Duration::ZERO,
            sent_at: std::collections::VecDeque::new(),
            rig,
        }
    }

    fn change(&mut self, config: LinkConfig) {
        self.link.set_config(self.rig.now, config).unwrap();
    }

    fn run(&mut self, seconds: u32) {
        let end = self.rig.now + Duration::from_secs(seconds.into());
        while self.rig.now < end {
            let next = self.start + FRAME * self.frames;
            let arrival = self.link.next_timeout().filter(|at| *at <= next);
            self.pass_to(arrival.unwrap_or(next));
            match arrival {
                Some(_) => self.receive(),
                None => self.send(),
            }
            self.listen();
        }
    }

    fn pass_to(&mut self, at: Instant) {
        self.rig.pass(at.saturating_duration_since(self.rig.now));
    }

    fn send(&mut self) {
        let now = self.rig.now;
        let bytes = (self.told.min(MOST) as f64 * FRAME.as_secs_f64() / 8.0) as usize;
        let packets = bytes.div_ceil(1_100).max(1);
        let since = now.duration_since(self.start);
        let stamp = (since.as_nanos() * (1 << 18) / 1_000_000_000) as u32 & 0x00ff_ffff;
        for at in 0..packets {
            let mut packet = vp8(
                self.sequence,
                self.frames * 3_000,
                at == 0,
                self.frames == 0 && at == 0,
                at + 1 == packets,
                (bytes / packets).max(30),
            );
            packet.extensions = vec![(6, stamp.to_be_bytes()[1..].to_vec())];
            self.sent_at.push_back((self.sequence, now));
            self.sequence = self.sequence.wrapping_add(1);
            self.link.send(now, packet.bytes());
        }
        if self.sent_at.len() > 5_000 {
            self.sent_at.drain(..2_500);
        }
        self.frames += 1;
        if self.frames.is_multiple_of(30) {
            self.worst = Duration::ZERO;
        }
    }

    fn receive(&mut self) {
        while let Some(data) = self.link.poll(self.rig.now) {
            let sequence = u16::from_be_bytes([data[2], data[3]]);
            let sent = self.sent_at.iter().rev().find(|sent| sent.0 == sequence);
            if let Some((_, at)) = sent {
                self.worst = self.worst.max(self.rig.now - *at);
            }
            // What is lost stays lost: only the rate is looked at here.
            let _ = self.rig.rtp(&data);
        }
    }

    fn listen(&mut self) {
        for data in self.rig.control(PUBLISHER) {
            for packet in parse_compound(&data) {
                if let RtcpPacket::Remb(remb) = packet.unwrap() {
                    self.told = remb.bitrate_bps;
                    let at = self.rig.now.duration_since(self.start).as_secs_f64();
                    self.history.push((at, self.told));
                }
            }
        }
    }

    /// The mean of what was told from second to second, weighted by time.
    fn mean(&self, from: f64, to: f64) -> f64 {
        let mut sum = 0.0;
        for (n, (at, bps)) in self.history.iter().enumerate() {
            let until = self.history.get(n + 1).map_or(to, |next| next.0);
            let length = (until.min(to) - at.max(from)).max(0.0);
            sum += length * bps.min(&MOST).to_owned() as f64;
        }
        sum / (to - from)
    }
}

#[test]
fn a_steady_line_is_used_and_its_queue_stays_short() {
    for (delay, queue) in [(10, 100), (25, 200), (100, 500)] {
        let config = LinkConfig {
            delay: Duration::from_millis(delay),
            queue_delay: Some(Duration::from_millis(queue)),
            ..line(2_500)
        };
        let mut scene = Scene::new(config, 1);
        scene.run(60);
        let mean = scene.mean(20.0, 60.0);
        println!("{delay} ms, queue {queue} ms: {mean:.0} {:?}", scene.worst);
        assert!(
            (2_125_000.0..=2_500_000.0).contains(&mean),
            "{mean} {:?}",
            scene.history
        );
    }
}

#[test]
fn a_line_that_narrows_is_followed_down_at_once_and_up_in_time() {
    let mut scene = Scene::new(line(2_500), 1);
    scene.run(20);
    scene.change(line(600));
    scene.run(3);
    scene.run(1);
    let queued = scene.worst;
    assert!(
        queued < Duration::from_millis(150),
        "{queued:?} {:?}",
        scene.history
    );
    scene.run(16);
    let low = scene.mean(25.0, 40.0);
    scene.change(line(2_500));
    scene.run(30);
    let high = scene.mean(60.0, 70.0);
    println!("low {low:.0}, high {high:.0}, {queued:?}");
    assert!(
        (500_000.0..=640_000.0).contains(&low),
        "{low} {:?}",
        scene.history
    );
    assert!(high > 2_125_000.0, "{high} {:?}", scene.history);
}

#[test]
fn chance_loss_and_jitter_are_no_congestion() {
    let cases = [
        (
            "2 % lost",
            LinkConfig {
                loss: 0.02,
                ..line(2_500)
            },
            0.80,
        ),
        (
            "5 % lost",
            LinkConfig {
                loss: 0.05,
                ..line(2_500)
            },
            0.80,
        ),
        (
            "30 ms of jitter",
            LinkConfig {
                jitter: Duration::from_millis(30),
                ..line(2_500)
            },
            0.75,
        ),
        (
            "3 % out of order",
            LinkConfig {
                reorder: 0.03,
                ..line(2_500)
            },
            0.75,
        ),
    ];
    for (name, config, share) in cases {
        for seed in 1..=3 {
            let mut scene = Scene::new(config.clone(), seed);
            scene.run(40);
            let mean = scene.mean(15.0, 40.0) / 2_500_000.0;
            println!("{name}, seed {seed}: {mean:.2}");
            assert!(mean >= share, "{name}: {mean} {:?}", scene.history);
        }
    }
}

#[test]
fn an_outage_is_survived() {
    for (ms, least) in [(300, 2_100_000), (3_000, 1_700_000)] {
        let mut scene = Scene::new(line(2_500), 1);
        scene.run(15);
        scene.change(line(0));
        scene.rig.pass_ms(ms);
        // What was not sent meanwhile is not made up for.
        scene.start = scene
            .rig
            .now
            .checked_sub(FRAME * scene.frames)
            .unwrap_or(scene.start);
        scene.change(line(2_500));
        let at = scene.rig.now.duration_since(scene.rig.base).as_secs_f64();
        scene.run(20);
        let told: Vec<_> = scene.history.iter().map(|(_, bps)| bps / 1_000).collect();
        println!(
            "{ms} ms at {at:.1}: {:?}",
            &told[told.len().saturating_sub(25)..]
        );
        assert!(scene.told > least, "{told:?}");
    }
}
