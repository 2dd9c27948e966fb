//! The deadlines of all objects of a router in one heap.
//!
//! Whoever owns a deadline remembers the time it armed; an entry whose time differs from that is
//! stale and is passed over. So re-arming is a push, and nothing is searched.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Whose deadline it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// RTCP reports of a transport.
    Report(u32),
    /// Transport-wide feedback of a transport.
    Feedback(u32),
    /// The estimator of a transport.
    Estimator(u32),
    /// The pacer of a transport.
    Pace(u32),
    /// Missing packets and keyframe requests of a stream.
    Repair(u32),
    /// The layers of a transport's consumers.
    Allocation(u32),
    /// A look at what a transport's peer sends, between two reports.
    Look(u32),
    /// The active speakers.
    Speakers,
}

/// Deadlines in microseconds since the router's clock anchor.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(u64, Timer)>>,
}

impl Timers {
    /// Arms a deadline unless an earlier or equal one is armed; `armed` is its owner's memory.
    pub(crate) fn arm(&mut self, timer: Timer, at: u64, armed: &mut Option<u64>) {
        if armed.is_some_and(|armed| armed <= at) {
            return;
        }
        *armed = Some(at);
        self.heap.push(Reverse((at, timer)));
    }

    /// The earliest deadline; it may be stale, then its handling does nothing.
    pub(crate) fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next deadline that is due.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<(u64, Timer)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due)
    }

    /// Deadlines waiting, stale ones included.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

/// Whether a popped deadline is its owner's newest; forgets it then.
pub(crate) fn disarm(armed: &mut Option<u64>, at: u64) -> bool {
    let current = *armed == Some(at);
    if current {
        *armed = None;
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_deadline_of_an_owner_counts() {
        let mut timers = Timers::default();
        let mut armed = None;
        timers.arm(Timer::Repair(1), 50, &mut armed);
        timers.arm(Timer::Repair(1), 80, &mut armed);
        assert_eq!(
            timers.len(),
            1,
            "a later deadline waits for the earlier one"
        );
        timers.arm(Timer::Repair(1), 20, &mut armed);
        assert_eq!(timers.pop_due(10), None);
        let (at, timer) = timers.pop_due(60).unwrap();
        assert_eq!((at, timer), (20, Timer::Repair(1)));
        assert!(disarm(&mut armed, at));
        let (at, _) = timers.pop_due(60).unwrap();
        assert!(!disarm(&mut armed, at), "the first one is stale now");
        assert_eq!(timers.pop_due(60), None);
    }
}
