//! How good things are said to be, in virtual time.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

#[path = "support/publisher.rs"]
mod publisher;
mod support;

use std::time::Duration;

use proptest::prelude::*;
use publisher::*;
use roomtone_rtp::rtcp::{
    CompoundWriter, Entries, ExtendedReport, Pli, ReceiverReport, ReportBlock, RtcpWrite,
    VoipMetrics, XrBlock, XrBlocks,
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

#[test]
fn a_connection_that_carries_nothing_any_more_is_not_bad_for_ever() {
    let mut publisher = Publisher::new(RouterConfig::default());
    let subject = QualitySubject::Transport(PUBLISHER);
    publisher.run(losing(5, false), 4_000);
    let told = qualities(&publisher.rig, subject);
    assert_eq!(told.last().unwrap().level, QualityLevel::Poor, "{told:?}");
    let now = publisher.rig.now;
    publisher.rig.router.close_producer(VIDEO, now).unwrap();
    for _ in 0..10 {
        publisher.rig.rtcp(PUBLISHER, &report(1, 0));
        publisher.rig.pass_ms(1_000);
    }
    let after = qualities(&publisher.rig, subject);
    let last = after.last().unwrap();
    assert_eq!(
        (after.len(), last.level, last.degradation),
        (told.len() + 1, QualityLevel::Excellent, None),
        "once: {after:?}"
    );
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
            at_least: false,
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
    // The first track is kept in any case.
    let first = ConsumerId(30);
    rig.consume_video(first, Some(VIDEO));
    rig.router.set_priority(first, 1, rig.now).unwrap();
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

/// What a peer may do to confuse the figures.
#[derive(Debug, Clone)]
enum Mischief {
    /// A packet with numbers, a time and a send time of its own choice.
    Packet(u16, u32, u32, bool),
    /// A report block: loss, jitter, times.
    Block(u8, u32, u32, u32),
    /// Measurements of its own.
    Metrics(u8, u8, u16),
    /// Complaints about the picture.
    Complaints(u8),
    Time(u16),
}

fn mischief() -> impl Strategy<Value = Mischief> {
    prop_oneof![
        4 => any::<(u16, u32, u32, bool)>().prop_map(|(a, b, c, d)| Mischief::Packet(a, b, c, d)),
        // Also numbers that go on, as those of a publisher do.
        4 => (0..400_u16, 0..9_000_u32, any::<u32>(), any::<bool>())
            .prop_map(|(a, b, c, d)| Mischief::Packet(a, b, c, d)),
        2 => any::<(u8, u32, u32, u32)>().prop_map(|(a, b, c, d)| Mischief::Block(a, b, c, d)),
        1 => any::<(u8, u8, u16)>().prop_map(|(a, b, c)| Mischief::Metrics(a, b, c)),
        1 => (0..20_u8).prop_map(Mischief::Complaints),
        3 => (0..1_500_u16).prop_map(Mischief::Time),
    ]
}

fn commit(rig: &mut Rig, ssrc: u32, mischief: &Mischief) {
    match *mischief {
        Mischief::Packet(sequence, timestamp, sent, key) => {
            let mut packet = vp8(sequence, timestamp, true, key, true, 60);
            packet.extensions = vec![(6, sent.to_be_bytes()[1..].to_vec())];
            let _ = rig.rtp(&packet.bytes());
        }
        Mischief::Block(fraction_lost, jitter, last_sr, delay_since_last_sr) => {
            let block = ReportBlock {
                ssrc,
                fraction_lost,
                cumulative_lost: -1,
                highest_sequence: 1,
                jitter,
                last_sr,
                delay_since_last_sr,
            };
            rig.rtcp(
                SUBSCRIBER,
                &wire(&ReceiverReport {
                    ssrc: 5,
                    reports: Entries::new(&[block]),
                    extension: &[],
                }),
            );
        }
        Mischief::Metrics(discard_rate, burst_density, jitter_buffer_nominal_ms) => {
            let blocks = [XrBlock::VoipMetrics(VoipMetrics {
                ssrc,
                discard_rate,
                burst_density,
                jitter_buffer_nominal_ms,
                ..VoipMetrics::default()
            })];
            let blocks = XrBlocks::Values(&blocks);
            rig.rtcp(SUBSCRIBER, &wire(&ExtendedReport { ssrc: 5, blocks }));
        }
        Mischief::Complaints(times) => {
            for _ in 0..times {
                rig.rtcp(
                    SUBSCRIBER,
                    &wire(&Pli {
                        sender_ssrc: 1,
                        media_ssrc: ssrc,
                    }),
                );
            }
        }
        Mischief::Time(ms) => rig.pass_ms(ms.into()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_peers_do_figures_stay_in_their_bounds_and_requests_few(
        acts in proptest::collection::vec(mischief(), 1..160),
        remb in any::<bool>(),
    ) {
        let mut rig = Rig::new();
        let mut params = video_params(&[Some(1_000)]);
        params.codecs[0].feedback.transport_cc = !remb;
        rig.router.produce(PUBLISHER, VIDEO, params, rig.now).unwrap();
        let ssrc = rig.consume_video(VIDEO_OUT, Some(VIDEO)).ssrc;
        for act in &acts {
            commit(&mut rig, ssrc, act);
            let up = rig.router.producer_stats(VIDEO).unwrap();
            let down = rig.router.consumer_stats(VIDEO_OUT).unwrap();
            let stream = &up.streams[0];
            for share in [stream.fraction_missing, down.fraction_missing] {
                prop_assert!((0.0..=1.0).contains(&share));
            }
            prop_assert!(stream.frames_per_second.is_finite());
            let line = rig.router.transport_stats(PUBLISHER).unwrap();
            if let Some(told) = line.told_bitrate {
                prop_assert!((30_000..=10_000_000).contains(&told));
                prop_assert!((60..=90).contains(&line.told_confidence));
            }
        }
        let seconds = rig.now.duration_since(rig.base).as_secs();
        let stream = &rig.router.producer_stats(VIDEO).unwrap().streams[0];
        // Two a second at most, whoever asks.
        prop_assert!(stream.pli_count + stream.fir_count <= 2 * seconds + 3);
    }
}
