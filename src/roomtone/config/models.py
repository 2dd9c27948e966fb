"""Every setting with its default: the reference, the sample file and the checks are made from these models."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from roomtone.config.ingest import PullSettings, RtmpSettings, RtmpsSettings, RtpIngestSettings, SrtSettings
from roomtone.config.live import LiveSettings
from roomtone.config.people import AccountSettings, DatabaseSettings, MailSettings, RedisSettings
from roomtone.config.rooms import ChatSettings, RoomSettings, SpeakerSettings
from roomtone.config.section import NotNegative, Positive, Section
from roomtone.config.sip import SipSettings
from roomtone.config.types import Address, Addresses, OptionalAddress, PortRange, PortRangeSetting, Strings
from roomtone.config.weak import weakness
from roomtone.config.webhooks import WebhookSettings

DEV_KEY = "devkey"
DEV_SECRET = "secret"  # noqa: S105 - the published secret of `--dev`, which listens on loopback only


def default_data_dir() -> Path:
    """Directory for data after the XDG base directory specification."""
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "roomtone"


class LogLevel(StrEnum):
    """Lowest level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a log line looks; `auto` is `console` on a terminal, else `json`."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class ServerSettings(Section):
    """The process."""

    data_dir: Path | None = None
    """Where the server keeps what must survive it: certificates, keys. Default: $XDG_DATA_HOME/roomtone."""
    dev: bool = False
    """Development: loopback only, the published key devkey/secret, pages get tokens by themselves."""
    demo: bool = False
    """Keep a room `demo` with a test picture and a tone."""
    shutdown_timeout_s: Positive = 10
    """How long peers, requests and workers may take to end before the server stops anyway."""

    @property
    def data_path(self) -> Path:
        """The data directory, the default filled in."""
        return (self.data_dir or default_data_dir()).expanduser()


class HttpLimits(Section):
    """Limits and time-outs of the HTTP listeners; a time-out of 0 is none."""

    max_body_bytes: Positive = 1 << 20
    """Largest request body; above it 413."""
    max_header_bytes: Positive = 32 << 10
    """Largest sum of header names and values of a request; above it 431."""
    max_headers: Positive = 100
    """Most headers of a request; above it 431."""
    max_connections: Positive = 16_384
    """Open connections; one more is closed at once and counted."""
    max_connections_per_address: Positive = 4_096
    """Open connections of one address (IPv6: of one /64); trusted proxies are exempt."""
    requests_per_second: NotNegative = 1_000
    """Requests a second of one address (IPv6: of one /64); above it 429. 0 is no limit."""
    request_burst: Positive = 4_000
    """Requests one address may make at once before `requests_per_second` is enforced."""
    max_viewers: Positive = 65_536
    """Viewers of live streams that are told apart; further ones watch without being counted."""
    header_timeout_ms: NotNegative = 10_000
    """How long the first byte, a TLS handshake or a request's head may take."""
    idle_timeout_ms: NotNegative = 75_000
    """How long a connection may stay open without a request."""
    body_timeout_ms: NotNegative = 30_000
    """How long a request's body may stall; then 408."""
    write_timeout_ms: NotNegative = 30_000
    """How long a peer may refuse to take bytes we have for it."""


