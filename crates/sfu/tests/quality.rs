//! What publishers are told about what arrives, and how good things are said to be, in virtual time.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use std::time::Duration;

use roomtone_rtp::rtcp::{
    CompoundWriter, Entries, ExtendedReport, ReceiverReport, ReportBlock, RtcpPacket, RtcpWrite,
    VoipMetrics, XrBlock, XrBlocks, parse_compound,
};
use roomtone_sfu::*;
use support::*;

fn wire(packet: &impl RtcpWrite) -> Vec<u8> {
    let mut out = [0; 1_500];
    let mut writer = CompoundWriter::new(&mut out);
    writer.push(packet).unwrap();
    let len = writer.finish();
    out[..len].to_vec()
}

/// A request the publisher got, and when in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Pli(u64),
    Fir(u64),
}

/// How a publisher and its line behave.
#[derive(Clone, Copy)]
struct Behaviour {
    /// Of each so many packets the first is lost; 0: none.
    lost_each: u32,
    /// Whether it answers NACKs.
    repairs: bool,
    /// Whether it answers keyframe requests.
    refreshes: bool,
}

const FINE: Behaviour = Behaviour {
    lost_each: 0,
    repairs: true,
    refreshes: true,
};

/// A publisher of 500 packets a second in frames of ten, 50 a second.
struct Publisher {
    rig: Rig,
    sent: u32,
    refresh: bool,
    asked: Vec<Asked>,
    resent: u16,
}

impl Publisher {
    fn new(config: RouterConfig) -> Self {
        let mut rig = Rig::with(config);
        rig.produce_video(VIDEO, &[Some(1_000)]);
        rig.consume_video(VIDEO_OUT, Some(VIDEO));
        let mut publisher = Self {
            rig,
            sent: 0,
            refresh: true,
            asked: vec![],
            resent: 0,
        };
        publisher.run(FINE, 2_000);
        publisher.asked.clear();
        publisher.rig.events.clear();
        publisher
    }

    fn packet(&mut self) -> Packet {
        let frame = self.sent / 10;
        let (first, last) = (self.sent.is_multiple_of(10), self.sent % 10 == 9);
        let refresh = first && std::mem::take(&mut self.refresh);
        let sequence = self.sent as u16;
        self.sent += 1;
        vp8(sequence, frame * 1_800, first, refresh, last, 300)
    }

    fn run(&mut self, behaviour: Behaviour, ms: u64) {
        let mut kept: Vec<Packet> = vec![];
        for _ in 0..ms / 2 {
            let packet = self.packet();
            let lost = behaviour.lost_each != 0 && self.sent.is_multiple_of(behaviour.lost_each);
            if lost {
                kept.push(packet);
            } else {
                self.rig.rtp(&packet.bytes()).unwrap();
            }
            self.rig.pass_ms(2);
            self.listen(behaviour, &kept);
        }
    }

    fn listen(&mut self, behaviour: Behaviour, kept: &[Packet]) {
        let now = (self.rig.now - self.rig.base).as_millis() as u64;
        self.rig.media();
        for data in self.rig.control(PUBLISHER) {
            for packet in parse_compound(&data) {
                match packet.unwrap() {
                    RtcpPacket::Pli(_) => self.asked.push(Asked::Pli(now)),
                    RtcpPacket::Fir(_) => self.asked.push(Asked::Fir(now)),
                    RtcpPacket::Nack(nack) if behaviour.repairs => {
                        self.repair(nack.sequences().collect(), kept);
                        continue;
                    }
                    _ => continue,
                }
                self.refresh |= behaviour.refreshes;
            }
        }
    }

    fn repair(&mut self, sequences: Vec<u16>, kept: &[Packet]) {
        for sequence in sequences {
            let lost = kept.iter().find(|packet| packet.sequence == sequence);
            if let Some(lost) = lost {
                self.resent += 1;
                self.rig.rtp(&rtx(lost, self.resent).bytes()).unwrap();
            }
        }
    }

    fn acted(&self) -> Vec<(FeedbackAction, Degradation, FeedbackPriority)> {
        let events = self.rig.events.iter();
        events
            .filter_map(|event| match event {
                RouterEvent::FeedbackActed {
                    producer: VIDEO,
                    encoding: Some(0),
                    action,
                    reason,
                    priority,
                } => Some((*action, *reason, *priority)),
                _ => None,
            })
            .collect()
    }

    fn stream(&self) -> InboundStreamStats {
        self.rig.router.producer_stats(VIDEO).unwrap().streams[0].clone()
    }
}

fn losing(lost_each: u32, repairs: bool) -> Behaviour {
    Behaviour {
        lost_each,
        repairs,
        refreshes: true,
    }
}

fn qualities(rig: &Rig, of: QualitySubject) -> Vec<Quality> {
    let events = rig.events.iter();
    events
        .filter_map(|event| match event {
            RouterEvent::QualityChanged { subject, quality } if *subject == of => Some(*quality),
            _ => None,
        })
        .collect()
}

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
    assert_eq!(publisher.asked, []);
    publisher.run(losing(10, true), 700);
    assert_eq!(publisher.asked.len(), 1, "{:?}", publisher.asked);
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

