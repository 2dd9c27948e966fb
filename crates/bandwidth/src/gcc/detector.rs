//! Over-use: a value above an adaptive threshold for long enough, and still rising.
//!
//! Follows sections 5.4 and 5.5 of draft-ietf-rmcat-gcc-02 with the constants of libwebrtc's
//! `trendline_estimator.cc` (revision 0467d2b9).

use crate::LineState;

/// The threshold at first, in milliseconds.
const FIRST_THRESHOLD: f64 = 12.5;
/// Bounds of the threshold.
const THRESHOLD_RANGE: (f64, f64) = (6.0, 600.0);
/// How fast the threshold moves toward a value above it and below it, a millisecond.
const UP_RATE: f64 = 0.0087;
const DOWN_RATE: f64 = 0.039;
/// A value this far above the threshold is a spike that does not move it.
const SPIKE: f64 = 15.0;
/// Over the threshold for this long is over-use.
const OVERUSE_MS: f64 = 10.0;
/// One step of the threshold covers at most this time.
const MAX_STEP_MS: f64 = 100.0;

/// The threshold and what was found.
#[derive(Debug)]
pub(super) struct Detector {
    threshold: f64,
    state: LineState,
    previous: f64,
    over_ms: Option<f64>,
    over_count: u32,
    last_us: Option<i64>,
    /// How often over-use was found.
    pub(super) overuses: u64,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            threshold: FIRST_THRESHOLD,
            state: LineState::Normal,
            previous: 0.0,
            over_ms: None,
            over_count: 0,
            last_us: None,
            overuses: 0,
        }
    }
}

impl Detector {
    /// Compares the value of one more group. Where there `is_queue` to speak of the threshold rises with the value.
    /// (libwebrtc's rises always: a queue that grows slowly has raised it before it is long enough to count, each
    /// flow's by another chance, and who notices it last takes what the others gave.)
    pub(super) fn push(&mut self, value: f64, spacing_ms: f64, arrival_us: i64, is_queue: bool) {
        let before = self.state;
        if value > self.threshold {
            let over = self.over_ms.map_or(spacing_ms / 2.0, |ms| ms + spacing_ms);
            self.over_ms = Some(over);
            self.over_count += 1;
            if over > OVERUSE_MS && self.over_count > 1 && value >= self.previous {
                self.over_ms = Some(0.0);
                self.over_count = 0;
                self.state = LineState::Overused;
            }
        } else {
            self.over_ms = None;
            self.over_count = 0;
            self.state = if value < -self.threshold {
                LineState::Underused
            } else {
                LineState::Normal
            };
        }
        self.previous = value;
        if self.state == LineState::Overused && before != LineState::Overused {
            self.overuses += 1;
        }
        self.adapt(value, arrival_us, is_queue);
    }

    fn adapt(&mut self, value: f64, arrival_us: i64, is_queue: bool) {
        let last = self.last_us.replace(arrival_us).unwrap_or(arrival_us);
        let size = value.abs();
        if size > self.threshold + SPIKE || (size > self.threshold && !is_queue) {
            return;
        }
        let rate = if size < self.threshold {
            DOWN_RATE
        } else {
            UP_RATE
        };
        let ms = ((arrival_us - last) as f64 / 1000.0).clamp(0.0, MAX_STEP_MS);
        let moved = self.threshold + rate * (size - self.threshold) * ms;
        self.threshold = moved.clamp(THRESHOLD_RANGE.0, THRESHOLD_RANGE.1);
    }

    /// What it found last.
    pub(super) fn state(&self) -> LineState {
        self.state
    }

    /// The threshold now.
    pub(super) fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Forgets what it found, but not the threshold, which belongs to the line.
    pub(super) fn reset(&mut self) {
        *self = Self {
            threshold: self.threshold,
            overuses: self.overuses,
            ..Self::default()
        };
    }
}
