//! Why a command was refused and why a packet was dropped.

use crate::{ConsumerId, ProducerId, TransportId};

/// Why a command to the router was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SfuError {
    /// No such transport.
    #[error("there is no transport {0}")]
    NoTransport(TransportId),
    /// No such producer.
    #[error("there is no producer {0}")]
    NoProducer(ProducerId),
    /// No such consumer.
    #[error("there is no consumer {0}")]
    NoConsumer(ConsumerId),
    /// The id is in use.
    #[error("the id is in use")]
    Duplicate,
    /// An SSRC is in use on the same transport.
    #[error("SSRC {0} is in use on this transport")]
    DuplicateSsrc(u32),
    /// A limit of [`crate::Limits`] is reached.
    #[error("the limit of {0} is reached")]
    Limit(&'static str),
    /// A producer needs at least one codec and one encoding.
    #[error("a producer needs at least one codec and one encoding")]
    Empty,
    /// The consumer and the producer are not of one kind.
    #[error("consumer and producer are not of the same kind")]
    Kind,
    /// A codec of sound among pictures, or the other way round.
    #[error("a codec is not of the producer's kind")]
    CodecKind,
    /// Only the consumer of one producer can be verbatim; it cannot change its source.
    #[error("a verbatim consumer belongs to one producer for its whole life")]
    Verbatim,
    /// A value cannot be carried: a payload type above 127, a clock rate of zero, an extension id of zero.
    #[error("{0} is out of range")]
    Range(&'static str),
}

/// Why a received RTP packet was not forwarded. Each is counted on its transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RtpDrop {
    /// The transport was closed.
    #[error("there is no such transport")]
    NoTransport,
    /// Not an RTP packet.
    #[error("the packet is malformed")]
    Malformed,
    /// No producer takes this SSRC, MID, RID or payload type.
    #[error("no producer takes this stream")]
    UnknownStream,
    /// The producer did not negotiate this payload type.
    #[error("the payload type was not negotiated")]
    PayloadType,
    /// The sequence number was seen already.
    #[error("the packet is a duplicate")]
    Duplicate,
    /// Older than the history.
    #[error("the packet is too old")]
    TooOld,
    /// A far jump of the sequence number; the next packet decides (RFC 3550 appendix A.1).
    #[error("the sequence number jumped; waiting for a second packet")]
    Jump,
    /// The producer is paused.
    #[error("the producer is paused")]
    Paused,
    /// The SSRC is one of ours, or that of another stream of the peer.
    #[error("the SSRC is in use")]
    SsrcInUse,
    /// Longer than the longest packet taken.
    #[error("the packet is too long")]
    TooLong,
}

/// Why a received RTCP packet was dropped, whole or from some point on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RtcpDrop {
    /// The transport was closed.
    #[error("there is no such transport")]
    NoTransport,
    /// It has an SSRC of ours: it is what was sent, come back.
    #[error("the sender's SSRC is one of ours")]
    SsrcInUse,
    /// Not RTCP, or broken inside the compound; what came before the break was used.
    #[error("the packet is malformed")]
    Malformed,
}
