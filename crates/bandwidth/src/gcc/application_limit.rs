//! Whether the source has less to send than it may.
//!
//! Follows libwebrtc's `alr_detector.cc` (revision 0467d2b9): a budget that fills at a share of the estimate and is
//! spent by what is sent.

/// The budget fills at this share of the estimate.
const USAGE: f64 = 0.65;
/// It holds what half a second fills.
const WINDOW_SECONDS: f64 = 0.5;
/// So full the source is limited; so empty it is not any more.
const START: f64 = 0.80;
const STOP: f64 = 0.50;

/// The budget, in bytes from minus full to full.
#[derive(Debug, Default)]
pub(super) struct ApplicationLimit {
    budget: f64,
    last_us: Option<i64>,
    limited_since_us: Option<i64>,
    /// When the source last stopped being limited.
    pub(super) ended_us: Option<i64>,
}

impl ApplicationLimit {
    /// `bytes` were sent since the last call.
    pub(super) fn push(&mut self, bytes: u64, estimate_bps: f64, now_us: i64) {
        let last = self.last_us.replace(now_us).unwrap_or(now_us);
        let rate = estimate_bps * USAGE / 8.0;
        let full = rate * WINDOW_SECONDS;
        let filled = rate * ((now_us - last).max(0) as f64 / 1e6);
        self.budget = (self.budget.max(-full) + filled - bytes as f64).clamp(-full, full);
        if full <= 0.0 {
            return;
        }
        let level = self.budget / full;
        if level > START {
            self.limited_since_us.get_or_insert(now_us);
        } else if level < STOP && self.limited_since_us.take().is_some() {
            self.ended_us = Some(now_us);
        }
    }

    /// Since when the source is limited.
    pub(super) fn since_us(&self) -> Option<i64> {
        self.limited_since_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESTIMATE: f64 = 1_000_000.0;

    /// A second in which a share of the estimate is sent, told of every 10 ms; gives when it ended.
    fn second(limit: &mut ApplicationLimit, share: f64, from_us: i64) -> i64 {
        for step in 1..=100 {
            let bytes = share * ESTIMATE / 8.0 / 100.0;
            limit.push(bytes as u64, ESTIMATE, from_us + step * 10_000);
        }
        from_us + 1_000_000
    }

    #[test]
    fn a_source_that_sends_a_third_of_the_estimate_is_limited_until_it_sends_all_of_it() {
        let mut limit = ApplicationLimit::default();
        let now = second(&mut limit, 1.0, 0);
        assert_eq!(limit.since_us(), None, "it sends what it may");
        let mut end = now;
        for _ in 0..2 {
            end = second(&mut limit, 0.3, end);
        }
        // From minus full to 80 % at 35 % of the estimate a second: 0.65 * 0.5 * 1.8 / 0.35.
        let since = limit.since_us().expect("limited");
        assert!((1_600_000..1_750_000).contains(&(since - now)), "{since}");
        assert_eq!(limit.ended_us, None);
        second(&mut limit, 1.0, end);
        assert_eq!(limit.since_us(), None);
        let ended = limit.ended_us.expect("the end is known");
        // From full to a half at 35 % of the estimate a second: 0.65 * 0.5 * 0.5 / 0.35.
        assert!((430_000..500_000).contains(&(ended - end)), "{ended}");
    }

    #[test]
    fn a_source_at_two_thirds_of_the_estimate_is_not_limited() {
        let mut limit = ApplicationLimit::default();
        let mut now = 0;
        for _ in 0..10 {
            now = second(&mut limit, 0.66, now);
        }
        assert_eq!(limit.since_us(), None);
    }

    #[test]
    fn the_budget_does_not_outgrow_half_a_second() {
        let mut limit = ApplicationLimit::default();
        limit.push(0, ESTIMATE, 0);
        limit.push(0, ESTIMATE, 3_600_000_000);
        // An hour of silence is spent in three quarters of a second.
        second(&mut limit, 1.0, 3_600_000_000);
        assert_eq!(limit.since_us(), None);
    }
}
