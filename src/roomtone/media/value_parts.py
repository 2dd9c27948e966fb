"""Ids, enums, the engine's configuration, and what commands and replies are made of."""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

import msgspec

RouterId = NewType("RouterId", int)
TransportId = NewType("TransportId", int)
ProducerId = NewType("ProducerId", int)
ConsumerId = NewType("ConsumerId", int)
ObserverId = NewType("ObserverId", int)
ChannelId = NewType("ChannelId", int)
MixerId = NewType("MixerId", int)
MixerInputId = NewType("MixerInputId", int)
PackagerId = NewType("PackagerId", int)
TranscoderId = NewType("TranscoderId", int)
PackagerTrackId = NewType("PackagerTrackId", int)
IngestListenerId = NewType("IngestListenerId", int)
IngestId = NewType("IngestId", int)
IngestTrackId = NewType("IngestTrackId", int)
PlayoutId = NewType("PlayoutId", int)


class IngestProtocol(StrEnum):
    """What encoders speak."""

    SRT = "srt"
    """MPEG-TS over SRT."""
    RTMP = "rtmp"
    """RTMP, Enhanced RTMP too."""
    RTMPS = "rtmps"
    """RTMP behind TLS."""
    RTP = "rtp"
    """RTP, as a description says."""
    MPEGTS = "mpegts"
    """MPEG-TS in datagrams, bare or behind RTP."""
    RTSP = "rtsp"
    """RTP as a server of RTSP sends it, fetched only."""
    RTSPS = "rtsps"
    """RTSP behind TLS."""


class EncryptionMethod(StrEnum):
    """What of a live stream is encrypted."""

    AES_128 = "aes128"
    """Whole segments and parts (RFC 8216bis section 4.4.4.4)."""
    SAMPLE_AES = "sample_aes"
    """Samples, as `cbcs` has it (ISO/IEC 23001-7)."""


class MediaKind(StrEnum):
    """Kind of media of a stream."""

    AUDIO = "audio"
    VIDEO = "video"


class IceMode(StrEnum):
    """Which ICE agent answers (RFC 8445): a lite responder or the full role."""

    LITE = "lite"
    FULL = "full"


class DtlsRole(StrEnum):
    """Our own DTLS role: `active` sends the first ClientHello, `passive` waits for it."""

    ACTIVE = "active"
    PASSIVE = "passive"


class Latching(StrEnum):
    """From where a plain transport takes media.

    ``fixed``: only from the address it was told. ``once``: unless it was told, from where the first valid packet of a
    known stream came, and then only from there. ``rebind``: as ``once``, and a stream that goes on in sequence from
    another address, where the old one is silent, is followed there.
    """

    FIXED = "fixed"
    ONCE = "once"
    REBIND = "rebind"


class IceState(StrEnum):
    """RTCIceTransportState, as in W3C WebRTC."""

    NEW = "new"
    CHECKING = "checking"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    CLOSED = "closed"


class DtlsState(StrEnum):
    """RTCDtlsTransportState, as in W3C WebRTC."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"
    FAILED = "failed"


class EngineCloseReason(StrEnum):
    """Why the engine ended an object by itself, or that it did so when told to."""

    REQUESTED = "requested"
    ICE_TIMEOUT = "ice_timeout"
    CONSENT_EXPIRED = "consent_expired"
    DTLS_FAILED = "dtls_failed"
    DTLS_CLOSED = "dtls_closed"
    DTLS_RSA_UNSUPPORTED = "dtls_rsa_unsupported"
    FINGERPRINT_MISMATCH = "fingerprint_mismatch"
    PEER_PANICKED = "peer_panicked"
    ROUTER_PANICKED = "router_panicked"
    PARENT_CLOSED = "parent_closed"
    ENGINE_CLOSED = "engine_closed"


class QualityLevel(StrEnum):
    """A score in words."""

    LOST = "lost"
    POOR = "poor"
    GOOD = "good"
    EXCELLENT = "excellent"


class QualityTrend(StrEnum):
    """Where a score is going."""

    RISING = "rising"
    STEADY = "steady"
    FALLING = "falling"


class QualitySubject(StrEnum):
    """What a quality is of: a peer's connection both ways, a track as it arrives, a track as a subscriber gets it."""

    TRANSPORT = "transport"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class DegradationReason(StrEnum):
    """What makes a stream worse than it could be."""

    LOSS = "loss"
    JITTER = "jitter"
    BANDWIDTH = "bandwidth"
    CORRUPTION = "corruption"


