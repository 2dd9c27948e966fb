//! Whether the source has less to send than it may.
//!
//! Follows libwebrtc's `alr_detector.cc`: a budget that fills at a share of the estimate and is
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