#[test]
fn a_low_score_is_told_and_recovers_slowly() {
    let mut publisher = Publisher::new(RouterConfig::default());
    let subject = QualitySubject::Producer(VIDEO);
    publisher.run(losing(5, false), 4_000);
    let told = qualities(&publisher.rig, subject);
    let low = told.last().unwrap();
    assert_eq!(
        (low.level, low.degradation),
        (QualityLevel::Poor, Some(Degradation::Loss))
    );
    assert!(
        low.score.get() < 0.4 && low.trend == Trend::Falling,
        "{told:?}"
    );
    let whole = qualities(&publisher.rig, QualitySubject::Transport(PUBLISHER));
    assert_eq!(whole.last().unwrap().level, QualityLevel::Poor);
    publisher.rig.events.clear();
    publisher.run(FINE, 15_000);
    let told = qualities(&publisher.rig, subject);
    assert_eq!(
        told.last().unwrap().level,
        QualityLevel::Excellent,
        "{told:?}"
    );
    assert!(told.len() <= 6, "hysteresis: {told:?}");
    let states: Vec<_> = publisher
        .rig
        .events
        .iter()
        .filter_map(|event| match event {
            RouterEvent::CongestionChanged {
                transport: PUBLISHER,
                direction: Direction::Up,
                state,
            } => Some(*state),
            _ => None,
        })
        .collect();
    assert_eq!(states.last(), Some(&CongestionState::None), "{states:?}");
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

/// A report of a subscriber about one of its streams.
fn report(ssrc: u32, fraction_lost: u8) -> Vec<u8> {
    let block = ReportBlock {
        ssrc,
        fraction_lost,
        cumulative_lost: 0,
        highest_sequence: 1,
        jitter: 0,
        last_sr: 0,
        delay_since_last_sr: 0,
    };
    wire(&ReceiverReport {
        ssrc: 5,
        reports: Entries::new(&[block]),
        extension: &[],
    })
}

#[test]
fn what_a_subscriber_reports_makes_its_score() {
    let mut publisher = Publisher::new(RouterConfig::default());
    let ssrc = publisher.rig.router.consumer_dump(VIDEO_OUT).unwrap().ssrc;
    let subject = QualitySubject::Consumer(VIDEO_OUT);
    let round = |publisher: &mut Publisher, fraction| {
        for _ in 0..6 {
            publisher.rig.rtcp(SUBSCRIBER, &report(ssrc, fraction));
            publisher.run(FINE, 800);
        }
    };
    round(&mut publisher, 0);
    let told = qualities(&publisher.rig, subject);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].level, QualityLevel::Excellent);
    round(&mut publisher, 40);
    let told = qualities(&publisher.rig, subject);
    assert_eq!(told.last().unwrap().level, QualityLevel::Poor, "{told:?}");
    let stats = publisher.rig.router.consumer_stats(VIDEO_OUT).unwrap();
    assert!((stats.fraction_missing - 40.0 / 256.0).abs() < 1e-9);
    assert_eq!(stats.quality.unwrap().level, QualityLevel::Poor);
    let stats = publisher.rig.router.transport_stats(SUBSCRIBER).unwrap();
    assert_eq!(stats.congestion_down, CongestionState::Severe);
    assert_eq!(stats.quality.unwrap().level, QualityLevel::Poor);
}

#[test]
fn audio_has_an_opinion_both_ways() {
    let mut rig = Rig::new();
    rig.audio();
    let ssrc = rig.router.consumer_dump(AUDIO_OUT).unwrap().ssrc;
    let run = |rig: &mut Rig, from: u16, fraction| {
        for n in from..from + 250 {
            rig.rtp(&opus(n, u32::from(n) * 960, 30).bytes()).unwrap();
            if n % 40 == 0 {
                rig.rtcp(SUBSCRIBER, &report(ssrc, fraction));
            }
            rig.pass_ms(20);
        }
    };
    run(&mut rig, 0, 0);
    let of = |rig: &Rig| {
        rig.router
            .consumer_stats(AUDIO_OUT)
            .unwrap()
            .quality
            .unwrap()
    };
    let up = rig.router.producer_stats(AUDIO).unwrap().quality.unwrap();
    assert!(
        up.mos.unwrap().get() > 4.3 && up.level == QualityLevel::Excellent,
        "{up:?}"
    );
    assert!(of(&rig).mos.unwrap().get() > 4.3, "{:?}", of(&rig));
    run(&mut rig, 250, 51);
    let down = of(&rig);
    assert!(down.mos.unwrap().get() < 2.2, "{down:?}");
    assert_eq!(down.degradation, Some(Degradation::Loss));
    run(&mut rig, 500, 0);
    let before = of(&rig);
    let metrics = VoipMetrics {
        ssrc,
        discard_rate: 30,
        ..VoipMetrics::default()
    };
    let blocks = [XrBlock::VoipMetrics(metrics)];
    rig.rtcp(
        SUBSCRIBER,
        &wire(&ExtendedReport {
            ssrc: 5,
            blocks: XrBlocks::Values(&blocks),
        }),
    );
    run(&mut rig, 750, 0);
    assert!(
        of(&rig).mos.unwrap() < before.mos.unwrap(),
        "late packets are as good as lost"
    );
}

