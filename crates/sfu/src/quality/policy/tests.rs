use std::time::Duration;

use super::limits::{ProducerLimit, StreamLimit};
use super::*;
use crate::quality::{CongestionState, QualityLevel, Score, Trend};

use CongestionState as C;
use Degradation::{Bandwidth, Corruption, Jitter, Loss};
use EstimatorState as E;
use FeedbackAction::{Fir, Pli};
use FeedbackPriority::{Critical, High, Low, Normal};

fn only(strategy: FeedbackStrategy) -> QualityConfig {
    QualityConfig {
        strategy,
        ..QualityConfig::default()
    }
}

/// So many of a thousand lost after repair.
fn stream(lost: u64) -> StreamView {
    StreamView {
        encoding: 0,
        expected: 1_000,
        lost,
        takes_pli: true,
        takes_fir: true,
        ..StreamView::default()
    }
}

fn scored(score: f64, degradation: Degradation, lost: u64) -> StreamView {
    StreamView {
        quality: Some(Quality {
            score: Score::new(score),
            level: QualityLevel::Poor,
            mos: None,
            trend: Trend::Steady,
            degradation: Some(degradation),
        }),
        ..stream(lost)
    }
}

fn line(congestion: CongestionState, state: EstimatorState) -> LineView {
    LineView {
        congestion,
        estimate: Some((500_000, state)),
        degradation: None,
    }
}

fn remb(confidence: u8) -> FeedbackAction {
    FeedbackAction::Remb {
        bps: 500_000,
        confidence,
    }
}

/// Actions with their priorities and reasons.
fn told(
    views: &[StreamView],
    line: &LineView,
    config: &QualityConfig,
) -> Vec<(FeedbackAction, FeedbackPriority, Degradation)> {
    decide(views, line, config)
        .iter()
        .map(|proposal| (proposal.action, proposal.priority, proposal.reason))
        .collect()
}

#[test]
fn loss_after_repair_asks_for_keyframes_from_5_and_15_per_cent() {
    let config = only(FeedbackStrategy::Loss);
    let unanswered = StreamView {
        unanswered: true,
        ..stream(0)
    };
    let few = StreamView {
        expected: 19,
        lost: 5,
        ..stream(0)
    };
    let table = [
        (stream(0), vec![]),
        (stream(49), vec![]),
        (stream(50), vec![(Pli, Normal, Loss)]),
        (stream(149), vec![(Pli, Normal, Loss)]),
        (stream(150), vec![(Fir, Critical, Loss)]),
        (stream(1_000), vec![(Fir, Critical, Loss)]),
        (unanswered, vec![(Fir, Critical, Loss)]),
        (few, vec![]),
        (
            StreamView {
                expected: 20,
                lost: 1,
                ..stream(0)
            },
            vec![(Pli, Normal, Loss)],
        ),
        (
            StreamView {
                takes_fir: false,
                ..stream(150)
            },
            vec![(Pli, Critical, Loss)],
        ),
        (
            StreamView {
                takes_pli: false,
                ..stream(50)
            },
            vec![(Fir, Normal, Loss)],
        ),
        (
            StreamView {
                takes_pli: false,
                takes_fir: false,
                ..stream(150)
            },
            vec![],
        ),
    ];
    for (view, wanted) in table {
        assert_eq!(
            told(&[view], &LineView::default(), &config),
            wanted,
            "{view:?}"
        );
    }
}

#[test]
fn raw_loss_that_was_repaired_is_no_loss_to_the_policy() {
    // 80 of 1,000 were missing and came again: `lost` counts what is missing in the end.
    let repaired = stream(0);
    let config = QualityConfig::default();
    assert_eq!(told(&[repaired], &LineView::default(), &config), []);
    // Even where the stream's score is low for other reasons.
    let poor = scored(0.1, Loss, 0);
    assert_eq!(told(&[poor], &LineView::default(), &config), []);
}

#[test]
fn congestion_tells_a_bitrate_with_the_confidence_of_the_estimator() {
    let config = only(FeedbackStrategy::Congestion);
    let table = [
        (line(C::None, E::Steady), vec![]),
        (line(C::Light, E::Steady), vec![(remb(90), Low, Bandwidth)]),
        (
            line(C::Moderate, E::Draining),
            vec![(remb(80), Normal, Bandwidth)],
        ),
        (
            line(C::Severe, E::Overusing),
            vec![(remb(70), High, Bandwidth)],
        ),
        (
            line(C::Critical, E::Starting),
            vec![(remb(60), Critical, Bandwidth)],
        ),
        (
            LineView {
                degradation: Some(Jitter),
                ..line(C::Light, E::Steady)
            },
            vec![(remb(90), Low, Jitter)],
        ),
        (
            LineView {
                estimate: None,
                ..line(C::Critical, E::Steady)
            },
            vec![],
        ),
    ];
    for (line, wanted) in table {
        assert_eq!(told(&[stream(500)], &line, &config), wanted, "{line:?}");
    }
}

