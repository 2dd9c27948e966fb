"""Descriptions of phone legs (RFC 3264): plain RTP, SRTP by SDES, or ICE with DTLS-SRTP; hold in both of its forms.

`read_phone` reads an offer or an answer into `PhoneMedia`, one for each media section, used or not.
`roomtone.protocols.sdp.telephony_write` writes them, `roomtone.protocols.sdp.telephony_codecs` compares their codecs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.attributes import Direction, Setup, parse_number
from roomtone.protocols.sdp.codecs import Codec, read_codecs
from roomtone.protocols.sdp.crypto import CryptoLine, read_crypto
from roomtone.protocols.sdp.errors import NegotiationCode, NegotiationError, SdpError

if TYPE_CHECKING:
    from roomtone.media.values import Fingerprint
    from roomtone.protocols.sdp.model import MediaDescription, SessionDescription

_MAX_PORT = 65_535
_MAX_PTIME_MS = 1_000
_KINDS = {"audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}
_PLAIN = frozenset({"RTP/AVP", "RTP/AVPF"})
_SECURE = frozenset({"RTP/SAVP", "RTP/SAVPF"})
_DTLS = frozenset({"UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"})
_CONNECTION_WORDS = 3
_UNSPECIFIED = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not bound
_NOWHERE = "0.0.0.0"  # noqa: S104 - what a description says that names no address
_DISCARD_PORT = 9


class MediaSecurity(StrEnum):
    """What the media of a leg must be."""

    OFF = "off"
    """Plain RTP; what is secured is refused."""
    OPTIONAL = "optional"
    """What the peer offers; plain when we offer."""
    SDES = "sdes"
    """SRTP with keys in the description (RFC 4568); all else is refused."""
    DTLS = "dtls"
    """SRTP with keys from a DTLS handshake (RFC 5764); all else is refused."""


class Keying(StrEnum):
    """Where the keys of a media section come from."""

    NONE = "none"
    """It is plain RTP."""
    SDES = "sdes"
    DTLS = "dtls"


_WANTED = {
    MediaSecurity.OFF: "SRTP is not allowed",
    MediaSecurity.OPTIONAL: "it cannot be served",
    MediaSecurity.SDES: "SRTP is required, with its keys in the description",
    MediaSecurity.DTLS: "DTLS-SRTP is required",
}
"""What is said to who offers something else."""


@dataclass(frozen=True, slots=True)
class PhoneMedia:
    """One media section as its writer sees it: where it receives, what, and in which direction.

    ``unusable`` says why nothing here can serve it: then it is answered with port zero, and the rest may be empty.
    """

    index: int
    kind: MediaKind | None
    protocol: str
    port: int = 0
    address: str = ""
    rtcp_address: str = ""
    rtcp_port: int = 0
    """Where its writer receives RTCP; the same as ``port`` with rtcp-mux."""
    rtcp_mux: bool = False
    direction: Direction = Direction.SENDRECV
    """Its direction with the old form of hold (address 0.0.0.0) taken in: nothing is received there."""
    codecs: tuple[Codec, ...] = ()
    ptime_ms: int | None = None
    max_ptime_ms: int | None = None
    keying: Keying = Keying.NONE
    cryptos: tuple[CryptoLine, ...] = ()
    over_ice: bool = False
    """With `Keying.DTLS`: whether its writer is reached by ICE, or where the description says."""
    fingerprints: tuple[Fingerprint, ...] = ()
    """With `Keying.DTLS`: of its writer's certificate."""
    setup: Setup | None = None
    """With `Keying.DTLS`: its writer's role."""
    unusable: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether it can be served, as far as it tells by itself."""
        return not self.unusable

    def at_ports(self, port: int, rtcp_port: int) -> PhoneMedia:
        """Give the same section of a writer that receives at other ports: `replace` takes three times as long."""
        return PhoneMedia(
            self.index,
            self.kind,
            self.protocol,
            port,
            self.address,
            self.rtcp_address,
            rtcp_port,
            self.rtcp_mux,
            self.direction,
            self.codecs,
            self.ptime_ms,
            self.max_ptime_ms,
            self.keying,
            self.cryptos,
            self.over_ice,
            self.fingerprints,
            self.setup,
            self.unusable,
        )

    def allowed_by(self, security: MediaSecurity) -> bool:
        """Whether a leg of this security may have it."""
        match security:
            case MediaSecurity.OFF:
                return self.keying is Keying.NONE
            case MediaSecurity.SDES:
                return self.keying is Keying.SDES
            case MediaSecurity.DTLS:
                return self.keying is Keying.DTLS
            case MediaSecurity.OPTIONAL:
                return True


@dataclass(frozen=True, slots=True)
class PhoneDescription:
    """An offer or answer of a phone leg."""

    session: SessionDescription
    media: tuple[PhoneMedia, ...]

    def first(self, kind: MediaKind, security: MediaSecurity = MediaSecurity.OPTIONAL) -> PhoneMedia | None:
        """Give the first section of a kind that can be served under this security."""
        return next(
            (one for one in self.media if one.kind is kind and one.is_usable and one.allowed_by(security)), None
        )


def read_phone(session: SessionDescription) -> PhoneDescription:
    """Read a description of a phone leg; raise `NegotiationError` when it has no media section at all."""
    if not session.media:
        raise NegotiationError(NegotiationCode.NO_MEDIA, "no media section")
    return PhoneDescription(session, tuple(_read(session, at, section) for at, section in enumerate(session.media)))


def choose_audio(phone: PhoneDescription, security: MediaSecurity) -> PhoneMedia:
    """Give the audio section to serve; raise `NegotiationError` that says what is wrong with those there are."""
    found = phone.first(MediaKind.AUDIO, security)
    if found is not None:
        return found
    audio = [one for one in phone.media if one.kind is MediaKind.AUDIO]
    if not audio:
        raise NegotiationError(NegotiationCode.NO_MEDIA, "no audio section")
    if all(one.unusable for one in audio):
        raise NegotiationError(NegotiationCode.PROTOCOL_UNSUPPORTED, f"audio: {audio[0].unusable}")
    wanted = _WANTED[security]
    raise NegotiationError(NegotiationCode.SECURITY_REFUSED, f"audio by {audio[0].protocol}, but {wanted}")


def _read(session: SessionDescription, index: int, section: MediaDescription) -> PhoneMedia:
    kind = _KINDS.get(section.kind)
    cryptos = read_crypto(line.attribute_value for line in section.lines if line.attribute == "crypto")
    bare = PhoneMedia(index, kind, section.protocol.upper())
    bare = replace(bare, keying=_keying(session, section, bare.protocol, cryptos), cryptos=cryptos)
    why = _why_unusable(session, section, bare)
    if why:
        return replace(bare, cryptos=(), unusable=why)
    is_dtls = bare.keying is Keying.DTLS
    over_ice = is_dtls and _has_ice(session, section)
    address = _address(session, section) or (_NOWHERE if over_ice else None)
    if address is None or (is_dtls and not over_ice and section.port == _DISCARD_PORT):
        return replace(bare, cryptos=(), unusable="no usable address")
    codecs = _known(
        tuple(codec for codec in read_codecs(section, bare.kind or MediaKind.AUDIO) if codec.payload_type >= 0)
    )
    if not codecs:
        return replace(bare, cryptos=(), unusable="no codec with a name")
    rtcp_mux = section.has("rtcp-mux")
    rtcp_address, rtcp_port = (address, section.port) if rtcp_mux else _rtcp(section, address)
    return replace(
        bare,
        port=section.port,
        address=address,
        rtcp_address=rtcp_address,
        rtcp_port=rtcp_port,
        rtcp_mux=rtcp_mux,
        # With ICE the candidates say where to send, and the address is often zeros.
        direction=_said(session, section) if over_ice else _direction(session, section, address),
        codecs=codecs,
        over_ice=over_ice,
        fingerprints=(section.fingerprints or session.fingerprints) if is_dtls else (),
        setup=(section.setup or session.setup or Setup.ACTPASS) if is_dtls else None,
        ptime_ms=_milliseconds(section, "ptime"),
        max_ptime_ms=_milliseconds(section, "maxptime"),
    )


@lru_cache(1_024)
def _known(codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Give the very tuple of an earlier description with the same codecs, by which what follows is remembered."""
    return codecs


