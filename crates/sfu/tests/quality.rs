//! What publishers are told about what arrives from them, in virtual time.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

#[path = "support/publisher.rs"]
mod publisher;
mod support;

use std::time::Duration;

use publisher::*;
use roomtone_rtp::rtcp::{RtcpPacket, parse_compound};
use roomtone_sfu::*;
use support::*;

#[test]
fn raw_loss_of_8_per_cent_that_is_fully_repaired_asks_for_nothing() {
    let mut publisher = Publisher::new(RouterConfig::default());
    publisher.run(losing(12, true), 20_000);
    assert_eq!(publisher.asked, []);
    assert_eq!(publisher.acted(), []);
    let stream = publisher.stream();
    assert!(stream.packets_repaired > 800, "{stream:?}");
    assert!(stream.fraction_missing < 1e-9, "{stream:?}");
    assert_eq!(stream.quality.unwrap().level, QualityLevel::Excellent);
}

#[test]
fn the_same_loss_unrepaired_asks_for_pictures() {
    let mut publisher = Publisher::new(RouterConfig::default());
    publisher.run(losing(12, false), 3_000);
    assert!(
        matches!(publisher.asked[0], Asked::Pli(_)),
        "{:?}",
        publisher.asked
    );
    let normal = (
        FeedbackAction::Pli,
        Degradation::Loss,
        FeedbackPriority::Normal,
    );
    assert!(
        publisher.acted().contains(&normal),
        "{:?}",
        publisher.acted()
    );
}

#[test]
fn loss_after_repair_acts_from_5_per_cent_and_urgently_from_15() {
    // Of 25 packets one, of 18, of 7, of 6: 4.0 %, 5.6 %, 14.3 %, 16.7 %.
    for (lost_each, pli, fir) in [
        (25, false, false),
        (18, true, false),
        (7, true, false),
        (6, false, true),
    ] {
        let mut publisher = Publisher::new(RouterConfig {
            quality: QualityConfig {
                strategy: FeedbackStrategy::Loss,
                ..QualityConfig::default()
            },
            ..RouterConfig::default()
        });
        // Windows from before it set in have only part of the loss.
        publisher.run(losing(lost_each, false), 3_500);
        publisher.rig.events.clear();
        publisher.run(losing(lost_each, false), 12_000);
        let acted = publisher.acted();
        let has = |wanted| acted.iter().any(|(action, ..)| *action == wanted);
        assert_eq!(
            (has(FeedbackAction::Pli), has(FeedbackAction::Fir)),
            (pli, fir),
            "1 of {lost_each}: {acted:?}"
        );
    }
}

#[test]
fn without_nack_what_is_missing_is_lost_at_once() {
    let mut rig = Rig::new();
    let mut params = video_params(&[Some(1_000)]);
    params.codecs[0].feedback.nack = false;
    rig.router
        .produce(PUBLISHER, VIDEO, params, rig.now)
        .unwrap();
    let mut publisher = Publisher {
        rig,
        sent: 0,
        refresh: true,
        asked: vec![],
        resent: 0,
    };
    publisher.run(FINE, 2_000);
    publisher.run_to_a_window(FINE);
    assert_eq!(publisher.asked, []);
    // As soon as the window is over that shows it: nothing waits for repairs that nobody asks for.
    publisher.run_to_a_window(losing(10, true));
    assert!(
        matches!(publisher.asked[..], [Asked::Pli(_)]),
        "{:?}",
        publisher.asked
    );
}

#[test]
fn an_unanswered_pli_is_followed_by_fir() {
    let mut publisher = Publisher::new(RouterConfig::default());
    let deaf = Behaviour {
        lost_each: 12,
        repairs: false,
        refreshes: false,
    };
    publisher.run(deaf, 3_200);
    let [Asked::Pli(first), Asked::Fir(second), ..] = publisher.asked[..] else {
        panic!("{:?}", publisher.asked);
    };
    assert!(
        (990..=1_010).contains(&(second - first)),
        "{first} {second}"
    );
    assert_eq!(
        publisher.acted()[1],
        (
            FeedbackAction::Fir,
            Degradation::Loss,
            FeedbackPriority::Critical
        )
    );
    assert!(publisher.stream().fir_count >= 1);
}

#[test]
fn storms_of_loss_do_not_become_storms_of_requests() {
    let mut publisher = Publisher::new(RouterConfig::default());
    publisher.run(losing(3, false), 60_000);
    // Distances of 1, 2, 4 and then 8 seconds, and repetitions where the keyframe was lost too.
    assert!(
        (8..=16).contains(&publisher.asked.len()),
        "{:?}",
        publisher.asked
    );
    assert!(publisher.stream().feedback_suppressed > 50);
    let deaf = Behaviour {
        lost_each: 3,
        repairs: false,
        refreshes: false,
    };
    publisher.asked.clear();
    publisher.run(deaf, 60_000);
    assert!(
        publisher.asked.len() <= 65,
        "a repetition a second: {}",
        publisher.asked.len()
    );
}

