//! Settings of a router, with their defaults.

use std::time::Duration;

use roomtone_bandwidth::GccConfig;

use crate::{AllocationConfig, FeedbackStrategy};

/// Settings of one router.
#[derive(Debug, Clone)]
pub struct RouterConfig {
    /// How long a packet may wait for the rest of its burst. Frames leave when they are complete.
    pub burst_delay: Duration,
    /// Whether a whole frame waits within the burst delay for audio of the same peer that is about
    /// to come, so that both leave together: one send less for each subscriber.
    pub hold_for_audio: bool,
    /// Packets of a frame that are shorter than its longest by up to so many bytes are padded to its length
    /// (RFC 3550 section 5.1), so that the frame leaves as one segmented send; 0: never.
    pub even_out: u8,
    /// Time between RTCP reports of a transport.
    pub report_interval: Duration,
    /// How long a report that is due, to a peer that only receives, may wait for packets that leave
    /// anyway: alone it costs a wake-up, with them next to nothing.
    pub report_patience: Duration,
    /// Time between transport-wide feedback packets, while packets arrive.
    pub feedback_interval: Duration,
    /// What a peer that negotiated only REMB may send, where its transport names no limit.
    pub default_max_bitrate: u64,
    /// A simulcast encoding that was silent for this long is not chosen.
    pub encoding_timeout: Duration,
    /// Retransmission requests to publishers, for video.
    pub nack: NackConfig,
    /// The same for audio, where it was negotiated. `max_age` also bounds what subscribers are sent
    /// again: later audio is of no use to them.
    pub audio_nack: NackConfig,
    /// Keyframe requests to publishers.
    pub keyframe: KeyframeConfig,
    /// How the lines to subscribers are estimated and filled.
    pub bandwidth: BandwidthConfig,
    /// How bandwidth is divided among the tracks of a transport.
    pub allocation: AllocationConfig,
    /// Active speaker observation.
    pub audio_level: AudioLevelConfig,
    /// So many audio producers are forwarded, those who speak; `None`: all. See
    /// [`crate::Router::set_audio_top_n`].
    pub audio_top_n: Option<u8>,
    /// What was said so shortly before a producer began to speak is forwarded too.
    pub audio_preroll: Duration,
    /// What publishers are told about what arrives.
    pub quality: QualityConfig,
    /// What a peer can grow.
    pub limits: Limits,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            burst_delay: Duration::from_millis(5),
            hold_for_audio: true,
            even_out: 0,
            report_interval: Duration::from_secs(1),
            report_patience: Duration::from_millis(40),
            feedback_interval: Duration::from_millis(75),
            default_max_bitrate: 10_000_000,
            encoding_timeout: Duration::from_secs(2),
            bandwidth: BandwidthConfig::default(),
            nack: NackConfig::default(),
            audio_nack: NackConfig::audio(),
            keyframe: KeyframeConfig::default(),
            allocation: AllocationConfig::default(),
            audio_level: AudioLevelConfig::default(),
            audio_top_n: None,
            audio_preroll: Duration::from_millis(40),
            quality: QualityConfig::default(),
            limits: Limits::default(),
        }
    }
}

/// How the lines to subscribers are estimated and filled.
#[derive(Debug, Clone)]
pub struct BandwidthConfig {
    /// Whether transport-wide feedback is used where it was negotiated; else receiver reports and
    /// REMB are all that is followed.
    pub transport_feedback: bool,
    /// The estimator for transport-wide feedback.
    pub congestion: GccConfig,
    /// Whether pictures leave at the pacing rate; else each frame at once.
    pub pacing: bool,
    /// Pictures that the pacer has held back for this long are dropped, by whole frames; repairs too.
    pub max_held: Duration,
    /// Whether the line is probed for more, with padding where there is no media for it.
    pub probing: bool,
}

impl Default for BandwidthConfig {
    fn default() -> Self {
        Self {
            transport_feedback: true,
            congestion: GccConfig {
                start_bps: 1_000_000,
                ..GccConfig::default()
            },
            pacing: true,
            max_held: Duration::from_millis(400),
            probing: true,
        }
    }
}

/// When a missing packet is asked for, and when it is given up.
#[derive(Debug, Clone)]
pub struct NackConfig {
    /// Time for reordered packets before the first request.
    pub first_delay: Duration,
    /// Time before a request is repeated; grows to the round trip where that is longer.
    pub retry_interval: Duration,
    /// Requests before a packet is given up.
    pub max_attempts: u8,
    /// A packet missing for this long is given up.
    pub max_age: Duration,
}

impl NackConfig {
    /// For audio: what has not come within a few hundred milliseconds will not be played.
    pub const fn audio() -> Self {
        Self {
            first_delay: Duration::from_millis(10),
            retry_interval: Duration::from_millis(40),
            max_attempts: 4,
            max_age: Duration::from_millis(250),
        }
    }
}

impl Default for NackConfig {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(6),
            retry_interval: Duration::from_millis(40),
            max_attempts: 10,
            max_age: Duration::from_secs(1),
        }
    }
}