class CongestionState(StrEnum):
    """How a line is loaded."""

    NONE = "none"
    LIGHT = "light"
    MODERATE = "moderate"
    SEVERE = "severe"
    CRITICAL = "critical"


class LineDirection(StrEnum):
    """Which way a line is looked at: from the peer to us (up), or from us to the peer (down)."""

    UP = "up"
    DOWN = "down"


class FeedbackKind(StrEnum):
    """What a publisher is told: PLI (RFC 4585), FIR (RFC 5104), REMB."""

    PLI = "pli"
    FIR = "fir"
    REMB = "remb"


class FeedbackPriority(StrEnum):
    """How urgent that is."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Base of all boundary values."""


class Command(Value, tag_field="op", frozen=True, kw_only=True, omit_defaults=True):
    """Base of all commands. What is as by default is left out on the way: it is the same on both sides."""


class Event(Value, tag_field="event", frozen=True, kw_only=True):
    """Base of all events."""


class ArrivalModel(StrEnum):
    """How congestion shows in arrival times: the slope of a line through the last delays, or a Kalman filter."""

    TRENDLINE = "trendline"
    KALMAN = "kalman"


class BandwidthConfig(Value, frozen=True, kw_only=True):
    """How the lines to peers are estimated and spared.

    With ``transport_feedback`` transport-wide feedback is used where it was negotiated, else receiver reports and REMB
    are all that is followed. With ``pacing`` pictures leave at the rate the line takes them, else each at once. With
    ``probing`` the line is probed for more, with padding where there is no media for it.
    """

    transport_feedback: bool = True
    start_bps: int = 1_000_000
    min_bps: int = 30_000
    max_bps: int = 100_000_000
    arrival_model: ArrivalModel = ArrivalModel.TRENDLINE
    pacing: bool = True
    probing: bool = True


class LiveConfig(Value, frozen=True, kw_only=True):
    """How much of live streams is kept, and where.

    Of each stream ``memory_ms`` are in memory, in lists or behind them; older segments are files below ``store_dir``, a
    folder that is made when it is needed. Without it, or where one of the limits of the disk is 0, none leaves memory.
    """

    store_dir: str = ""
    memory_ms: int = 300_000
    memory_stream_bytes: int = 512 << 20
    memory_bytes: int = 2 << 30
    disk_stream_bytes: int = 64 << 30
    disk_bytes: int = 128 << 30


class EngineConfig(Value, frozen=True, kw_only=True):
    """How the engine is laid out; given once.

    ``audio_threads`` decode, mix and encode sound.
    ``shards`` threads each own one UDP and one TCP port out of ``webrtc_ports`` (inclusive) on each of
    ``listen_ips``; ``announced_ips`` replaces or adds to the addresses told to peers (``listen:announced`` pairs).
    """

    shards: int = 1
    audio_threads: int = 1
    listen_ips: list[str] = []
    announced_ips: list[tuple[str, str]] = []
    webrtc_ports: tuple[int, int] = (40000, 40099)
    plain_ports: tuple[int, int] = (40100, 49999)
    tcp: bool = True
    udp: bool = True
    burst_delay_us: int = 5000
    gather_delay_us: int = 1000
    even_out_bytes: int = 0
    event_queue: int = 8192
    command_queue: int = 4096
    max_transports: int = 10_000
    max_producers_per_transport: int = 64
    max_consumers_per_transport: int = 512
    history_packets: int = 1024
    ice_timeout_ms: int = 30_000
    bandwidth: BandwidthConfig = BandwidthConfig()
    live: LiveConfig = LiveConfig()
    seed: int | None = None


