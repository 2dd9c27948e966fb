//! Statistics and dumps. Names follow the W3C's webrtc-stats where it has one.

use std::time::Duration;

use roomtone_rtp::MediaKind;
use roomtone_rtp::rtcp::VoipMetrics;

use crate::{CongestionState, ConsumerId, ProducerId, Quality, TransportId};

/// One received RTP stream (W3C `inbound-rtp`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InboundStreamStats {
    /// The SSRC, once known.
    pub ssrc: Option<u32>,
    /// The RID.
    pub rid: Option<String>,
    /// Payload type of the newest packet.
    pub payload_type: u8,
    /// Packets received, repaired ones included, duplicates not.
    pub packets_received: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// Header and padding bytes received.
    pub header_bytes_received: u64,
    /// Packets lost for good or not yet repaired (RFC 3550 section 6.4.1; may be negative).
    pub packets_lost: i64,
    /// Fraction lost in the last report, of 256.
    pub fraction_lost: u8,
    /// Interarrival jitter in seconds.
    pub jitter: f64,
    /// Packets dropped: duplicates and too old ones.
    pub packets_discarded: u64,
    /// Duplicates among them.
    pub duplicates: u64,
    /// Padding-only packets swallowed.
    pub padding_packets: u64,
    /// Packets that arrived as retransmissions.
    pub retransmitted_packets_received: u64,
    /// Payload bytes of those.
    pub retransmitted_bytes_received: u64,
    /// Missing packets that came after a request.
    pub packets_repaired: u64,
    /// Missing packets found again in the redundancy of others (RFC 2198).
    pub packets_recovered: u64,
    /// Error correction packets received (W3C `fecPacketsReceived`).
    pub fec_packets_received: u64,
    /// Of those, taken out, since no consumer can use them.
    pub fec_packets_discarded: u64,
    /// Missing packets given up.
    pub packets_given_up: u64,
    /// NACK packets sent.
    pub nack_count: u64,
    /// Packets asked for in them.
    pub nacked_packets: u64,
    /// PLI packets sent.
    pub pli_count: u64,
    /// FIR packets sent.
    pub fir_count: u64,
    /// Keyframe requests of consumers that were merged into others.
    pub keyframe_requests_merged: u64,
    /// Frames whose first packet arrived.
    pub frames_received: u64,
    /// Keyframes among them.
    pub key_frames_received: u64,
    /// Times the SSRC, the numbering or the clock jumped and was closed up.
    pub discontinuities: u64,
    /// Payload descriptors that could not be read; such packets are forwarded all the same.
    pub descriptor_errors: u64,
    /// Bits per second over the last second or so.
    pub bitrate: u64,
    /// 0 to 10.
    pub score: u8,
    /// Share of the packets of the last second that is missing after all repair, 0 to 1.
    pub fraction_missing: f64,
    /// Frames per second over the last second or so (W3C `framesPerSecond`).
    pub frames_per_second: f64,
    /// Times the next frame took far longer than usual (W3C `freezeCount`, by arrival).
    pub freeze_count: u64,
    /// How good what arrives is; `None`: not known yet.
    pub quality: Option<Quality>,
    /// Requests of the policy that its limits kept back.
    pub feedback_suppressed: u64,
}

/// One producer.
#[derive(Debug, Clone, PartialEq)]
pub struct ProducerStats {
    /// Which.
    pub id: ProducerId,
    /// Audio or video.
    pub kind: MediaKind,
    /// One an encoding.
    pub streams: Vec<InboundStreamStats>,
    /// Packets dropped because the producer is paused.
    pub dropped_paused: u64,
    /// Consumers that want it now: those that are paused do not.
    pub wanted_by: usize,
    /// How good what arrives is, by the worst stream of it; `None`: not known yet.
    pub quality: Option<Quality>,
}

