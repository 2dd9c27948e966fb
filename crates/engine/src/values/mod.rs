//! Every value that crosses the language boundary, as `MessagePack` maps.
//!
//! A mirror of `src/roomtone/media/values.py`: same names, same tags, same defaults. Commands come in inside a
//! [`Request`]; a [`Outbound`] goes out. Unknown map keys are ignored, a missing key takes its default.

mod command;
mod config;
mod defaults;
mod event;
mod live;
mod parts;
mod quality;
mod result;

pub use command::Command;
pub use config::{ArrivalModel, BandwidthConfig, EngineConfig, LiveConfig};
pub use event::{
    CloseReason, DtlsState, Event, IceState, IngestEnd, PackagerTrackInfo, PlayoutEnd,
    SpeakerLevel, TrackBar,
};
pub use live::{
    FeedTrack, IngestPace, PackagerWarning, PressureLevel, StreamQueues, StreamTranscoding,
};
pub use parts::{
    AudioRedundancy, Candidate, CodecFeedback, CodecParameters, DtlsParameters, DtlsRole,
    EncodingParameters, EncryptionMethod, Fingerprint, HeaderExtension, IceMode, IngestCertificate,
    IngestPort, IngestProtocol, IngestPull, IngestRtpTrack, IngestSource, IngestTrust, Latching,
    Listing, LiveEncryption, MediaKind, MixerSource, SrtpKeys, StreamAsked, StreamEncryption,
    StreamPointing, StreamSync, StreamText, StreamTranscoder, ToneKind, TrackSwitch,
    TrackTranscoding,
};
pub use quality::{
    CongestionState, DegradationReason, FeedbackKind, FeedbackPriority, LineDirection,
    QualityLevel, QualitySubject, QualityTrend,
};
pub use result::{CommandResult, ErrorCode, Report, StatValue};

use serde::{Deserialize, Serialize};

/// A command on its way in; `id` comes back in the reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the caller.
    pub id: u64,
    /// What to do.
    pub command: Command,
}

/// All that leaves the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outbound {
    /// The answer to the request of the same id.
    Reply {
        /// Id of the request.
        id: u64,
        /// What came of it.
        result: CommandResult,
    },
    /// Something happened.
    Event {
        /// Counts all events of the engine.
        seq: u64,
        /// What happened.
        event: Event,
    },
    /// The engine needs a decision; no answer means refusal.
    Question {
        /// Id to answer to.
        id: u64,
        /// Milliseconds from now until the question counts as refused.
        deadline_ms: u64,
        /// What kind of decision.
        topic: String,
        /// What it is about.
        subject: String,
        /// What the asker showed.
        credential: Option<String>,
        /// Who it says to be.
        user: Option<String>,
        /// What it speaks.
        protocol: Option<IngestProtocol>,
        /// Where it comes from.
        remote: Option<String>,
    },
}

/// The decision on the question of the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Id of the question.
    pub id: u64,
    /// Whether it may be done.
    pub allowed: bool,
    /// Free text for logs.
    #[serde(default)]
    pub detail: String,
    /// Where it may not be done: of what sort that is.
    #[serde(default)]
    pub denial: Denial,
    /// How what may be published is listed, where it is otherwise than its port says; a stream that is there goes on as it
    /// was.
    #[serde(default)]
    pub listing: Option<Listing>,
}

/// Why something may not be done, as far as whoever asked is told in its protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    /// What was shown opens nothing, or nothing was shown.
    #[default]
    Credential,
    /// It is known who asks, and that may not do this.
    Rights,
    /// There is too much of it already.
    Limit,
}

/// Why bytes from the other side of the boundary could not be read.
#[derive(Debug, thiserror::Error)]
#[error("not a boundary value: {0}")]
pub struct DecodeError(#[from] rmp_serde::decode::Error);

/// Reads one value.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    Ok(rmp_serde::from_slice(bytes)?)
}

/// Writes one value.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value)
        .expect("boundary values have no unserialisable parts and a Vec does not fail")
}

#[cfg(test)]
mod tests;
