//! When whoever sends a stream is slowed down, and for how long: a value without sockets and clocks.

use std::time::{Duration, Instant};

use roomtone_frames::{Gauge, Pressure};

use crate::values::IngestPace;

/// A source is slowed for so long at most: less than after which it counts as silent, and gives way to another. What is
/// full then is so for another reason than that too much comes, and loses groups of pictures.
const LONGEST: Duration = Duration::from_millis(1_500);

/// What is taken of a connection before others have their turn: so much while there is room, and so little that looking
/// after each turn is in time once half of it is taken. What TCP has held back comes as fast as it is read.
const TURN_BYTES: usize = 256 << 10;
const CAUTIOUS_BYTES: usize = 32 << 10;
/// Units are counted by queues too, and small ones are many in few bytes.
const TURN_UNITS: usize = 64;

/// A turn of a connection that is read: it ends when so much of either was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) bytes: usize,
    pub(super) units: usize,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            bytes: TURN_BYTES,
            units: TURN_UNITS,
        }
    }
}

impl Turn {
    /// The part of a buffer that is read into at a time.
    pub(super) fn space(self, space: &mut [u8]) -> &mut [u8] {
        let len = space.len().min(self.bytes);
        &mut space[..len]
    }

    /// Whether it goes on after so much.
    pub(super) fn goes_on(self, bytes: usize, units: usize) -> bool {
        bytes < self.bytes && units < self.units
    }
}

/// Whether a source is slowed down.
///
/// | is | at | becomes |
/// |---|---|---|
/// | free | critical | slowed |
/// | slowed | elevated and less | free |
/// | slowed | more, after `LONGEST` | given up |
/// | given up | elevated and less | free |
#[derive(Debug, Default)]
pub(super) struct Pacer {
    state: State,
    fill: Gauge,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Free,
    Slowed(Instant),
    GivenUp,
}

impl Pacer {
    /// Look at how full what its stream goes through is, in thousandths; how it goes on, where that is another way than
    /// before.
    pub(super) fn note(&mut self, permille: u64, now: Instant) -> Option<IngestPace> {
        self.fill.note(permille, 1_000);
        let level = self.fill.level();
        let is_relieved = level <= Pressure::Elevated;
        let (state, pace) = match self.state {
            State::Free if level == Pressure::Critical => (State::Slowed(now), IngestPace::Slowed),
            State::Slowed(_) | State::GivenUp if is_relieved => (State::Free, IngestPace::Free),
            State::Slowed(since) if since + LONGEST <= now => (State::GivenUp, IngestPace::GivenUp),
            State::Free | State::Slowed(_) | State::GivenUp => return None,
        };
        self.state = state;
        Some(pace)
    }

    /// Whether less is taken of it than it sends.
    pub(super) fn is_slowed(&self) -> bool {
        matches!(self.state, State::Slowed(_))
    }

    /// How much of it is taken at a time.
    pub(super) fn turn(&self) -> Turn {
        let whole = Turn::default();
        match self.fill.level() {
            Pressure::Normal => whole,
            Pressure::Elevated | Pressure::High | Pressure::Critical => Turn {
                bytes: CAUTIOUS_BYTES,
                ..whole
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_slowed_at_critical_and_let_go_in_time() {
        use IngestPace::{Free, GivenUp, Slowed};
        // Milliseconds, thousandths.
        let table = [
            (0, 0, None),
            (10, 899, None),
            (20, 900, Some(Slowed)),
            (30, 950, None),
            // Well under the mark, but not relieved.
            (40, 700, None),
            (50, 640, Some(Free)),
            (60, 900, Some(Slowed)),
            (70, 0, Some(Free)),
            // What does not help ends, and is not begun again before there is relief.
            (1_000, 1_000, Some(Slowed)),
            (2_499, 1_000, None),
            (2_500, 1_000, Some(GivenUp)),
            (9_000, 1_000, None),
            (9_010, 790, None),
            (9_020, 1_000, None),
            (9_030, 0, Some(Free)),
            (9_040, 950, Some(Slowed)),
        ];
        let (mut pacer, begun) = (Pacer::default(), Instant::now());
        let mut slowed = false;
        for (ms, permille, wanted) in table {
            let told = pacer.note(permille, begun + Duration::from_millis(ms));
            assert_eq!(told, wanted, "after {ms} ms");
            slowed = told.map_or(slowed, |pace| pace == Slowed);
            assert_eq!(pacer.is_slowed(), slowed, "after {ms} ms");
        }
    }

    #[test]
    fn less_is_taken_at_a_time_from_half_full_on() {
        let (mut pacer, now) = (Pacer::default(), Instant::now());
        let bytes = |permille| {
            pacer.note(permille, now);
            pacer.turn().bytes
        };
        assert_eq!(
            [0, 499, 500, 899].map(bytes),
            [TURN_BYTES, TURN_BYTES, CAUTIOUS_BYTES, CAUTIOUS_BYTES]
        );
    }

    #[test]
    fn a_turn_ends_with_its_bytes_or_its_units() {
        let turn = Turn {
            bytes: 100,
            units: 3,
        };
        assert_eq!(turn.space(&mut [0; 200]).len(), 100);
        assert_eq!(turn.space(&mut [0; 50]).len(), 50);
        assert!(turn.goes_on(99, 2));
        assert!(!turn.goes_on(100, 0) && !turn.goes_on(0, 3));
    }
}
