//! Parts of commands and results.

use serde::{Deserialize, Serialize};

use super::defaults::{default_latency, default_window};

/// Kind of media of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

/// Which ICE agent answers (RFC 8445).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IceMode {
    /// A responder that only answers checks.
    #[default]
    Lite,
    /// The full role.
    Full,
}

/// Our own DTLS role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DtlsRole {
    /// We send the first ClientHello.
    Active,
    /// We wait for it.
    Passive,
}

/// An ICE candidate (RFC 8839).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Equal for candidates of the same kind, base and protocol.
    pub foundation: String,
    /// 1 for RTP (and everything, with rtcp-mux).
    pub component: u16,
    /// "udp" or "tcp".
    pub protocol: String,
    /// RFC 8445 section 5.1.2.
    pub priority: u32,
    /// Address in text.
    pub ip: String,
    /// Port.
    pub port: u16,
    /// "host", "srflx", "prflx" or "relay".
    pub kind: String,
    /// "active", "passive" or "so" with TCP (RFC 6544).
    #[serde(default)]
    pub tcp_type: Option<String>,
}

/// A certificate fingerprint (RFC 8122).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Hash name such as "sha-256".
    pub algorithm: String,
    /// Upper-case hex pairs with colons.
    pub value: String,
}

/// From where a plain transport takes media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latching {
    /// Only from the address it was told.
    #[default]
    Fixed,
    /// Unless it was told, from where the first valid packet of a known stream came.
    Once,
    /// As `Once`; and a stream that goes on from another address, where the old one is silent, is followed there.
    Rebind,
}

/// What a handshake needs to know (RFC 5763, RFC 8122).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DtlsParameters {
    /// Ours.
    pub role: DtlsRole,
    /// Of the peer's certificate.
    pub fingerprints: Vec<Fingerprint>,
}

/// What of a live stream is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncryptionMethod {
    /// Whole segments and parts (RFC 8216bis section 4.4.4.4).
    Aes128,
    /// Samples, as `cbcs` has it (ISO/IEC 23001-7).
    SampleAes,
}

/// How a live stream is encrypted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveEncryption {
    /// By what.
    pub method: EncryptionMethod,
    /// 32 bytes, from which the keys of all streams that have it are derived, no two equal.
    #[serde(with = "serde_bytes")]
    pub secret: Vec<u8>,
    /// A key is good for so many segments; 0: for all.
    #[serde(default)]
    pub segments_per_key: u32,
}

impl std::fmt::Debug for LiveEncryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveEncryption")
            .field("method", &self.method)
            .field("segments_per_key", &self.segments_per_key)
            .finish_non_exhaustive()
    }
}

/// How a live stream is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// How much is listed, in milliseconds; three segments at least are.
    #[serde(default = "default_window")]
    pub window_ms: u64,
    /// How long parts are wished to be, in milliseconds; absent: a third of a second.
    #[serde(default)]
    pub part_ms: Option<u32>,
    /// How it is encrypted, if it is.
    #[serde(default)]
    pub encryption: Option<LiveEncryption>,
}

/// SRTP keys given by hand (SDES, RFC 4568).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SrtpKeys {
    /// Suite by its SDES name.
    pub suite: String,
    /// Master key followed by master salt.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
}

impl std::fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpKeys")
            .field("suite", &self.suite)
            .field("key", &"redacted")
            .finish()
    }
}

/// RTCP feedback agreed for a codec (RFC 4585, 5104).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CodecFeedback {
    /// Generic NACK.
    pub nack: bool,
    /// Picture loss indication.
    pub pli: bool,
    /// Full intra request.
    pub fir: bool,
    /// Transport-wide feedback.
    pub transport_cc: bool,
    /// Receiver estimated maximum bitrate.
    pub remb: bool,
}

/// Redundant audio that a consumer asks for (RFC 2198).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioRedundancy {
    /// The consumer's payload type of redundant packets.
    pub payload_type: u8,
    /// The consumer's payload type inside them.
    pub protects: u8,
    /// Earlier packets that go along with each.
    #[serde(default = "one")]
    pub blocks: u8,
}

/// One payload type a producer may send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodecParameters {
    /// On the wire.
    pub payload_type: u8,
    /// Upper-case encoding name.
    pub name: String,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    /// Audio channels.
    #[serde(default = "one")]
    pub channels: u8,
    /// Payload type of its retransmissions (RFC 4588).
    #[serde(default)]
    pub rtx_payload_type: Option<u8>,
    /// RTCP feedback.
    #[serde(default)]
    pub feedback: CodecFeedback,
}