/// What a subscriber reports back about one stream (W3C `remote-inbound-rtp`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RemoteInboundStats {
    /// Cumulative packets lost.
    pub packets_lost: i64,
    /// Fraction lost, 0 to 1.
    pub fraction_lost: f64,
    /// Jitter in seconds.
    pub jitter: f64,
    /// The last round trip.
    pub round_trip_time: Option<Duration>,
    /// Report blocks received.
    pub reports_received: u64,
    /// The quality of what the subscriber hears, as it measured it (RFC 3611 section 4.7).
    pub voip: Option<Box<VoipMetrics>>,
}

/// One sent RTP stream (W3C `outbound-rtp`). What each packet counts comes first, in one cache line.
#[derive(Debug, Clone, Default, PartialEq)]
#[repr(C)]
pub struct OutboundStreamStats {
    /// Packets sent, retransmissions included.
    pub packets_sent: u64,
    /// Payload bytes sent, retransmissions included.
    pub bytes_sent: u64,
    /// Header bytes sent.
    pub header_bytes_sent: u64,
    /// Packets not sent: before the first keyframe, other payload types, late ones from before a switch.
    pub packets_skipped: u64,
    /// The SSRC.
    pub ssrc: u32,
    /// The SSRC of retransmissions.
    pub rtx_ssrc: Option<u32>,
    /// Retransmissions sent.
    pub retransmitted_packets_sent: u64,
    /// Payload bytes of those.
    pub retransmitted_bytes_sent: u64,
    /// NACK packets received.
    pub nack_count: u64,
    /// Packets asked for in them.
    pub nacked_packets: u64,
    /// Of those, no longer in the history.
    pub nack_misses: u64,
    /// Of those, refused by the limits against storms.
    pub nack_suppressed: u64,
    /// Of those, not to be sent again: there is no RTX, and the cipher takes no number twice, or the
    /// packet was made for this consumer and cannot be made again byte by byte. Where it is video a
    /// keyframe was asked for instead.
    pub nack_unanswerable: u64,
    /// Packets unpacked from redundant ones (RFC 2198).
    pub packets_unpacked: u64,
    /// Packets that redundancy was added to.
    pub packets_made_redundant: u64,
    /// PLI packets received.
    pub pli_count: u64,
    /// FIR packets received.
    pub fir_count: u64,
    /// Packets that the history had dropped before they could be sent.
    pub overruns: u64,
    /// Frames left out because the line had not carried them in time.
    pub frames_dropped_late: u64,
    /// Packets that did not fit the caller's buffer.
    pub packets_oversized: u64,
}

/// One consumer.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerStats {
    /// Which.
    pub id: ConsumerId,
    /// Audio or video.
    pub kind: MediaKind,
    /// What was sent.
    pub outbound: OutboundStreamStats,
    /// What came back.
    pub remote: RemoteInboundStats,
    /// 0 to 10.
    pub score: u8,
    /// What it is given of its source.
    pub layers: ConsumerLayerStats,
    /// Why it sends nothing, where it is paused.
    pub paused: Option<PauseReason>,
    /// Share of the packets missing after what was sent again, as reported, 0 to 1.
    pub fraction_missing: f64,
    /// How good what the subscriber gets is; `None`: it has not reported yet.
    pub quality: Option<Quality>,
}

/// The layers of a consumer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConsumerLayerStats {
    /// The spatial layer (encoding, where there are several) it is to be given; `None`: whatever
    /// is preferred.
    pub target_spatial: Option<u8>,
    /// The highest temporal layer it is to be given; `None`: all.
    pub target_temporal: Option<u8>,
    /// The spatial layer (encoding) it is given; `None`: nothing.
    pub current_spatial: Option<u8>,
    /// The highest temporal layer it is given; `None`: all.
    pub current_temporal: Option<u8>,
}

/// Why a consumer sends nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseReason {
    /// It was told to.
    Command,
    /// The line does not carry its cheapest layer.
    Bandwidth,
}

