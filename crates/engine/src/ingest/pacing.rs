//! When whoever sends a stream is slowed down, and for how long: a value without sockets and clocks.

use std::time::{Duration, Instant};

use roomtone_frames::{Gauge, Pressure};

use crate::values::IngestPace;

/// A source is slowed for so long at most: less than after which it counts as silent, and gives way to another. What is
/// full then is so for another reason than that too much comes, and loses groups of pictures.
const LONGEST: Duration = Duration::from_millis(1_500);

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
    way_in: Gauge,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Free,
    Slowed(Instant),
    GivenUp,
}

impl Pacer {
    /// Look at how full its own way to the live thread is, in thousandths, and at what else slows it; how it goes on,
    /// where that is another way than before.
    pub(super) fn note(
        &mut self,
        way_in_permille: u64,
        behind: Pressure,
        now: Instant,
    ) -> Option<IngestPace> {
        self.way_in.note(way_in_permille, 1_000);
        let level = self.way_in.level().max(behind);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_slowed_at_critical_and_let_go_in_time() {
        use IngestPace::{Free, GivenUp, Slowed};
        use Pressure::{Critical, Elevated, High, Normal};
        // Milliseconds, thousandths of the way in, the level of what is behind it.
        let table = [
            (0, 0, Normal, None),
            (10, 899, High, None),
            (20, 900, Normal, Some(Slowed)),
            (30, 950, Normal, None),
            // Well under the mark, but not relieved.
            (40, 700, Normal, None),
            (50, 640, Normal, Some(Free)),
            (60, 700, Critical, Some(Slowed)),
            (70, 0, High, None),
            (80, 0, Elevated, Some(Free)),
            // What does not help ends, and is not begun again before there is relief.
            (1_000, 0, Critical, Some(Slowed)),
            (2_499, 0, Critical, None),
            (2_500, 0, Critical, Some(GivenUp)),
            (9_000, 1_000, Critical, None),
            (9_010, 0, High, None),
            (9_020, 0, Critical, None),
            (9_030, 0, Normal, Some(Free)),
            (9_040, 0, Critical, Some(Slowed)),
        ];
        let (mut pacer, begun) = (Pacer::default(), Instant::now());
        let mut slowed = false;
        for (ms, permille, behind, wanted) in table {
            let told = pacer.note(permille, behind, begun + Duration::from_millis(ms));
            assert_eq!(told, wanted, "after {ms} ms");
            slowed = told.map_or(slowed, |pace| pace == Slowed);
            assert_eq!(pacer.is_slowed(), slowed, "after {ms} ms");
        }
    }
}