class HttpSettings(Section):
    """HTTP and HTTPS: pages, WHIP, WHEP, the API."""

    listen: Addresses = (Address("0.0.0.0", 8080), Address("::", 8080))  # noqa: S104 - a server listens; `--dev` narrows it
    """Plain HTTP; empty switches it off."""
    tls_listen: Addresses = (Address("0.0.0.0", 8443), Address("::", 8443))  # noqa: S104 - likewise
    """HTTPS; empty switches it off."""
    http3: bool = True
    """Speak HTTP/3 on the UDP ports of the same numbers as those of HTTPS, and say so to clients (Alt-Svc)."""
    cert: Path | None = None
    """PEM file with the certificate chain, leaf first. Without it a self-signed one is made in the data directory.
    SIGHUP reads both again."""
    key: Path | None = None
    """PEM file with the certificate's private key."""
    names: Strings = ()
    """Further DNS names and addresses of the self-signed certificate."""
    trusted_proxies: Strings = ()
    """Addresses or networks (10.0.0.0/8) whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    limits: HttpLimits = HttpLimits()

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together: set both or neither")
        return self


class WebRtcSettings(Section):
    """Media to and from browsers."""

    listen_ips: Strings = ()
    """Addresses to send and receive on; empty takes all of this machine."""
    announced_ips: Strings = ()
    """Addresses told to peers: "203.0.113.5" for all, or "10.0.0.2=203.0.113.5" for one listening address."""
    ports: PortRangeSetting = PortRange(40_000, 40_099)
    """UDP and TCP ports; each shard takes one for all its peers."""
    udp: bool = True
    """Offer UDP candidates."""
    tcp: bool = True
    """Offer TCP candidates (RFC 6544, RFC 4571 framing), for networks without UDP."""
    share_https_port: bool = False
    """Take media over TCP on the HTTPS port too, told apart by the first byte."""
    stun_server: str | None = None
    """Ask this STUN server ("stun.example.org:3478") at start for the public address, unless one is announced."""
    redundant_audio: bool = True
    """Take and give redundant audio (RFC 2198): a lost packet comes again with the next."""
    audio_nack: bool = True
    """Ask for lost audio again, and answer such requests, where the peer offers it; within 250 ms."""
    connect_timeout_s: Positive = 30
    """A session whose transport has not connected by then is closed."""


class IceServer(Section):
    """A STUN or TURN server named to every client."""

    urls: Strings
    """URLs, e.g. "turn:turn.example.org:3478?transport=udp"."""
    username: str | None = None
    """Fixed user name of a TURN server."""
    credential: SecretStr | None = None
    """Fixed password of a TURN server."""
    secret: SecretStr | None = None
    """Shared secret of coturn's REST API (`static-auth-secret`): user name and password are made for each client."""
    ttl_s: Positive = 86_400
    """How long credentials made with `secret` are valid."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.secret is not None and self.credential is not None:
            raise ValueError("give either username and credential, or secret")
        if (self.username is None) != (self.credential is None):
            raise ValueError("username and credential belong together")
        return self


class IceSettings(Section):
    """What clients are told of ICE servers."""

    servers: tuple[IceServer, ...] = ()
    """One [[ice.servers]] table each, with `urls` and `username` and `credential`, or `secret`."""


class DscpSettings(Section):
    """What packets to phones are marked with (RFC 2474), 0 to 63."""

    audio: Annotated[int, Field(ge=0, le=63)] = 46
    """Sound: expedited forwarding."""
    video: Annotated[int, Field(ge=0, le=63)] = 34
    """Pictures: assured forwarding AF41."""


class PlainSettings(Section):
    """RTP without WebRTC."""

    ports: PortRangeSetting = PortRange(40_100, 49_999)
    """Ports of plain transports; each takes one, or a pair without rtcp-mux."""
    listen_ip: str = "127.0.0.1"
    """Address plain transports listen on."""
    extended_reports: bool = False
    """Send RTCP XR (RFC 3611) to phones, with VoIP metrics, ask for theirs in descriptions, and answer them."""
    comfort_noise: bool = False
    """Describe silence (RFC 3389) to phones that offer CN, where sound is made here, instead of sending it."""
    dscp: DscpSettings = DscpSettings()


class LimitSettings(Section):
    """What one address may do, and how large bodies may be."""

    joins_per_second: Positive = 100
    """Joins a second of one address; above it 503 with Retry-After."""
    sessions_per_address: Positive = 1_000
    """Sessions of one address at once; above it 503 with Retry-After."""
    signals_per_second: Positive = 100
    """Requests a second of one signalling client (LiveKit, Socket.IO); above it they are refused, and read later."""
    signal_burst: Positive = 1_000
    """How many of them may come at once."""
    max_addresses: Positive = 65_536
    """Addresses remembered for these limits; when full, further addresses share one count."""
    max_sdp_bytes: Positive = 65_536
    """Largest session description; above it 413."""
    max_trickle_bytes: Positive = 16_384
    """Largest body of a trickle PATCH; above it 413."""
    max_json_bytes: Positive = 65_536
    """Largest JSON body of the API; above it 413."""
    max_token_ttl_s: Positive = 31_536_000
    """Longest life of a token that is accepted."""


class LiveKitSettings(Section):
    """Clients made for LiveKit."""

    resume_window_s: NotNegative = 30
    """How long a participant whose signalling was lost stays, so that it can resume."""
    signal_queue: Positive = 2_000
    """Signal messages that may wait for a client; above it the session ends (slow_client)."""
    max_signal_bytes: Positive = 524_288
    """Largest signal message of a client; above it the session ends (bad_signal)."""
    max_data_bytes: Positive = 65_536
    """Largest data packet of a client; above it the packet is dropped."""
    data_queue: Positive = 1_000
    """Data packets that may wait for a client; above it lossy ones go, reliable ones end it (slow_client)."""
    data_retry_s: Annotated[float, Field(gt=0, le=10)] = 0.05
    """Pause before a data channel whose buffer is full is tried again."""
    max_subscriptions: Positive = 500
    """Tracks one client is sent at once; a further one is refused to it."""
    ping_interval_s: Positive = 5
    """How often clients are told to ping."""
    ping_timeout_s: Positive = 15
    """After how long without an answer clients are told to reconnect."""
    refresh_token_s: Positive = 300
    """How often a client gets a fresh token."""
    token_lifetime_s: Positive = 600
    """How long that token is valid."""
    max_call_bytes: Positive = 1_048_576
    """Largest body of a call of the server API (/twirp)."""
    unmute_wait_s: NotNegative = 3
    """How long a call that unmutes a track waits for its publisher to do so."""
    calls_to_participants: Positive = 1_000
    """Method calls (PerformRpc) of the server API that may wait for their participants; above it they are refused."""
    ingress_rtmp_url: str = ""
    """Where encoders reach RTMP, as callers of the server API are told, `rtmp://HOST/live`; unset: by the host and port
    of this server."""
    ingress_whip_url: str = ""
    """Where encoders reach WHIP, `https://HOST/whip`; unset: by the host that the API was called at."""


class SfuApiSettings(Section):
    """The SFU over HTTP, for back ends that signal to mediasoup clients themselves: always below /sfu, and here."""

    listen: OptionalAddress = None
    """A port where it is served at the root, by custom "127.0.0.1:3000"; unset: none."""


class MetricsSettings(Section):
    """Prometheus metrics."""

    listen: OptionalAddress = Address("127.0.0.1", 9091)
    """Where /metrics is served; empty switches it off."""


class LogSettings(Section):
    """Logs, on standard error."""

    level: LogLevel = LogLevel.INFO
    """debug, info, warning or error."""
    format: LogFormat = LogFormat.AUTO
    """auto, console or json."""


class ArrivalModel(StrEnum):
    """How congestion shows in arrival times."""

    TRENDLINE = "trendline"
    KALMAN = "kalman"


class BandwidthSettings(Section):
    """What the line to a viewer carries: how that is estimated, and how the line is spared."""

    transport_feedback: bool = True
    """Estimate by transport-wide feedback where a viewer offers it; off: by receiver reports and REMB for all."""
    start_bps: Positive = 1_000_000
    """The estimate of a line before its viewer has said anything, in bits per second."""
    min_bps: Positive = 30_000
    """The estimate never goes below."""
    max_bps: Positive = 100_000_000
    """The estimate never goes above."""
    arrival_model: ArrivalModel = ArrivalModel.TRENDLINE
    """How congestion is seen in arrival times: "trendline" (as browsers do it) or "kalman"."""
    pacing: bool = True
    """Let large pictures leave at the rate the line takes them; off: each at once."""
    probing: bool = True
    """Find out whether a line carries more, with padding where there is no media for it."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.min_bps <= self.start_bps <= self.max_bps:
            raise ValueError("min_bps, start_bps and max_bps must not go down in this order")
        return self


