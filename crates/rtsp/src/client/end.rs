//! Why a client is over.

use std::fmt;

use crate::wire::WireError;

/// Why a client is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEnd {
    /// What came is no RTSP.
    Protocol(WireError),
    /// The server does not do what it was asked for.
    Refused {
        /// As in HTTP.
        status: u16,
        /// In its words.
        reason: String,
    },
    /// It asks for a login.
    Unauthorized {
        /// Whether one was shown, which is wrong then.
        shown: bool,
    },
    /// It asks for a login in a way that is not known here.
    UnknownChallenge,
    /// It sends elsewhere.
    Redirected(String),
    /// It did not answer in time.
    NotAnswered,
    /// It does not say where its datagrams come from.
    NoPorts,
    /// Nothing was chosen of what it has.
    Nothing,
    /// It does not read.
    NotReading,
    /// This side has said goodbye.
    Closed,
}

impl fmt::Display for ClientEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::Refused { status, reason } => write!(f, "refused: {status} {reason}"),
            Self::Unauthorized { shown: true } => f.write_str("refused: 401, the login is wrong"),
            Self::Unauthorized { shown: false } => {
                f.write_str("refused: 401, it asks for a login (rtsp://USER:PASS@HOST/...)")
            }
            Self::UnknownChallenge => {
                f.write_str("refused: 401, it asks for a login by neither Basic nor Digest")
            }
            // Where to may carry a login.
            Self::Redirected(_) => f.write_str("it sends elsewhere"),
            Self::NotAnswered => f.write_str("it did not answer in time"),
            Self::NoPorts => f.write_str("it does not say where its datagrams come from"),
            Self::Nothing => f.write_str("it has nothing that can be carried"),
            Self::NotReading => f.write_str("it does not read"),
            Self::Closed => f.write_str("the pull closes"),
        }
    }
}
