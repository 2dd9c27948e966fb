//! The bandwidth estimator of one transport: its place and interface.
//!
//! A full congestion control plugs in here; [`ReceiverReportEstimator`] serves peers that give
//! nothing but receiver reports and REMB.

use std::time::{Duration, Instant};

/// A packet that left with a transport-wide sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentPacket {
    /// The transport-wide sequence number.
    pub sequence: u16,
    /// Bytes on the wire before the cipher's tag.
    pub bytes: u16,
    /// Whether it is a retransmission or padding.
    pub repair: bool,
}

/// What transport-wide feedback says about one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedbackEntry {
    /// The transport-wide sequence number.
    pub sequence: u16,
    /// The peer's arrival time in microseconds on its own scale; `None`: it did not arrive.
    pub arrival_us: Option<i64>,
}

/// What one report block says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportedLoss {
    /// Fraction lost since the last report, of 256.
    pub fraction: u8,
    /// The round trip it allows to compute.
    pub round_trip: Option<Duration>,
}

/// What an estimator believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// What the line carries, in bits per second.
    pub bps: u64,
    /// Whether anything was heard from the peer yet.
    pub confirmed: bool,
}

/// A bandwidth estimator toward one peer; pure, as everything here: time is an argument.
pub trait BandwidthEstimator: Send + std::fmt::Debug {
    /// Whether [`Self::on_sent`] is wanted; asked once.
    fn tracks_packets(&self) -> bool {
        false
    }
    /// A packet leaves.
    fn on_sent(&mut self, _packet: SentPacket, _now: Instant) {}
    /// Transport-wide feedback came, entries in sequence order.
    fn on_feedback(&mut self, _entries: &[FeedbackEntry], _now: Instant) {}
    /// A report block came.
    fn on_report(&mut self, _report: ReportedLoss, _now: Instant) {}
    /// The peer named a limit.
    fn on_remb(&mut self, _bps: u64, _now: Instant) {}
    /// What it believes.
    fn estimate(&self) -> Estimate;
    /// When it wants [`Self::handle_timeout`].
    fn next_timeout(&self) -> Option<Instant> {
        None
    }
    /// Its time came.
    fn handle_timeout(&mut self, _now: Instant) {}
}

/// Follows REMB and the loss in receiver reports (the rule of
/// draft-ietf-rmcat-gcc-02 section 6: up by 5 % under 2 % loss, down by half the loss above 10 %).
#[derive(Debug, Clone)]
pub struct ReceiverReportEstimator {
    bps: u64,
    limit: u64,
    confirmed: bool,
    last_change: Option<Instant>,
}

impl ReceiverReportEstimator {
    /// Starts at `bps`.
    pub fn new(bps: u64) -> Self {
        Self {
            bps,
            limit: u64::MAX,
            confirmed: false,
            last_change: None,
        }
    }
}

impl BandwidthEstimator for ReceiverReportEstimator {
    fn on_report(&mut self, report: ReportedLoss, now: Instant) {
        const CHANGE_INTERVAL: Duration = Duration::from_millis(500);
        self.confirmed = true;
        if self
            .last_change
            .is_some_and(|last| now.saturating_duration_since(last) < CHANGE_INTERVAL)
        {
            return;
        }
        let lost = u64::from(report.fraction);
        // 2 % and 10 % of 256.
        if lost <= 5 {
            self.bps = (self.bps + self.bps / 20)
                .min(self.limit)
                .min(1_000_000_000);
        } else if lost > 26 {
            self.bps = (self.bps - self.bps * lost / 512).max(10_000);
        } else {
            return;
        }
        self.last_change = Some(now);
    }

    fn on_remb(&mut self, bps: u64, _now: Instant) {
        self.confirmed = true;
        self.limit = bps.max(10_000);
        self.bps = self.bps.min(self.limit);
    }

    fn estimate(&self) -> Estimate {
        Estimate {
            bps: self.bps.min(self.limit),
            confirmed: self.confirmed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant to count from")]
    fn base() -> Instant {
        Instant::now()
    }

    fn report(fraction: u8) -> ReportedLoss {
        ReportedLoss {
            fraction,
            round_trip: None,
        }
    }

    #[test]
    fn loss_moves_the_estimate_as_the_draft_says() {
        let base = base();
        let mut estimator = ReceiverReportEstimator::new(1_000_000);
        assert!(!estimator.estimate().confirmed);
        estimator.on_report(report(0), base);
        assert_eq!(
            estimator.estimate(),
            Estimate {
                bps: 1_050_000,
                confirmed: true
            }
        );
        estimator.on_report(report(0), base + Duration::from_millis(100));
        assert_eq!(
            estimator.estimate().bps,
            1_050_000,
            "one change an interval"
        );
        estimator.on_report(report(13), base + Duration::from_secs(1));
        assert_eq!(
            estimator.estimate().bps,
            1_050_000,
            "between 2 % and 10 % it stays"
        );
        estimator.on_report(report(128), base + Duration::from_secs(2));
        assert_eq!(
            estimator.estimate().bps,
            787_500,
            "half lost: down by a quarter"
        );
    }

    #[test]
    fn remb_is_an_upper_limit() {
        let base = base();
        let mut estimator = ReceiverReportEstimator::new(1_000_000);
        estimator.on_remb(300_000, base);
        assert_eq!(estimator.estimate().bps, 300_000);
        estimator.on_report(report(0), base);
        assert_eq!(estimator.estimate().bps, 300_000);
        estimator.on_remb(2_000_000, base);
        estimator.on_report(report(0), base + Duration::from_secs(1));
        assert_eq!(estimator.estimate().bps, 315_000);
    }
}