class EngineSettings(Section):
    """The media engine."""

    shards: NotNegative = 0
    """Media threads; 0 takes one a core."""
    audio_threads: Annotated[int, Field(ge=0, le=64)] = 1
    """Threads that decode, mix and encode sound; without one there are no mixers."""
    burst_delay_ms: Annotated[float, Field(ge=0, le=50)] = 5.0
    """How long packets may wait for company before they go out together."""
    gather_delay_ms: Annotated[float, Field(ge=0, le=10)] = 1.0
    """How long what comes may wait where phones and plain streams bring many packets, so that the thread does not wake
    for each; where they bring few, nothing waits. 0: never."""
    even_out_bytes: Annotated[int, Field(ge=0, le=32)] = 0
    """Packets of a picture are padded by up to so many bytes (RFC 3550 section 5.1) to be as long as its longest: then
    the picture leaves with one send where browsers cut it into nearly equal packets. 0: never."""
    history_packets: Positive = 1024
    """Packets each stream keeps for retransmission."""
    event_queue: Positive = 8192
    """Events that may wait for this side; when full, statistics go first."""
    command_queue: Positive = 4096
    """Commands that may wait for the engine; above it they are refused."""
    max_transports: Positive = 10_000
    """Transports of all shards together."""
    max_producers_per_transport: Positive = 64
    """Media streams one peer may send."""
    max_consumers_per_transport: Positive = 512
    """Media streams one peer may be sent."""

    @property
    def shard_count(self) -> int:
        """Media threads, the default filled in."""
        return self.shards or os.cpu_count() or 1


