//! What the thread knows of a connection: where to answer, and why it was refused.

use roomtone_srt::{ConnectionId, RequestId};

use crate::values::Denial;

/// Who is to be told the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// A request at a port of SRT.
    Srt { port: usize, request: RequestId },
    /// A connection of RTMP.
    Rtmp { connection: usize },
}

/// Over what a publisher sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Srt {
        port: usize,
        connection: ConnectionId,
    },
    Rtmp {
        connection: usize,
    },
    /// By its id.
    Input {
        input: u64,
    },
}

/// Why somebody may not publish, or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum No {
    /// Control says so; why, in its words, and of what sort that is.
    Denied(String, Denial),
    /// Somebody else publishes under the name.
    InUse,
    /// Too many questions wait, or nobody answered.
    Busy,
    /// The memory for live streams is used up.
    Full,
    /// There is no such thing as it asks for.
    Unsupported(&'static str),
    /// The name cannot stand in a URL.
    Name,
    /// There is no stream of the name to be read.
    Absent,
    /// Nothing of the stream can be carried so.
    Media,
}

impl No {
    /// A sentence for the person at the encoder.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Denied(detail, _) if detail.is_empty() => {
                "this may not be published here".to_owned()
            }
            Self::Denied(detail, _) => detail.clone(),
            Self::InUse => "somebody else publishes under this name".to_owned(),
            Self::Full => crate::live::FULL.to_owned(),
            Self::Busy => "too many ask at the moment".to_owned(),
            Self::Unsupported(what) => (*what).to_owned(),
            Self::Absent => "there is no stream of this name".to_owned(),
            Self::Media => "nothing of the stream can be carried so".to_owned(),
            Self::Name => {
                "a name is 1 to 64 of A-Z, a-z, 0-9, dot, underscore and hyphen".to_owned()
            }
        }
    }
}
