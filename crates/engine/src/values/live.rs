//! Values of live streams: what can be wrong with them, and how full their queues are.

use roomtone_frames::Pressure;
use serde::{Deserialize, Serialize};

use super::{CodecParameters, MediaKind};

/// What can be wrong with what a packager is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackagerWarning {
    /// Keyframes are further apart than segments are to be long.
    GopTooLong,
    /// Packets come, but no keyframe.
    NoKeyframe,
    /// Nothing comes.
    NoMedia,
    /// What came too late to have a place was dropped.
    UnitsLate,
    /// The track said nothing that could be read before the others began.
    TrackLeftOut,
    /// Lists cannot have the track as it is coded, and nobody codes it anew.
    NotListed,
    /// What it was pointed at has shown no keyframe for ten seconds: what was shown before goes on.
    SourceAwaited,
    /// What came cannot be packaged at all: the packager ends.
    Unpackable,
    /// Who codes a track anew does not keep up: pictures up to a keyframe, or sound, were left out.
    TranscoderSlow,
    /// Who codes a track anew is gone; another may come.
    TranscoderLost,
    /// Who codes a track anew said what cannot be read, and was sent away.
    TranscoderMalformed,
    /// The memory for live streams is used up: the oldest segments were dropped before their time.
    MemoryFull,
    /// The disk for live streams is used up: the oldest segments were dropped before their time.
    DiskFull,
    /// The disk for live streams cannot be written to: segments stay in memory.
    DiskFailed,
}

/// How full queues of a stream are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PressureLevel {
    /// Under half.
    Normal,
    /// Half and more.
    Elevated,
    /// Three quarters and more.
    High,
    /// Nine tenths and more.
    Critical,
}

impl From<Pressure> for PressureLevel {
    fn from(pressure: Pressure) -> Self {
        match pressure {
            Pressure::Normal => Self::Normal,
            Pressure::Elevated => Self::Elevated,
            Pressure::High => Self::High,
            Pressure::Critical => Self::Critical,
        }
    }
}

/// Whether an encoder is slowed down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IngestPace {
    /// It sends as it likes.
    Free,
    /// Less is taken of it than it sends.
    Slowed,
    /// It was slowed for as long as that may be and all is as full as before: it sends as it likes, and groups are lost.
    GivenUp,
}

/// Whose queues are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamQueues {
    /// Which packager.
    pub packager: u64,
    /// Tracks of its encoder that are coded anew for feeds, whose queues are looked at too.
    #[serde(default)]
    pub tracks: Vec<u64>,
}

/// A track of an encoder that a feed is to produce; the pictures since the last keyframe come first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeedTrack {
    /// Which feed.
    pub feed: u64,
    /// The track, as `ingest_track` told it.
    pub track: u64,
    /// What it is called and numbered.
    pub codec: CodecParameters,
}

/// A track of a packager that is to be coded anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamTranscoding {
    /// Which packager.
    pub packager: u64,
    /// Which of its tracks: the first of this kind.
    pub kind: MediaKind,
    /// Where to listen for the process: a Unix socket that is not there yet.
    pub path: String,
    /// Whether the track stays in the lists beside what is made of it.
    pub keep: bool,
    /// Of pictures that are not kept: whether the process makes them at a pace of its own, also where nothing comes of
    /// the track. Then this may come and go, and come first after the beginning.
    #[serde(default)]
    pub paces: bool,
}
