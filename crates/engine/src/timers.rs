//! Deadlines of many objects in one heap.
//!
//! Each object has at most one armed deadline that counts. A later deadline than the armed one is not entered at all:
//! the armed one fires early, the object has nothing to do and arms again. An earlier one is entered beside the old,
//! which is skipped when its time comes. So re-arming on every packet costs a comparison.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadlines, earliest first.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
}

/// The deadline of one object that counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Armed(Option<Instant>);

impl<K: Ord + Copy> Timers<K> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
        }
    }

    /// Makes sure that `key` fires at `deadline` or before.
    pub(crate) fn arm(&mut self, key: K, armed: &mut Armed, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if armed.0.is_none_or(|at| deadline < at) {
            armed.0 = Some(deadline);
            self.heap.push(Reverse((deadline, key)));
        }
    }

    /// When the next one fires.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// One entry that is due; it counts only if [`Armed::fire`] agrees.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, K)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

impl Armed {
    /// Whether the entry that came due is the one that counts; if so, nothing is armed any more.
    pub(crate) fn fire(&mut self, at: Instant) -> bool {
        if self.0 == Some(at) {
            self.0 = None;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_earlier_deadline_replaces_a_later_one() {
        let start = Instant::now();
        let (mut timers, mut armed) = (Timers::new(), Armed::default());
        timers.arm(1, &mut armed, Some(start + Duration::from_secs(5)));
        timers.arm(1, &mut armed, Some(start + Duration::from_secs(1)));
        timers.arm(1, &mut armed, Some(start + Duration::from_secs(3)));
        let mut fired = Vec::new();
        while let Some((at, key)) = timers.pop_due(start + Duration::from_secs(10)) {
            if armed.fire(at) {
                fired.push((at - start, key));
            }
        }
        assert_eq!(fired, [(Duration::from_secs(1), 1)]);
    }

    #[test]
    fn nothing_fires_before_its_time() {
        let start = Instant::now();
        let (mut timers, mut armed) = (Timers::new(), Armed::default());
        timers.arm(1, &mut armed, Some(start + Duration::from_secs(5)));
        assert!(timers.pop_due(start + Duration::from_secs(4)).is_none());
        assert_eq!(timers.next(), Some(start + Duration::from_secs(5)));
    }

    #[test]
    fn re_arming_with_later_deadlines_does_not_grow_the_heap() {
        let start = Instant::now();
        let (mut timers, mut armed) = (Timers::new(), Armed::default());
        for ms in 0..10_000 {
            timers.arm(1, &mut armed, Some(start + Duration::from_millis(ms)));
        }
        assert_eq!(timers.heap.len(), 1);
    }
}
