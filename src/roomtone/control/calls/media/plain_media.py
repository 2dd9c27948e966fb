"""The media of a phone: a plain transport for sound, another for pictures; plain RTP, or SRTP by SDES or DTLS.

DTLS is without ICE here (RFC 5763); `roomtone.control.calls.media.ice_media` has it over ICE.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.media.securing import (
    OFFERS,
    answer_key,
    answered_key,
    offered_keys,
    reanswer_key,
    same_suite,
    setup_of,
    shake_hands,
)
from roomtone.control.calls.media.streams import LegMedia, Stream
from roomtone.control.calls.reasons import CallEnd
from roomtone.media import EngineCommandError
from roomtone.media.values import (
    ConnectPlainTransport,
    DtlsParameters,
    DtlsRole,
    Latching,
    MediaKind,
    OpenPlainTransport,
)
from roomtone.protocols.sdp.attributes import Direction
from roomtone.protocols.sdp.codecs import NO_FEEDBACK
from roomtone.protocols.sdp.telephony import Keying, MediaSecurity, choose_audio
from roomtone.protocols.sdp.telephony_codecs import shared_codecs
from roomtone.protocols.sdp.telephony_text import write_answer_text, write_offer_text
from roomtone.protocols.sdp.telephony_write import LocalMedia, Origin, reverse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomtone.control.calls.media.streams import Wanted
    from roomtone.media import PlainTransport, Router, Together
    from roomtone.protocols.sdp import Codec
    from roomtone.protocols.sdp.crypto import CryptoLine
    from roomtone.protocols.sdp.telephony import PhoneDescription, PhoneMedia

_UNSPECIFIED = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not bound


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


class PlainLegMedia(LegMedia):
    """The media of a leg without ICE: each stream has ports of its own."""

    def __init__(
        self,
        router: Router,
        *,
        ip: str,
        told_ip: str,
        source_ip: str,
        security: MediaSecurity,
        marking: Marking | None = None,
        extended_reports: bool = False,
    ) -> None:
        self._streams: dict[MediaKind, PlainStream] = {}
        self.router = router
        self._ip = ip
        self._told_ip = told_ip
        self._source_ip = source_ip
        self._security = security
        self._marking = Marking() if marking is None else marking
        self._extended_reports = extended_reports
        self._origin = Origin(secrets.randbits(31) + 1)

    @property
    def streams(self) -> Mapping[MediaKind, PlainStream]:
        """What is open, by kind."""
        return self._streams

    async def take_offer(self, phone: PhoneDescription, together: Together | None = None) -> None:
        """Open what the first offer of a peer asks for and this leg may have; raise `NegotiationError`."""
        opening = self.router.engine.together() if together is None else together
        video = phone.first(MediaKind.VIDEO, self._security)
        for media in (choose_audio(phone, self._security), video):
            if media is None or media.kind is None or media.over_ice:
                continue
            stream = self._open(media.kind, media.protocol, media.keying, media.index, opening, mux=media.rtcp_mux)
            stream.remote = media
            if media.keying is Keying.SDES:
                stream.crypto = answer_key(media)
            stream.dtls = shake_hands(None, media)
        if together is None:
            await opening.do()

    async def open(self, wanted: Sequence[Wanted], together: Together) -> None:
        """Open what is to be offered; `describe` it afterwards."""
        keying, profile = OFFERS[self._security]
        for place, one in enumerate(wanted):
            # Who shares one port says so in its answer, and nobody can share one that was not told of it.
            stream = self._open(one.kind, profile + ("F" if one.feedback else ""), keying, place, together, mux=False)
            stream.offered = offered_keys() if keying is Keying.SDES else ()
            stream.ours, stream.ptime_ms, stream.max_ptime_ms = one.codecs, one.ptime_ms, one.max_ptime_ms

    async def take_answer(self, phone: PhoneDescription, together: Together | None = None) -> None:
        """Take the answer to our offer and connect; may be called again with a later one. Raise `CallError`."""
        for stream in tuple(self._streams.values()):
            media = phone.media[stream.place] if stream.place < len(phone.media) else None
            if media is None or not self._accepts(stream, media):
                if stream.kind is MediaKind.AUDIO:
                    why = "no audio section" if media is None else media.unusable or "other codecs or security"
                    raise CallError(CallEnd.MEDIA_INCOMPATIBLE, why)
                await self.drop(stream.kind)
                continue
            stream.remote = media
            if stream.keying is Keying.SDES:
                stream.crypto = answered_key(stream.crypto, stream.offered, media)
            stream.dtls = shake_hands(stream.dtls, media)
            await self.connect(stream.kind, together)

    async def take_reoffer(self, phone: PhoneDescription) -> None:
        """Take an offer in the middle of a call and connect; raise `CallError`, and then nothing has changed."""
        if len(phone.media) < len(self._streams):
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "a media section was left out (RFC 3264 section 8)")
        audio = phone.first(MediaKind.AUDIO, self._security)
        stream = self._streams[MediaKind.AUDIO]
        if audio is None or audio.keying is not stream.keying:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "no audio section of the security there was")
        before = stream.remote, stream.place, stream.protocol, stream.crypto, stream.dtls
        stream.remote, stream.place, stream.protocol = audio, audio.index, audio.protocol
        stream.crypto = reanswer_key(stream.crypto, audio)
        stream.dtls = shake_hands(stream.dtls, audio)
        try:
            await self.connect(stream.kind)
        except (EngineCommandError, CallError) as error:
            stream.remote, stream.place, stream.protocol, stream.crypto, stream.dtls = before
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, str(error)) from error
        video = self._streams.get(MediaKind.VIDEO)
        if video is None:
            return
        again = phone.media[video.place] if video.place < len(phone.media) else None
        same = again is not None and again.kind is MediaKind.VIDEO and again.is_usable
        if again is None or not same or again.keying is not video.keying:
            await self.drop(MediaKind.VIDEO)
        else:
            video.remote = again
            video.crypto = reanswer_key(video.crypto, again)
            video.dtls = shake_hands(video.dtls, again)
            await self.connect(video.kind)

    def answer(self, phone: PhoneDescription) -> str:
        """Write the answer to an offer: what has codecs of ours is accepted, in the reverse direction."""
        media = {
            stream.place: self._local(stream, reverse(stream.remote.direction), answers=stream.remote)
            for stream in self._streams.values()
            if stream.remote is not None and stream.ours
        }
        return write_answer_text(phone, self._next_origin(), self._told_ip, media)

    def describe(self, direction: Direction = Direction.SENDRECV) -> str:
        """Write what we offer."""
        media = [self._local(stream, direction) for stream in self._streams.values()]
        return write_offer_text(self._next_origin(), self._told_ip, media)

    async def connect(self, kind: MediaKind, together: Together | None = None) -> None:
        """Tell the engine where the peer of a stream is; where that is in doubt it learns it from the first packet."""
        stream = self._streams[kind]
        remote = stream.remote
        if remote is None:
            return
        keys = ours = None
        if stream.keying is Keying.SDES:
            found = None if stream.crypto is None else same_suite(stream.crypto, remote)
            if stream.crypto is None or found is None:
                raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "no SRTP key of the suite")
            keys, ours = found.keys, stream.crypto.keys
        if remote.address in _UNSPECIFIED:
            return  # on hold in the old form: there is nowhere to send
        if (":" in remote.address) is not (":" in self._ip):
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, f"media at {remote.address} cannot be reached from {self._ip}")
        is_client = stream.dtls is not None and stream.dtls.role is DtlsRole.ACTIVE
        # A DTLS client has to begin somewhere: where it was told.
        is_learnt = _is_elsewhere(remote.address, self._source_ip) and not is_client
        if not is_learnt or keys is not None or stream.dtls is not None:
            connecting = self.router.engine.together() if together is None else together
            connecting.connect(
                ConnectPlainTransport(
                    transport=stream.transport.id,
                    ip=self._ip if is_learnt else remote.address,
                    port=0 if is_learnt else remote.port,
                    rtcp_port=None if is_learnt or remote.rtcp_mux else remote.rtcp_port,
                    srtp=keys,
                    local_srtp=ours,
                    dtls=stream.dtls,
                )
            )
            if together is None:
                await connecting.do()
        stream.connected = True

    async def drop(self, kind: MediaKind) -> None:
        """Close one stream; its producer and consumer go with it."""
        stream = self._streams.pop(kind, None)
        if stream is not None:
            await stream.transport.close()

    def _open(
        self, kind: MediaKind, protocol: str, keying: Keying, place: int, together: Together, *, mux: bool
    ) -> PlainStream:
        transport = together.open_plain_transport(
            OpenPlainTransport(
                router=self.router.id,
                listen_ip=self._ip,
                rtcp_mux=mux,
                latching=Latching.REBIND,
                secure=keying is Keying.SDES,
                dtls=keying is Keying.DTLS,
                dscp=self._marking.of(kind),
                extended_reports=self._extended_reports,
            )
        )
        stream = self._streams[kind] = PlainStream(
            kind=kind, transport=transport, protocol=protocol, keying=keying, place=place
        )
        return stream

    def _accepts(self, stream: PlainStream, media: PhoneMedia) -> bool:
        if media.kind is not stream.kind or not media.is_usable or media.keying is not stream.keying:
            return False
        if stream.keying is Keying.SDES and answered_key(stream.crypto, stream.offered, media) is None:
            return False
        if media.over_ice:  # which was not offered: nobody would check
            return False
        return bool(shared_codecs(stream.ours, media.codecs))

    def _local(self, stream: PlainStream, direction: Direction, answers: PhoneMedia | None = None) -> LocalMedia:
        cryptos = stream.offered if stream.crypto is None else (stream.crypto,)
        if stream.crypto is not None and answers is not None:
            chosen = same_suite(stream.crypto, answers)
            # The tag says which of the offered keys is answered (RFC 4568 section 5.1.3).
            cryptos = cryptos if chosen is None else (replace(stream.crypto, tag=chosen.tag, suite=chosen.suite),)
        return LocalMedia(
            kind=stream.kind,
            port=stream.transport.port,
            rtcp_port=stream.transport.rtcp_port,
            codecs=stream.ours if stream.protocol.endswith("F") else _without_feedback(stream.ours),
            protocol=stream.protocol,
            direction=direction,
            cryptos=cryptos,
            fingerprints=stream.transport.fingerprints,
            setup=setup_of(stream.keying, stream.dtls),
            ptime_ms=stream.ptime_ms,
            max_ptime_ms=stream.max_ptime_ms,
            extended_reports=self._extended_reports,
        )

    def _next_origin(self) -> Origin:
        origin, self._origin = self._origin, self._origin.next()
        return origin


def _without_feedback(codecs: Sequence[Codec]) -> tuple[Codec, ...]:
    """Leave out what a profile without feedback cannot say (RFC 4585 section 4)."""
    return tuple(codec if codec.feedback == NO_FEEDBACK else replace(codec, feedback=NO_FEEDBACK) for codec in codecs)


def _is_elsewhere(address: str, source_ip: str) -> bool:
    """Whether media may come from another address than was described: one that is not where the signalling is from.

    Phones behind a NAT describe the address of their own network, others that of the wrong interface.
    """
    return bool(source_ip) and address != source_ip