#[test]
fn a_peer_that_falls_silent_is_lost_and_comes_back() {
    let mut publisher = Publisher::new(RouterConfig::default());
    let subject = QualitySubject::Transport(PUBLISHER);
    publisher.rig.pass_ms(10_000);
    let told = qualities(&publisher.rig, subject);
    assert_eq!(told.last().unwrap().level, QualityLevel::Lost, "{told:?}");
    assert_eq!(
        told.iter()
            .filter(|told| told.level == QualityLevel::Lost)
            .count(),
        1
    );
    publisher.run(FINE, 10_000);
    let told = qualities(&publisher.rig, subject);
    assert_eq!(
        told.last().unwrap().level,
        QualityLevel::Excellent,
        "{told:?}"
    );
    // The subscriber has never said a word: nothing is claimed about it.
    assert_eq!(
        qualities(&publisher.rig, QualitySubject::Transport(SUBSCRIBER)),
        []
    );
}

#[test]
fn what_its_publisher_loses_is_not_held_against_a_subscriber() {
    let mut publisher = Publisher::new(RouterConfig::default());
    let ssrc = publisher.rig.router.consumer_dump(VIDEO_OUT).unwrap().ssrc;
    for _ in 0..10 {
        // A tenth never comes in, so a tenth of what goes out is missing too.
        publisher.rig.rtcp(SUBSCRIBER, &report(ssrc, 25));
        publisher.run(losing(10, false), 800);
    }
    let stats = publisher.rig.router.consumer_stats(VIDEO_OUT).unwrap();
    assert!(stats.fraction_missing < 0.02, "{stats:?}");
    assert_eq!(stats.quality.unwrap().level, QualityLevel::Excellent);
    let line = publisher.rig.router.transport_stats(SUBSCRIBER).unwrap();
    assert_eq!(line.congestion_down, CongestionState::None);
    let up = publisher.rig.router.transport_stats(PUBLISHER).unwrap();
    assert!(up.congestion_up >= CongestionState::Moderate, "{up:?}");
}

#[test]
fn a_round_trip_that_grows_is_congestion_toward_the_subscriber() {
    let mut publisher = Publisher::new(RouterConfig::default());
    let told = |publisher: &Publisher| {
        let line = publisher.rig.router.transport_stats(SUBSCRIBER).unwrap();
        line.congestion_down
    };
    for (round_trip, wanted) in [
        (40, CongestionState::None),
        (89, CongestionState::None),
        (91, CongestionState::Light),
        (165, CongestionState::Moderate),
        (300, CongestionState::Severe),
        (600, CongestionState::Critical),
    ] {
        let round_trip = Duration::from_millis(round_trip);
        publisher
            .rig
            .router
            .set_round_trip(SUBSCRIBER, round_trip)
            .unwrap();
        publisher.run(FINE, 3_200);
        assert_eq!(told(&publisher), wanted, "{round_trip:?}");
    }
}

/// An estimator that believes what it is told.
#[derive(Debug)]
struct Told(std::sync::Arc<std::sync::atomic::AtomicU64>);

impl BandwidthEstimator for Told {
    fn tracks_packets(&self) -> bool {
        true
    }

    fn estimate(&self) -> Estimate {
        Estimate {
            bps: self.0.load(std::sync::atomic::Ordering::Relaxed),
            pacing_bps: None,
            confirmed: true,
            state: LineState::Normal,
        }
    }
}

#[test]
fn a_track_that_the_line_does_not_carry_is_poor() {
    let mut publisher = Publisher::new(RouterConfig::default());
    let bps = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(10_000_000));
    let (rig, told) = (&mut publisher.rig, Told(bps.clone()));
    rig.router
        .set_estimator(SUBSCRIBER, Box::new(told), rig.now)
        .unwrap();
    let ssrc = rig.router.consumer_dump(VIDEO_OUT).unwrap().ssrc;
    let round = |publisher: &mut Publisher, bps_now: u64| {
        bps.store(bps_now, std::sync::atomic::Ordering::Relaxed);
        for _ in 0..8 {
            publisher.rig.rtcp(SUBSCRIBER, &report(ssrc, 0));
            publisher.run(FINE, 800);
        }
        let stats = publisher.rig.router.consumer_stats(VIDEO_OUT).unwrap();
        stats.quality.unwrap()
    };
    assert_eq!(
        round(&mut publisher, 10_000_000).level,
        QualityLevel::Excellent
    );
    let starved = round(&mut publisher, 20_000);
    assert_eq!(
        (starved.level, starved.degradation),
        (QualityLevel::Poor, Some(Degradation::Bandwidth))
    );
    assert_eq!(
        round(&mut publisher, 10_000_000).level,
        QualityLevel::Excellent
    );
}