/// One transport. What each packet counts comes first, in one cache line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TransportStats {
    /// Bursts given out.
    pub bursts: u64,
    /// RTP packets written.
    pub rtp_packets_sent: u64,
    /// Their bytes.
    pub rtp_bytes_sent: u64,
    /// Extended reports (RFC 3611) written.
    pub extended_sent: u64,
    /// Extended reports received that were of use.
    pub extended_received: u64,
    /// The round trip in microseconds by the peer's answers to our reference times.
    pub extended_round_trip_us: Option<u64>,
    /// RTP packets received.
    pub rtp_packets_received: u64,
    /// Their bytes.
    pub rtp_bytes_received: u64,
    /// RTCP compounds received.
    pub rtcp_packets_received: u64,
    /// RTCP compounds written.
    pub rtcp_packets_sent: u64,
    /// Malformed RTP packets.
    pub rtp_malformed: u64,
    /// Malformed RTCP packets.
    pub rtcp_malformed: u64,
    /// Datagrams of RTCP without a report in front, where reduced size (RFC 5506) was not agreed to. They are read
    /// all the same.
    pub rtcp_not_compound: u64,
    /// Packets of unknown streams.
    pub rtp_unknown: u64,
    /// Packets with a payload type nobody negotiated.
    pub rtp_payload_type: u64,
    /// Packets longer than the limit.
    pub rtp_too_long: u64,
    /// RTP and RTCP with an SSRC of ours, RTP with that of another stream of the peer (RFC 3550 section 8.2).
    pub ssrc_in_use: u64,
    /// Times an SSRC was chosen at one end that was in use at the other: streams and consumers that were refused
    /// for it, feedback of ours that took another one, and peers that began to send back what they are sent.
    pub ssrc_collisions: u64,
    /// Retransmissions that belong to no stream, are empty or padding only.
    pub rtx_discarded: u64,
    /// Error correction packets in streams of their own (RFC 8627), which are not forwarded.
    pub fec_discarded: u64,
    /// RTCP packets of a kind the router does not use, or about streams it does not know.
    pub rtcp_ignored: u64,
    /// RTCP messages dropped because too many waited.
    pub rtcp_overflow: u64,
    /// Transport-wide feedback packets sent.
    pub feedback_sent: u64,
    /// Transport-wide feedback packets received.
    pub feedback_received: u64,
    /// Feedback packets received that spoke of more packets than the limit.
    pub feedback_truncated: u64,
    /// Entries of feedback about packets that were never sent, or were forgotten long ago.
    pub feedback_bogus: u64,
    /// Arrivals dropped because too many waited for feedback.
    pub feedback_overflow: u64,
    /// Probes begun, to find out what the line carries.
    pub probes: u64,
    /// Packets of padding sent in them.
    pub padding_packets_sent: u64,
    /// Their bytes.
    pub padding_bytes_sent: u64,
    /// The bandwidth estimate toward the peer in bits per second (W3C `availableOutgoingBitrate`).
    pub available_outgoing_bitrate: u64,
    /// Which estimator that is of: `gcc-trendline`, `gcc-kalman`, `receiver-reports`, or `other` for a driver's own.
    pub estimator: &'static str,
    /// What is allotted of it to the tracks, in bits per second.
    pub allocated_bitrate: u64,
    /// What the best layers of all tracks would cost.
    pub wanted_bitrate: u64,
    /// Times it was divided among the tracks.
    pub allocations: u64,
    /// The last round trip (W3C `currentRoundTripTime`) in microseconds.
    pub current_round_trip_us: Option<u64>,
    /// How good the connection is, by the worst of what it carries both ways; `None`: not known yet.
    pub quality: Option<Quality>,
    /// The state of the line from the peer.
    pub congestion_up: CongestionState,
    /// The state of the line to the peer.
    pub congestion_down: CongestionState,
    /// What packets from the peer wait in queues, in microseconds.
    pub queue_delay_up_us: u64,
    /// What the peer was told last that it may send, where only REMB was negotiated.
    pub told_bitrate: Option<u64>,
    /// How sure that is, in per cent.
    pub told_confidence: u8,
}

