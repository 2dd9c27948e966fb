//! The simple estimator: for peers that give nothing but receiver reports and REMB.

use std::time::{Duration, Instant};

use crate::{BandwidthEstimator, Estimate, LineState, ReportedLoss};

/// How long a REMB is believed. Receivers say it again each second while pictures come, and fall silent without them:
/// what was said of a trickle would else keep pictures away for ever.
const REMB_LIFE: Duration = Duration::from_secs(5);
/// How often a REMB that is not believed any more is doubled.
const REMB_GROWTH_INTERVAL: Duration = Duration::from_secs(1);
/// A trickle below this rate tells a receiver nothing of the line.
const TELLING_BPS: u64 = 64_000;
/// Over how long at least it is measured what is sent.
const SENT_WINDOW: Duration = Duration::from_secs(1);

/// Follows REMB and the loss in receiver reports (the rule of
/// draft-ietf-rmcat-gcc-02 section 6: up by 5 % under 2 % loss, down by half the loss above 10 %).
///
/// It begins with a guess. Until loss or a limit speaks against it, it is only the least that the line carries: what
/// leaves and comes through without loss is carried too.
///
/// Receivers name at most one and a half times what comes in, whatever the line carries. So a REMB above what is sent
/// never lowers the limit, except the first one; and one that is not renewed is forgotten step by step, up to where the
/// estimate began.
#[derive(Debug, Clone)]
pub struct ReceiverReportEstimator {
    start: u64,
    bps: u64,
    limit: u64,
    confirmed: bool,
    /// What leaves, and the least of it since the last report.
    given: u64,
    least_given: Option<u64>,
    /// Whether loss has lowered it, and whether the last change was that.
    lowered: bool,
    lowered_last: bool,
    has_remb: bool,
    state: LineState,
    last_change: Option<Instant>,
    doubt_remb_at: Option<Instant>,
    sent: Sent,
}

/// Measures the rate at which pictures are sent.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    since: Option<(Instant, u64)>,
    bps: Option<u64>,
}

impl Sent {
    fn count(&mut self, bytes: u64, now: Instant) {
        let Some((begun, before)) = self.since else {
            self.since = Some((now, bytes));
            return;
        };
        let passed = now.saturating_duration_since(begun);
        if passed >= SENT_WINDOW {
            let bits = u128::from(bytes.saturating_sub(before)) * 8;
            self.bps = Some((bits * 1_000 / passed.as_millis()) as u64);
            self.since = Some((now, bytes));
        }
    }
}

impl ReceiverReportEstimator {
    /// Starts at `bps`.
    pub fn new(bps: u64) -> Self {
        Self {
            start: bps,
            bps,
            limit: u64::MAX,
            confirmed: false,
            given: 0,
            least_given: None,
            lowered: false,
            lowered_last: false,
            has_remb: false,
            state: LineState::Normal,
            last_change: None,
            doubt_remb_at: None,
            sent: Sent::default(),
        }
    }

    fn is_uncontested(&self) -> bool {
        !self.lowered && self.limit == u64::MAX
    }
}