fn one() -> u8 {
    1
}

/// One RTP stream of a producer, named by SSRC or by RID.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EncodingParameters {
    /// SSRC when it is known beforehand.
    pub ssrc: Option<u32>,
    /// RID (RFC 8852).
    pub rid: Option<String>,
    /// SSRC of the retransmissions.
    pub rtx_ssrc: Option<u32>,
}

/// A negotiated RTP header extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderExtension {
    /// On the wire.
    pub id: u8,
    /// What it means.
    pub uri: String,
}

/// A tone that tells how a call goes (ITU-T E.180).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToneKind {
    /// The far end rings.
    Ringback,
    /// The far end is busy.
    Busy,
    /// The network has no way.
    Congestion,
}

/// What a mixer can play of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum MixerSource {
    /// A national tone, until it is removed.
    Tone {
        /// ISO 3166 alpha-2, such as "DE".
        country: String,
        /// Which tone.
        tone: ToneKind,
    },
    /// Samples.
    Clip {
        /// Samples a second: 8000, 16000, 24000 or 48000.
        rate_hz: u32,
        /// Mono, 16 bits, little endian.
        #[serde(with = "serde_bytes")]
        samples: Vec<u8>,
        /// Start again at the end.
        #[serde(default)]
        repeat: bool,
    },
    /// A WAV file: 16-bit PCM, A-law or mu-law, one or two channels.
    Wav {
        /// The file.
        #[serde(with = "serde_bytes")]
        file: Vec<u8>,
        /// Start again at the end.
        #[serde(default)]
        repeat: bool,
    },
}

/// What callers of a listener are shown, and its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestCertificate {
    /// PEM, the leaf first.
    #[serde(with = "serde_bytes")]
    pub chain: Vec<u8>,
    /// PEM.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
}

impl std::fmt::Debug for IngestCertificate {
    /// The key is not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IngestCertificate").finish_non_exhaustive()
    }
}

/// Where encoders are listened for, and how they are let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestPort {
    /// What they speak.
    pub protocol: IngestProtocol,
    /// Where, as IP:PORT; port 0 is any.
    pub address: String,
    /// With it callers without or with another are refused, and without it those that have one; SRT only.
    #[serde(default)]
    pub passphrase: Option<String>,
    /// How long SRT holds back what it has for what is missing, in milliseconds.
    #[serde(default = "default_latency")]
    pub latency_ms: u32,
    /// What callers are shown; of RTMPS, which has to have one.
    #[serde(default)]
    pub certificate: Option<IngestCertificate>,
}

/// What encoders speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IngestProtocol {
    /// MPEG-TS over SRT.
    Srt,
    /// RTMP, Enhanced RTMP too.
    Rtmp,
    /// RTMP behind TLS.
    Rtmps,
    /// RTP, as a description says.
    Rtp,
    /// MPEG-TS in datagrams, bare or behind RTP.
    Mpegts,
    /// RTP as a server of RTSP sends it, fetched only.
    Rtsp,
    /// RTSP behind TLS.
    Rtsps,
}

impl IngestProtocol {
    /// As it stands in values.
    pub fn name(self) -> &'static str {
        match self {
            Self::Srt => "srt",
            Self::Rtmp => "rtmp",
            Self::Rtmps => "rtmps",
            Self::Rtp => "rtp",
            Self::Mpegts => "mpegts",
            Self::Rtsp => "rtsp",
            Self::Rtsps => "rtsps",
        }
    }

    /// Whether it has a way to have its sender send less.
    pub(crate) const fn can_be_slowed(self) -> bool {
        match self {
            Self::Srt | Self::Rtmp | Self::Rtmps => true,
            Self::Rtp | Self::Mpegts | Self::Rtsp | Self::Rtsps => false,
        }
    }
}

/// A stream of an RTP source, as a description of it says (RFC 8866).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IngestRtpTrack {
    /// By which it is told from the others.
    pub payload_type: u8,
    /// Its encoding name; what HLS cannot carry is named when it comes.
    pub codec: String,
    /// Whether it is pictures.
    pub is_video: bool,
    /// Ticks of its timestamps a second.
    pub clock_rate: u32,
    /// Of sound.
    #[serde(default)]
    pub channels: u8,
    /// `AudioSpecificConfig` of AAC.
    #[serde(default, with = "serde_bytes")]
    pub config: Vec<u8>,
    /// NAL units that are said beforehand.
    #[serde(default)]
    pub parameter_sets: Vec<serde_bytes::ByteBuf>,
}

