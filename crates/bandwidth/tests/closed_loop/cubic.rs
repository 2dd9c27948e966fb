//! A bulk transfer as TCP makes it: CUBIC (RFC 9438) with selective acknowledgements.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Bytes of a full segment on the wire.
pub const SEGMENT: usize = 1_500;
/// Segments known to have arrived behind a missing one before that counts as lost (RFC 6675).
const REORDERING: u64 = 3;

/// The sending side of an endless transfer.
#[derive(Debug)]
pub struct Cubic {
    window: f64,
    threshold: f64,
    /// The window before the last loss, and when that was.
    peak: f64,
    epoch: Option<Instant>,
    outstanding: BTreeMap<u64, Instant>,
    next: u64,
    /// No second cut before what was sent until the first is known.
    recovery_until: u64,
    round_trip: Option<Duration>,
    shortest: Option<Duration>,
    last_progress: Instant,
}

impl Cubic {
    pub fn new(now: Instant) -> Self {
        Self {
            window: 10.0,
            threshold: f64::INFINITY,
            peak: 0.0,
            epoch: None,
            outstanding: BTreeMap::new(),
            next: 0,
            recovery_until: 0,
            round_trip: None,
            shortest: None,
            last_progress: now,
        }
    }

    /// The next segment to send now.
    pub fn poll(&mut self, now: Instant) -> Option<u64> {
        if self.outstanding.len() as f64 >= self.window.max(1.0) {
            return None;
        }
        let number = self.next;
        self.next += 1;
        if self.outstanding.is_empty() {
            self.last_progress = now;
        }
        self.outstanding.insert(number, now);
        Some(number)
    }

    /// A segment is known to have arrived.
    pub fn acknowledge(&mut self, number: u64, now: Instant) {
        let Some(sent) = self.outstanding.remove(&number) else {
            return;
        };
        self.last_progress = now;
        let sample = now.saturating_duration_since(sent);
        let smooth = self.round_trip.map_or(sample, |old| (old * 7 + sample) / 8);
        self.round_trip = Some(smooth);
        self.shortest = Some(self.shortest.map_or(sample, |least| least.min(sample)));
        let lost = self.outstanding.range(..number.saturating_sub(REORDERING));
        let lost: Vec<u64> = lost.map(|(number, _)| *number).collect();
        for number in &lost {
            self.outstanding.remove(number);
        }
        if lost.last().is_some_and(|last| *last >= self.recovery_until) {
            self.cut(now);
        } else if lost.is_empty() {
            self.grow(now);
        }
    }

    fn cut(&mut self, now: Instant) {
        /// RFC 9438 section 4.6.
        const BETA: f64 = 0.7;
        self.recovery_until = self.next;
        // Fast convergence (section 4.7).
        self.peak = if self.window < self.peak {
            self.window * (1.0 + BETA) / 2.0
        } else {
            self.window
        };
        self.window = (self.window * BETA).max(2.0);
        self.threshold = self.window;
        self.epoch = Some(now);
    }

    fn grow(&mut self, now: Instant) {
        /// RFC 9438 section 4.2.
        const C: f64 = 0.4;
        if self.window < self.threshold {
            self.window += 1.0;
            // HyStart (RFC 9406): slow start ends when the delay grows.
            if let (Some(round_trip), Some(shortest)) = (self.round_trip, self.shortest)
                && self.window >= 16.0
                && round_trip > shortest + (shortest / 8).max(Duration::from_millis(4))
            {
                self.threshold = self.window;
            }
            return;
        }
        let epoch = *self.epoch.get_or_insert(now);
        let round_trip = self.round_trip.unwrap_or_default().as_secs_f64();
        let elapsed = now.saturating_duration_since(epoch).as_secs_f64();
        let to_peak = ((self.peak - self.threshold.min(self.peak)) / C).cbrt();
        let target = C * (elapsed + round_trip - to_peak).powi(3) + self.peak;
        // What Reno would have by now (section 4.3).
        let reno = self.threshold + 0.53 * elapsed / round_trip.max(0.001);
        let target = target.max(reno).min(self.window * 1.5);
        if target > self.window {
            self.window += (target - self.window) / self.window;
        }
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        let patience = self.round_trip.map_or(1.0, |trip| trip.as_secs_f64() * 2.0);
        let patience = Duration::from_secs_f64(patience.max(1.0));
        (!self.outstanding.is_empty()).then(|| self.last_progress + patience)
    }

    /// Nothing came back for too long: begin anew.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_timeout().is_none_or(|at| at > now) {
            return;
        }
        self.outstanding.clear();
        self.threshold = (self.window / 2.0).max(2.0);
        self.window = 1.0;
        self.recovery_until = self.next;
        self.epoch = None;
        self.last_progress = now;
    }
}
