//! A bounded ring of units that many readers follow, each at its own pace.
//!
//! The source is never slowed: what does not fit any more leaves at the front, whole groups of pictures at once, so that
//! a reader that fell behind goes on at a keyframe and is told how much it missed.

use std::collections::VecDeque;

use crate::{AccessUnit, Pressure, RingMemory};

/// What a ring holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingLimits {
    /// Units.
    pub units: usize,
    /// Bytes of coded data.
    pub bytes: usize,
}

impl Default for RingLimits {
    /// Ten seconds of 60 pictures a second, and 32 MiB.
    fn default() -> Self {
        Self {
            units: 600,
            bytes: 32 << 20,
        }
    }
}

/// A place in a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    next: u64,
    /// Units it has missed since it began.
    pub missed: u64,
}

/// What a reader missed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Units.
    pub units: u64,
}

/// The ring of one track.
///
/// Inputs: [`push`](Self::push). Outputs: [`read`](Self::read). Limits: [`RingLimits`], and the [`RingMemory`] of all rings; what leaves
/// unread is counted by its readers, what could not come in at all in [`refused`](Self::refused).
#[derive(Debug)]
pub struct FrameRing {
    limits: RingLimits,
    memory: RingMemory,
    units: VecDeque<AccessUnit>,
    /// Number of the unit at the front.
    first: u64,
    bytes: usize,
    /// Units that came where decoding could not begin: before the first keyframe, or after a group too large; and those
    /// for which there was no memory.
    pub refused: u64,
}

impl FrameRing {
    /// An empty ring that shares the memory of others.
    pub fn new(limits: RingLimits, memory: &RingMemory) -> Self {
        memory.join();
        Self {
            limits,
            memory: memory.clone(),
            units: VecDeque::new(),
            first: 0,
            bytes: 0,
            refused: 0,
        }
    }

    /// Take a unit; groups leave at the front until it fits.
    pub fn push(&mut self, unit: AccessUnit) {
        if !self.make_space(&unit) {
            self.refused += 1;
            return;
        }
        self.bytes += unit.data.len();
        self.units.push_back(unit);
        while self.units.len() > self.limits.units || self.bytes > self.limits.bytes {
            self.drop_group();
        }
        let share = self.memory.share().unwrap_or(usize::MAX);
        while self.bytes > share && self.newest_group() > 0 {
            self.drop_group();
        }
    }

    /// Begin at the newest keyframe, so that a picture can be shown at once.
    pub fn reader(&self) -> Reader {
        Reader {
            next: self.first + self.newest_group() as u64,
            missed: 0,
        }
    }

    /// Give the next unit, none when there is none yet, or say what was lost; the next call goes on behind the loss.
    pub fn read<'a>(&'a self, reader: &mut Reader) -> Option<Result<&'a AccessUnit, Lost>> {
        if reader.next < self.first {
            let units = self.first - reader.next;
            reader.next = self.first;
            reader.missed += units;
            return Some(Err(Lost { units }));
        }
        let unit = self.units.get((reader.next - self.first) as usize)?;
        reader.next += 1;
        Some(Ok(unit))
    }

    /// How near a reader is to losing something.
    pub fn pressure(&self, reader: &Reader) -> Pressure {
        let behind =
            (self.first + self.units.len() as u64).saturating_sub(reader.next.max(self.first));
        // What lies before it is taken to be as dense as the rest.
        let held = self.units.len().max(1) as u64;
        let by_units = behind * 20 / self.limits.units.max(1) as u64;
        let by_bytes = self.bytes as u64 * 20 / self.limits.bytes.max(1) as u64 * behind / held;
        Pressure::of(by_units.max(by_bytes), 20)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Units held.
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// The front leaves with all that cannot be decoded without it.
    fn drop_group(&mut self) {
        let end = self
            .units
            .iter()
            .skip(1)
            .position(|unit| unit.keyframe)
            .map_or(self.units.len(), |at| at + 1);
        let bytes: usize = self.units.drain(..end).map(|unit| unit.data.len()).sum();
        self.bytes -= bytes;
        self.memory.release(bytes);
        self.first += end as u64;
    }

    /// Where the newest group begins.
    fn newest_group(&self) -> usize {
        let at = self.units.iter().rposition(|unit| unit.keyframe);
        at.unwrap_or(0)
    }

    /// Take memory for a unit; groups leave at the front until there is enough. False where it cannot come in.
    fn make_space(&mut self, unit: &AccessUnit) -> bool {
        loop {
            if self.units.is_empty() && !unit.keyframe {
                return false;
            }
            if self.memory.reserve(unit.data.len()) {
                return true;
            }
            if self.units.is_empty() {
                self.memory.refuse();
                return false;
            }
            self.drop_group();
        }
    }
}

