//! When a packet is to be delivered: the sender's time stamps on the receiver's clock, with drift
//! (draft-sharabayko-srt sections 4.5 and 4.7).

use crate::time::Micros;

/// Samples of drift that are averaged.
const SAMPLES: u32 = 1000;
/// Drift above this moves the base by as much; what is below stays a correction.
const STEP: Micros = 5_000;
/// How much later than its arrival and the latency a packet may be delivered: more is a clock that jumped.
const LATEST: Micros = 500_000;

/// How late a packet may come by its time stamp before the clock is doubted rather than the line.
const LATE: Micros = 2_000_000;
/// How long packets come too early or too late by their time stamps until the base is laid anew.
const DOUBTED_FOR: Micros = 1_000_000;

/// The sender's time on the receiver's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeBase {
    /// When the sender's clock showed zero.
    base: Micros,
    latency: Micros,
    drift: Micros,
    /// The newest time stamp, unwrapped.
    newest: Micros,
    sum: Micros,
    samples: u32,
    /// The first round trip: what it grows by is no drift.
    first_rtt: Option<Micros>,
    /// Since when no time stamp has made sense.
    doubted_since: Option<Micros>,
}

impl TimeBase {
    /// A base by a packet with `timestamp` that came at `now`.
    pub(crate) fn new(timestamp: u32, now: Micros, latency: Micros) -> Self {
        let stamp = Micros::from(timestamp);
        Self {
            base: now - stamp,
            latency,
            drift: 0,
            newest: stamp,
            sum: 0,
            samples: 0,
            first_rtt: None,
            doubted_since: None,
        }
    }

    pub(crate) fn drift(&self) -> Micros {
        self.drift
    }

    /// The time stamp without its wrap.
    fn unwrap(&mut self, timestamp: u32) -> Micros {
        let step = timestamp.wrapping_sub(self.newest as u32) as i32;
        let stamp = self.newest + Micros::from(step);
        self.newest = self.newest.max(stamp);
        stamp
    }

    /// When a data packet that came at `now` is to be delivered, and whether its time stamp had to be corrected.
    pub(crate) fn delivery(&mut self, timestamp: u32, now: Micros) -> (Micros, bool) {
        let stamp = self.unwrap(timestamp);
        let at = stamp + self.base + self.drift + self.latency;
        let latest = now + self.latency + LATEST;
        if at <= latest && at >= now - LATE {
            self.doubted_since = None;
            return (at, false);
        }
        let since = *self.doubted_since.get_or_insert(now);
        if now - since >= DOUBTED_FOR {
            // The clock has jumped, and stays where it is.
            self.base = now - stamp;
            (self.drift, self.sum, self.samples) = (0, 0, 0);
            self.doubted_since = None;
            return (now + self.latency, true);
        }
        (at.min(latest), at > latest)
    }

    /// A packet that was sent just now by the sender's clock, a round trip after it was asked for.
    pub(crate) fn sample(&mut self, timestamp: u32, now: Micros, rtt: Micros) {
        let longer = rtt - *self.first_rtt.get_or_insert(rtt);
        let stamp = self.unwrap(timestamp);
        self.sum += now - (self.base + stamp) - longer / 2;
        self.samples += 1;
        if self.samples < SAMPLES {
            return;
        }
        let mean = self.sum / Micros::from(self.samples);
        (self.sum, self.samples) = (0, 0);
        let step = if mean.abs() > STEP {
            STEP * mean.signum()
        } else {
            0
        };
        self.base += step;
        self.drift = mean - step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_wrap_and_delivery_goes_on() {
        let mut base = TimeBase::new(0xffff_fff0, 1_000_000, 120_000);
        assert_eq!(base.delivery(0xffff_fff0, 1_000_000).0, 1_120_000);
        assert_eq!(base.delivery(0x10, 1_000_032).0, 1_120_032);
        // An older packet that comes again still has its own time.
        assert_eq!(base.delivery(0xffff_fff8, 1_000_050).0, 1_120_008);
    }

    #[test]
    fn a_clock_that_runs_fast_is_followed() {
        let mut base = TimeBase::new(0, 0, 120_000);
        // 100 ppm for an hour, a sample every 10 ms.
        let mut worst = 0;
        for step in 1..360_000_i64 {
            let now = step * 10_000;
            let stamp = (now + now / 10_000) as u32;
            base.sample(stamp, now, 20_000);
            let (at, _) = base.delivery(stamp, now);
            worst = worst.max((at - now - 120_000).abs());
        }
        assert!(worst < 10_000, "{worst} us off");
        assert!(base.drift().abs() <= STEP);
    }

    #[test]
    fn a_time_stamp_far_ahead_does_not_hold_the_stream() {
        let mut base = TimeBase::new(0, 0, 120_000);
        assert_eq!(base.delivery(60_000_000, 1_000), (621_000, true));
    }

    #[test]
    fn a_clock_that_jumped_is_followed_after_a_second() {
        for jump in [60_000_000, -20_000_000_i64] {
            let mut base = TimeBase::new(30_000_000, 30_000_000, 120_000);
            let delays: Vec<i64> = (0..200)
                .map(|step| 30_000_000 + step * 10_000)
                .map(|now| base.delivery((now + jump) as u32, now).0 - now)
                .collect();
            let at_first = if jump > 0 { 620_000 } else { jump + 120_000 };
            assert_eq!(delays[..100], [at_first; 100]);
            assert_eq!(delays[100..], [120_000; 100]);
        }
    }
}
