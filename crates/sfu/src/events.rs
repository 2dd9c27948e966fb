//! What the router tells its driver.

use crate::{
    CongestionState, ConsumerId, Degradation, Direction, FeedbackAction, FeedbackPriority,
    ProducerId, Quality, QualitySubject, TransportId,
};

/// The state of one received stream as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamScore {
    /// The SSRC, where it is known yet.
    pub ssrc: Option<u32>,
    /// 0 (nothing arrives) to 10 (nothing is missing).
    pub score: u8,
}

/// One speaker and how loud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveSpeaker {
    /// Who.
    pub producer: ProducerId,
    /// Smoothed level in -dBov: 0 is the loudest, 127 silence.
    pub level: u8,
}

/// Something happened that the driver may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouterEvent {
    /// The first packet of an encoding arrived, or the first one after a silence.
    ProducerActive {
        /// Whose.
        producer: ProducerId,
        /// Index of the encoding.
        encoding: u8,
        /// Its SSRC.
        ssrc: u32,
    },
    /// An encoding has been silent for the time-out.
    ProducerSilent {
        /// Whose.
        producer: ProducerId,
        /// Index of the encoding.
        encoding: u8,
    },
    /// The peer said BYE for an encoding.
    ProducerBye {
        /// Whose.
        producer: ProducerId,
        /// Index of the encoding.
        encoding: u8,
    },
    /// A producer was closed with its transport or by command; its consumers are without a source.
    ProducerClosed {
        /// Which.
        producer: ProducerId,
        /// Consumers that have lost their source.
        consumers: Vec<ConsumerId>,
    },
    /// A producer's scores changed.
    ProducerScore {
        /// Whose.
        producer: ProducerId,
        /// One an encoding.
        scores: Vec<StreamScore>,
    },
    /// A consumer's score changed: what the subscriber reports back.
    ConsumerScore {
        /// Whose.
        consumer: ConsumerId,
        /// 0 to 10.
        score: u8,
    },
    /// A consumer changed the encoding it forwards.
    LayersChanged {
        /// Whose.
        consumer: ConsumerId,
        /// The spatial layer (encoding); `None`: nothing is forwarded.
        spatial: Option<u8>,
        /// The highest temporal layer forwarded; `None`: all.
        temporal: Option<u8>,
    },
    /// The layers a consumer is to be given have changed; see [`RouterEvent::LayersChanged`] for when
    /// it is given them.
    LayersTargeted {
        /// Whose.
        consumer: ConsumerId,
        /// The highest spatial layer (encoding, where there are several); `None`: whatever is preferred.
        spatial: Option<u8>,
        /// The highest temporal layer; `None`: all.
        temporal: Option<u8>,
    },
    /// The line does not carry even the cheapest layer of a consumer: it is paused.
    ConsumerStarved {
        /// Which.
        consumer: ConsumerId,
    },
    /// The line carries a consumer again that it did not.
    ConsumerFed {
        /// Which.
        consumer: ConsumerId,
    },
    /// Which encodings of a producer anyone wants has changed. An encoding is wanted at once, and
    /// unwanted after a while.
    EncodingsWanted {
        /// Whose.
        producer: ProducerId,
        /// By encoding, the highest temporal layer wanted (7: all); `None`: the encoding is not.
        wanted: Vec<Option<u8>>,
    },
    /// The audio producers forwarded, where only so many are, have changed. Those that carry no
    /// levels are always forwarded and not named.
    AudioForwarded {
        /// In the order of their ids.
        producers: Vec<ProducerId>,
    },
    /// The list of active speakers or their levels changed; the loudest first.
    ActiveSpeakers(Vec<ActiveSpeaker>),
    /// A keyframe request went to the publisher.
    KeyframeRequested {
        /// Whose.
        producer: ProducerId,
        /// Index of the encoding.
        encoding: u8,
    },
    /// The bandwidth estimate toward a transport changed.
    EstimateChanged {
        /// Which.
        transport: TransportId,
        /// Bits per second.
        bps: u64,
    },
    /// How good something is has clearly changed, or is known for the first time.
    QualityChanged {
        /// Of what.
        subject: QualitySubject,
        /// How good it is now.
        quality: Quality,
    },
    /// The state of a peer's line changed.
    CongestionChanged {
        /// Whose.
        transport: TransportId,
        /// Which way.
        direction: Direction,
        /// Its state now.
        state: CongestionState,
    },
    /// A publisher was told something because of what arrives from it.
    FeedbackActed {
        /// Whose.
        producer: ProducerId,
        /// Index of the encoding; `None`: the whole line.
        encoding: Option<u8>,
        /// What it was told.
        action: FeedbackAction,
        /// Why.
        reason: Degradation,
        /// How urgent it is.
        priority: FeedbackPriority,
    },
}
