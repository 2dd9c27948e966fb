//! The simple estimator: for peers that give nothing but receiver reports and REMB.

use std::time::{Duration, Instant};

use crate::{BandwidthEstimator, Estimate, LineState, ReportedLoss};

/// Follows REMB and the loss in receiver reports (the rule of
/// draft-ietf-rmcat-gcc-02 section 6: up by 5 % under 2 % loss, down by half the loss above 10 %).
#[derive(Debug, Clone)]
pub struct ReceiverReportEstimator {
    bps: u64,
    limit: u64,
    confirmed: bool,
    state: LineState,
    last_change: Option<Instant>,
}

impl ReceiverReportEstimator {
    /// Starts at `bps`.
    pub fn new(bps: u64) -> Self {
        Self {
            bps,
            limit: u64::MAX,
            confirmed: false,
            state: LineState::Normal,
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
        self.state = if lost > 26 {
            LineState::Overused
        } else {
            LineState::Normal
        };
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
            // What it believes is a limit that is not known to queue: nothing is spread over time.
            pacing_bps: None,
            confirmed: self.confirmed,
            state: self.state,
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
        assert_eq!(estimator.estimate().bps, 1_050_000);
        assert!(estimator.estimate().confirmed);
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
