//! What the engine tells by itself.

use serde::{Deserialize, Serialize};

use super::{
    CongestionState, DegradationReason, FeedbackKind, FeedbackPriority, IngestPace, IngestProtocol,
    LineDirection, MediaKind, PackagerWarning, PressureLevel, QualityLevel, QualitySubject,
    QualityTrend,
};

/// RTCIceTransportState of W3C WebRTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IceState {
    /// Nothing happened yet.
    New,
    /// Checks run.
    Checking,
    /// A pair works.
    Connected,
    /// The pair stopped working; it may come back.
    Disconnected,
    /// No pair works.
    Failed,
    /// Over.
    Closed,
}

/// RTCDtlsTransportState of W3C WebRTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DtlsState {
    /// Nothing happened yet.
    New,
    /// Handshake runs.
    Connecting,
    /// Keys are agreed.
    Connected,
    /// Ended in order.
    Closed,
    /// Ended by an error.
    Failed,
}

/// Why the engine ended an object by itself, or that it did so when told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// A command said so.
    Requested,
    /// It never connected.
    IceTimeout,
    /// The peer answers no more (RFC 7675).
    ConsentExpired,
    /// The handshake failed.
    DtlsFailed,
    /// The peer closed.
    DtlsClosed,
    /// The peer has an RSA certificate.
    DtlsRsaUnsupported,
    /// The certificate is not the one announced.
    FingerprintMismatch,
    /// A defect was met while serving this peer.
    PeerPanicked,
    /// A defect was met in the router that held it all.
    RouterPanicked,
    /// What it belonged to is gone.
    ParentClosed,
    /// The engine stops.
    EngineClosed,
}

/// Level of a producer over the last window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpeakerLevel {
    /// Who.
    pub producer: u64,
    /// In dBov, 0 loudest.
    pub level_dbov: i32,
}

/// One track of a packager that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagerTrackInfo {
    /// Its id.
    pub track: u64,
    /// Its folder below the name of the packager.
    pub name: String,
    /// As it stands in `CODECS` (RFC 6381).
    pub codec: String,
    /// In pixels; of video only.
    pub width: Option<u32>,
    /// In pixels; of video only.
    pub height: Option<u32>,
    /// Of sound only.
    pub channels: Option<u8>,
}

/// Why an encoder publishes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IngestEnd {
    /// It said so, or its connection ended.
    Peer,
    /// Nothing came of it any more.
    Silent,
    /// What it sent cannot be read.
    Protocol,
    /// Another took its place.
    Replaced,
    /// A command said so.
    Requested,
    /// Its media could not be packaged.
    Failed,
    /// The engine stops.
    EngineClosed,
}

/// Why a stream is played out to somebody no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlayoutEnd {
    /// It said so, or its connection ended.
    Peer,
    /// Nothing came of it any more.
    Silent,
    /// The stream has ended.
    StreamEnded,
    /// Nothing of the stream can be carried.
    Media,
    /// A command said so.
    Requested,
    /// The engine stops.
    EngineClosed,
}

