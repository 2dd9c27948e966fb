use std::fmt;

use crate::{Address, Credential};

/// What a peer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wish {
    /// To send a stream.
    Publish,
    /// To get one.
    Play,
}

/// A question that somebody else has to answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// What it wants.
    pub wish: Wish,
    /// Of what.
    pub address: Address,
    /// What the encoder calls itself.
    pub encoder: String,
    /// Codecs of Enhanced RTMP that the encoder names; empty where it does not know it.
    pub fourccs: Vec<String>,
}

impl Request {
    /// With what it shows that it may.
    pub fn credential(&self) -> Credential {
        self.address.credential()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("wish", &self.wish)
            .field("address", &self.address)
            .field("encoder", &self.encoder)
            .finish_non_exhaustive()
    }
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The name or its credential is not good for this.
    Denied,
    /// Somebody else publishes it.
    InUse,
    /// There is no such stream.
    NotFound,
    /// What it sends cannot be taken.
    Unsupported,
    /// There is no room for more.
    Busy,
    /// Somebody who may has ended it.
    Kicked,
}

impl Refusal {
    /// The code that encoders know. Publishers are told `BadName` in all cases that librtmp and OBS end at once for, and the sentence says more.
    pub(super) fn code(self, wish: Wish) -> &'static str {
        match (wish, self) {
            (Wish::Publish, Self::Unsupported | Self::Kicked) => "NetStream.Publish.Rejected",
            (Wish::Publish, _) => "NetStream.Publish.BadName",
            (Wish::Play, Self::NotFound) => "NetStream.Play.StreamNotFound",
            (Wish::Play, _) => "NetStream.Play.Failed",
        }
    }
}
