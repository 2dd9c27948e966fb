//! Packets of one stream in the order of their numbers, as far as those that are late still come.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use roomtone_rtp::SequenceUnwrapper;

/// How long is waited for a packet that others have overtaken: as long as a repair takes on most lines.
const PATIENCE: Duration = Duration::from_millis(250);
/// Packets that wait behind a hole at most; more and the hole is given up.
const MAX_WAITING: usize = 1024;

/// A packet in its turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Its number, unwrapped.
    pub(super) sequence: u64,
    pub(super) packet: Vec<u8>,
    /// When it came.
    pub(super) arrival: Instant,
}

/// Holds back what came too early.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    unwrapper: SequenceUnwrapper,
    next: Option<u64>,
    waiting: BTreeMap<u64, (Vec<u8>, Instant)>,
    /// Packets that never came.
    pub(super) lost: u64,
    /// Packets that came when nobody waited any more, or twice.
    pub(super) late: u64,
}

impl Reorder {
    /// The packet's number where it is its turn; else it is kept, or was late.
    pub(super) fn take(&mut self, sequence: u16, packet: &[u8], now: Instant) -> Option<u64> {
        let number = self.unwrapper.peek(sequence);
        let next = *self.next.get_or_insert(number);
        if number < next {
            self.late += 1;
            return None;
        }
        // Only what goes forward moves the reference: a stray number would take all others along.
        self.unwrapper.unwrap(sequence);
        if number == next {
            self.next = Some(next + 1);
            return Some(number);
        }
        if self
            .waiting
            .insert(number, (packet.to_vec(), now))
            .is_some()
        {
            self.late += 1;
        }
        None
    }

    /// What comes now has other numbers; who was waited for does not come any more.
    pub(super) fn restart(&mut self) {
        *self = Self {
            lost: self.lost,
            late: self.late,
            ..Self::default()
        };
    }

    /// The next of those kept, where it is its turn or the hole before it is given up.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Turn> {
        let next = self.next?;
        let (&first, (_, arrival)) = self.waiting.first_key_value()?;
        let gives_up = self.waiting.len() > MAX_WAITING || *arrival + PATIENCE <= now;
        if first != next && !gives_up {
            return None;
        }
        self.lost += first - next;
        self.next = Some(first + 1);
        let (packet, arrival) = self.waiting.remove(&first)?;
        Some(Turn {
            sequence: first,
            packet,
            arrival,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(begun: Instant, ms: u64) -> Instant {
        begun + Duration::from_millis(ms)
    }

    fn popped(reorder: &mut Reorder, now: Instant) -> Vec<u64> {
        std::iter::from_fn(|| reorder.pop(now))
            .map(|turn| turn.sequence)
            .collect()
    }

    #[test]
    fn what_was_overtaken_is_waited_for_and_then_all_goes_on_in_order() {
        let (mut reorder, now) = (Reorder::default(), Instant::now());
        let first = reorder.take(65_535, b"a", now).unwrap();
        assert_eq!(reorder.take(1, b"c", now), None);
        assert!(popped(&mut reorder, now).is_empty());
        assert_eq!(reorder.take(0, b"b", now), Some(first + 1));
        assert_eq!(popped(&mut reorder, now), [first + 2]);
        assert_eq!((reorder.lost, reorder.late), (0, 0));
    }

    #[test]
    fn a_hole_is_given_up_in_time_and_what_comes_then_is_late() {
        let (mut reorder, now) = (Reorder::default(), Instant::now());
        let first = reorder.take(10, b"a", now).unwrap();
        reorder.take(13, b"d", after(now, 10));
        assert!(popped(&mut reorder, after(now, 259)).is_empty());
        assert_eq!(popped(&mut reorder, after(now, 260)), [first + 3]);
        assert_eq!(reorder.take(11, b"b", after(now, 270)), None);
        assert_eq!((reorder.lost, reorder.late), (2, 1));
    }

    #[test]
    fn no_more_than_so_many_wait_behind_a_hole() {
        let (mut reorder, now) = (Reorder::default(), Instant::now());
        reorder.take(0, b"a", now).unwrap();
        for sequence in 2..2 + MAX_WAITING as u16 {
            reorder.take(sequence, b"x", now);
            assert_eq!(reorder.pop(now), None);
        }
        reorder.take(2 + MAX_WAITING as u16, b"x", now);
        assert_eq!(popped(&mut reorder, now).len(), MAX_WAITING + 1);
        assert_eq!(reorder.lost, 1);
    }
}