def _keying(
    session: SessionDescription, section: MediaDescription, protocol: str, cryptos: tuple[CryptoLine, ...]
) -> Keying:
    if protocol in _PLAIN:
        return Keying.NONE
    # Before RFC 5764 had profiles of its own, browsers said RTP/SAVPF with a fingerprint.
    has_fingerprint = bool(section.fingerprints or session.fingerprints)
    return Keying.DTLS if protocol in _DTLS or (has_fingerprint and not cryptos) else Keying.SDES


def _why_unusable(session: SessionDescription, section: MediaDescription, bare: PhoneMedia) -> str:
    """Tell what a section has that nothing here can serve; empty: nothing."""
    if section.rejected or (section.port == 0 and bare.keying is not Keying.DTLS):
        return "port zero"
    if bare.kind is None or bare.protocol not in _PLAIN | _SECURE | _DTLS:
        return f"{section.kind if bare.kind is None else section.protocol} is not served"
    match bare.keying:
        case Keying.NONE:
            return ""
        case Keying.SDES:
            return "" if bare.cryptos else "no SRTP key of a known suite"
        case Keying.DTLS:
            return _why_no_dtls(session, section)


def _why_no_dtls(session: SessionDescription, section: MediaDescription) -> str:
    if not (section.fingerprints or session.fingerprints):
        return "DTLS without a fingerprint"
    if (section.setup or session.setup) is Setup.HOLDCONN:
        return "DTLS on hold (setup:holdconn) is not served"
    if not _has_ice(session, section):
        return "port zero" if section.port == 0 else ""
    return "" if section.has("rtcp-mux") else "ICE without rtcp-mux is not served"


