//! How good a stream or a line is, as events and statistics say it.

use serde::{Deserialize, Serialize};

/// A score in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualityLevel {
    /// Nothing comes any more.
    Lost,
    /// Hardly of use.
    Poor,
    /// With flaws.
    Good,
    /// As it should be.
    Excellent,
}

/// Where a score is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualityTrend {
    /// Up.
    Rising,
    /// It stays.
    Steady,
    /// Down.
    Falling,
}

/// What makes a stream worse than it could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DegradationReason {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CongestionState {
    /// Not noticeably.
    None,
    /// Queues begin to show.
    Light,
    /// Queues are felt.
    Moderate,
    /// A conversation is hard.
    Severe,
    /// Hardly anything of use gets through.
    Critical,
}

/// Which way a line is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineDirection {
    /// From the peer to us.
    Up,
    /// From us to the peer.
    Down,
}

/// What a publisher was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackKind {
    /// Picture loss indication.
    Pli,
    /// Full intra request.
    Fir,
    /// Receiver estimated maximum bitrate.
    Remb,
}

/// How urgent it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualitySubject {
    /// A peer's connection, both ways.
    Transport,
    /// What a publisher's track is worth when it arrives.
    Producer,
    /// What a subscriber gets of a track.
    Consumer,
}