#[test]
fn a_strategy_that_is_not_chosen_does_not_act() {
    let mut publisher = Publisher::new(RouterConfig {
        quality: QualityConfig {
            strategy: FeedbackStrategy::Congestion,
            ..QualityConfig::default()
        },
        ..RouterConfig::default()
    });
    publisher.run(losing(4, false), 5_000);
    assert_eq!(publisher.asked, []);
    assert_eq!(publisher.acted(), []);
}

/// A publisher that takes REMB only, behind a line that queues.
struct Bottleneck {
    rig: Rig,
    sequence: u16,
    free: Duration,
    told: Vec<u64>,
}

impl Bottleneck {
    fn new(extensions: bool) -> Self {
        let mut rig = Rig::new();
        let mut params = video_params(&[Some(1_000)]);
        params.codecs[0].feedback.transport_cc = false;
        if !extensions {
            params
                .extensions
                .retain(|(_, kind)| *kind != roomtone_rtp::ExtensionKind::AbsSendTime);
        }
        rig.router
            .produce(PUBLISHER, VIDEO, params, rig.now)
            .unwrap();
        Self {
            rig,
            sequence: 0,
            free: Duration::ZERO,
            told: vec![],
        }
    }

    /// Frames at 25 a second.
    fn run(&mut self, bps: impl Fn(&[u64]) -> u64, capacity: u64, seconds: u32) {
        for _ in 0..seconds * 25 {
            let start = Duration::from_millis(40) * u32::from(self.sequence);
            let bytes = (bps(&self.told) / 25 / 8) as usize;
            let mut packet = vp8(
                self.sequence,
                u32::from(self.sequence) * 3_600,
                true,
                self.sequence == 0,
                true,
                bytes.clamp(20, 1_900),
            );
            let sent = (start.as_nanos() * (1 << 18) / 1_000_000_000) as u32 & 0x00ff_ffff;
            packet.extensions = vec![(6, sent.to_be_bytes()[1..].to_vec())];
            // Each packet stands for `bytes` on the line.
            let takes = Duration::from_secs_f64(bytes as f64 * 8.0 / capacity as f64);
            self.free = self.free.max(start) + takes;
            let arrival = self.rig.base + self.free + Duration::from_millis(20);
            self.rig
                .pass(arrival.saturating_duration_since(self.rig.now));
            self.rig.rtp(&packet.bytes()).unwrap();
            self.sequence += 1;
            for data in self.rig.control(PUBLISHER) {
                for packet in parse_compound(&data) {
                    if let RtcpPacket::Remb(remb) = packet.unwrap() {
                        self.told.push(remb.bitrate_bps);
                    }
                }
            }
        }
    }
}

#[test]
fn a_publisher_that_takes_only_remb_is_led_to_what_its_line_carries() {
    for extensions in [true, false] {
        let mut line = Bottleneck::new(extensions);
        line.run(|_| 300_000, 360_000, 5);
        assert!(
            line.told.iter().all(|bps| *bps >= 9_900_000),
            "{:?}",
            line.told
        );
        let follow = |told: &[u64]| told.last().copied().unwrap_or(300_000).min(350_000);
        line.run(follow, 200_000, 40);
        let late = &line.told[line.told.len() - 10..];
        assert!(
            late.iter().all(|bps| (100_000..=260_000).contains(bps)),
            "{extensions}: {:?}",
            line.told
        );
        let stats = line.rig.router.transport_stats(PUBLISHER).unwrap();
        assert!((60..=90).contains(&stats.told_confidence), "{stats:?}");
        assert_eq!(
            stats.told_bitrate.map(|bps| bps >> 12),
            line.told.last().map(|bps| bps >> 12)
        );
        let acted = line.rig.events.iter().any(|event| {
            matches!(
                event,
                RouterEvent::FeedbackActed {
                    producer: VIDEO,
                    encoding: None,
                    action: FeedbackAction::Remb {
                        confidence: 60..=90,
                        ..
                    },
                    ..
                }
            )
        });
        let congested = line.rig.events.iter().any(|event| {
            matches!(
                event,
                RouterEvent::CongestionChanged {
                    direction: Direction::Up,
                    ..
                }
            )
        });
        assert!(acted && congested, "{extensions}");
    }
}
