"""The media of a browser: one transport with ICE and DTLS for all of its streams.

The peer is named to the engine once, when both sides know each other; later descriptions may restart ICE, but its
certificate stays.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.media.ice_sections import IcePlace, free_mid, ice_place, ice_places, section_of
from roomtone.control.calls.media.streams import LegMedia, Stream
from roomtone.control.calls.reasons import CallEnd
from roomtone.media import EngineCommandError
from roomtone.media.values import DtlsRole, IceMode, MediaKind
from roomtone.protocols.sdp import LocalPeer, NegotiationError
from roomtone.protocols.sdp.attributes import Direction, Setup
from roomtone.protocols.sdp.telephony import Keying, choose_audio
from roomtone.protocols.sdp.telephony_codecs import shared_codecs
from roomtone.protocols.sdp.telephony_ice import (
    PROTOCOL,
    agreed_extensions,
    bundled_with,
    mid_of,
    own_extensions,
    own_feedback,
    read_ice_peer,
    without_wrappings,
    write_ice_description,
)
from roomtone.protocols.sdp.telephony_write import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomtone.control.calls.media.streams import Wanted
    from roomtone.media import Router, Together, WebRtcTransport
    from roomtone.protocols.sdp import RemotePeer
    from roomtone.protocols.sdp.telephony import MediaSecurity, PhoneDescription, PhoneMedia

ANSWER_TIMEOUT_MS = 600_000
"""How long the engine waits for a peer to be named: longer than anything rings, since a call ends its own ringing."""


class IceLegMedia(LegMedia):
    """The media of a leg over ICE and DTLS, all streams in one bundle."""

    def __init__(self, router: Router, *, security: MediaSecurity) -> None:
        self.router = router
        self._security = security
        self._origin = Origin(secrets.randbits(31) + 1)
        self._streams: dict[MediaKind, Stream] = {}
        self._places: list[IcePlace] = []
        self._transport: WebRtcTransport | None = None
        self._mode = IceMode.LITE
        self._peer: RemotePeer | None = None
        self._is_named = False
        """Whether the engine knows the peer."""

    @property
    def streams(self) -> Mapping[MediaKind, Stream]:
        """What is open, by kind."""
        return self._streams

    async def take_offer(self, phone: PhoneDescription, together: Together | None = None) -> None:
        """Open what the first offer of a peer asks for and this leg may have; raise `NegotiationError`."""
        if together is not None:
            await together.do()  # its router has to be there
        audio = choose_audio(phone, self._security)
        video = bundled_with(phone, audio, MediaKind.VIDEO)
        self._peer = read_ice_peer(phone, audio)
        # Of two lite agents none would ever check.
        self._mode = IceMode.FULL if self._peer.ice_lite else IceMode.LITE
        self._transport = await self.router.open_webrtc_transport(
            ice_mode=self._mode, answer_timeout_ms=ANSWER_TIMEOUT_MS
        )
        self._places = ice_places(phone)
        for media in (audio, video):
            if media is not None:
                self._add_offered(phone, media)

    async def open(self, wanted: Sequence[Wanted], together: Together) -> None:
        """Open what is to be offered; `describe` it afterwards."""
        await together.do()  # its router has to be there
        self._transport = await self.router.open_webrtc_transport(answer_timeout_ms=ANSWER_TIMEOUT_MS)
        for place, one in enumerate(wanted):
            stream = self._add(one.kind, place, PROTOCOL, str(place))
            stream.extensions = own_extensions(one.kind)
            stream.ours, stream.ptime_ms = own_feedback(one.codecs), one.ptime_ms
            self._places.append(ice_place(stream))

    async def take_answer(self, phone: PhoneDescription, together: Together | None = None) -> None:
        """Take the answer to our offer and connect; may be called again with a later one. Raise `CallError`."""
        await self._take_proposed()
        for kind, stream in tuple(self._streams.items()):
            media = phone.media[stream.place] if stream.place < len(phone.media) else None
            if media is None or not _accepts(stream, media):
                if kind is MediaKind.AUDIO:
                    why = "no audio section" if media is None else media.unusable or "other codecs or security"
                    raise CallError(CallEnd.MEDIA_INCOMPATIBLE, why)
                await self.drop(kind)
                self.refuses_pictures = True
                continue
            if kind is MediaKind.AUDIO:
                await self._hear_of(_peer_in(phone, media))
            agreed = {extension.uri for extension in agreed_extensions(phone, media)}
            stream.extensions = tuple(one for one in stream.extensions if one.uri in agreed)
            stream.remote = without_wrappings(media, stream.extensions)
            await self.connect(kind, together)

    async def _take_proposed(self) -> None:
        """Have what was proposed be what the answer is to."""
        proposed, self._proposed = self._proposed, None
        if proposed is None:
            return
        if proposed.proposal.sound:
            self._streams[MediaKind.AUDIO].ours = own_feedback(proposed.proposal.sound)
        if proposed.proposal.ends_pictures:
            await self.drop(MediaKind.VIDEO)
        if proposed.pictures is not None:
            self._streams[MediaKind.VIDEO] = proposed.pictures
            self._places.append(ice_place(proposed.pictures))

    async def take_reoffer(self, phone: PhoneDescription, *, pictures: bool = False) -> None:
        """Take an offer in the middle of a call and connect; raise `CallError`, and then nothing has changed.

        ``pictures``: where it adds some, they are wanted.
        """
        if len(phone.media) < len(self._places):
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "a media section was left out (RFC 3264 section 8)")
        stream = self._streams[MediaKind.AUDIO]
        audio = phone.media[stream.place]
        if audio.kind is not MediaKind.AUDIO or not audio.is_usable or audio.keying is not Keying.DTLS:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, audio.unusable or "no audio section with DTLS where it was")
        await self._hear_of(_peer_in(phone, audio))
        self._places = ice_places(phone)
        stream.remote = without_wrappings(audio, stream.extensions)
        await self.connect(MediaKind.AUDIO)
        added = self.pictures_in(phone)
        self.refuses_pictures = self.refuses_pictures and added is None
        video = self._streams.get(MediaKind.VIDEO)
        if video is None:
            if pictures and added is not None:
                self._add_offered(phone, added)
                await self.connect(MediaKind.VIDEO)
            return
        again = phone.media[video.place]
        if again.kind is not MediaKind.VIDEO or not again.is_usable or again.keying is not Keying.DTLS:
            await self.drop(MediaKind.VIDEO)
        else:
            video.remote = without_wrappings(again, video.extensions)
            await self.connect(MediaKind.VIDEO)

    def pictures_in(self, phone: PhoneDescription) -> PhoneMedia | None:
        """Find pictures in an offer that this leg may have."""
        stream = self._streams.get(MediaKind.AUDIO)
        if stream is None or stream.place >= len(phone.media):
            return None
        media = bundled_with(phone, phone.media[stream.place], MediaKind.VIDEO)
        return None if media is None else without_wrappings(media, agreed_extensions(phone, media))

    async def _open_pictures(self, wanted: Wanted) -> Stream:
        """Make what a proposal needs: one more section of the bundle, behind all there were."""
        stream = self._made(wanted.kind, len(self._places), PROTOCOL, free_mid(self._places))
        stream.extensions, stream.ours = own_extensions(wanted.kind), own_feedback(wanted.codecs)
        return stream

    async def _close(self, stream: Stream) -> None:
        """Close what was opened of a stream, but not the transport, which is of all."""
        for one in (stream.producer, stream.consumer):
            if one is not None:
                await one.close()

    def answer(self, phone: PhoneDescription) -> str:
        """Write the answer to an offer: what has codecs of ours is accepted, in the reverse direction."""
        role = DtlsRole.PASSIVE if self._peer is None else self._peer.dtls_role
        setup = Setup.ACTIVE if role is DtlsRole.ACTIVE else Setup.PASSIVE
        return self._write(setup, bundle=bool(phone.session.bundle))

    def describe(self, direction: Direction = Direction.SENDRECV) -> str:
        """Write what we offer."""
        return self._write(Setup.ACTPASS, bundle=True, offered=direction)

    async def connect(self, kind: MediaKind, together: Together | None = None) -> None:
        """Name the peer to the engine, once; from then on the stream may be sent on."""
        del together  # a transport over ICE is opened and connected alone
        peer, transport = self._peer, self._transport
        if peer is None or transport is None:
            return
        if not self._is_named:
            self._is_named = True
            await transport.connect(
                dtls_role=peer.dtls_role,
                fingerprints=peer.fingerprints,
                ice_ufrag=peer.ice_ufrag,
                ice_pwd=peer.ice_pwd,
                candidates=peer.candidates,
                ice_lite=peer.ice_lite,
            )
        self._streams[kind].connected = True

    async def drop(self, kind: MediaKind) -> None:
        """Close one stream, with its producer and consumer; with the last one goes the transport."""
        stream = self._streams.pop(kind, None)
        if stream is None:
            return
        if self._streams:
            await self._close(stream)
        elif self._transport is not None:
            await self._transport.close()

    def _add_offered(self, phone: PhoneDescription, media: PhoneMedia) -> None:
        """Add what a section of a peer's offer asks for."""
        if media.kind is not None:
            stream = self._add(media.kind, media.index, media.protocol, mid_of(phone, media))
            stream.extensions = agreed_extensions(phone, media)
            stream.remote = without_wrappings(media, stream.extensions)

    def _add(self, kind: MediaKind, place: int, protocol: str, mid: str | None) -> Stream:
        stream = self._streams[kind] = self._made(kind, place, protocol, mid)
        return stream

    def _made(self, kind: MediaKind, place: int, protocol: str, mid: str | None) -> Stream:
        assert self._transport is not None  # noqa: S101 - it was opened just now
        return Stream(kind=kind, transport=self._transport, protocol=protocol, keying=Keying.DTLS, place=place, mid=mid)

    async def _hear_of(self, peer: RemotePeer) -> None:
        """Take what a description says of the peer, an ICE restart included; raise `CallError`."""
        old, transport = self._peer, self._transport
        if old is None:
            if peer.ice_lite and self._mode is IceMode.LITE:
                raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "both sides are ICE lite, so none would check")
            self._peer = peer
            return
        if set(peer.fingerprints) != set(old.fingerprints):
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "another certificate in the middle of a call")
        # The DTLS association stays, and with it our role (RFC 8842 section 5.5).
        restarted = (peer.ice_ufrag, peer.ice_pwd) != (old.ice_ufrag, old.ice_pwd)
        self._peer = replace(peer, dtls_role=old.dtls_role)
        if restarted and self._is_named and transport is not None:
            try:
                await transport.restart_ice(peer.ice_ufrag, peer.ice_pwd)
                if peer.candidates:
                    await transport.add_remote_candidates(peer.candidates)
            except EngineCommandError as error:
                self._peer = old
                raise CallError(CallEnd.MEDIA_INCOMPATIBLE, str(error)) from error

    def _write(self, setup: Setup, *, bundle: bool, offered: Direction | None = None) -> str:
        transport = self._transport
        if transport is None:
            raise CallError(CallEnd.FAILED, "there is no transport to describe")
        local = LocalPeer(
            transport.ice_ufrag,
            transport.ice_pwd,
            transport.fingerprints,
            transport.candidates,
            ice_lite=self._mode is IceMode.LITE,
        )
        found = self._described() if offered is not None else {one.place: one for one in self._streams.values()}
        places = [*self._places, *(ice_place(one) for at, one in found.items() if at >= len(self._places))]
        sections = [section_of(place, found.get(at), offered) for at, place in enumerate(places)]
        origin, self._origin = self._origin, self._origin.next()
        return write_ice_description(sections, local, origin, setup, bundle=bundle).serialize()


def _accepts(stream: Stream, media: PhoneMedia) -> bool:
    return (
        media.kind is stream.kind
        and media.is_usable
        and media.keying is Keying.DTLS
        and bool(shared_codecs(stream.ours, media.codecs))
    )


def _peer_in(phone: PhoneDescription, media: PhoneMedia) -> RemotePeer:
    try:
        return read_ice_peer(phone, media)
    except NegotiationError as error:
        raise CallError(CallEnd.MEDIA_INCOMPATIBLE, error.message) from error
