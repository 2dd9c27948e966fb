"""Settings of SIP: phones, trunks, and what strangers may do."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import Annotated, Self

from pydantic import Field, model_validator

from roomtone.config.section import NotNegative, Positive, Section
from roomtone.config.types import Address, Addresses, Strings

_SIP, _SIPS = 5060, 5061


class ClientCertificates(StrEnum):
    """Whether those that connect by TLS show a certificate."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class SipLimits(Section):
    """How much of SIP is listened to and kept."""

    max_connections: Positive = 10_000
    """Open connections by TCP, TLS and WebSocket; one more is closed at once and counted."""
    max_connections_per_address: Positive = 500
    """Open connections of one address."""
    messages_per_second: Positive = 1_000
    """Messages a second of one address (IPv6: of one /64); further ones are dropped. Loopback is exempt."""
    message_burst: Positive = 4_000
    """Messages one address may send at once before `messages_per_second` is enforced."""
    max_addresses: Positive = 65_536
    """Addresses remembered for these limits; when full, the one that was silent longest is forgotten."""
    max_header_bytes: Positive = 65_536
    """Largest request line and headers of a message; above it 513."""
    max_body_bytes: Positive = 1_048_576
    """Largest body of a message; above it 513."""
    failed_attempts: Positive = 10
    """Failed authentications of one address within a minute; then it is not listened to for `ban_s`."""
    ban_s: NotNegative = 300
    """How long; 0 switches this off."""
    wrong_pins: Positive = 10
    """Wrong PINs of one caller (number and trunk) within `wrong_pins_window_s`; then it is asked for none any more."""
    wrong_pins_window_s: Positive = 600
    """How long a wrong PIN counts."""
    max_loop_lag_ms: Positive = 500
    """When the event loop is later than this, new requests get 503 with Retry-After until it has caught up."""
    max_waiting_calls: Positive = 500
    """When more calls than this wait to be set up, for ports of the engine or names of hosts, new requests get 503 with
    Retry-After until fewer than half do; calls that go on are not touched. A core sets up some 300 calls a second."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=120)] = 5.0
    """How long a peer may take to accept a connection."""
    idle_timeout_s: Positive = 600
    """A connection ends when its peer has sent nothing for so long, no keep-alive either."""
    write_timeout_s: Positive = 30
    """How long a peer may refuse to take bytes we have for it."""


class DigestAlgorithm(StrEnum):
    """Hash functions of digest authentication (RFC 8760)."""

    MD5 = "MD5"
    SHA_256 = "SHA-256"
    SHA_512_256 = "SHA-512-256"


class SrtpSuite(StrEnum):
    """Suites of SRTP whose keys stand in descriptions (RFC 4568, RFC 6188, RFC 7714)."""

    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AES_256_CM_HMAC_SHA1_80 = "AES_256_CM_HMAC_SHA1_80"
    AES_192_CM_HMAC_SHA1_80 = "AES_192_CM_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    F8_128_HMAC_SHA1_80 = "F8_128_HMAC_SHA1_80"
    AES_256_CM_HMAC_SHA1_32 = "AES_256_CM_HMAC_SHA1_32"
    AES_192_CM_HMAC_SHA1_32 = "AES_192_CM_HMAC_SHA1_32"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"


class RegistrarSettings(Section):
    """Where phones say they can be reached."""

    min_expires_s: Positive = 60
    """Shortest life of a registration; less is refused with 423."""
    max_expires_s: Positive = 3_600
    """Longest life; more is cut to it."""
    default_expires_s: Positive = 600
    """Life of one that does not say."""
    max_bindings: Positive = 10
    """Phones of one account; one more takes the place of that which was heard of longest ago."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.min_expires_s <= self.default_expires_s <= self.max_expires_s:
            raise ValueError("min_expires_s, default_expires_s and max_expires_s must not go down in this order")
        return self