def _has_ice(session: SessionDescription, section: MediaDescription) -> bool:
    """Whether a section has what connectivity checks need."""
    ufrag, pwd = section.ice_ufrag or session.ice_ufrag, section.ice_pwd or session.ice_pwd
    return ufrag is not None and pwd is not None


def _address(session: SessionDescription, section: MediaDescription) -> str | None:
    """Find where a section receives; None for names, multicast and what is no address."""
    text = next((line.value for part in (section, session) for line in part.lines if line.kind == "c"), None)
    return None if text is None else _unicast(text)


@lru_cache(1_024)
def _unicast(text: str) -> str | None:
    words = text.split()
    if len(words) != _CONNECTION_WORDS or words[0] != "IN" or words[1] not in {"IP4", "IP6"}:
        return None
    try:
        address = ip_address(words[2])
    except ValueError:
        return None
    if address.is_multicast or (address.version == 6) is not (words[1] == "IP6"):  # noqa: PLR2004
        return None
    return str(address)


def _rtcp(section: MediaDescription, address: str) -> tuple[str, int]:
    """Find where RTCP goes (RFC 3605): ``a=rtcp``, or the port after that of RTP."""
    text = section.first("rtcp")
    port, _, place = (text or "").partition(" ")
    if port.isascii() and port.isdigit() and 0 < int(port[:6]) <= _MAX_PORT:
        return (_unicast(place) or address) if place else address, int(port)
    return address, min(section.port + 1, _MAX_PORT)


def _said(session: SessionDescription, section: MediaDescription) -> Direction:
    return section.direction or session.direction or Direction.SENDRECV


def _direction(session: SessionDescription, section: MediaDescription, address: str) -> Direction:
    said = _said(session, section)
    if address not in _UNSPECIFIED:
        return said
    # RFC 3264 section 8.4: an address of zeros is the older way to say that nothing shall be sent there.
    return Direction.SENDONLY if said.sends else Direction.INACTIVE


def _milliseconds(section: MediaDescription, name: str) -> int | None:
    text = section.first(name)
    if text is None:
        return None
    try:
        value = parse_number(text.strip().partition(".")[0], _MAX_PTIME_MS, name)
    except ValueError as error:
        raise SdpError(section.number, str(error)) from error
    return value or None