/// Where an input takes its stream from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum IngestSource {
    /// Datagrams of RTP.
    Rtp {
        /// The listener through which it comes; or none and `address`.
        #[serde(default)]
        listener: Option<u64>,
        /// Where to listen for it alone, as IP:PORT; port 0 is any even one. RTCP goes to the port above.
        #[serde(default)]
        address: Option<String>,
        /// Where it comes from, as IP or IP:PORT; absent: anywhere.
        #[serde(default)]
        remote: Option<String>,
        /// What it is.
        tracks: Vec<IngestRtpTrack>,
    },
    /// MPEG-TS in datagrams, bare or behind RTP.
    Mpegts {
        /// As above.
        #[serde(default)]
        listener: Option<u64>,
        /// As above; a group of multicast is joined.
        #[serde(default)]
        address: Option<String>,
        /// As above.
        #[serde(default)]
        remote: Option<String>,
    },
}

/// How the certificate of a server is checked that a stream is fetched from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum IngestTrust {
    /// By the authorities that this machine trusts, and for its name.
    #[default]
    Authorities,
    /// It is the one whose SHA-256 this is, whoever made it.
    Fingerprint {
        /// 32 bytes.
        #[serde(with = "serde_bytes")]
        sha256: Vec<u8>,
    },
    /// Not at all: whoever is in between can read and change everything.
    Unchecked,
}

/// Where a stream is fetched from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum IngestPull {
    /// A listener of SRT, called.
    Srt {
        /// Its IP:PORT.
        address: String,
        /// Which stream, as it understands.
        #[serde(default)]
        stream_id: String,
        /// With it the stream is encrypted.
        #[serde(default)]
        passphrase: Option<String>,
        /// How long to wait for what is missing, in milliseconds.
        latency_ms: u32,
    },
    /// A server of RTMP, bare or behind TLS, played from.
    Rtmp {
        /// Its IP:PORT.
        address: String,
        /// As it knows itself.
        url: String,
        /// Behind TLS: how its certificate is checked.
        #[serde(default)]
        trust: IngestTrust,
    },
    /// A server of RTSP, bare or behind TLS, played from.
    Rtsp {
        /// Its IP:PORT. Nothing is sent to any other, whatever it answers.
        address: String,
        /// As it knows itself, with the login.
        url: String,
        /// Whether packets come in datagrams, not in the connection; never behind TLS.
        #[serde(default)]
        datagrams: bool,
        /// Behind TLS: how its certificate is checked.
        #[serde(default)]
        trust: IngestTrust,
    },
}

/// How a packager is to encrypt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamEncryption {
    /// Which packager.
    pub packager: u64,
    /// So from its next segment on; absent: not at all.
    #[serde(default)]
    pub encryption: Option<LiveEncryption>,
}

/// A packager that is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamAsked {
    /// Which packager.
    pub packager: u64,
}

/// What a track of a packager is to go on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackSwitch {
    /// Which packager.
    pub packager: u64,
    /// The track.
    pub track: u64,
    /// What it is to go on with, of the same kind.
    pub producer: u64,
}

/// Whose units a stream of an encoder is to list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPointing {
    /// The packager of the stream.
    pub packager: u64,
    /// That of the other; absent: its own.
    #[serde(default)]
    pub source: Option<u64>,
}

/// How sound of a packager is to lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSync {
    /// Which packager.
    pub packager: u64,
    /// By so much later than its source says: -500 to 1000.
    pub audio_offset_ms: i32,
    /// Tracks of encoders that feeds have, which are to be heard so too.
    #[serde(default)]
    pub tracks: Vec<u64>,
}

/// A transcoder of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamTranscoder {
    /// Its packager.
    pub packager: u64,
    /// Which.
    pub transcoder: u64,
}

/// A line of text that is to be shown with a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamText {
    /// Its packager.
    pub packager: u64,
    /// What it says, up to 4,096 bytes; nothing: what was shown before is taken away.
    pub text: String,
    /// Which language it is in, by its tag of BCP 47; lines of one language are one rendition.
    #[serde(default)]
    pub language: Option<String>,
    /// So much later than the newest of the lists, in milliseconds: -10,000 to 30,000.
    #[serde(default)]
    pub delay_ms: i32,
    /// How long, in milliseconds: 100 to 60,000; absent: until the next, or as long as it takes to read.
    #[serde(default)]
    pub duration_ms: Option<u32>,
}

/// What is to be coded anew for feeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackTranscoding {
    /// Which track, as it was told of.
    pub track: u64,
    /// Where to listen for the process: a Unix socket that is not there yet.
    pub path: String,
}
