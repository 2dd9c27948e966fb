//! A bounded ring of units that many readers follow, each at its own pace.
//!
//! The source is never slowed: what does not fit any more leaves at the front, whole groups of pictures at once, so that
//! a reader that fell behind goes on at a keyframe and is told how much it missed.

use std::collections::VecDeque;

use crate::AccessUnit;

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

/// How much of the ring lies before a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Under half.
    Normal,
    /// Half and more.
    Elevated,
    /// Three quarters and more.
    High,
    /// Nine tenths and more: it is about to lose a group.
    Critical,
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
/// Inputs: [`push`](Self::push). Outputs: [`read`](Self::read). Limits: [`RingLimits`]; what leaves unread is counted by its readers, what
/// could not come in at all in [`refused`](Self::refused).
#[derive(Debug)]
pub struct FrameRing {
    limits: RingLimits,
    units: VecDeque<AccessUnit>,
    /// Number of the unit at the front.
    first: u64,
    bytes: usize,
    /// Units that came where decoding could not begin: before the first keyframe, or after a group too large.
    pub refused: u64,
}

impl FrameRing {
    /// An empty ring.
    pub fn new(limits: RingLimits) -> Self {
        Self {
            limits,
            units: VecDeque::new(),
            first: 0,
            bytes: 0,
            refused: 0,
        }
    }

    /// Take a unit; groups leave at the front until it fits.
    pub fn push(&mut self, unit: AccessUnit) {
        if self.units.is_empty() && !unit.keyframe {
            self.refused += 1;
            return;
        }
        self.bytes += unit.data.len();
        self.units.push_back(unit);
        while self.units.len() > self.limits.units || self.bytes > self.limits.bytes {
            self.drop_group();
        }
    }

    /// Begin at the newest keyframe, so that a picture can be shown at once.
    pub fn reader(&self) -> Reader {
        let at = self
            .units
            .iter()
            .rposition(|unit| unit.keyframe)
            .unwrap_or(0);
        Reader {
            next: self.first + at as u64,
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
        match by_units.max(by_bytes) {
            0..10 => Pressure::Normal,
            10..15 => Pressure::Elevated,
            15..18 => Pressure::High,
            _ => Pressure::Critical,
        }
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
        for unit in self.units.drain(..end) {
            self.bytes -= unit.data.len();
        }
        self.first += end as u64;
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
        FrameRing::new(RingLimits {
            units,
            bytes: usize::MAX,
        })
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
        let mut ring = FrameRing::new(RingLimits {
            units: 100,
            bytes: 350,
        });
        for number in 0..4 {
            ring.push(unit(number, true));
        }
        assert_eq!((ring.len(), ring.bytes()), (3, 300));
    }

    #[test]
    fn bytes_press_too() {
        let mut ring = FrameRing::new(RingLimits {
            units: 600,
            bytes: 1000,
        });
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
}
