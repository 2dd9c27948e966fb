//! How full something bounded is, in four steps that do not flutter.

/// How near a queue is to losing something, or how full a memory is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Under half.
    #[default]
    Normal,
    /// Half and more.
    Elevated,
    /// Three quarters and more.
    High,
    /// Nine tenths and more: it is about to lose a group.
    Critical,
}

impl Pressure {
    /// Of a part of a whole.
    pub fn of(part: u64, whole: u64) -> Self {
        Self::in_twentieths(twentieths(part, whole))
    }

    fn in_twentieths(twentieths: u128) -> Self {
        match twentieths {
            0..10 => Self::Normal,
            10..15 => Self::Elevated,
            15..18 => Self::High,
            _ => Self::Critical,
        }
    }

    /// What people and programs call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Elevated => "elevated",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

fn twentieths(part: u64, whole: u64) -> u128 {
    u128::from(part) * 20 / u128::from(whole.max(1))
}

/// So much under its mark a level ends, in twentieths.
const SLACK: u128 = 2;

/// A level with hysteresis: it rises at once, and falls when what is measured is a tenth of the whole under the mark.
///
/// Input and output: [`note`](Self::note). It remembers the level and nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauge {
    level: Pressure,
}

impl Gauge {
    /// The level now.
    pub const fn level(self) -> Pressure {
        self.level
    }

    /// Note how full it is; the new level where that is another.
    pub fn note(&mut self, part: u64, whole: u64) -> Option<Pressure> {
        let now = twentieths(part, whole);
        let next =
            Pressure::in_twentieths(now).max(self.level.min(Pressure::in_twentieths(now + SLACK)));
        (std::mem::replace(&mut self.level, next) != next).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_rises_at_its_mark_and_falls_a_tenth_below_it() {
        use Pressure::{Critical, Elevated, High, Normal};
        let table = [
            (0, Normal),
            (49, Normal),
            (50, Elevated),
            // Between the marks on the way down nothing changes.
            (45, Elevated),
            (40, Elevated),
            (39, Normal),
            (74, Elevated),
            (75, High),
            (65, High),
            (64, Elevated),
            (89, High),
            (90, Critical),
            (89, Critical),
            (80, Critical),
            (79, High),
            // More than one at once, both ways; beyond the whole is as bad as it gets.
            (500, Critical),
            (0, Normal),
            (100, Critical),
            (66, High),
            (41, Elevated),
        ];
        let mut gauge = Gauge::default();
        let mut before = Normal;
        for (percent, wanted) in table {
            let told = gauge.note(percent, 100);
            assert_eq!(gauge.level(), wanted, "at {percent} % after {before:?}");
            assert_eq!(told, (before != wanted).then_some(wanted));
            before = wanted;
        }
    }

    #[test]
    fn nothing_that_holds_nothing_is_under_pressure_and_the_largest_numbers_are_no_trouble() {
        let mut gauge = Gauge::default();
        assert_eq!(gauge.note(0, 0), None);
        assert_eq!(gauge.note(u64::MAX, u64::MAX), Some(Pressure::Critical));
        assert_eq!(Pressure::of(1, 0), Pressure::Critical);
        assert!(Pressure::Normal < Pressure::Critical);
    }
}
