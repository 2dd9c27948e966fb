//! How much packets are delayed, one against the other.

use std::collections::VecDeque;

/// What is looked at: the packets of this long, and at most so many.
const WINDOW_US: i64 = 3_000_000;
const WINDOW_PACKETS: usize = 320;

/// A single packet this much later than all others is an accident, not the line.
const ACCIDENT_US: i64 = 40_000;

/// Transit times of the last packets. Their zero is arbitrary; only differences count.
#[derive(Clone, Debug, Default)]
pub(super) struct Delays {
    /// Arrival and transit, in microseconds.
    recent: VecDeque<(i64, i64)>,
    fastest_us: i64,
    spread_us: i64,
}

impl Delays {
    /// A packet arrived.
    pub(super) fn note(&mut self, now_us: i64, transit_us: i64) {
        while self.recent.len() >= WINDOW_PACKETS
            || (self.recent.front()).is_some_and(|&(at, _)| at + WINDOW_US < now_us)
        {
            self.recent.pop_front();
        }
        self.recent.push_back((now_us, transit_us));
        let transits = self.recent.iter().map(|&(_, transit)| transit);
        self.fastest_us = transits.clone().min().unwrap_or(transit_us);
        let (mut slowest, mut second) = (i64::MIN, i64::MIN);
        for transit in transits {
            if transit > slowest {
                (slowest, second) = (transit, slowest);
            } else {
                second = second.max(transit);
            }
        }
        let is_accident = self.recent.len() > 20 && slowest > second + ACCIDENT_US;
        let slowest = if is_accident { second } else { slowest };
        self.spread_us = slowest - self.fastest_us;
    }

    /// The transit of the fastest packet.
    pub(super) const fn fastest_us(&self) -> i64 {
        self.fastest_us
    }

    /// How much later than the fastest the slowest was.
    pub(super) const fn spread_us(&self) -> i64 {
        self.spread_us
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_the_last_three_seconds() {
        let mut delays = Delays::default();
        for packet in 0..150 {
            delays.note(packet * 20_000, 1_000 + packet % 4 * 10_000);
        }
        assert_eq!((delays.fastest_us(), delays.spread_us()), (1_000, 30_000));
        for packet in 150..302 {
            delays.note(packet * 20_000, 5_000);
        }
        assert_eq!((delays.fastest_us(), delays.spread_us()), (5_000, 0));
    }

    #[test]
    fn one_late_packet_is_an_accident_and_two_are_the_line() {
        let mut delays = Delays::default();
        for packet in 0..50 {
            delays.note(packet * 20_000, 0);
        }
        delays.note(1_000_000, 300_000);
        assert_eq!(delays.spread_us(), 0);
        delays.note(1_020_000, 280_000);
        assert_eq!(delays.spread_us(), 300_000);
    }
}