impl BandwidthEstimator for ReceiverReportEstimator {
    fn name(&self) -> &'static str {
        "receiver-reports"
    }

    fn on_report(&mut self, report: ReportedLoss, now: Instant) {
        const CHANGE_INTERVAL: Duration = Duration::from_millis(500);
        self.confirmed = true;
        let lost = u64::from(report.fraction);
        let recent = self
            .last_change
            .is_some_and(|last| now.saturating_duration_since(last) < CHANGE_INTERVAL);
        // Pictures may be lost where sound is not, and the one is reported with the other.
        if recent && (lost <= 26 || self.lowered_last) {
            return;
        }
        self.state = if lost > 26 {
            LineState::Overused
        } else {
            LineState::Normal
        };
        if self.is_uncontested() {
            self.bps = self.bps.max(self.least_given.unwrap_or(0));
        }
        self.least_given = Some(self.given);
        self.lowered_last = lost > 26;
        // 2 % and 10 % of 256.
        if lost <= 5 {
            self.bps = (self.bps + self.bps / 20)
                .min(self.limit)
                .min(1_000_000_000);
        } else if lost > 26 {
            self.bps = (self.bps - self.bps * lost / 512).max(10_000);
            self.lowered = true;
        } else {
            return;
        }
        self.last_change = Some(now);
    }

    fn set_given(&mut self, bps: u64) {
        self.given = bps;
        self.least_given = Some(self.least_given.unwrap_or(bps).min(bps));
    }

    fn on_pictures_sent(&mut self, bytes: u64, now: Instant) {
        self.sent.count(bytes, now);
    }

    fn on_remb(&mut self, bps: u64, now: Instant) {
        self.confirmed = true;
        let sent = self.sent.bps.unwrap_or(0);
        // The first one may come before it is known what is sent: then it speaks for itself.
        let is_first = !self.has_remb && self.sent.bps.unwrap_or(bps) >= TELLING_BPS;
        if is_first || bps < sent || bps > self.limit {
            self.has_remb = true;
            self.limit = bps.max(10_000);
        }
        self.bps = self.bps.min(self.limit);
        self.doubt_remb_at = Some(now + REMB_LIFE);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.doubt_remb_at
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.doubt_remb_at.is_none_or(|at| now < at) {
            return;
        }
        if self.bps >= self.limit {
            self.bps = self.bps.max((self.bps * 2).min(self.start));
        }
        self.limit = self.limit.saturating_mul(2).max(self.bps);
        self.doubt_remb_at = (self.limit < self.start).then(|| now + REMB_GROWTH_INTERVAL);
        if self.doubt_remb_at.is_none() {
            self.limit = u64::MAX;
        }
    }

    fn estimate(&self) -> Estimate {
        Estimate {
            bps: self.bps.min(self.limit),
            // What it believes is a limit that is not known to queue: nothing is spread over time.
            pacing_bps: None,
            confirmed: self.confirmed,
            at_least: self.is_uncontested(),
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
    fn what_comes_through_without_loss_is_carried_until_loss_speaks_against_it() {
        let base = base();
        let seconds = |count| base + Duration::from_secs(count);
        let mut estimator = ReceiverReportEstimator::new(1_000_000);
        estimator.set_given(3_000_000);
        assert_eq!(
            estimator.estimate().bps,
            1_000_000,
            "nobody said that it came"
        );
        estimator.on_report(report(0), base);
        assert!(estimator.estimate().at_least);
        assert_eq!(estimator.estimate().bps, 3_150_000);
        estimator.on_report(report(128), seconds(1));
        assert!(!estimator.estimate().at_least);
        assert_eq!(estimator.estimate().bps, 2_362_500, "of what was sent");
        estimator.on_report(report(0), seconds(2));
        assert!(!estimator.estimate().at_least);
        assert_eq!(estimator.estimate().bps, 2_480_625);
    }

    #[test]
    fn loss_of_pictures_counts_beside_sound_that_comes_through() {
        let base = base();
        let mut estimator = ReceiverReportEstimator::new(1_000_000);
        for lost in [0, 128, 0, 128] {
            estimator.on_report(report(lost), base);
        }
        assert_eq!(estimator.estimate().bps, 787_500, "once");
    }

    #[test]
    fn what_has_only_begun_to_leave_is_not_said_to_be_carried() {
        let base = base();
        let mut estimator = ReceiverReportEstimator::new(1_000_000);
        estimator.set_given(200_000);
        estimator.on_report(report(0), base);
        estimator.set_given(3_000_000);
        estimator.on_report(report(0), base + Duration::from_secs(1));
        assert_eq!(estimator.estimate().bps, 1_102_500);
    }

    #[test]
    fn a_limit_that_the_peer_named_is_no_floor() {
        let base = base();
        let mut estimator = sending(2_000, base);
        estimator.set_given(2_000_000);
        estimator.on_remb(700_000, base);
        estimator.on_report(report(0), base);
        assert!(!estimator.estimate().at_least);
        assert_eq!(estimator.estimate().bps, 700_000);
    }

    /// An estimator whose pictures took `kbps` in the second before `base`.
    fn sending(kbps: u64, base: Instant) -> ReceiverReportEstimator {
        let mut estimator = ReceiverReportEstimator::new(1_000_000);
        estimator.on_pictures_sent(0, base.checked_sub(SENT_WINDOW).unwrap());
        estimator.on_pictures_sent(kbps * 125, base);
        estimator
    }

    #[test]
    fn remb_is_an_upper_limit() {
        let base = base();
        let mut estimator = sending(400, base);
        estimator.on_remb(300_000, base);
        assert_eq!(estimator.estimate().bps, 300_000);
        estimator.on_report(report(0), base);
        assert_eq!(estimator.estimate().bps, 300_000);
        estimator.on_remb(2_000_000, base);
        estimator.on_report(report(0), base + Duration::from_secs(1));
        assert_eq!(estimator.estimate().bps, 315_000);
    }

    #[test]
    fn a_remb_that_is_not_renewed_is_forgotten_step_by_step() {
        let base = base();
        let seconds = |count| base + Duration::from_secs(count);
        let mut estimator = sending(400, base);
        estimator.on_remb(100_000, base);
        estimator.handle_timeout(seconds(4));
        assert_eq!(estimator.estimate().bps, 100_000, "it still holds");
        for (at, bps) in [(5, 200_000), (6, 400_000), (7, 800_000), (8, 1_000_000)] {
            assert_eq!(estimator.next_timeout(), Some(seconds(at)));
            estimator.handle_timeout(seconds(at));
            assert_eq!(estimator.estimate().bps, bps, "after {at} s");
        }
        assert_eq!(estimator.next_timeout(), None);
    }

    #[test]
    fn a_remb_that_is_renewed_holds() {
        let base = base();
        let mut estimator = sending(400, base);
        for second in 0..60 {
            let now = base + Duration::from_secs(second);
            estimator.on_remb(100_000, now);
            estimator.handle_timeout(now);
            estimator.on_report(report(0), now);
            assert_eq!(estimator.estimate().bps, 100_000);
        }
    }

    #[test]
    fn loss_is_not_forgotten_with_the_remb() {
        let base = base();
        let mut estimator = sending(400, base);
        estimator.on_remb(2_000_000, base);
        estimator.on_report(report(255), base);
        let after_loss = estimator.estimate().bps;
        estimator.handle_timeout(base + REMB_LIFE);
        assert!(after_loss < 510_000);
        assert_eq!(estimator.estimate().bps, after_loss);
    }

    #[test]
    fn what_a_receiver_says_of_a_trickle_is_no_limit() {
        let base = base();
        let mut estimator = sending(20, base);
        estimator.on_remb(40_000, base);
        assert_eq!(estimator.estimate().bps, 1_000_000);
        assert!(estimator.estimate().confirmed);
    }

    #[test]
    fn a_remb_above_what_is_sent_lowers_nothing() {
        let base = base();
        let seconds = |count| base + Duration::from_secs(count);
        let mut estimator = sending(400, base);
        estimator.on_remb(600_000, base);
        estimator.on_pictures_sent(100_000, seconds(1));
        assert_eq!(estimator.estimate().bps, 600_000);
        // Hardly anything leaves: what is said of it is no news of the line.
        estimator.on_pictures_sent(100_100, seconds(2));
        estimator.on_remb(11_200, seconds(2));
        assert_eq!(estimator.estimate().bps, 600_000);
        // Less is allowed than leaves: that is.
        estimator.on_pictures_sent(150_100, seconds(3));
        estimator.on_remb(350_000, seconds(3));
        assert_eq!(estimator.estimate().bps, 350_000);
    }
}