impl Drop for FrameRing {
    fn drop(&mut self) {
        self.memory.leave(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn unit(number: i64, keyframe: bool) -> AccessUnit {
        AccessUnit {
            dts: number,
            pts: number,
            keyframe,
            data: Bytes::from_static(&[0; 100]),
        }
    }

    fn ring(units: usize) -> FrameRing {
        let limits = RingLimits {
            units,
            bytes: usize::MAX,
        };
        FrameRing::new(limits, &RingMemory::default())
    }

    fn numbers(ring: &FrameRing, reader: &mut Reader) -> Vec<Result<i64, u64>> {
        std::iter::from_fn(|| {
            ring.read(reader)
                .map(|read| read.map(|unit| unit.dts).map_err(|lost| lost.units))
        })
        .collect()
    }

    #[test]
    fn a_new_reader_begins_at_the_newest_keyframe() {
        let mut ring = ring(100);
        for number in 0..25 {
            ring.push(unit(number, number % 10 == 0));
        }
        assert_eq!(
            numbers(&ring, &mut ring.reader()),
            [20, 21, 22, 23, 24].map(Ok)
        );
    }

    #[test]
    fn a_slow_reader_loses_whole_groups_is_told_and_goes_on_at_a_keyframe() {
        let mut ring = ring(25);
        ring.push(unit(0, true));
        let mut slow = ring.reader();
        for number in 1..=30 {
            ring.push(unit(number, number % 10 == 0));
        }
        let read = numbers(&ring, &mut slow);
        assert_eq!(read[0], Err(10));
        assert_eq!(read[1..], (10..=30).map(Ok).collect::<Vec<_>>());
        assert_eq!(slow.missed, 10);
    }

    #[test]
    fn a_group_larger_than_the_ring_leaves_whole_and_what_follows_waits_for_a_keyframe() {
        let mut ring = ring(5);
        for number in 0..8 {
            ring.push(unit(number, number == 0));
        }
        assert!(ring.is_empty());
        assert_eq!((ring.bytes(), ring.refused), (0, 2));
        ring.push(unit(8, true));
        assert_eq!(numbers(&ring, &mut ring.reader()), [Ok(8)]);
    }

    #[test]
    fn bytes_are_a_limit_too() {
        let (units, bytes) = (100, 350);
        let mut ring = FrameRing::new(RingLimits { units, bytes }, &RingMemory::default());
        for number in 0..4 {
            ring.push(unit(number, true));
        }
        assert_eq!((ring.len(), ring.bytes()), (3, 300));
    }

    #[test]
    fn bytes_press_too() {
        let (units, bytes) = (600, 1000);
        let mut ring = FrameRing::new(RingLimits { units, bytes }, &RingMemory::default());
        ring.push(unit(0, true));
        let reader = ring.reader();
        for number in 1..10 {
            ring.push(unit(number, true));
        }
        assert_eq!(ring.pressure(&reader), Pressure::Critical);
        assert_eq!(ring.pressure(&ring.reader()), Pressure::Normal);
    }

    #[test]
    fn pressure_rises_as_a_reader_falls_behind() {
        let mut ring = ring(20);
        ring.push(unit(0, true));
        let reader = ring.reader();
        let mut seen = vec![ring.pressure(&reader)];
        for number in 1..20 {
            ring.push(unit(number, true));
            seen.push(ring.pressure(&reader));
        }
        assert_eq!(
            (seen[0], seen[9], seen[14], seen[19]),
            (
                Pressure::Normal,
                Pressure::Elevated,
                Pressure::High,
                Pressure::Critical
            )
        );
        assert!(seen.is_sorted());
    }

    /// A ring of sixteen groups at most, in a memory of so many units.
    fn sharing(memory: &RingMemory) -> FrameRing {
        let limits = RingLimits {
            units: 160,
            bytes: usize::MAX,
        };
        FrameRing::new(limits, memory)
    }

    fn fill(ring: &mut FrameRing, units: i64) {
        for number in 0..units {
            ring.push(unit(number, number % 10 == 0));
        }
    }

    #[test]
    fn rings_never_hold_more_together_than_they_may_and_give_it_back() {
        let memory = RingMemory::new(100 * 100);
        let (mut first, mut second) = (sharing(&memory), sharing(&memory));
        fill(&mut first, 80);
        assert_eq!((memory.used(), memory.pressure()), (8000, Pressure::High));
        fill(&mut second, 40);
        assert!(memory.used() <= memory.limit());
        assert_eq!(memory.used(), first.bytes() + second.bytes());
        // Each drops whole groups of its own, and goes on.
        assert_eq!(
            second.reader(),
            Reader {
                next: 30,
                missed: 0
            }
        );
        drop(first);
        assert_eq!(memory.used(), second.bytes());
        drop(second);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn one_that_holds_more_than_its_share_makes_way_with_its_next_unit() {
        let memory = RingMemory::new(100 * 100);
        let (mut large, mut small) = (sharing(&memory), sharing(&memory));
        fill(&mut large, 95);
        let held = large.bytes();
        assert!(held < 9500, "{held}");
        fill(&mut small, 1);
        fill(&mut large, 40);
        fill(&mut small, 40);
        assert!(small.bytes() >= 3000, "{}", small.bytes());
        assert_eq!((large.refused, small.refused), (0, 0));
    }

    #[test]
    fn a_unit_that_no_memory_is_left_for_is_refused_and_counted() {
        let memory = RingMemory::new(250);
        let (mut first, mut second) = (sharing(&memory), sharing(&memory));
        fill(&mut first, 2);
        fill(&mut second, 1);
        assert_eq!((second.refused, memory.refused()), (1, 1));
        assert!(second.is_empty());
    }
}