/// Why routers cannot be fed a track of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackBar {
    /// WebRTC does not carry its codec.
    Codec,
    /// Its pictures are not sent in the order in which they are shown, which WebRTC cannot say.
    Reordered,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// ICE state; with the selected pair once there is one.
    IceStateChanged {
        /// Which transport.
        transport: u64,
        /// New state.
        state: IceState,
        /// "udp" or "tcp".
        protocol: Option<String>,
        /// Our end.
        local: Option<String>,
        /// The peer's end.
        remote: Option<String>,
    },
    /// DTLS state; once connected, the SRTP profile in use.
    DtlsStateChanged {
        /// Which transport.
        transport: u64,
        /// New state.
        state: DtlsState,
        /// Name of the SRTP profile.
        srtp_profile: Option<String>,
    },
    /// A transport is gone, with all its producers and consumers.
    TransportClosed {
        /// Which transport.
        transport: u64,
        /// Why.
        reason: CloseReason,
        /// What was tried.
        detail: String,
    },
    /// A router is gone, after all it held.
    RouterClosed {
        /// Which router.
        router: u64,
        /// Why.
        reason: CloseReason,
    },
    /// A plain transport now knows where its peer is.
    RemoteLearnt {
        /// Which transport.
        transport: u64,
        /// Address and port.
        remote: String,
    },
    /// First packet of an encoding arrived (or the first after silence).
    ProducerStarted {
        /// Which producer.
        producer: u64,
        /// Index of the encoding.
        encoding: u32,
        /// Its SSRC.
        ssrc: u32,
    },
    /// No packet of the encoding for two seconds.
    ProducerSilent {
        /// Which producer.
        producer: u64,
        /// Index of the encoding.
        encoding: u32,
    },
    /// Receive quality from 0 to 10, when it changed.
    ProducerScore {
        /// Which producer.
        producer: u64,
        /// Index of the encoding.
        encoding: u32,
        /// 10 is best.
        score: u8,
    },
    /// A producer ended without a command for itself.
    ProducerClosed {
        /// Which producer.
        producer: u64,
        /// Why.
        reason: CloseReason,
    },
    /// A consumer ended without a command for itself.
    ConsumerClosed {
        /// Which consumer.
        consumer: u64,
        /// Why.
        reason: CloseReason,
    },
    /// The layer now sent; absent when none is.
    ConsumerLayersChanged {
        /// Which consumer.
        consumer: u64,
        /// Simulcast encoding.
        spatial: Option<u8>,
        /// Temporal layer.
        temporal: Option<u8>,
    },
    /// The layers that a consumer is to be given; it is given them as soon as the picture allows.
    ConsumerLayersTargeted {
        /// Which consumer.
        consumer: u64,
        /// The highest spatial layer or simulcast encoding; absent: whatever is preferred.
        spatial: Option<u8>,
        /// The highest temporal layer; absent: all.
        temporal: Option<u8>,
    },
    /// The line does not carry even the cheapest layer of a consumer: it is paused.
    ConsumerStarved {
        /// Which consumer.
        consumer: u64,
    },
    /// The line carries a consumer again.
    ConsumerFed {
        /// Which consumer.
        consumer: u64,
    },
    /// Which encodings of a producer anyone wants has changed.
    EncodingsWanted {
        /// Which producer.
        producer: u64,
        /// By encoding, the highest temporal layer wanted; absent: the encoding is not.
        wanted: Vec<Option<u8>>,
    },
    /// What the line to a peer carries, when that has changed.
    EstimateChanged {
        /// Which transport.
        transport: u64,
        /// Bits per second.
        bps: u64,
    },
    /// How good something is has clearly changed, or is known for the first time.
    QualityChanged {
        /// What sort of object.
        subject: QualitySubject,
        /// Its id.
        id: u64,
        /// From 0 to 1.
        score: f64,
        /// The score in words.
        level: QualityLevel,
        /// Mean opinion score from 1 to 4.5; of audio only.
        mos: Option<f64>,
        /// Where the score is going.
        trend: QualityTrend,
        /// What is wrong most.
        reason: Option<DegradationReason>,
    },
    /// The state of a peer's line changed.
    CongestionChanged {
        /// Which transport.
        transport: u64,
        /// Which way.
        direction: LineDirection,
        /// Its state now.
        state: CongestionState,
    },
    /// A publisher was told something because of what arrives from it.
    FeedbackActed {
        /// Which producer.
        producer: u64,
        /// Index of the encoding; absent: the whole line.
        encoding: Option<u8>,
        /// What it was told.
        action: FeedbackKind,
        /// The bitrate told, with `remb`.
        bps: Option<u64>,
        /// How sure that is, from 0 to 1, with `remb`.
        confidence: Option<f64>,
        /// Why.
        reason: DegradationReason,
        /// How urgent it was.
        priority: FeedbackPriority,
    },
    /// Other audio producers are forwarded, where only so many are.
    AudioForwarded {
        /// In which router.
        router: u64,
        /// Those forwarded; who carries no levels always is, and is not named.
        producers: Vec<u64>,
    },
    /// Who speaks, loudest first.
    ActiveSpeakers {
        /// In which router.
        router: u64,
        /// Which observer tells.
        observer: u64,
        /// Loudest first.
        speakers: Vec<SpeakerLevel>,
        /// Stays through short pauses.
        dominant: Option<u64>,
    },
    /// A key was pressed at the far end of an input.
    DtmfReceived {
        /// Which mixer hears it.
        mixer: u64,
        /// The input.
        input: u64,
        /// One of 0-9, *, #, A-D.
        digit: String,
        /// How long it was pressed.
        duration_ms: u32,
        /// Found in what sounds, rather than told by an RFC 4733 event.
        inband: bool,
    },
    /// A source has played to its end.
    MixerSourceEnded {
        /// Which mixer.
        mixer: u64,
        /// The source.
        input: u64,
    },
    /// A mixer works at less effort for want of time, or at more again.
    MixerEffortChanged {
        /// Which mixer.
        mixer: u64,
        /// Of its encoders, 0 to 10.
        complexity: u8,
    },
    /// A mixer is gone, with all its inputs and outputs.
    MixerClosed {
        /// Which mixer.
        mixer: u64,
        /// Why.
        reason: CloseReason,
    },
    /// The first playlist of a packager can be read.
    PackagerStarted {
        /// Which.
        packager: u64,
        /// What it carries; that does not change.
        tracks: Vec<PackagerTrackInfo>,
    },
    /// Something is wrong with what a packager is given; told again after a while.
    PackagerWarned {
        /// Which.
        packager: u64,
        /// Name of the track; absent: the packager as a whole.
        track: Option<String>,
        /// What.
        warning: PackagerWarning,
    },
    /// The fullest queue of a packager is on another level than before.
    PackagerPressed {
        /// Which.
        packager: u64,
        /// The highest of all its queues.
        level: PressureLevel,
        /// Name of the queue; that which was the fullest before where the level is normal again.
        queue: String,
    },
    /// A packager of an encoder lists what it was pointed at from now on.
    PackagerPointed {
        /// Which.
        packager: u64,
        /// Whose source that is; absent: its own.
        source: Option<u64>,
    },
    /// An encoder is slowed down, or no more, since queues of its stream are full.
    IngestPaced {
        /// Which publisher.
        ingest: u64,
        /// How it came.
        listener: u64,
        /// What it feeds.
        packager: u64,
        /// How it goes on.
        pace: IngestPace,
    },
    /// A packager is gone; its lists can be read for a while yet.
    PackagerEnded {
        /// Which.
        packager: u64,
        /// Why.
        reason: CloseReason,
    },
    /// An encoder publishes.
    IngestStarted {
        /// Its id.
        ingest: u64,
        /// Through which listener.
        listener: u64,
        /// The packager of its stream; one that was there before goes on.
        packager: u64,
        /// Name of the stream.
        name: String,
        /// What it speaks.
        protocol: IngestProtocol,
        /// Where it comes from.
        remote: String,
        /// What it calls itself; may be empty.
        encoder: String,
    },
    /// Something of what an encoder sends is not carried.
    IngestWarned {
        /// Which.
        ingest: u64,
        /// Through which listener.
        listener: u64,
        /// The packager of its stream.
        packager: u64,
        /// What, in words.
        detail: String,
    },
    /// How a track of an encoder is coded; told again when that changes, or when it turns out that routers cannot be
    /// fed it.
    IngestTrack {
        /// Of which encoder.
        ingest: u64,
        /// Through which listener.
        listener: u64,
        /// The packager of its stream.
        packager: u64,
        /// The track; `add_feed_track` takes it.
        track: u64,
        /// Pictures or sound.
        kind: MediaKind,
        /// As it stands in `CODECS` (RFC 6381).
        codec: String,
        /// In pixels; of video only.
        width: Option<u32>,
        /// In pixels; of video only.
        height: Option<u32>,
        /// Of sound only.
        channels: Option<u8>,
        /// Why routers cannot be fed it; absent: they can.
        bar: Option<TrackBar>,
    },
    /// An encoder sends a track no more, and goes on without.
    IngestTrackEnded {
        /// Of which encoder.
        ingest: u64,
        /// Through which listener.
        listener: u64,
        /// The packager of its stream.
        packager: u64,
        /// The track.
        track: u64,
    },
    /// An encoder publishes no more; its stream waits a while for another.
    IngestEnded {
        /// Which.
        ingest: u64,
        /// Through which listener.
        listener: u64,
        /// The packager of its stream.
        packager: u64,
        /// Why.
        reason: IngestEnd,
        /// More of it, in words; may be empty.
        detail: String,
    },
    /// A pull is over, and is no more.
    IngestPullEnded {
        /// Which.
        listener: u64,
        /// Why.
        reason: IngestEnd,
        /// More of it, in words.
        detail: String,
        /// The URL that its server sends to, which nobody has judged yet; it may have a login.
        redirect: Option<String>,
    },
    /// A stream is played out to somebody.
    PlayoutStarted {
        /// Its id.
        playout: u64,
        /// Through which listener.
        listener: u64,
        /// The packager of the stream.
        packager: u64,
        /// Name of the stream.
        name: String,
        /// What the reader speaks.
        protocol: IngestProtocol,
        /// Where it is.
        remote: String,
    },
    /// A stream is played out to somebody no more.
    PlayoutEnded {
        /// Which.
        playout: u64,
        /// Through which listener.
        listener: u64,
        /// The packager of the stream.
        packager: u64,
        /// Why.
        reason: PlayoutEnd,
        /// More of it, in words; may be empty.
        detail: String,
        /// What it was given.
        bytes: u64,
        /// Units that it was not given, since it did not keep up.
        units_dropped: u64,
    },
    /// What came at a listener belongs to no input of it, or an input may not begin; told once a source.
    IngestStranger {
        /// At which listener, or by which input.
        listener: u64,
        /// Where it comes from.
        remote: String,
        /// What it is and why it is not taken, in words.
        detail: String,
    },
    /// A data channel is open, by us or by the peer.
    ChannelOpened {
        /// On which transport.
        transport: u64,
        /// The channel.
        channel: u64,
        /// Its label.
        label: String,
        /// Its subprotocol.
        protocol: String,
    },
    /// A message came in on a data channel.
    ChannelMessage {
        /// The channel.
        channel: u64,
        /// Content.
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
        /// Text or binary.
        text: bool,
    },
    /// A data channel is closed.
    ChannelClosed {
        /// The channel.
        channel: u64,
    },
    /// The event queue was full.
    EventsDropped {
        /// Statistics that were dropped.
        statistics: u64,
        /// State events that were merged into newer ones.
        merged: u64,
    },
}