class Candidate(Value, frozen=True, kw_only=True):
    """An ICE candidate (RFC 8839): ``protocol`` is "udp" or "tcp", ``kind`` "host", "srflx", "prflx" or "relay"."""

    foundation: str
    component: int
    protocol: str
    priority: int
    ip: str
    port: int
    kind: str
    tcp_type: str | None = None


class Fingerprint(Value, frozen=True, kw_only=True):
    """A certificate fingerprint (RFC 8122): ``algorithm`` such as "sha-256", ``value`` in upper-case hex pairs."""

    algorithm: str
    value: str


class DtlsParameters(Value, frozen=True, kw_only=True):
    """What a DTLS handshake needs to know: our role, and fingerprints of which the peer's certificate must have one."""

    role: DtlsRole
    fingerprints: list[Fingerprint]


class SrtpKeys(Value, frozen=True, kw_only=True):
    """SRTP keys given by hand (SDES): ``suite`` by its SDES name, ``key`` is master key followed by master salt."""

    suite: str
    key: bytes


class CodecFeedback(Value, frozen=True, kw_only=True, omit_defaults=True):
    """RTCP feedback agreed for a codec (RFC 4585, 5104)."""

    nack: bool = False
    pli: bool = False
    fir: bool = False
    transport_cc: bool = False
    remb: bool = False


class AudioRedundancy(Value, frozen=True, kw_only=True):
    """Redundant audio (RFC 2198) a consumer asks for: ``blocks`` earlier packets go along with each.

    Both payload types are the consumer's: that of redundant packets, and that of the codec inside them.
    """

    payload_type: int
    protects: int
    blocks: int = 1


class CodecParameters(Value, frozen=True, kw_only=True, omit_defaults=True):
    """One payload type a producer may send; ``name`` is the upper-case encoding name, e.g. "OPUS", "VP8"."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    rtx_payload_type: int | None = None
    feedback: CodecFeedback = CodecFeedback()


class EncodingParameters(Value, frozen=True, kw_only=True):
    """One RTP stream of a producer, named by SSRC or by RID."""

    ssrc: int | None = None
    rid: str | None = None
    rtx_ssrc: int | None = None


class HeaderExtension(Value, frozen=True, kw_only=True):
    """A negotiated RTP header extension: id on the wire and URI."""

    id: int
    uri: str


class IngestCertificate(Value, frozen=True, kw_only=True):
    """What callers of a listener are shown, and its secret; ``chain`` (leaf first) and ``key`` are PEM."""

    chain: bytes
    key: bytes

    def __repr__(self) -> str:
        """Leave the key out."""
        return "IngestCertificate()"


class LiveEncryption(Value, frozen=True, kw_only=True):
    """How live streams are encrypted.

    ``secret``, 32 bytes, is what keys are derived from, no two streams' alike; a key is good for ``segments_per_key``
    segments, 0 for all.
    """

    method: EncryptionMethod
    secret: bytes
    segments_per_key: int = 0

    def __repr__(self) -> str:
        """Leave the secret out."""
        return f"LiveEncryption(method={self.method!r}, segments_per_key={self.segments_per_key})"


class LiveListing(Value, frozen=True, kw_only=True):
    """How a live stream is listed; the values are those of `OpenPackager`."""

    window_ms: int = 120_000
    part_ms: int | None = None
    encryption: LiveEncryption | None = None


class ToneKind(StrEnum):
    """A tone that tells how a call goes (ITU-T E.180)."""

    RINGBACK = "ringback"
    BUSY = "busy"
    CONGESTION = "congestion"


class MixerTone(Value, tag_field="source", tag="tone", frozen=True, kw_only=True):
    """A national tone, played until it is removed; ``country`` is ISO 3166 alpha-2, such as "DE"."""

    country: str
    tone: ToneKind


class MixerClip(Value, tag_field="source", tag="clip", frozen=True, kw_only=True):
    """Samples, mono, 16 bits, little endian; ``rate_hz`` is 8000, 16000, 24000 or 48000."""

    rate_hz: int
    samples: bytes
    repeat: bool = False


class MixerWav(Value, tag_field="source", tag="wav", frozen=True, kw_only=True):
    """A WAV file: 16-bit PCM, A-law or mu-law, one or two channels."""

    file: bytes
    repeat: bool = False


MixerSource = MixerTone | MixerClip | MixerWav


class IngestRtpTrack(Value, frozen=True, kw_only=True):
    """A stream of an RTP source, as a description of it says (RFC 8866).

    ``codec`` is its encoding name; what HLS cannot carry is named when it comes. ``config`` is the
    `AudioSpecificConfig` of AAC, ``parameter_sets`` are NAL units said beforehand.
    """

    payload_type: int
    codec: str
    is_video: bool
    clock_rate: int
    channels: int = 0
    config: bytes = b""
    parameter_sets: list[bytes] = []


class RtpInput(Value, tag_field="kind", tag="rtp", frozen=True, kw_only=True):
    """RTP through a listener that inputs share, or at ``address``, ``IP:PORT``, alone; RTCP goes to the port above.

    ``remote``, ``IP`` or ``IP:PORT``, is where it comes from; None: anywhere.
    """

    listener: IngestListenerId | None = None
    address: str | None = None
    remote: str | None = None
    tracks: list[IngestRtpTrack]


class MpegTsInput(Value, tag_field="kind", tag="mpegts", frozen=True, kw_only=True):
    """MPEG-TS in datagrams, bare or behind RTP; fields as in `RtpInput`. An address of multicast is joined."""

    listener: IngestListenerId | None = None
    address: str | None = None
    remote: str | None = None


IngestSource = RtpInput | MpegTsInput


class SrtPull(Value, tag_field="kind", tag="srt", frozen=True, kw_only=True):
    """A listener of SRT at ``address``, ``IP:PORT``, to call for a stream; ``stream_id`` as it understands it."""

    address: str
    stream_id: str = ""
    passphrase: str | None = None
    latency_ms: int = 120


class TrustAuthorities(Value, tag_field="kind", tag="authorities", frozen=True, kw_only=True):
    """A server's certificate is checked by the authorities that this machine trusts, and for its name."""