class Settings(Section):
    """All settings."""

    server: ServerSettings = ServerSettings()
    http: HttpSettings = HttpSettings()
    webrtc: WebRtcSettings = WebRtcSettings()
    ice: IceSettings = IceSettings()
    plain: PlainSettings = PlainSettings()
    rooms: RoomSettings = RoomSettings()
    speakers: SpeakerSettings = SpeakerSettings()
    chat: ChatSettings = ChatSettings()
    live: LiveSettings = LiveSettings()
    srt: SrtSettings = SrtSettings()
    rtmp: RtmpSettings = RtmpSettings()
    rtmps: RtmpsSettings = RtmpsSettings()
    rtp_ingest: RtpIngestSettings = RtpIngestSettings()
    pull: PullSettings = PullSettings()
    keys: dict[str, SecretStr] = Field(default_factory=dict)
    """API keys and their secrets, which sign tokens: name = "secret" (32 characters or more)."""
    limits: LimitSettings = LimitSettings()
    livekit: LiveKitSettings = LiveKitSettings()
    webhooks: WebhookSettings = WebhookSettings()
    database: DatabaseSettings = DatabaseSettings()
    accounts: AccountSettings = AccountSettings()
    mail: MailSettings = MailSettings()
    redis: RedisSettings = RedisSettings()
    sip: SipSettings = SipSettings()
    sfu_api: SfuApiSettings = SfuApiSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()
    bandwidth: BandwidthSettings = BandwidthSettings()
    engine: EngineSettings = EngineSettings()

    @model_validator(mode="after")
    def _secrets_are_strong(self) -> Self:
        for name, secret in self.keys.items():
            if not self.server.dev and (why := weakness(secret.get_secret_value())):
                raise ValueError(f"the secret of key {name!r} in [keys] {why}")
            if name == DEV_KEY and not self.server.dev:
                raise ValueError(f"the key {DEV_KEY!r} is for development only: give the key in [keys] another name")
            if name.startswith("@"):
                raise ValueError(f"the key {name!r} in [keys] begins with @, as the server's own do")
        return self

    @property
    def api_keys(self) -> dict[str, str]:
        """Keys and secrets in force: `devkey` only with `--dev`."""
        keys = {name: secret.get_secret_value() for name, secret in self.keys.items()}
        return ({DEV_KEY: DEV_SECRET} if self.server.dev else {}) | keys
