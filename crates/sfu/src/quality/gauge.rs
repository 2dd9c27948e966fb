//! A score over time: smoothed, with a trend, and told only when a change is worth it.

use super::{Degradation, Mos, Quality, QualityLevel, Score, Trend};

/// What one window came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// 0 to 1.
    pub(crate) score: f64,
    pub(crate) mos: Option<f64>,
    pub(crate) degradation: Option<Degradation>,
}

/// A score over time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gauge {
    score: Option<f64>,
    /// The score as it was on average over the last ten windows or so.
    slow: f64,
    mos: Option<f64>,
    level: QualityLevel,
    degradation: Option<Degradation>,
    told: Option<Quality>,
}

/// A score falls quickly and recovers slowly: people remember (the weights are LiveKit's, in
/// `pkg/sfu/connectionquality/scorer.go`).
const UP: f64 = 0.4;
const DOWN: f64 = 0.7;
const SLOW: f64 = 0.1;
/// How far the score must be from its average for a trend.
const TREND: f64 = 0.05;
/// How far a score must be beyond the bound of a level to count as crossed.
const MARGIN: f64 = 0.03;
/// A change of the score worth telling by itself.
const STEP: f64 = 0.15;

/// The level of a score, without hysteresis.
fn level_of(score: f64) -> QualityLevel {
    if score > 0.8 {
        QualityLevel::Excellent
    } else if score > 0.4 {
        QualityLevel::Good
    } else {
        QualityLevel::Poor
    }
}

impl Gauge {
    /// Takes a window's reading; gives the quality where it is worth telling.
    pub(crate) fn update(&mut self, reading: Reading) -> Option<Quality> {
        self.take(reading, |old, new| {
            let weight = if new < old { DOWN } else { UP };
            old + weight * (new - old)
        })
    }

    /// Follows a quality that is smooth already; gives it where it is worth telling.
    pub(crate) fn follow(&mut self, quality: Quality) -> Option<Quality> {
        let reading = Reading {
            score: quality.score.get(),
            mos: quality.mos.map(Mos::get),
            degradation: quality.degradation,
        };
        self.take(reading, |_, new| new)
    }

    fn take(&mut self, reading: Reading, smooth: impl Fn(f64, f64) -> f64) -> Option<Quality> {
        let given = Score::new(reading.score).get();
        let score = self.score.map_or(given, |old| smooth(old, given));
        self.slow = match self.score {
            Some(_) => self.slow + SLOW * (score - self.slow),
            None => score,
        };
        self.mos = match (self.mos, reading.mos) {
            (Some(old), Some(new)) => Some(smooth(old, new)),
            (_, new) => new,
        };
        let seen = level_of(score);
        let first = self.score.is_none() || self.level == QualityLevel::Lost;
        let clear = level_of(score - MARGIN) == seen && level_of(score + MARGIN) == seen;
        if first || clear {
            self.level = seen;
        }
        self.score = Some(score);
        self.degradation = reading.degradation;
        self.tell()
    }

    /// Nothing came for too long.
    pub(crate) fn lose(&mut self) -> Option<Quality> {
        self.score = Some(0.0);
        self.mos = self.mos.map(|_| 1.0);
        self.level = QualityLevel::Lost;
        self.tell()
    }

    /// Nothing is carried, and with that nothing is wrong any more; gives the quality where something was.
    pub(crate) fn rest(&mut self) -> Option<Quality> {
        if self.told?.level == QualityLevel::Excellent {
            return None;
        }
        *self = Self {
            told: self.told,
            ..Self::default()
        };
        let nothing_wrong = Reading {
            score: 1.0,
            mos: None,
            degradation: None,
        };
        self.update(nothing_wrong)
    }

    /// The quality as it stands; `None`: nothing was measured yet.
    pub(crate) fn quality(&self) -> Option<Quality> {
        let score = self.score?;
        let trend = if score > self.slow + TREND {
            Trend::Rising
        } else if score < self.slow - TREND {
            Trend::Falling
        } else {
            Trend::Steady
        };
        Some(Quality {
            score: Score::new(score),
            level: self.level,
            mos: self.mos.map(Mos::new),
            trend,
            degradation: self.degradation,
        })
    }

    fn tell(&mut self) -> Option<Quality> {
        let now = self.quality()?;
        let worth = self.told.is_none_or(|told| {
            told.level != now.level || (told.score.get() - now.score.get()).abs() >= STEP
        });
        if !worth {
            return None;
        }
        self.told = Some(now);
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(score: f64) -> Reading {
        Reading {
            score,
            mos: Some(1.0 + 3.5 * score),
            degradation: None,
        }
    }

    #[test]
    fn levels_have_the_bounds_of_the_protocol() {
        let table = [
            (1.0, QualityLevel::Excellent),
            (0.801, QualityLevel::Excellent),
            (0.8, QualityLevel::Good),
            (0.401, QualityLevel::Good),
            (0.4, QualityLevel::Poor),
            (0.0, QualityLevel::Poor),
        ];
        for (score, wanted) in table {
            assert_eq!(level_of(score), wanted, "{score}");
        }
    }

    #[test]
    fn a_score_around_a_bound_is_told_once() {
        let mut gauge = Gauge::default();
        assert!(gauge.update(reading(0.81)).is_some(), "the first is told");
        let told = (0..50)
            .filter_map(|n| gauge.update(reading(if n % 2 == 0 { 0.79 } else { 0.82 })))
            .count();
        assert_eq!(told, 0);
        let quality = gauge.update(reading(0.5)).unwrap();
        assert_eq!(quality.level, QualityLevel::Good);
        assert_eq!(quality.trend, Trend::Falling);
    }

    #[test]
    fn it_falls_faster_than_it_recovers_and_the_trend_calms_down() {
        let mut gauge = Gauge::default();
        gauge.update(reading(1.0));
        gauge.update(reading(0.0));
        let fallen = gauge.quality().unwrap();
        assert!((fallen.score.get() - 0.3).abs() < 1e-9 && fallen.trend == Trend::Falling);
        gauge.update(reading(1.0));
        assert!((gauge.quality().unwrap().score.get() - 0.58).abs() < 1e-9);
        for _ in 0..5 {
            gauge.update(reading(1.0));
        }
        assert_eq!(gauge.quality().unwrap().trend, Trend::Rising);
        for _ in 0..40 {
            gauge.update(reading(1.0));
        }
        let calm = gauge.quality().unwrap();
        assert_eq!(
            (calm.trend, calm.level),
            (Trend::Steady, QualityLevel::Excellent)
        );
    }

    #[test]
    fn lost_is_told_at_once_and_left_with_the_first_reading() {
        let mut gauge = Gauge::default();
        gauge.update(reading(0.9));
        let lost = gauge.lose().unwrap();
        assert_eq!((lost.level, lost.score), (QualityLevel::Lost, Score::NONE));
        assert_eq!(gauge.lose(), None, "once");
        let back = gauge.update(reading(1.0)).unwrap();
        assert_eq!(back.level, QualityLevel::Poor, "it recovers slowly");
    }
}
