//! What a command came to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Candidate, Fingerprint};

/// One value of a statistics report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StatValue {
    /// Not known.
    None,
    /// Yes or no.
    Bool(bool),
    /// A count.
    Unsigned(u64),
    /// A number that may be negative.
    Signed(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(String),
}

impl From<bool> for StatValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for StatValue {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<u32> for StatValue {
    fn from(value: u32) -> Self {
        Self::Unsigned(u64::from(value))
    }
}

impl From<usize> for StatValue {
    fn from(value: usize) -> Self {
        Self::Unsigned(value as u64)
    }
}

impl From<i64> for StatValue {
    fn from(value: i64) -> Self {
        Self::Signed(value)
    }
}

impl From<f64> for StatValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for StatValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for StatValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<StatValue>> From<Option<T>> for StatValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

/// A flat map of statistics.
pub type Report = BTreeMap<String, StatValue>;

/// Why a command failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// No object of that id and sort.
    NotFound,
    /// The object cannot do that now.
    WrongState,
    /// A parameter is wrong.
    Invalid,
    /// A limit of the configuration is reached.
    Limit,
    /// A queue is full.
    QueueFull,
    /// No port of the range is free.
    NoPort,
    /// Not built.
    Unsupported,
    /// The engine stops.
    EngineClosed,
    /// A defect of the engine.
    Internal,
}

/// The result in a reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum CommandResult {
    /// The command took effect.
    Done {},
    /// A router and the shard it lives on.
    RouterOpened {
        /// The new router.
        router: u64,
        /// Where it lives.
        shard: usize,
    },
    /// What the peer has to know of our transport.
    #[serde(rename = "webrtc_transport_opened")]
    WebRtcTransportOpened {
        /// The new transport.
        transport: u64,
        /// Our ICE user fragment.
        ice_ufrag: String,
        /// Our ICE password.
        ice_pwd: String,
        /// Where we listen.
        candidates: Vec<Candidate>,
        /// Of our certificate.
        fingerprints: Vec<Fingerprint>,
    },
    /// Our new credentials and all candidates.
    IceRestarted {
        /// Our ICE user fragment.
        ice_ufrag: String,
        /// Our ICE password.
        ice_pwd: String,
        /// Where we listen.
        candidates: Vec<Candidate>,
    },
    /// Where a plain transport listens.
    PlainTransportOpened {
        /// The new transport.
        transport: u64,
        /// Address.
        ip: String,
        /// RTP port.
        port: u16,
        /// RTCP port; equal to `port` with rtcp-mux.
        rtcp_port: u16,
        /// Of our certificate; none without DTLS.
        #[serde(default)]
        fingerprints: Vec<Fingerprint>,
    },
    /// The new producer.
    Produced {
        /// Its id.
        producer: u64,
    },
    /// The new producer in another router, and the ends of the pipe that brings it.
    ProducerPiped {
        /// Its id.
        producer: u64,
        /// The transport in the router it comes from.
        near: u64,
        /// The transport in the router it is in.
        far: u64,
    },
    /// The new consumer.
    Consumed {
        /// Its id.
        consumer: u64,
        /// SSRC it sends with.
        ssrc: u32,
        /// SSRC of its retransmissions.
        rtx_ssrc: Option<u32>,
        /// Its CNAME.
        cname: String,
    },
    /// The new observer.
    ObserverOpened {
        /// Its id.
        observer: u64,
    },
    /// The new mixer.
    MixerOpened {
        /// Its id.
        mixer: u64,
    },
    /// The new input or source of a mixer.
    MixerInputAdded {
        /// Its id.
        input: u64,
    },
    /// The new packager.
    PackagerOpened {
        /// Its id.
        packager: u64,
    },
    /// The new track of a packager, or the vacant one that goes on.
    PackagerTrackAdded {
        /// Its id.
        track: u64,
    },
    /// The new transcoder.
    TranscoderOpened {
        /// Its id.
        transcoder: u64,
    },
    /// The new transcoder of a track, and the track that it makes.
    TrackTranscoderOpened {
        /// Its id.
        transcoder: u64,
        /// What feeds can be given.
        track: u64,
    },
    /// The new listener of encoders.
    IngestListenerOpened {
        /// Its id.
        listener: u64,
        /// Where it listens.
        port: u16,
    },
    /// The new pull; events tell what comes of it.
    IngestPullOpened {
        /// Its id, which is that of a listener.
        listener: u64,
    },
    /// The new feed.
    FeedOpened {
        /// Its id.
        feed: u64,
    },
    /// The new data channel; an event tells when it is open.
    ChannelOpening {
        /// Its id.
        channel: u64,
    },
    /// Reports; the first is the object's own.
    Stats {
        /// Flat maps.
        reports: Vec<Report>,
    },
    /// What became of each of several commands, in their order; none follows one that failed.
    DoneTogether {
        /// One for each command that was tried.
        results: Vec<CommandResult>,
    },
    /// Inner state.
    Dumped {
        /// JSON text.
        json: String,
    },
    /// The command had no effect.
    Failed {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        message: String,
    },
}