#[test]
fn quality_acts_below_the_floor_by_what_is_wrong() {
    let config = only(FeedbackStrategy::Quality);
    let quiet = line(CongestionState::None, EstimatorState::Steady);
    let table = [
        (scored(0.6, Loss, 10), vec![]),
        (scored(0.599, Loss, 10), vec![(Pli, Low, Loss)]),
        (
            scored(0.399, Corruption, 0),
            vec![(Pli, Normal, Corruption)],
        ),
        (scored(0.199, Corruption, 0), vec![(Pli, High, Corruption)]),
        (
            scored(0.599, Bandwidth, 0),
            vec![(remb(90), Low, Bandwidth)],
        ),
        (scored(0.199, Jitter, 0), vec![(remb(90), High, Jitter)]),
        (scored(0.199, Loss, 0), vec![]),
        (
            StreamView {
                quality: None,
                ..stream(500)
            },
            vec![],
        ),
        (
            StreamView {
                takes_pli: false,
                takes_fir: false,
                ..scored(0.1, Loss, 9)
            },
            vec![],
        ),
    ];
    for (view, wanted) in table {
        assert_eq!(told(&[view], &quiet, &config), wanted, "{view:?}");
    }
    let deaf = LineView {
        estimate: None,
        ..quiet
    };
    assert_eq!(told(&[scored(0.1, Bandwidth, 0)], &deaf, &config), []);
}

#[test]
fn the_combination_ranks_three_actions_and_takes_each_once() {
    let config = QualityConfig::default();
    let severe = line(CongestionState::Severe, EstimatorState::Overusing);
    let at = |encoding, view| StreamView { encoding, ..view };
    // FIR covers the PLI that the score asks for; the same REMB is told once.
    let one = scored(0.5, Loss, 200);
    assert_eq!(
        told(&[one], &severe, &config),
        [(Fir, Critical, Loss), (remb(70), High, Bandwidth)]
    );
    let bandwidth = scored(0.1, Bandwidth, 0);
    assert_eq!(
        told(&[bandwidth], &severe, &config),
        [(remb(70), High, Bandwidth)]
    );
    // Three encodings and the line: the least urgent of four waits.
    let views = [
        at(0, scored(0.5, Corruption, 0)),
        at(1, stream(60)),
        at(2, stream(160)),
    ];
    let ranked = decide(&views, &severe, &config);
    let short: Vec<_> = ranked
        .iter()
        .map(|proposal| (proposal.action, proposal.encoding, proposal.priority))
        .collect();
    assert_eq!(
        short,
        [
            (Fir, Some(2), Critical),
            (remb(70), None, High),
            (Pli, Some(1), Normal),
        ]
    );
}

fn admit(limit: &mut StreamLimit, now_us: u64, config: &QualityConfig) -> bool {
    let may = limit.may(now_us, config);
    if may {
        limit.count(now_us, config);
    }
    may
}

#[test]
fn requests_keep_a_distance_that_doubles_while_they_do_not_help() {
    let config = QualityConfig {
        min_action_interval: Duration::from_secs(1),
        max_action_interval: Duration::from_secs(8),
        ..QualityConfig::default()
    };
    let mut limit = StreamLimit::default();
    let admitted: Vec<u64> = (0..400)
        .map(|tenth| tenth * 100_000)
        .filter(|now| admit(&mut limit, *now, &config))
        .map(|now| now / 1_000_000)
        .collect();
    assert_eq!(admitted, [0, 1, 3, 7, 15, 23, 31, 39]);
    assert!(admit(&mut limit, 80_000_000, &config), "a new trouble");
    assert!(!admit(&mut limit, 80_900_000, &config));
    assert!(
        admit(&mut limit, 81_000_000, &config),
        "begins with the least distance"
    );
}

#[test]
fn a_producer_is_told_only_so_much_in_ten_seconds() {
    let config = QualityConfig {
        actions_per_10s: 5,
        ..QualityConfig::default()
    };
    let mut limit = ProducerLimit::default();
    let mut admit = |now_us: u64| {
        let may = limit.may(now_us, &config);
        if may {
            limit.count(now_us, &config);
        }
        may
    };
    assert_eq!((0..1_000).filter(|now| admit(*now)).count(), 5);
    assert!(!admit(1_900_000));
    assert!(admit(2_100_000), "one is free after a fifth of the time");
    let long = (0..600)
        .map(|tenth| 100_000_000 + tenth * 100_000)
        .filter(|now| admit(*now))
        .count();
    assert!(
        (34..=35).contains(&long),
        "five at once and one each two seconds: {long}"
    );
}
