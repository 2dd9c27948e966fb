//! Sequence numbers that are missing: ranges in order.

use crate::packet::word;
use crate::seq::Seq;
use std::collections::VecDeque;

/// First and last of a run of sequence numbers.
pub(crate) type Range = (Seq, Seq);
/// What marks the first of two words of a range in a report.
const RANGE_BIT: u32 = 1 << 31;

/// Ranges of sequence numbers, in order and apart from each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Losses {
    ranges: VecDeque<Range>,
    count: usize,
}

/// How many numbers a range has; negative ranges have none.
fn len(range: Range) -> usize {
    usize::try_from(range.1.since(range.0) + 1).unwrap_or(0)
}

impl Losses {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Numbers that are missing.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn first(&self) -> Option<Range> {
        self.ranges.front().copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Range> + '_ {
        self.ranges.iter().copied()
    }

    /// Index of the first range that ends at or after `seq`.
    fn find(&self, seq: Seq) -> usize {
        self.ranges.partition_point(|range| range.1.is_before(seq))
    }

    /// Adds a range behind all others.
    pub(crate) fn push(&mut self, range: Range) {
        self.count += len(range);
        self.ranges.push_back(range);
    }

    /// Adds a range anywhere; what is there already is not counted twice.
    pub(crate) fn insert(&mut self, range: Range) {
        let (mut first, mut last) = range;
        let at = self.find(first.plus(-1));
        while let Some(&(lo, hi)) = self.ranges.get(at) {
            if last.plus(1).is_before(lo) {
                break;
            }
            if lo.is_before(first) {
                first = lo;
            }
            if last.is_before(hi) {
                last = hi;
            }
            self.count -= len((lo, hi));
            self.ranges.remove(at);
        }
        self.count += len((first, last));
        self.ranges.insert(at, (first, last));
    }

    /// Takes the smallest number out.
    pub(crate) fn pop(&mut self) -> Option<Seq> {
        let (first, last) = self.first()?;
        self.count -= 1;
        if first == last {
            self.ranges.pop_front();
        } else if let Some(front) = self.ranges.front_mut() {
            front.0 = first.plus(1);
        }
        Some(first)
    }

    /// Takes one number out; whether it was there.
    pub(crate) fn remove(&mut self, seq: Seq) -> bool {
        self.remove_range((seq, seq)) == 1
    }

    /// Takes all numbers of a range out; gives how many there were.
    pub(crate) fn remove_range(&mut self, (first, last): Range) -> usize {
        let at = self.find(first);
        let before = self.count;
        while let Some(&(lo, hi)) = self.ranges.get(at) {
            if last.is_before(lo) {
                break;
            }
            self.ranges.remove(at);
            self.count -= len((lo, hi));
            let mut kept = at;
            if lo.is_before(first) {
                self.ranges.insert(kept, (lo, first.plus(-1)));
                self.count += len((lo, first.plus(-1)));
                kept += 1;
            }
            if last.is_before(hi) {
                self.ranges.insert(kept, (last.plus(1), hi));
                self.count += len((last.plus(1), hi));
                break;
            }
            if kept > at {
                // The range reached in from the left; what follows begins behind it.
                return before - self.count + self.remove_range((hi.plus(1), last));
            }
        }
        before - self.count
    }

    /// Takes all numbers before `seq` out; gives how many there were.
    pub(crate) fn remove_before(&mut self, seq: Seq) -> usize {
        let mut removed = 0;
        while let Some(front) = self.ranges.front_mut() {
            if !front.0.is_before(seq) {
                break;
            }
            if front.1.is_before(seq) {
                removed += len(*front);
                self.ranges.pop_front();
            } else {
                removed += len((front.0, seq.plus(-1)));
                front.0 = seq;
            }
        }
        self.count -= removed;
        removed
    }
}

/// Writes a range as a loss report has it (draft appendix A); gives the bytes, none where `out` has no room.
pub(crate) fn write_range((first, last): Range, out: &mut [u8]) -> usize {
    if first == last {
        let Some(out) = out.get_mut(..4) else {
            return 0;
        };
        out.copy_from_slice(&first.value().to_be_bytes());
        return 4;
    }
    let Some(out) = out.get_mut(..8) else {
        return 0;
    };
    out[..4].copy_from_slice(&(first.value() | RANGE_BIT).to_be_bytes());
    out[4..].copy_from_slice(&last.value().to_be_bytes());
    8
}

/// Reads the ranges of a loss report; ends at what makes no sense.
pub(crate) fn read_ranges(body: &[u8]) -> impl Iterator<Item = Range> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at + 4 > body.len() {
            return None;
        }
        let first = word(body, at);
        at += 4;
        if first & RANGE_BIT == 0 {
            return Some((Seq::new(first), Seq::new(first)));
        }
        if at + 4 > body.len() {
            return None;
        }
        let last = word(body, at);
        at += 4;
        let range = (Seq::new(first), Seq::new(last));
        (last & RANGE_BIT == 0 && !range.1.is_before(range.0)).then_some(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn seq(offset: u32) -> Seq {
        // Around the wrap.
        Seq::new(0x7fff_ffe0).plus(offset as i32)
    }

    fn numbers(losses: &Losses) -> Vec<i32> {
        losses
            .iter()
            .flat_map(|(lo, hi)| lo.since(seq(0))..=hi.since(seq(0)))
            .collect()
    }

    proptest! {
        #[test]
        fn ranges_hold_what_a_set_would(steps in prop::collection::vec((0..3_u8, 0..60_u32, 0..9_u32), 0..60)) {
            let mut losses = Losses::default();
            let mut set = BTreeSet::new();
            for (step, first, more) in steps {
                let range = first..=first + more;
                match step {
                    0 => {
                        losses.insert((seq(first), seq(first + more)));
                        set.extend(range.map(|n| n as i32));
                    }
                    1 => {
                        let gone = losses.remove_range((seq(first), seq(first + more)));
                        let known = range.filter(|n| set.remove(&(*n as i32))).count();
                        prop_assert_eq!(gone, known);
                    }
                    _ => {
                        let gone = losses.remove_before(seq(first));
                        let kept = set.split_off(&(first as i32));
                        prop_assert_eq!(gone, set.len());
                        set = kept;
                    }
                }
                prop_assert_eq!(numbers(&losses), set.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(losses.count(), set.len());
            }
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let ranges = [(seq(1), seq(1)), (seq(3), seq(40)), (seq(50), seq(51))];
        let mut body = [0; 64];
        let mut at = 0;
        for range in ranges {
            at += write_range(range, &mut body[at..]);
        }
        assert_eq!(read_ranges(&body[..at]).collect::<Vec<_>>(), ranges);
        assert_eq!(write_range(ranges[1], &mut body[..7]), 0);
        // Backwards, and cut short.
        let mut backwards = [0; 8];
        write_range((seq(5), seq(2)), &mut backwards);
        assert_eq!(read_ranges(&backwards).count(), 0);
        assert_eq!(read_ranges(&body[4..8]).count(), 0);
    }
}