/// The router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouterStats {
    /// Transports open.
    pub transports: usize,
    /// Producers open.
    pub producers: usize,
    /// Consumers open.
    pub consumers: usize,
    /// Packets taken from publishers.
    pub packets_in: u64,
    /// Packets written to subscribers.
    pub packets_out: u64,
    /// Bytes held by packet histories.
    pub history_bytes: u64,
    /// Events dropped because too many waited.
    pub events_dropped: u64,
    /// Audio packets not forwarded, since their producer was none of those who speak.
    pub audio_packets_withheld: u64,
    /// Times an audio producer was let in, and times one was sent away again.
    pub audio_admissions: u64,
    /// See above.
    pub audio_evictions: u64,
    /// Packets of speakers that found all places taken.
    pub audio_refusals: u64,
    /// Timers waiting.
    pub timers: usize,
    /// Transports that share a line with others, as far as is known, and are led by one rate.
    pub led_together: usize,
    /// Feedback of peers at an address where too many are for them to be compared.
    pub neighbours_left_out: u64,
}

/// One stream of a producer, inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamDump {
    /// The SSRC.
    pub ssrc: Option<u32>,
    /// The RID.
    pub rid: Option<String>,
    /// The SSRC of its retransmissions.
    pub rtx_ssrc: Option<u32>,
    /// Whether packets arrive.
    pub active: bool,
    /// Packets in the history.
    pub history_packets: usize,
    /// Bytes the history holds.
    pub history_bytes: usize,
    /// Missing packets being asked for.
    pub missing: usize,
    /// Whether a keyframe request is unanswered.
    pub keyframe_pending: bool,
    /// Consumers that read it.
    pub listeners: usize,
}

/// One producer, inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerDump {
    /// Which.
    pub id: ProducerId,
    /// On which transport.
    pub transport: TransportId,
    /// Audio or video.
    pub kind: MediaKind,
    /// The MID.
    pub mid: Option<String>,
    /// Whether it is paused.
    pub paused: bool,
    /// Its streams.
    pub streams: Vec<StreamDump>,
    /// Its consumers.
    pub consumers: Vec<ConsumerId>,
}

/// One consumer, inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerDump {
    /// Which.
    pub id: ConsumerId,
    /// On which transport.
    pub transport: TransportId,
    /// Its source.
    pub producer: Option<ProducerId>,
    /// Audio or video.
    pub kind: MediaKind,
    /// The SSRC.
    pub ssrc: u32,
    /// The SSRC of retransmissions.
    pub rtx_ssrc: Option<u32>,
    /// The MID.
    pub mid: Option<String>,
    /// Whether it is paused.
    pub paused: bool,
    /// Whether it waits for a keyframe.
    pub waiting_for_keyframe: bool,
    /// The encoding wanted by command.
    pub preferred_spatial: Option<u8>,
    /// The temporal layer wanted by command.
    pub preferred_temporal: Option<u8>,
    /// The encoding forwarded.
    pub current_spatial: Option<u8>,
    /// The encoding it is switching to.
    pub target_spatial: Option<u8>,
    /// Changes of numbering remembered.
    pub segments: usize,
    /// The sequence number of the newest packet.
    pub last_sequence: Option<u16>,
    /// Whether it is verbatim.
    pub verbatim: bool,
}

/// One transport, inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportDump {
    /// Which.
    pub id: TransportId,
    /// Whether packets may be written.
    pub writable: bool,
    /// Its producers.
    pub producers: Vec<ProducerId>,
    /// Its consumers.
    pub consumers: Vec<ConsumerId>,
    /// SSRCs routed.
    pub routes: usize,
    /// The CNAME sent.
    pub cname: String,
}

/// The router, inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouterDump {
    /// All transports.
    pub transports: Vec<TransportId>,
    /// All producers.
    pub producers: Vec<ProducerId>,
    /// All consumers.
    pub consumers: Vec<ConsumerId>,
}
