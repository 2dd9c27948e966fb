//! What a transport, a producer and a consumer are made of.

use roomtone_rtp::{Codec, ExtensionKind, MediaKind};

use crate::{ArrivalModel, ProducerId};

/// How a transport is opened.
#[derive(Debug, Clone, Default)]
pub struct TransportParams {
    /// The canonical name of what this transport sends (RFC 3550 section 6.5.1); empty: one is drawn.
    pub rtcp_cname: String,
    /// What the peer is told it may send in all, in bits per second, where only REMB was
    /// negotiated; `None`: the router's default.
    pub max_bitrate: Option<u64>,
    /// RTCP may be sent without a report in front (RFC 5506).
    pub reduced_size: bool,
    /// One- and two-byte header extensions may be mixed (`extmap-allow-mixed`, RFC 8285 section 4.1.2).
    pub mixed_extensions: bool,
    /// Audio levels of producers here are not observed (the far end of a pipe observes its own).
    pub ignore_audio_levels: bool,
    /// The line is not to be spared, whatever the estimator believes: a pipe, a peer on a line of its
    /// own. Else layers are chosen by the estimate as soon as the peer has confirmed one, and one that
    /// cannot is given the cheapest.
    pub unlimited: bool,
    /// Extended reports (RFC 3611) go out with the reports, and the peer's are answered.
    pub extended_reports: bool,
    /// Packets of ours that the peer sends back are taken for its own: that is how echo services of telephony answer.
    /// Its RTCP is not.
    pub reflections: bool,
    /// How congestion is seen in arrival times, where transport-wide feedback is negotiated; `None`: as
    /// the router's configuration says.
    pub arrival_model: Option<ArrivalModel>,
}

/// The RTCP feedback that was negotiated for a codec or a consumer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedbackKinds {
    /// Generic NACK (RFC 4585 section 6.2.1).
    pub nack: bool,
    /// Picture loss indication (RFC 4585 section 6.3.1).
    pub pli: bool,
    /// Full intra request (RFC 5104 section 4.3.1).
    pub fir: bool,
    /// Transport-wide congestion control feedback.
    pub transport_cc: bool,
    /// Receiver estimated maximum bitrate.
    pub remb: bool,
}

impl FeedbackKinds {
    /// Whether a peer can ask for what it has lost, or for a keyframe in its place.
    pub fn can_ask(self) -> bool {
        self.nack || self.pli || self.fir
    }
}

/// One codec a producer may send; the payload type may change between packets.
#[derive(Debug, Clone)]
pub struct CodecParams {
    /// The payload type of the media packets.
    pub payload_type: u8,
    /// The codec, which decides the payload descriptor.
    pub codec: Codec,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// Audio channels; 0 for video.
    pub channels: u8,
    /// The payload type of its retransmissions (RFC 4588).
    pub rtx_payload_type: Option<u8>,
    /// Negotiated feedback.
    pub feedback: FeedbackKinds,
}

/// One encoding of a producer. Where neither SSRC nor RID is known, the SSRC is learnt from the
/// first packet with one of the producer's payload types.
#[derive(Debug, Clone, Default)]
pub struct EncodingParams {
    /// The SSRC, where it was signalled.
    pub ssrc: Option<u32>,
    /// The RID (RFC 8851), where simulcast is signalled with it.
    pub rid: Option<String>,
    /// The SSRC of its retransmissions, where it was signalled (FID group).
    pub rtx_ssrc: Option<u32>,
}

/// How a producer is made.
#[derive(Debug, Clone)]
pub struct ProducerParams {
    /// Audio or video.
    pub kind: MediaKind,
    /// The MID of its media section; `None` where the peer has none.
    pub mid: Option<String>,
    /// The codecs negotiated.
    pub codecs: Vec<CodecParams>,
    /// The encodings, lowest layer first: the index is the spatial layer of
    /// [`crate::Router::set_preferred_layers`].
    pub encodings: Vec<EncodingParams>,
    /// Negotiated header extensions.
    pub extensions: Vec<(u8, ExtensionKind)>,
    /// Whether packets are dropped until it is resumed.
    pub paused: bool,
}

/// Redundancy that a consumer asks for (RFC 2198): each packet of one of its audio codecs goes out
/// with copies of the ones before it. What comes with redundancy already, in a payload type the
/// consumer takes, is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redundancy {
    /// The consumer's payload type of redundant payloads.
    pub payload_type: u8,
    /// The consumer's payload type inside them.
    pub protects: u8,
    /// Packets that go along; at most four.
    pub blocks: u8,
}

/// How a consumer is made.
#[derive(Debug, Clone)]
pub struct ConsumerParams {
    /// What it forwards; `None`: nothing until [`crate::Router::switch_source`].
    pub producer: Option<ProducerId>,
    /// Audio or video; must be the producer's.
    pub kind: MediaKind,
    /// The MID of its media section, sent in every packet where the extension was negotiated.
    pub mid: Option<String>,
    /// The producer's payload types and what they become; others are not forwarded.
    pub payload_types: Vec<(u8, u8)>,
    /// The consumer's own media payload types and those of their retransmissions.
    pub rtx_payload_types: Vec<(u8, u8)>,
    /// Negotiated header extensions.
    pub extensions: Vec<(u8, ExtensionKind)>,
    /// The SSRC to send with; `None`: one is drawn.
    pub ssrc: Option<u32>,
    /// The SSRC of retransmissions; `None`: one is drawn where `rtx_payload_types` has any.
    pub rtx_ssrc: Option<u32>,
    /// Whether it starts paused.
    pub paused: bool,
    /// Negotiated feedback.
    pub feedback: FeedbackKinds,
    /// Redundancy to be made for it; audio only.
    pub redundancy: Option<Redundancy>,
    /// The consumer of a pipe: every layer, payload type, extension and timestamp as it came (after
    /// padding and jumps were closed up); only the SSRC is its own, one an encoding.
    pub verbatim: bool,
}

/// What a consumer sends, for the signalling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerDescription {
    /// The media SSRC (of the first encoding where the consumer is verbatim).
    pub ssrc: u32,
    /// The SSRC of retransmissions.
    pub rtx_ssrc: Option<u32>,
    /// The canonical name in the transport's source descriptions.
    pub cname: String,
    /// One SSRC an encoding for a verbatim consumer, else the one media SSRC.
    pub encodings: Vec<ConsumerEncoding>,
}

/// One encoding of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerEncoding {
    /// The SSRC it is sent with.
    pub ssrc: u32,
    /// The producer's RID of it; the value itself is not sent.
    pub rid: Option<String>,
}
