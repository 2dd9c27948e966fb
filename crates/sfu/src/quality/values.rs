//! The values that leave the module: scores, levels, states, actions.

use crate::{ConsumerId, ProducerId, TransportId};

/// How good something is, from 0 (nothing gets through) to 1, in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(u16);

impl Score {
    /// Nothing gets through.
    pub const NONE: Self = Self(0);
    /// Nothing is wrong.
    pub const FULL: Self = Self(1_000);

    /// The nearest score; what is no number counts as 0.
    pub fn new(value: f64) -> Self {
        Self((value.clamp(0.0, 1.0) * 1_000.0).round() as u16)
    }

    /// From 0 to 1.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }
}

/// A mean opinion score from 1 (bad) to 4.5, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mos(u16);

impl Mos {
    /// The nearest value of the scale.
    pub fn new(value: f64) -> Self {
        Self((value.clamp(1.0, 4.5) * 100.0).round() as u16)
    }

    /// From 1 to 4.5.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// A score in words, as LiveKit's clients know them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QualityLevel {
    /// Nothing comes any more.
    Lost,
    /// 0.4 or less.
    Poor,
    /// 0.8 or less.
    Good,
    /// Above 0.8.
    #[default]
    Excellent,
}

/// Where a score is going.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Trend {
    /// Up.
    Rising,
    /// It stays.
    #[default]
    Steady,
    /// Down.
    Falling,
}

/// What makes a stream worse than it could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Degradation {
    /// Packets are missing after all repair.
    Loss,
    /// Packets come unevenly.
    Jitter,
    /// There is room for less than was wanted.
    Bandwidth,
    /// What comes cannot be decoded.
    Corruption,
}

/// How a line is loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CongestionState {
    /// Not noticeably.
    #[default]
    None,
    /// Queues begin to show.
    Light,
    /// Queues are felt in a conversation, or a good deal is lost.
    Moderate,
    /// A conversation is hard.
    Severe,
    /// Hardly anything of use gets through.
    Critical,
}

/// Which way a line is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the peer to us.
    Up,
    /// From us to the peer.
    Down,
}

/// Which strategies may act toward publishers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FeedbackStrategy {
    /// Keyframes for what is lost after all repair.
    Loss,
    /// A bitrate for publishers that take one.
    Congestion,
    /// Whatever helps a stream with a low score.
    Quality,
    /// All of them; the three most urgent actions of a look are taken.
    #[default]
    Combined,
}

/// What a publisher is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeedbackAction {
    /// Picture loss indication (RFC 4585 section 6.3.1).
    Pli,
    /// Full intra request (RFC 5104 section 4.3.1).
    Fir,
    /// Receiver estimated maximum bitrate, in bits per second.
    Remb {
        /// The bitrate told.
        bps: u64,
        /// How sure the estimate is, in per cent: 60 to 90.
        confidence: u8,
    },
}

/// How urgent an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeedbackPriority {
    /// It may help.
    Low,
    /// It will help.
    Normal,
    /// It is needed.
    High,
    /// Without it nothing goes on.
    Critical,
}

/// What a quality is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QualitySubject {
    /// A peer's connection, both ways.
    Transport(TransportId),
    /// What a publisher's track is worth when it arrives.
    Producer(ProducerId),
    /// What a subscriber gets of a track.
    Consumer(ConsumerId),
}

/// How good something is, and where that is going.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quality {
    /// The smoothed score.
    pub score: Score,
    /// It in words; it changes only when the score has clearly crossed a bound.
    pub level: QualityLevel,
    /// The opinion the E-model expects; of audio only.
    pub mos: Option<Mos>,
    /// Where it is going.
    pub trend: Trend,
    /// What is wrong most, where something is.
    pub degradation: Option<Degradation>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_and_opinions_stay_on_their_scales() {
        for (given, kept) in [(-1.0, 0.0), (f64::NAN, 0.0), (0.5554, 0.555), (7.0, 1.0)] {
            assert!((Score::new(given).get() - kept).abs() < 1e-9, "{given}");
        }
        for (given, kept) in [(0.0, 1.0), (4.409, 4.41), (5.0, 4.5)] {
            assert!((Mos::new(given).get() - kept).abs() < 1e-9, "{given}");
        }
    }
}
