//! Deadlines of many objects in one heap.
//!
//! Each object has at most one entry that counts. A later deadline than the entry's is not entered at all, an earlier
//! one is entered beside the old, so re-arming on every packet costs a comparison. Before the thread goes to sleep the
//! entry at the top is put right: one whose object wants a later time, or none, wakes nobody.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadlines, earliest first.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
}

/// The deadline of one object.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Armed {
    /// What its entry in the heap says; other entries of it are left over.
    entry: Option<Instant>,
    /// What it wants.
    deadline: Option<Instant>,
}

impl<K: Ord + Copy> Timers<K> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
        }
    }

    /// Sets when `key` is to fire.
    pub(crate) fn arm(&mut self, key: K, armed: &mut Armed, deadline: Option<Instant>) {
        armed.deadline = deadline;
        if let Some(deadline) = deadline
            && armed.entry.is_none_or(|at| deadline < at)
        {
            armed.entry = Some(deadline);
            self.heap.push(Reverse((deadline, key)));
        }
    }

    /// The earliest entry and whose it is; [`Self::stands`] says whether it counts.
    pub(crate) fn first(&self) -> Option<(Instant, K)> {
        self.heap.peek().map(|Reverse(entry)| *entry)
    }

    /// Whether the first entry is what its object wants. If not, it is taken out or put where it belongs, and another
    /// one is first. `armed` is the object's, `None` where it is gone.
    pub(crate) fn stands(&mut self, armed: Option<&mut Armed>) -> bool {
        let Some((at, key)) = self.first() else {
            return false;
        };
        let Some(armed) = armed.filter(|armed| armed.entry == Some(at)) else {
            self.heap.pop();
            return false;
        };
        if armed.deadline == Some(at) {
            return true;
        }
        self.heap.pop();
        armed.entry = armed.deadline;
        if let Some(deadline) = armed.deadline {
            self.heap.push(Reverse((deadline, key)));
        }
        false
    }

    /// Takes out the first entry, which stands: nothing is armed for its object any more.
    pub(crate) fn fire(&mut self, armed: Option<&mut Armed>) {
        self.heap.pop();
        if let Some(armed) = armed {
            *armed = Armed::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What stands first, and whose it is.
    fn next(timers: &mut Timers<usize>, objects: &mut [Armed]) -> Option<(Instant, usize)> {
        while let Some((at, key)) = timers.first() {
            if timers.stands(objects.get_mut(key)) {
                return Some((at, key));
            }
        }
        None
    }

    #[test]
    fn an_earlier_deadline_replaces_a_later_one_and_a_later_one_the_earlier() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut timers, mut objects) = (Timers::new(), [Armed::default()]);
        for (wanted, first) in [(5, 5), (1, 1), (3, 3), (4, 4), (2, 2)] {
            timers.arm(0, &mut objects[0], Some(at(wanted)));
            assert_eq!(next(&mut timers, &mut objects), Some((at(first), 0)));
        }
        timers.fire(Some(&mut objects[0]));
        assert_eq!(
            next(&mut timers, &mut objects),
            None,
            "nothing is left over"
        );
    }

    #[test]
    fn who_wants_nothing_any_more_and_who_is_gone_wake_nobody() {
        let start = Instant::now();
        let (mut timers, mut objects) = (Timers::new(), [Armed::default(); 2]);
        for key in [0, 1] {
            timers.arm(key, &mut objects[key], Some(start));
        }
        timers.arm(0, &mut objects[0], None);
        assert_eq!(next(&mut timers, &mut objects), Some((start, 1)));
        assert_eq!(next(&mut timers, &mut objects[..1]), None);
    }

    #[test]
    fn the_earliest_of_several_is_first() {
        let start = Instant::now();
        let (mut timers, mut objects) = (Timers::new(), [Armed::default(); 3]);
        for (key, seconds) in [(0, 9), (1, 2), (2, 4)] {
            let at = start + Duration::from_secs(seconds);
            timers.arm(key, &mut objects[key], Some(at));
        }
        let mut order = Vec::new();
        while let Some((_, key)) = next(&mut timers, &mut objects) {
            order.push(key);
            timers.fire(Some(&mut objects[key]));
        }
        assert_eq!(order, [1, 2, 0]);
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