class TrustFingerprint(Value, tag_field="kind", tag="fingerprint", frozen=True, kw_only=True):
    """A server's certificate is the one with this SHA-256, whoever made it."""

    sha256: bytes


class TrustUnchecked(Value, tag_field="kind", tag="unchecked", frozen=True, kw_only=True):
    """A server's certificate is not checked: whoever is in between can read and change everything."""


IngestTrust = TrustAuthorities | TrustFingerprint | TrustUnchecked


class RtmpPull(Value, tag_field="kind", tag="rtmp", frozen=True, kw_only=True):
    """A server of RTMP at ``address``, ``IP:PORT``, to play ``url`` from, which is how it knows itself.

    Behind TLS, by ``rtmps://``, ``trust`` says how its certificate is checked.
    """

    address: str
    url: str
    trust: IngestTrust = TrustAuthorities()


class RtspPull(Value, tag_field="kind", tag="rtsp", frozen=True, kw_only=True):
    """A server of RTSP at ``address``, ``IP:PORT``, to play ``url`` from, which is how it knows itself, with the login.

    With ``datagrams`` packets come by UDP, else in the connection. Nothing is sent to any other address. Behind TLS, by
    ``rtsps://``, packets come in the connection, and ``trust`` says how the certificate is checked.
    """

    address: str
    url: str
    datagrams: bool = False
    trust: IngestTrust = TrustAuthorities()


IngestPull = SrtPull | RtmpPull | RtspPull


def pull_protocol(origin: IngestPull) -> IngestProtocol:
    """By what a stream of this origin comes."""
    match origin:
        case SrtPull():
            return IngestProtocol.SRT
        case RtmpPull(url=url):
            return IngestProtocol.RTMPS if url.startswith("rtmps:") else IngestProtocol.RTMP
        case RtspPull(url=url):
            return IngestProtocol.RTSPS if url.lower().startswith("rtsps:") else IngestProtocol.RTSP
