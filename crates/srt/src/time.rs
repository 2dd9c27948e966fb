//! Time inside: microseconds since whoever owns a connection began.

use std::time::{Duration, Instant};

/// Microseconds since the owner's beginning.
pub(crate) type Micros = i64;

/// Turns instants into microseconds and back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) const fn new(now: Instant) -> Self {
        Self(now)
    }

    pub(crate) fn micros(self, now: Instant) -> Micros {
        let since = now.saturating_duration_since(self.0);
        since.as_secs() as i64 * 1_000_000 + i64::from(since.subsec_micros())
    }

    /// The first instant that is not before `at`.
    pub(crate) fn instant(self, at: Micros) -> Instant {
        self.0 + Duration::from_micros(u64::try_from(at).unwrap_or(0))
    }
}

/// A duration in microseconds; an hour at most.
pub(crate) fn micros(duration: Duration) -> Micros {
    i64::try_from(duration.as_micros()).map_or(3_600_000_000, |micros| micros.min(3_600_000_000))
}