class SipSettings(Section):
    """Phones: they register with accounts of this server and call each other."""

    enabled: bool = False
    """Listen; `--dev` does in any case, on loopback."""
    udp_listen: Addresses = (Address("0.0.0.0", _SIP), Address("::", _SIP))  # noqa: S104 - a server listens
    """UDP; empty switches it off."""
    tcp_listen: Addresses = (Address("0.0.0.0", _SIP), Address("::", _SIP))  # noqa: S104 - likewise
    """TCP; empty switches it off."""
    tls_listen: Addresses = (Address("0.0.0.0", _SIPS), Address("::", _SIPS))  # noqa: S104 - likewise
    """TLS; empty switches it off. By default it is on where HTTPS is, or `cert` is set."""
    websocket: bool = True
    """SIP over WebSocket (RFC 7118) at /sip of the HTTP listeners."""
    announced_ip: str | None = None
    """Address told to peers that are not on this machine; unset: the one they are reached from."""
    cert: Path | None = None
    """PEM file with the certificate chain for TLS. Without it that of [http], which may be self-signed.
    SIGHUP reads all of them again."""
    key: Path | None = None
    """PEM file with the certificate's private key."""
    more_certificates: Strings = ()
    """Further certificates, "chain.pem=key.pem", for clients that ask for one of their names."""
    client_certificates: ClientCertificates = ClientCertificates.OFF
    """Whether who connects by TLS shows a certificate: off, optional or required."""
    authorities: Path | None = None
    """PEM file with the authorities whose certificates are believed; unset: the system's, for peers we connect to."""
    verify_peers: bool = True
    """Connect by TLS only to peers with a certificate for their name."""
    realm: str = "roomtone"
    """Realm of digest authentication: phones that keep hashes keep them for it."""
    digest_algorithms: tuple[DigestAlgorithm, ...] = (
        DigestAlgorithm.SHA_512_256,
        DigestAlgorithm.SHA_256,
        DigestAlgorithm.MD5,
    )
    """What is offered to those who have to authenticate, in this order; some clients answer the first one only."""
    srtp_suites: tuple[SrtpSuite, ...] = (
        SrtpSuite.AEAD_AES_256_GCM,
        SrtpSuite.AEAD_AES_128_GCM,
        SrtpSuite.AES_256_CM_HMAC_SHA1_80,
        SrtpSuite.AES_CM_128_HMAC_SHA1_80,
        SrtpSuite.AES_256_CM_HMAC_SHA1_32,
        SrtpSuite.AES_CM_128_HMAC_SHA1_32,
    )
    """What phones with `media_security = "sdes"` are offered when they are called, in this order. Each makes the INVITE
    some 90 bytes longer. There are AES_192_CM_HMAC_SHA1_80, AES_192_CM_HMAC_SHA1_32 and F8_128_HMAC_SHA1_80 besides;
    what a phone offers is answered, whichever it is."""
    domains: Strings = ()
    """Domains that calls and registrations are taken for, beside the addresses peers reach this server at."""
    ring_timeout_s: Positive = 60
    """How long a call rings before its caller is told that nobody answers."""
    hold_music: str = "melody"
    """What is heard on hold: "melody", a tune that is built in; "off", nothing; or a file: WAV, or with PyAV (the extra
    `testcard`) Opus, MP3 and others, of which five minutes are played over and over."""
    max_calls: Positive = 10_000
    """Calls at once; one more is refused with 503."""
    exempt_addresses: Strings = ()
    """Addresses that are neither limited nor banned: trunks, proxies."""
    registrar: RegistrarSettings = RegistrarSettings()
    limits: SipLimits = SipLimits()

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if not self.digest_algorithms or not self.realm.isprintable() or not self.realm:
            raise ValueError("digest_algorithms and realm must not be empty")
        if not self.srtp_suites or len(set(self.srtp_suites)) < len(self.srtp_suites):
            raise ValueError("srtp_suites must name one suite or more, each once")
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together: set both or neither")
        for pair in self.more_certificates:
            chain, equals, key = pair.partition("=")
            if not (chain and equals and key):
                raise ValueError(f'"{pair}" in more_certificates: write "chain.pem=key.pem"')
        if self.client_certificates is not ClientCertificates.OFF and self.authorities is None:
            raise ValueError("client_certificates need authorities to believe: set authorities")
        return self
