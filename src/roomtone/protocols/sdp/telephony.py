"""Descriptions of phone legs (RFC 3264): RTP without ICE, keys by SDES or none, hold in both of its forms.

`read_phone` reads an offer or an answer into `PhoneMedia`, one for each media section, used or not.
`roomtone.protocols.sdp.telephony_write` writes them, `roomtone.protocols.sdp.telephony_codecs` compares their codecs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING

from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.attributes import Direction, parse_number
from roomtone.protocols.sdp.codecs import Codec, read_codecs
from roomtone.protocols.sdp.crypto import CryptoLine, read_crypto
from roomtone.protocols.sdp.errors import NegotiationCode, NegotiationError, SdpError

if TYPE_CHECKING:
    from roomtone.protocols.sdp.model import MediaDescription, SessionDescription

_MAX_PORT = 65_535
_MAX_PTIME_MS = 1_000
_KINDS = {"audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}
_PLAIN = frozenset({"RTP/AVP", "RTP/AVPF"})
_SECURE = frozenset({"RTP/SAVP", "RTP/SAVPF"})
_CONNECTION_WORDS = 3


class MediaSecurity(StrEnum):
    """What the media of a leg must be."""

    OFF = "off"
    """Plain RTP; what is secured is refused."""
    OPTIONAL = "optional"
    """What the peer offers; plain when we offer."""
    SDES = "sdes"
    """SRTP with keys in the description (RFC 4568); plain is refused."""


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
    cryptos: tuple[CryptoLine, ...] = ()
    unusable: str = ""

    @property
    def is_secure(self) -> bool:
        """Whether it is SRTP with keys in the description."""
        return self.protocol in _SECURE

    @property
    def is_usable(self) -> bool:
        """Whether it can be served, as far as it tells by itself."""
        return not self.unusable

    def allowed_by(self, security: MediaSecurity) -> bool:
        """Whether a leg of this security may have it."""
        match security:
            case MediaSecurity.OFF:
                return not self.is_secure
            case MediaSecurity.SDES:
                return self.is_secure
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
    wanted = "SRTP is required" if security is MediaSecurity.SDES else "SRTP is not allowed"
    raise NegotiationError(NegotiationCode.SECURITY_REFUSED, f"audio by {audio[0].protocol}, but {wanted}")


def _read(session: SessionDescription, index: int, section: MediaDescription) -> PhoneMedia:
    kind = _KINDS.get(section.kind)
    bare = PhoneMedia(index, kind, section.protocol.upper())
    if kind is None or section.port == 0 or bare.protocol not in _PLAIN | _SECURE:
        if section.port == 0:
            return _refused(bare, "port zero")
        return _refused(bare, f"{section.kind if kind is None else section.protocol} is not served")
    cryptos = read_crypto(line.attribute_value for line in section.lines if line.attribute == "crypto")
    if bare.is_secure and not cryptos:
        return _refused(bare, "no SRTP key of a known suite")
    address = _address(session, section)
    if address is None:
        return _refused(bare, "no usable address")
    codecs = tuple(codec for codec in read_codecs(section, kind) if codec.payload_type >= 0)
    if not codecs:
        return _refused(bare, "no codec with a name")
    rtcp_mux = section.has("rtcp-mux")
    rtcp_address, rtcp_port = (address, section.port) if rtcp_mux else _rtcp(section, address)
    return PhoneMedia(
        index=index,
        kind=kind,
        protocol=bare.protocol,
        port=section.port,
        address=address,
        rtcp_address=rtcp_address,
        rtcp_port=rtcp_port,
        rtcp_mux=rtcp_mux,
        direction=_direction(session, section, address),
        codecs=codecs,
        ptime_ms=_milliseconds(section, "ptime"),
        max_ptime_ms=_milliseconds(section, "maxptime"),
        cryptos=cryptos,
    )


def _refused(bare: PhoneMedia, why: str) -> PhoneMedia:
    return PhoneMedia(bare.index, bare.kind, bare.protocol, unusable=why)


def _address(session: SessionDescription, section: MediaDescription) -> str | None:
    """Find where a section receives; None for names, multicast and what is no address."""
    text = next((line.value for part in (section, session) for line in part.lines if line.kind == "c"), None)
    return None if text is None else _unicast(text)


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


def _direction(session: SessionDescription, section: MediaDescription, address: str) -> Direction:
    said = section.direction or session.direction or Direction.SENDRECV
    if not ip_address(address).is_unspecified:
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
