//! webrtc-rs' estimator (`rtc-interceptor`) behind our trait. It has no probes and no timers; its
//! pacer sends at the target.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use roomtone_bandwidth::{BandwidthEstimator, Estimate, FeedbackEntry, LineState, SentPacket};
use rtc_interceptor::{Acknowledgement, BandwidthEstimator as _, Gcc, History};

/// Microseconds added to arrivals, which must not be negative.
const EPOCH_US: i64 = 1_000_000;

/// The estimator, with the history that its own interceptor keeps for it.
pub(crate) struct Interceptor {
    gcc: Gcc,
    history: History,
    sent: VecDeque<u16>,
}

impl std::fmt::Debug for Interceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interceptor")
    }
}

impl Interceptor {
    pub(crate) fn new(start_bps: u64) -> Self {
        Self {
            gcc: Gcc::new(start_bps as f64, 50_000.0, 20_000_000.0),
            history: History::new(),
            sent: VecDeque::new(),
        }
    }
}

impl BandwidthEstimator for Interceptor {
    fn tracks_packets(&self) -> bool {
        true
    }

    fn on_sent(&mut self, packet: SentPacket, now: Instant) {
        let (sequence, size) = (packet.sequence, usize::from(packet.bytes));
        self.history
            .add_outgoing(1, sequence, true, sequence, size, now);
        self.sent.push_back(sequence);
    }

    fn on_feedback(&mut self, entries: &[FeedbackEntry], now: Instant) {
        for entry in entries {
            let sequence = entry.sequence;
            let acknowledgement = match entry.arrival_us {
                Some(at) => {
                    let at = Duration::from_micros((at + EPOCH_US).max(0) as u64);
                    let none = rtc_interceptor::Acknowledgement::lost(sequence).ecn;
                    Acknowledgement::received(sequence, Some(at), none)
                }
                None => Acknowledgement::lost(sequence),
            };
            self.history.on_twcc_feedback(now, acknowledgement);
        }
        let reports = self.history.take_reports();
        self.gcc.on_reports(now, &reports);
    }

    fn estimate(&self) -> Estimate {
        let bps = self.gcc.target_bitrate() as u64;
        Estimate {
            bps,
            pacing_bps: Some(bps),
            confirmed: true,
            at_least: false,
            state: LineState::Normal,
        }
    }
}
