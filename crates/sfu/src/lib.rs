//! Producers, consumers, history, NACK, feedback, rewriting: the forwarding plane without I/O.
//!
//! A [`Router`] is fed plain (decrypted) packets and asked, one transport at a time, for the plain
//! packets to send; sockets, ciphers and threads are the driver's. It never reads a clock and draws
//! no randomness but from the seed it was given.
//!
//! A packet is parsed once on arrival and stored in the history of its stream. A consumer is a
//! cursor into that history: it rewrites header and extensions straight into the caller's buffer
//! and copies the payload behind them, so a subscriber costs no packet memory of its own.
#![forbid(unsafe_code)]

mod allocation;
mod audio;
mod audio_level;
mod clock;
mod config;
mod consumer;
mod errors;
mod events;
mod history;
mod ids;
mod pacer;
mod params;
mod producer;
mod quality;
mod random;
mod rhythm;
mod router;
mod selection;
mod stats;
mod timers;
mod transport;
mod twcc;

pub use allocation::{AllocationConfig, ConsumerLimits, LayerTarget};
pub use clock::WallClock;
pub use config::{
    AudioLevelConfig, BandwidthConfig, KeyframeConfig, Limits, NackConfig, QualityConfig,
    RouterConfig,
};
pub use errors::{RtcpDrop, RtpDrop, SfuError};
pub use events::{ActiveSpeaker, RouterEvent, StreamScore};
pub use ids::{ConsumerId, ProducerId, TransportId};
pub use params::{
    CodecParams, ConsumerDescription, ConsumerEncoding, ConsumerParams, EncodingParams,
    FeedbackKinds, ProducerParams, Redundancy, TransportParams,
};
pub use quality::{
    CongestionState, Degradation, Direction, FeedbackAction, FeedbackPriority, FeedbackStrategy,
    Mos, Quality, QualityLevel, QualitySubject, Score, Trend,
};
pub use roomtone_bandwidth::{
    ArrivalModel, BandwidthEstimator, Estimate, EstimatorCounters, EstimatorDetails, FeedbackEntry,
    GccConfig, GccEstimator, LineState, Probe, ReceiverReportEstimator, ReportedLoss, SentKind,
    SentPacket,
};
pub use router::{Fetch, Router, Written};
pub use stats::{
    ConsumerDump, ConsumerLayerStats, ConsumerStats, InboundStreamStats, OutboundStreamStats,
    PauseReason, ProducerDump, ProducerStats, RemoteInboundStats, RouterDump, RouterStats,
    StreamDump, TransportDump, TransportStats,
};
