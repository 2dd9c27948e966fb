"""The media of a phone: a plain transport for sound, another for pictures; plain RTP, or SRTP by SDES or DTLS.

DTLS is without ICE here (RFC 5763); `roomtone.control.calls.media.ice_media` has it over ICE.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.media.plain_streams import Marking, Place, PlainStream, place_of, places_of
from roomtone.control.calls.media.securing import (
    OFFERS,
    answer_key,
    answered_key,
    offered_keys,
    reanswer_key,
    same_suite,
    shake_hands,
)
from roomtone.control.calls.media.streams import LegMedia
from roomtone.control.calls.reasons import CallEnd
from roomtone.media import EngineCommandError
from roomtone.media.values import (
    ConnectPlainTransport,
    DtlsRole,
    Latching,
    MediaKind,
    OpenPlainTransport,
)
from roomtone.protocols.sdp.attributes import Direction
from roomtone.protocols.sdp.crypto import OFFERED
from roomtone.protocols.sdp.telephony import Keying, MediaSecurity, choose_audio
from roomtone.protocols.sdp.telephony_codecs import shared_codecs
from roomtone.protocols.sdp.telephony_text import write_answer_text, write_offer_text
from roomtone.protocols.sdp.telephony_write import Origin, reverse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomtone.control.calls.media.streams import Stream, Wanted
    from roomtone.media import Router, Together
    from roomtone.protocols.sdp.telephony import PhoneDescription, PhoneMedia

_UNSPECIFIED = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not bound


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
        describes_silence: bool = False,
        srtp_suites: tuple[str, ...] = OFFERED,
    ) -> None:
        self._streams: dict[MediaKind, PlainStream] = {}
        self._places: list[Place] = []
        self.router = router
        self._ip = ip
        self._told_ip = told_ip
        self._source_ip = source_ip
        self._security = security
        self._marking = Marking() if marking is None else marking
        self._extended_reports = extended_reports
        self._describes_silence = describes_silence
        self._srtp_suites = srtp_suites
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
            if media is not None and media.kind is not None and not media.over_ice:
                self._streams[media.kind] = self._open_for(media.kind, media, opening)
        self._places = places_of(phone)
        if together is None:
            await opening.do()

    async def open(self, wanted: Sequence[Wanted], together: Together) -> None:
        """Open what is to be offered; `describe` it afterwards."""
        keying, profile = OFFERS[self._security]
        for place, one in enumerate(wanted):
            # Who shares one port says so in its answer, and nobody can share one that was not told of it.
            stream = self._streams[one.kind] = self._open_wanted(one, profile, keying, place, together)
            self._places.append(place_of(stream))

    async def take_answer(self, phone: PhoneDescription, together: Together | None = None) -> None:
        """Take the answer to our offer and connect; may be called again with a later one. Raise `CallError`."""
        await self._take_proposed()
        for stream in tuple(self._streams.values()):
            media = phone.media[stream.place] if stream.place < len(phone.media) else None
            if media is None or not self._accepts(stream, media):
                if stream.kind is MediaKind.AUDIO:
                    why = "no audio section" if media is None else media.unusable or "other codecs or security"
                    raise CallError(CallEnd.MEDIA_INCOMPATIBLE, why)
                await self.drop(stream.kind)
                self.refuses_pictures = True
                continue
            stream.remote = media
            if stream.keying is Keying.SDES:
                stream.crypto = answered_key(stream.crypto, stream.offered, media)
            stream.dtls = shake_hands(stream.dtls, media)
            await self.connect(stream.kind, together)

    async def _take_proposed(self) -> None:
        """Have what was proposed be what the answer is to."""
        proposed, self._proposed = self._proposed, None
        if proposed is None:
            return
        if proposed.proposal.sound:
            self._streams[MediaKind.AUDIO].ours = proposed.proposal.sound
        if proposed.proposal.ends_pictures:
            await self.drop(MediaKind.VIDEO)
        if isinstance(proposed.pictures, PlainStream):
            self._streams[MediaKind.VIDEO] = proposed.pictures
            self._places = self._places_with(proposed.pictures)

    async def take_reoffer(self, phone: PhoneDescription, *, pictures: bool = False) -> None:
        """Take an offer in the middle of a call and connect; raise `CallError`, and then nothing has changed.

        ``pictures``: where it adds some, they are wanted.
        """
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
        self._places = places_of(phone)
        self.refuses_pictures = self.refuses_pictures and self.pictures_in(phone) is None
        video = self._streams.get(MediaKind.VIDEO)
        if video is None:
            if pictures:
                await self._add_pictures(phone)
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

    def pictures_in(self, phone: PhoneDescription) -> PhoneMedia | None:
        """Find pictures in an offer that this leg may have."""
        media = phone.first(MediaKind.VIDEO, self._security)
        return None if media is None or media.over_ice else media

    async def _add_pictures(self, phone: PhoneDescription) -> None:
        """Open pictures that an offer adds; where they cannot be had the sound goes on without them."""
        media = self.pictures_in(phone)
        if media is None:
            return
        opening = self.router.engine.together()
        stream = self._open_for(MediaKind.VIDEO, media, opening)
        await opening.do()
        self._streams[MediaKind.VIDEO] = stream
        try:
            await self.connect(MediaKind.VIDEO)
        except CallError:
            await self.drop(MediaKind.VIDEO)

    async def _open_pictures(self, wanted: Wanted) -> PlainStream:
        """Open what a proposal needs: secured as the sound is, in a place of its kind that is free, or behind all."""
        audio = self._streams[MediaKind.AUDIO]
        opening = self.router.engine.together()
        profile = audio.protocol.removesuffix("F")
        # A place where nothing is may be used again (RFC 3264 section 8.1).
        free = (at for at, place in enumerate(self._places) if place.kind == wanted.kind.value and at != audio.place)
        place = next(free, len(self._places))
        stream = self._open_wanted(wanted, profile, audio.keying, place, opening)
        await opening.do()
        return stream

    def _places_with(self, stream: Stream) -> list[Place]:
        """Give the places once a stream of ours has its own."""
        return [*self._places[: stream.place], place_of(stream), *self._places[stream.place + 1 :]]

    async def _close(self, stream: Stream) -> None:
        """Close what was opened of a stream."""
        await stream.transport.close()

    def answer(self, phone: PhoneDescription) -> str:
        """Write the answer to an offer: what has codecs of ours is accepted, in the reverse direction."""
        reports = self._extended_reports
        media = {
            stream.place: stream.described(reverse(remote.direction), remote, extended_reports=reports)
            for stream in self._streams.values()
            if (remote := stream.remote) is not None and stream.ours
        }
        return write_answer_text(phone, self._next_origin(), self._told_ip, media)

    def describe(self, direction: Direction = Direction.SENDRECV) -> str:
        """Write what we offer."""
        found, reports = self._described(), self._extended_reports
        proposed = None if self._proposed is None else self._proposed.pictures
        places = self._places if proposed is None else self._places_with(proposed)
        media = [
            stream.described(direction, extended_reports=reports)
            if isinstance(stream := found.get(at), PlainStream)
            else place.closed()
            for at, place in enumerate(places)
        ]
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

    def _open_for(self, kind: MediaKind, media: PhoneMedia, together: Together) -> PlainStream:
        """Open what a section of a peer's offer asks for."""
        stream = self._open(kind, media.protocol, media.keying, media.index, together, mux=media.rtcp_mux)
        stream.remote = media
        if media.keying is Keying.SDES:
            stream.crypto = answer_key(media)
        stream.dtls = shake_hands(None, media)
        return stream

    def _open_wanted(self, wanted: Wanted, profile: str, keying: Keying, place: int, together: Together) -> PlainStream:
        """Open what is to be offered."""
        # Who shares one port says so in its answer, and nobody can share one that was not told of it.
        protocol = profile + ("F" if wanted.feedback else "")
        stream = self._open(wanted.kind, protocol, keying, place, together, mux=False)
        stream.offered = offered_keys(self._srtp_suites) if keying is Keying.SDES else ()
        stream.ours, stream.ptime_ms, stream.max_ptime_ms = wanted.codecs, wanted.ptime_ms, wanted.max_ptime_ms
        return stream

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
        return PlainStream(
            kind=kind,
            transport=transport,
            protocol=protocol,
            keying=keying,
            place=place,
            describes_silence=self._describes_silence,
        )

    def _accepts(self, stream: PlainStream, media: PhoneMedia) -> bool:
        if media.kind is not stream.kind or not media.is_usable or media.keying is not stream.keying:
            return False
        if stream.keying is Keying.SDES and answered_key(stream.crypto, stream.offered, media) is None:
            return False
        if media.over_ice:  # which was not offered: nobody would check
            return False
        return bool(shared_codecs(stream.ours, media.codecs))

    def _next_origin(self) -> Origin:
        origin, self._origin = self._origin, self._origin.next()
        return origin


def _is_elsewhere(address: str, source_ip: str) -> bool:
    """Whether media may come from another address than was described: one that is not where the signalling is from.

    Phones behind a NAT describe the address of their own network, others that of the wrong interface.
    """
    return bool(source_ip) and address != source_ip
