//! Invariant: whatever a peer reports about whatever was sent, the estimators stay within their bounds, ask for
//! probes that are no larger, hold bounded memory, and ask for a time to come.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use roomtone_bandwidth::{
    ArrivalModel, BandwidthEstimator, FeedbackEntry, GccConfig, GccEstimator, ReportedLoss,
    SentKind, SentPacket,
};

/// One input: what it is, and its values.
type Step = (u8, u16, u16, i64);

fuzz_target!(|input: (bool, Vec<Step>)| {
    let (kalman, steps) = input;
    let config = GccConfig {
        arrival_model: if kalman {
            ArrivalModel::Kalman
        } else {
            ArrivalModel::Trendline
        },
        ..GccConfig::default()
    };
    let mut estimator = GccEstimator::new(config);
    let base = Instant::now();
    let mut now = base;
    let mut sequence = 0_u16;
    let mut probe = None;
    for (kind, first, second, wide) in steps {
        match kind % 8 {
            0 => now += Duration::from_micros(u64::from(first) * 100),
            1 => {
                // A run of packets, as they leave.
                for _ in 0..first % 64 {
                    now += Duration::from_micros(u64::from(second) % 5_000);
                    let packet = SentPacket {
                        sequence,
                        bytes: second,
                        kind: SentKind::Video,
                        probe,
                    };
                    estimator.on_sent(packet, now);
                    sequence = sequence.wrapping_add(1);
                }
            }
            2 => {
                // The newest packets, spaced as the peer says.
                let entries: Vec<_> = (0..first % 64)
                    .map(|at| FeedbackEntry {
                        sequence: sequence.wrapping_sub(first % 64).wrapping_add(at),
                        arrival_us: (second & (1 << (at % 16)) != 0)
                            .then(|| wide.wrapping_add(i64::from(at) * i64::from(second))),
                    })
                    .collect();
                estimator.on_feedback(&entries, now);
            }
            3 => {
                let arrival_us = (second % 3 != 0).then_some(wide);
                let entries = [FeedbackEntry {
                    sequence: first,
                    arrival_us,
                }; 3];
                estimator.on_feedback(&entries, now);
            }
            4 => estimator.on_remb(wide as u64, now),
            5 => {
                let report = ReportedLoss {
                    fraction: first as u8,
                    round_trip: Some(Duration::from_micros(wide as u64)),
                };
                estimator.on_report(report, now);
            }
            6 => estimator.set_wanted(wide as u64, now),
            _ => {
                if let Some(at) = estimator.next_timeout() {
                    now = now.max(at.min(now + Duration::from_secs(10)));
                    estimator.handle_timeout(now);
                }
            }
        }
        while let Some(asked) = estimator.poll_probe(now) {
            assert!(asked.bps <= config.max_bps);
            probe = Some(asked.id);
        }
        let estimate = estimator.estimate();
        assert!((config.min_bps..=config.max_bps).contains(&estimate.bps));
        assert!(estimator.details().memory <= 1 << 20);
    }
});
