"""Streams of a phone without ICE: ports of their own, their keys, and how a description says them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roomtone.control.calls.media.securing import same_suite, setup_of
from roomtone.control.calls.media.streams import Stream
from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.codecs import NO_FEEDBACK
from roomtone.protocols.sdp.model import media_section
from roomtone.protocols.sdp.remembered import by_identity
from roomtone.protocols.sdp.telephony_write import LocalMedia

if TYPE_CHECKING:
    from roomtone.media import PlainTransport
    from roomtone.media.values import DtlsParameters
    from roomtone.protocols.sdp import Codec
    from roomtone.protocols.sdp.attributes import Direction
    from roomtone.protocols.sdp.crypto import CryptoLine
    from roomtone.protocols.sdp.model import MediaDescription
    from roomtone.protocols.sdp.telephony import PhoneDescription, PhoneMedia


@dataclass(frozen=True, slots=True)
class Marking:
    """What packets are marked with (RFC 2474), 0 to 63: as RFC 8837 has it for sound, and for pictures of a call."""

    audio: int = 46
    """Expedited forwarding."""
    video: int = 34
    """Assured forwarding, AF41."""

    def of(self, kind: MediaKind) -> int:
        """Give the code point of a kind."""
        return self.audio if kind is MediaKind.AUDIO else self.video


@dataclass(eq=False, slots=True, kw_only=True)
class PlainStream(Stream):
    """One media section on ports of its own."""

    transport: PlainTransport
    offered: tuple[CryptoLine, ...] = ()
    """Our keys, one for each suite we offered; none of them when the offer was the peer's."""
    crypto: CryptoLine | None = None
    """Our key of the suite that was agreed on; None: no SDES, or nothing was agreed on yet."""
    dtls: DtlsParameters | None = None
    """Our role, and the peer's certificate."""

    def described(
        self, direction: Direction, answers: PhoneMedia | None = None, *, extended_reports: bool = False
    ) -> LocalMedia:
        """Give our side of its section, in an offer or as the answer to a section of the peer's."""
        return LocalMedia(
            kind=self.kind,
            port=self.transport.port,
            rtcp_port=self.transport.rtcp_port,
            codecs=self.ours if self.protocol.endswith("F") else _without_feedback(self.ours),
            protocol=self.protocol,
            direction=direction,
            cryptos=self._cryptos(answers),
            fingerprints=self.transport.fingerprints,
            setup=setup_of(self.keying, self.dtls),
            ptime_ms=self.ptime_ms,
            max_ptime_ms=self.max_ptime_ms,
            extended_reports=extended_reports,
        )

    def _cryptos(self, answers: PhoneMedia | None) -> tuple[CryptoLine, ...]:
        if self.crypto is None:
            return self.offered
        chosen = None if answers is None else same_suite(self.crypto, answers)
        # The tag says which of the offered keys is answered (RFC 4568 section 5.1.3).
        return (self.crypto,) if chosen is None else (replace(self.crypto, tag=chosen.tag, suite=chosen.suite),)


@dataclass(frozen=True, slots=True)
class Place:
    """What stands, or stood, at one place of the descriptions; a place stays for good (RFC 3264 section 8)."""

    kind: str
    protocol: str
    formats: tuple[str, ...]

    def closed(self) -> MediaDescription:
        """Say that nothing is there."""
        return media_section(self.kind, 0, self.protocol, self.formats or ("0",), ())


def places_of(phone: PhoneDescription) -> list[Place]:
    """Give the places of a description."""
    return [Place(one.kind, one.protocol, one.formats) for one in phone.session.media]


def place_of(stream: Stream) -> Place:
    """Give the place of a stream of ours."""
    return Place(stream.kind.value, stream.protocol, _formats(stream.ours))


@by_identity
def _formats(codecs: tuple[Codec, ...], /) -> tuple[str, ...]:
    return tuple(str(codec.payload_type) for codec in codecs)


@by_identity
def _without_feedback(codecs: tuple[Codec, ...], /) -> tuple[Codec, ...]:
    """Leave out what a profile without feedback cannot say (RFC 4585 section 4)."""
    return tuple(codec if codec.feedback == NO_FEEDBACK else replace(codec, feedback=NO_FEEDBACK) for codec in codecs)
