//! The deadlines of all objects of a router: those that must be kept in one heap, those that can wait
//! a little for company in another.
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

/// Deadlines, earliest first.
#[derive(Debug, Default)]
struct Heap(BinaryHeap<Reverse<(u64, Timer)>>);

impl Heap {
    fn push(&mut self, at: u64, timer: Timer) {
        self.0.push(Reverse((at, timer)));
    }

    #[inline]
    fn next(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    #[inline]
    fn pop_due(&mut self, now: u64) -> Option<(u64, Timer)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(due)| due)
    }
}

/// Deadlines in microseconds since the router's clock anchor.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    strict: Heap,
    patient: Heap,
    patience_us: u64,
}

impl Timers {
    /// Those that can wait do so for `patience_us` at most.
    pub(crate) fn new(patience_us: u64) -> Self {
        Self {
            patience_us,
            ..Self::default()
        }
    }

    /// Arms a deadline unless an earlier or equal one is armed; `armed` is its owner's memory.
    pub(crate) fn arm(&mut self, timer: Timer, at: u64, armed: &mut Option<u64>) {
        if is_earlier(at, armed) {
            self.strict.push(at, timer);
        }
    }

    /// The same for a deadline that may pass a little, where nobody need be woken up for it.
    pub(crate) fn arm_patient(&mut self, timer: Timer, at: u64, armed: &mut Option<u64>) {
        if is_earlier(at, armed) {
            self.patient.push(at, timer);
        }
    }

    /// When somebody must be woken up; the deadline may be stale, then its handling does nothing.
    pub(crate) fn next(&self) -> Option<u64> {
        let patient = self.patient.next().map(|at| at + self.patience_us);
        match (self.strict.next(), patient) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Takes the next deadline that is due.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<(u64, Timer)> {
        self.strict.pop_due(now).or_else(|| self.pop_patient(now))
    }

    /// Takes the next deadline that is due of those that wait for company.
    #[inline]
    pub(crate) fn pop_patient(&mut self, now: u64) -> Option<(u64, Timer)> {
        self.patient.pop_due(now)
    }

    /// Deadlines waiting, stale ones included.
    pub(crate) fn len(&self) -> usize {
        self.strict.0.len() + self.patient.0.len()
    }
}

/// Whether a deadline is earlier than the one armed; remembers it then.
fn is_earlier(at: u64, armed: &mut Option<u64>) -> bool {
    let earlier = armed.is_none_or(|armed| at < armed);
    if earlier {
        *armed = Some(at);
    }
    earlier
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

    #[test]
    fn a_report_waits_for_company_and_in_the_end_without() {
        let mut timers = Timers::new(40);
        timers.arm_patient(Timer::Report(1), 100, &mut None);
        timers.arm(Timer::Repair(1), 120, &mut None);
        assert_eq!(timers.next(), Some(120));
        assert_eq!(timers.pop_patient(99), None, "never before its time");
        assert_eq!(timers.pop_patient(100), Some((100, Timer::Report(1))));
        timers.arm_patient(Timer::Report(1), 200, &mut None);
        assert_eq!(timers.pop_due(130), Some((120, Timer::Repair(1))));
        assert_eq!(timers.next(), Some(240));
        assert_eq!(timers.pop_due(240), Some((200, Timer::Report(1))));
    }
}
