//! What the engine can be told.

use serde::{Deserialize, Serialize};

use super::defaults::{
    default_entries, default_hold, default_interval, default_listen_ip, default_message_size,
    default_percentile, default_press, default_ptime, default_rebind_silence, default_smoothing,
    default_threshold, default_tick, yes,
};
use super::{
    ArrivalModel, AudioRedundancy, Candidate, CodecFeedback, CodecParameters, DtlsParameters,
    DtlsRole, EncodingParameters, FeedTrack, Fingerprint, HeaderExtension, IceMode,
    IngestCertificate, IngestPort, IngestPull, IngestSource, Latching, Listing, MediaKind,
    MixerSource, SrtpKeys, StreamAsked, StreamEncryption, StreamPointing, StreamQueues, StreamSync,
    StreamText, StreamTranscoder, StreamTranscoding, TrackSwitch, TrackTranscoding,
};

/// One command; each is answered by one reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Command {
    /// Open a forwarding domain.
    OpenRouter {
        /// Absent: the least loaded.
        #[serde(default)]
        shard: Option<usize>,
    },
    /// Close a router and all it holds.
    CloseRouter {
        /// Which.
        router: u64,
        /// No event follows of it and of what it held: who closes it knows what that was.
        #[serde(default)]
        quietly: bool,
    },
    /// Do several in one turn, until one fails. An id may be what an earlier one opens: `1 << 63` and its place.
    DoTogether {
        /// Which; those that open and join routers, plain transports, producers and consumers.
        commands: Vec<Command>,
    },
    /// Open a transport for one WebRTC peer.
    #[serde(rename = "open_webrtc_transport")]
    OpenWebRtcTransport {
        /// In which router.
        router: u64,
        /// Lite or full.
        #[serde(default)]
        ice_mode: IceMode,
        /// With data channels.
        #[serde(default)]
        sctp: bool,
        /// Largest message the peer may send.
        #[serde(default = "default_message_size")]
        max_message_size: u32,
        /// CNAME of what we send.
        #[serde(default)]
        cname: String,
        /// The peer takes one- and two-byte header extensions mixed (RFC 8285).
        #[serde(default)]
        mixed_extensions: bool,
        /// How long the peer may take to be named, in milliseconds; none: as long as to connect.
        #[serde(default)]
        answer_timeout_ms: Option<u64>,
        /// How congestion on the line to the peer is seen; none: as the engine's configuration says.
        #[serde(default)]
        arrival_model: Option<ArrivalModel>,
    },
    /// Tell the transport its peer.
    #[serde(rename = "connect_webrtc_transport")]
    ConnectWebRtcTransport {
        /// Which.
        transport: u64,
        /// Ours.
        dtls_role: DtlsRole,
        /// Of the peer's certificate.
        fingerprints: Vec<Fingerprint>,
        /// The peer's.
        #[serde(default)]
        ice_ufrag: Option<String>,
        /// The peer's.
        #[serde(default)]
        ice_pwd: Option<String>,
        /// The peer is lite.
        #[serde(default)]
        ice_lite: bool,
        /// The peer's.
        #[serde(default)]
        candidates: Vec<Candidate>,
    },
    /// Trickled candidates of the peer.
    AddRemoteCandidates {
        /// Which.
        transport: u64,
        /// The new ones.
        candidates: Vec<Candidate>,
        /// No more will come: in the full role the transport ends once all pairs have failed.
        #[serde(default)]
        complete: bool,
    },
    /// New local ICE credentials (RFC 8445 section 9).
    RestartIce {
        /// Which.
        transport: u64,
        /// The peer's, when it started the restart.
        #[serde(default)]
        ice_ufrag: Option<String>,
        /// The peer's, when it started the restart.
        #[serde(default)]
        ice_pwd: Option<String>,
    },
    /// Open RTP/RTCP on ports of its own.
    OpenPlainTransport {
        /// In which router.
        router: u64,
        /// Where to listen.
        #[serde(default = "default_listen_ip")]
        listen_ip: String,
        /// RTP and RTCP on one port (RFC 5761).
        #[serde(default = "yes")]
        rtcp_mux: bool,
        /// Whose packets are taken.
        #[serde(default)]
        latching: Latching,
        /// With `Latching::Rebind`: how long the old address must have been silent.
        #[serde(default = "default_rebind_silence")]
        rebind_silence_ms: u32,
        /// Our keys; they may also come when it is connected.
        #[serde(default)]
        srtp: Option<SrtpKeys>,
        /// SRTP is wanted: without keys nothing passes.
        #[serde(default)]
        secure: bool,
        /// SRTP is wanted, with keys that DTLS makes (RFC 5764).
        #[serde(default)]
        dtls: bool,
        /// What sent packets are marked with (RFC 2474), 0 to 63; absent: as the system does.
        #[serde(default)]
        dscp: Option<u8>,
        /// Send extended reports (RFC 3611), and answer the peer's.
        #[serde(default)]
        extended_reports: bool,
        /// CNAME of what we send.
        #[serde(default)]
        cname: String,
    },
    /// Where to send, and the peer's SRTP keys.
    ConnectPlainTransport {
        /// Which.
        transport: u64,
        /// The peer's address.
        ip: String,
        /// The peer's RTP port; 0 sets only keys, where the address is learnt.
        port: u16,
        /// The peer's RTCP port; the one after `port` when absent.
        #[serde(default)]
        rtcp_port: Option<u16>,
        /// The peer's keys.
        #[serde(default)]
        srtp: Option<SrtpKeys>,
        /// Our keys, in place of those we had; absent: those stay.
        #[serde(default)]
        local_srtp: Option<SrtpKeys>,
        /// Who is to shake hands, where the transport was opened with DTLS; absent: as was said before.
        #[serde(default)]
        dtls: Option<DtlsParameters>,
    },
    /// Close a transport with its producers and consumers.
    CloseTransport {
        /// Which.
        transport: u64,
    },
    /// Take media in on a transport.
    Produce {
        /// On which.
        transport: u64,
        /// Kind.
        kind: MediaKind,
        /// Payload types.
        codecs: Vec<CodecParameters>,
        /// Streams; none means they are learnt.
        #[serde(default)]
        encodings: Vec<EncodingParameters>,
        /// MID (RFC 8843).
        #[serde(default)]
        mid: Option<String>,
        /// Negotiated extensions.
        #[serde(default)]
        header_extensions: Vec<HeaderExtension>,
        /// Start paused.
        #[serde(default)]
        paused: bool,
    },
    /// Stop taking this media.
    CloseProducer {
        /// Which.
        producer: u64,
    },
    /// Forward nothing of this producer until resumed.
    PauseProducer {
        /// Which.
        producer: u64,
    },
    /// Forward again.
    ResumeProducer {
        /// Which.
        producer: u64,
    },
    /// Send media out on a transport.
    Consume {
        /// On which.
        transport: u64,
        /// Kind.
        kind: MediaKind,
        /// Source; absent makes a consumer that waits for one.
        #[serde(default)]
        producer: Option<u64>,
        /// MID (RFC 8843).
        #[serde(default)]
        mid: Option<String>,
        /// The producer's payload types to the consumer's.
        #[serde(default)]
        payload_types: Vec<(u8, u8)>,
        /// The consumer's media payload types to its RTX ones.
        #[serde(default)]
        rtx_payload_types: Vec<(u8, u8)>,
        /// Negotiated extensions.
        #[serde(default)]
        header_extensions: Vec<HeaderExtension>,
        /// What the peer may send back.
        #[serde(default)]
        feedback: CodecFeedback,
        /// Redundancy to be added to its audio.
        #[serde(default)]
        redundancy: Option<AudioRedundancy>,
        /// Fixed SSRC.
        #[serde(default)]
        ssrc: Option<u32>,
        /// Fixed SSRC of retransmissions.
        #[serde(default)]
        rtx_ssrc: Option<u32>,
        /// Start paused.
        #[serde(default)]
        paused: bool,
    },
    /// Feed a consumer from another producer, or none.
    SwitchSource {
        /// Which.
        consumer: u64,
        /// The new source.
        producer: Option<u64>,
        /// The new producer's payload types to the consumer's.
        #[serde(default)]
        payload_types: Vec<(u8, u8)>,
    },
    /// Stop sending this media.
    CloseConsumer {
        /// Which.
        consumer: u64,
    },
    /// Send nothing to this consumer until resumed.
    PauseConsumer {
        /// Which.
        consumer: u64,
    },
    /// Send again.
    ResumeConsumer {
        /// Which.
        consumer: u64,
    },
    /// Choose encoding and temporal layer.
    SetPreferredLayers {
        /// Which.
        consumer: u64,
        /// Encoding, 0 lowest.
        #[serde(default)]
        spatial: Option<u8>,
        /// Temporal layer.
        #[serde(default)]
        temporal: Option<u8>,
    },
    /// Fix the most a consumer is to be given, by what its viewer can show.
    SetConsumerLimits {
        /// Which.
        consumer: u64,
        /// The width it is shown with, in pixels.
        #[serde(default)]
        max_width: Option<u32>,
        /// The height it is shown with, in pixels.
        #[serde(default)]
        max_height: Option<u32>,
        /// Pictures a second.
        #[serde(default)]
        max_fps: Option<u8>,
        /// Bits per second.
        #[serde(default)]
        max_bitrate: Option<u64>,
    },
    /// Fix who comes first where a line does not carry everything.
    SetConsumerPriority {
        /// Which.
        consumer: u64,
        /// The higher one.
        priority: u8,
    },
    /// Ask a producer's sender for a keyframe.
    RequestKeyframe {
        /// Which.
        producer: u64,
    },
    /// Carry a producer to a router on another shard.
    PipeProducer {
        /// Which.
        producer: u64,
        /// Where to.
        router: u64,
    },
    /// Forward only the audio of those who speak.
    SetAudioTopN {
        /// In which router.
        router: u64,
        /// Of so many; absent: of all.
        #[serde(default)]
        places: Option<u8>,
    },
    /// Give a consumer its producer's audio also while that is withheld from others.
    SetAudioPinned {
        /// Which.
        consumer: u64,
        /// Whether.
        pinned: bool,
    },
    /// Report active speakers of a router.
    ObserveAudioLevels {
        /// Of which.
        router: u64,
        /// Window.
        #[serde(default = "default_interval")]
        interval_ms: u32,
        /// Quieter than this is silence.
        #[serde(default = "default_threshold")]
        threshold_dbov: i32,
        /// Of the levels in a window.
        #[serde(default = "default_percentile")]
        percentile: u8,
        /// Weight of a new window.
        #[serde(default = "default_smoothing")]
        smoothing: f64,
        /// How long a dominant speaker stays in a pause.
        #[serde(default = "default_hold")]
        hold_ms: u32,
        /// Speakers in one event.
        #[serde(default = "default_entries")]
        max_entries: usize,
    },
    /// Stop an observer.
    CloseObserver {
        /// Which.
        observer: u64,
    },
    /// Open a data channel (RFC 8831).
    OpenChannel {
        /// On which transport.
        transport: u64,
        /// Label.
        label: String,
        /// Subprotocol.
        #[serde(default)]
        protocol: String,
        /// In order.
        #[serde(default = "yes")]
        ordered: bool,
        /// Partial reliability by count.
        #[serde(default)]
        max_retransmits: Option<u16>,
        /// Partial reliability by time.
        #[serde(default)]
        max_lifetime_ms: Option<u32>,
        /// A stream agreed on elsewhere: nothing is said to the peer of the opening.
        #[serde(default)]
        stream: Option<u16>,
    },
    /// Send one message on a data channel.
    SendMessage {
        /// Which.
        channel: u64,
        /// Content.
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
        /// Text or binary.
        #[serde(default)]
        text: bool,
    },
    /// Close a data channel.
    CloseChannel {
        /// Which.
        channel: u64,
    },
    /// Open a mixer: what it is given to hear it gives out again, decoded, mixed and encoded.
    OpenMixer {
        /// In which router.
        router: u64,
        /// Time between two mixes, 10 or 20: no output has shorter packets.
        #[serde(default = "default_tick")]
        tick_ms: u32,
    },
    /// Have a mixer hear a producer of its router.
    AddMixerInput {
        /// Which.
        mixer: u64,
        /// What to hear.
        producer: u64,
        /// Also find DTMF in what sounds (RFC 4733 events are always found).
        #[serde(default)]
        inband_dtmf: bool,
    },
    /// Have a mixer play something of its own.
    AddMixerSource {
        /// Which.
        mixer: u64,
        /// What.
        source: MixerSource,
    },
    /// Have a mixer hear an input no more, or play a source no more.
    RemoveMixerInput {
        /// Which.
        mixer: u64,
        /// The input or source.
        input: u64,
    },
    /// Have a mixer give out a mix; it is a producer of the router.
    AddMixerOutput {
        /// Which.
        mixer: u64,
        /// What it is encoded with; one of PCMU, PCMA, G722, L16, opus.
        codec: CodecParameters,
        /// Time in one packet.
        #[serde(default = "default_ptime")]
        ptime_ms: u32,
        /// What telephone events (RFC 4733) are sent with, on the codec's clock; absent: none are.
        #[serde(default)]
        events_payload_type: Option<u8>,
        /// What comfort noise (RFC 3389) is sent with in place of silence, beside a codec of 8 kHz; absent: silence is
        /// sent as sound.
        #[serde(default)]
        noise_payload_type: Option<u8>,
        /// The input that is not in this mix: its own.
        #[serde(default)]
        without: Option<u64>,
        /// Only these inputs and sources are in this mix; absent: all but `without`.
        #[serde(default)]
        only: Option<Vec<u64>>,
    },
    /// Have a mixer's output send a key, as an event (RFC 4733), in place of sound.
    SendMixerDtmf {
        /// Which output.
        output: u64,
        /// One of 0-9, *, #, A-D.
        digit: String,
        /// How long it is pressed.
        #[serde(default = "default_press")]
        duration_ms: u32,
    },
    /// Close a mixer with its inputs and outputs.
    CloseMixer {
        /// Which.
        mixer: u64,
    },
    /// Open a packager: what it is given becomes a live stream that the front door serves (RFC 8216bis).
    OpenPackager {
        /// In which router.
        router: u64,
        /// What it is served under: `/live/NAME/`.
        name: String,
        /// How it is listed.
        #[serde(flatten)]
        listing: Listing,
    },
    /// Have a packager carry a producer of its router, as a new track or on one of its kind that nothing feeds.
    AddPackagerTrack {
        /// Which.
        packager: u64,
        /// What to carry.
        producer: u64,
    },
    /// Have a track of a packager that has begun go on with another producer once that can be shown.
    SwitchPackagerTrack(TrackSwitch),
    /// Take what feeds a track off it.
    RemovePackagerTrack {
        /// Which.
        packager: u64,
        /// The track.
        track: u64,
    },
    /// End a packager's lists; they can be read for a while yet.
    ClosePackager {
        /// Which.
        packager: u64,
    },
    /// Have tracks of a packager that has not begun coded anew by another process, which connects to a socket.
    OpenTranscoder(StreamTranscoding),
    /// Have the sound of a packager lie later, or earlier, than its source says.
    SetStreamSync(StreamSync),
    /// Have a line of text shown with a stream.
    ShowStreamText(StreamText),
    /// Have a packager encrypt otherwise from its next segment on, or from its first.
    SetStreamEncryption(StreamEncryption),
    /// How sound and pictures of a packager lie against each other; answered by reports of its tracks.
    GetStreamSync(StreamAsked),
    /// How full the queues of a packager are; answered by reports of them.
    GetStreamPressure(StreamQueues),
    /// Have a track of an encoder coded anew by a process, for feeds: pictures as H.264 without B-frames, sound as Opus.
    OpenTrackTranscoder(TrackTranscoding),
    /// Have it coded anew no more; what it feeds is silent from then on.
    CloseTrackTranscoder {
        /// Which.
        transcoder: u64,
    },
    /// Have tracks coded anew no more; what was made is listed as lost.
    CloseTranscoder(StreamTranscoder),
    /// Listen for encoders. What one publishes, after a question, becomes a live stream that the front door serves.
    OpenIngestListener {
        /// Where, and how callers are let in.
        #[serde(flatten)]
        port: IngestPort,
        /// How it is listed.
        #[serde(flatten)]
        listing: Listing,
    },
    /// Show callers of a listener of RTMPS another certificate from now on.
    SetIngestCertificate {
        /// Which listener.
        listener: u64,
        /// What they are shown.
        certificate: IngestCertificate,
    },
    /// Take a stream from a source that does not ask, begun whenever that sends; closed as a listener is.
    OpenIngestInput {
        /// Name of the stream.
        name: String,
        /// Where it comes from.
        source: IngestSource,
        /// How it is listed.
        #[serde(flatten)]
        listing: Listing,
    },
    /// Fetch a stream from another server: one attempt. An event tells when it is over; closed before as a listener is.
    OpenIngestPull {
        /// Name of the stream here.
        name: String,
        /// From where.
        origin: IngestPull,
        /// How it is listed.
        #[serde(flatten)]
        listing: Listing,
    },
    /// Close a listener, an input or a pull; who publishes through it is sent away.
    CloseIngestListener {
        /// Which.
        listener: u64,
    },
    /// End a stream of encoders; who publishes it is sent away.
    CloseIngest {
        /// The packager of the stream.
        packager: u64,
    },
    /// Have a stream of an encoder list what another's encoder sends, from a keyframe on, or its own again.
    PointIngest(StreamPointing),
    /// Send away who reads a stream that is played out.
    ClosePlayout {
        /// Which playout.
        playout: u64,
    },
    /// Open a feed: a transport whose producers are tracks of encoders.
    OpenFeed {
        /// In which router.
        router: u64,
    },
    /// Have a feed produce a track of an encoder; the pictures since the last keyframe come first.
    AddFeedTrack(FeedTrack),
    /// Close a feed with its producers.
    CloseFeed {
        /// Which.
        feed: u64,
    },
    /// Statistics of an object.
    GetStats {
        /// Which.
        id: u64,
    },
    /// Inner state of an object.
    Dump {
        /// Which.
        id: u64,
    },
    /// Counters of all shards.
    GetEngineStats {},
}
