//! When a shard rests although datagrams may come: where many plain streams have a socket each, most packets of sound
//! would wake the thread for themselves alone.
//!
//! Each wake-up costs the kernel and the caches more than the packet it is for. So while packets come closely, a turn
//! lasts at least the gathering delay, and the next one finds all that has come meanwhile. Where they come seldom
//! nothing waits.

use std::time::{Duration, Instant};

/// How long packets are counted before it is judged again how closely they come.
const WINDOW: Duration = Duration::from_millis(10);
/// So many packets in one gathering delay are worth a rest.
const WORTH: u64 = 2;

/// Whether to rest after a turn, and how long.
///
/// Inputs: `note` for each packet that may be gathered, `rest` after each turn. `delay` bounds what it adds to the way
/// of a packet; zero never rests.
#[derive(Debug)]
pub(super) struct Gather {
    delay: Duration,
    /// When the window under way began.
    since: Instant,
    packets: u64,
    is_dense: bool,
}

impl Gather {
    pub(super) fn new(delay: Duration, now: Instant) -> Self {
        Self {
            delay,
            since: now,
            packets: 0,
            is_dense: false,
        }
    }

    /// A packet came that may be gathered with others.
    pub(super) fn note(&mut self) {
        self.packets += 1;
    }

    /// Whether packets come closely, as of the last turn.
    pub(super) fn is_dense(&self) -> bool {
        self.is_dense
    }

    /// How long to rest after a turn that began at `began`, so that `next`, the next deadline, is kept.
    pub(super) fn rest(
        &mut self,
        began: Instant,
        now: Instant,
        next: Option<Instant>,
    ) -> Option<Duration> {
        let counted = now.saturating_duration_since(self.since);
        if counted >= WINDOW {
            let worth = u128::from(self.packets) * self.delay.as_micros();
            self.is_dense = worth >= u128::from(WORTH) * counted.as_micros();
            (self.since, self.packets) = (now, 0);
        }
        if !self.is_dense {
            return None;
        }
        let until = began + self.delay;
        let until = next.map_or(until, |next| next.min(until));
        let rest = until.saturating_duration_since(now);
        (!rest.is_zero()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(1);

    /// What is rested after each of the turns, which take no time themselves and take `packets` each.
    fn run(gather: &mut Gather, start: Instant, every: Duration, packets: u64) -> Vec<Duration> {
        let turns = (1..=40).map(|turn| {
            (0..packets).for_each(|_| gather.note());
            let at = start + every * turn;
            gather.rest(at, at, None).unwrap_or_default()
        });
        turns.collect()
    }

    #[test]
    fn many_packets_are_gathered_and_few_leave_at_once() {
        let start = Instant::now();
        let mut gather = Gather::new(DELAY, start);
        let rests = run(&mut gather, start, DELAY, 5);
        assert_eq!(rests[0], Duration::ZERO, "nothing is known yet");
        assert_eq!(rests.last(), Some(&DELAY));
        let later = start + Duration::from_secs(1);
        let rests = run(&mut gather, later, DELAY, 1);
        assert_eq!(rests.last(), Some(&Duration::ZERO));
    }

    #[test]
    fn after_silence_the_first_packet_does_not_rest() {
        let start = Instant::now();
        let mut gather = Gather::new(DELAY, start);
        run(&mut gather, start, DELAY, 5);
        gather.note();
        let later = start + Duration::from_secs(1);
        assert_eq!(gather.rest(later, later, None), None);
        assert!(!gather.is_dense());
    }

    #[test]
    fn a_turn_that_took_long_rests_the_less_and_deadlines_are_kept() {
        let start = Instant::now();
        let mut gather = Gather::new(DELAY, start);
        run(&mut gather, start, DELAY, 5);
        let began = start + 41 * DELAY;
        let us = Duration::from_micros;
        let after = |gather: &mut Gather, took, next: Option<u64>| {
            gather.rest(began, began + us(took), next.map(|at| began + us(at)))
        };
        assert_eq!(after(&mut gather, 300, None), Some(us(700)));
        assert_eq!(after(&mut gather, 300, Some(500)), Some(us(200)));
        assert_eq!(after(&mut gather, 300, Some(100)), None, "it is due");
        assert_eq!(after(&mut gather, 1_000, None), None);
    }

    #[test]
    fn without_a_delay_nothing_ever_rests() {
        let start = Instant::now();
        let mut gather = Gather::new(Duration::ZERO, start);
        let rests = run(&mut gather, start, DELAY, 50);
        assert!(rests.iter().all(Duration::is_zero));
    }
}