/// How keyframe requests of many consumers become few requests to the publisher.
#[derive(Debug, Clone)]
pub struct KeyframeConfig {
    /// Least time between two requests for one stream.
    pub min_interval: Duration,
    /// Time after which an unanswered request is repeated.
    pub retry_interval: Duration,
    /// Unanswered requests before the router stops asking until a consumer asks again.
    pub max_attempts: u8,
}

impl Default for KeyframeConfig {
    fn default() -> Self {
        Self {
            min_interval: Duration::from_millis(500),
            retry_interval: Duration::from_secs(1),
            max_attempts: 10,
        }
    }
}

/// How active speakers are found from the audio level extension (RFC 6464).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioLevelConfig {
    /// Time between two looks at the levels; also the window of the percentile.
    pub interval: Duration,
    /// Levels above this (in -dBov, so smaller is louder) count as speech.
    pub threshold: u8,
    /// Per cent of the packets of a window that must be louder than the threshold.
    pub min_percentile: u8,
    /// Weight in per cent of the newest window in the smoothed level.
    pub smoothing: u8,
    /// A speaker stays in the list for this long after the last window with speech.
    pub hold: Duration,
    /// Speakers named in one event, the loudest first.
    pub max_entries: usize,
}

impl Default for AudioLevelConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(300),
            threshold: 50,
            min_percentile: 40,
            smoothing: 50,
            hold: Duration::from_millis(900),
            max_entries: 8,
        }
    }
}

/// When a publisher is told that what arrives is bad, and how often at most.
#[derive(Debug, Clone, PartialEq)]
pub struct QualityConfig {
    /// Which strategies act.
    pub strategy: FeedbackStrategy,
    /// Time between two looks while packets are lost for good; without loss a look is taken with
    /// each report only.
    pub quick_look: Duration,
    /// Share lost after all repair from which on a picture is asked for (PLI).
    pub pli_loss: f64,
    /// Share lost after all repair from which on it is asked for urgently (FIR).
    pub fir_loss: f64,
    /// Packets that must be accounted for before a share of loss means anything.
    pub min_packets: u32,
    /// Streams with a score below this are helped.
    pub score_floor: f64,
    /// Least time between two actions of the policy for one stream; it doubles while they do not
    /// help.
    pub min_action_interval: Duration,
    /// Where the doubling ends.
    pub max_action_interval: Duration,
    /// Actions for one producer in ten seconds.
    pub actions_per_10s: u32,
    /// A peer that should send something and was silent for this long is lost.
    pub lost_after: Duration,
}

impl QualityConfig {
    pub(crate) fn acts(&self, strategy: FeedbackStrategy) -> bool {
        self.strategy == strategy || self.strategy == FeedbackStrategy::Combined
    }
}

impl Default for QualityConfig {
    fn default() -> Self {
        Self {
            strategy: FeedbackStrategy::Combined,
            quick_look: Duration::from_millis(300),
            pli_loss: 0.05,
            fir_loss: 0.15,
            min_packets: 20,
            score_floor: 0.6,
            min_action_interval: Duration::from_secs(1),
            max_action_interval: Duration::from_secs(8),
            actions_per_10s: 10,
            lost_after: Duration::from_secs(5),
        }
    }
}

/// Everything a peer can grow is bounded here; what is refused or dropped is counted.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Transports of one router.
    pub transports: usize,
    /// Producers of one transport.
    pub producers_per_transport: usize,
    /// Consumers of one transport.
    pub consumers_per_transport: usize,
    /// Encodings of one producer.
    pub encodings_per_producer: usize,
    /// Packets kept for each video stream; rounded up to a power of two. The oldest go first.
    pub video_history: usize,
    /// Packets kept for each audio stream; rounded up to a power of two. The oldest go first.
    pub audio_history: usize,
    /// The longest packet taken; longer ones are dropped.
    pub packet_bytes: usize,
    /// Missing packets tracked for each stream; above it all are given up and a keyframe is asked for.
    pub missing_per_stream: usize,
    /// Retransmissions waiting for one consumer; further requests are dropped.
    pub pending_resends: usize,
    /// Retransmissions to one consumer in a second; further requests are dropped.
    pub resends_per_second: u32,
    /// Changes of numbering a consumer remembers to answer old NACKs; the oldest go first.
    pub numbering_segments: usize,
    /// Arrivals kept for one transport-wide feedback packet; the oldest go first.
    pub feedback_arrivals: usize,
    /// Packets that one transport-wide feedback packet may speak of; the rest of it is not read.
    pub feedback_statuses: usize,
    /// RTCP messages waiting on one transport; further ones are dropped.
    pub pending_rtcp: usize,
    /// Events waiting for the driver; above it the newest scores and levels are dropped.
    pub events: usize,
    /// RTCP packets of one compound that are looked at.
    pub rtcp_packets_per_compound: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transports: 10_000,
            producers_per_transport: 64,
            consumers_per_transport: 512,
            encodings_per_producer: 8,
            video_history: 1_024,
            audio_history: 256,
            packet_bytes: 2_048,
            missing_per_stream: 512,
            pending_resends: 256,
            resends_per_second: 500,
            numbering_segments: 32,
            feedback_arrivals: 4_096,
            feedback_statuses: 4_096,
            pending_rtcp: 64,
            events: 4_096,
            rtcp_packets_per_compound: 64,
        }
    }
}
