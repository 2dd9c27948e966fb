"""The sound of one call: what its peer says is heard, what is played reaches it, and bridges join two.

Imported only by endpoints that have an engine. Each call has a mixer of its own, which hears keys and plays; a bridge
feeds the peers' streams to each other instead, as they are where both have a codec, converted otherwise.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.media.bridge import feed, produce
from roomtone.control.calls.media.ice_media import IceLegMedia
from roomtone.control.calls.media.offering import read_sdp, take_first_offer
from roomtone.control.calls.media.plain_media import PlainLegMedia
from roomtone.control.calls.media.streams import Wanted
from roomtone.media import EngineCommandError, MailboxClosed, MailboxOverflow, Mixer
from roomtone.media.values import DtmfReceived, MediaKind, MixerClip, MixerSourceEnded
from roomtone.protocols.sdp.attributes import Direction
from roomtone.protocols.sdp.telephony import Keying, MediaSecurity
from roomtone.protocols.sdp.telephony_codecs import EVENTS, first_choice, shared_codecs
from roomtone.sip.codecs import narrow, spoken_codec
from roomtone.sip.errors import SipCode, SipError, UseError
from roomtone.sip.playing import Playing
from roomtone.sip.tones import RATE_HZ, key_tone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomtone.control.calls.media.streams import LegMedia, Stream
    from roomtone.media import Engine, Mailbox, Producer, Router
    from roomtone.media.values import MixerSource
    from roomtone.protocols.sdp import Codec
    from roomtone.protocols.sdp.telephony import PhoneDescription
    from roomtone.protocols.sip.flow import Flow

KEY_MS, KEY_GAP_MS = 120, 80
_T = TypeVar("_T")


class CallMedia:
    """The media of one call. Commands raise `SipError` of `SipCode.MEDIA_FAILED`."""

    def __init__(
        self,
        engine: Engine,
        router: Router,
        flow: Flow,
        *,
        told_ip: str,
        bound_ip: str,
        security: MediaSecurity,
        codecs: tuple[Codec, ...],
        on_key: Callable[[str], None],
    ) -> None:
        self.router = router
        self._flow_of_call = flow
        self._bound_ip = bound_ip
        self._told_ip = told_ip
        self._security = security
        self._leg: LegMedia | None = None
        self.is_bridged = False
        self._engine = engine
        self._codecs = codecs
        self._on_key = on_key
        self._offered: PhoneDescription | None = None
        self._mixer: Mixer | None = None
        self._made_for: tuple[object, ...] = ()
        self._given: Producer | None = None
        self._numbers: tuple[tuple[int, int], ...] = ()
        self._takes_keys = False
        self._playing: dict[int, Playing] = {}
        self._listening: asyncio.Task[None] | None = None

    @property
    def leg(self) -> LegMedia:
        """What carries it: ports of RTP, or ICE and DTLS (RFC 5764). Raises `UseError` before either is chosen."""
        if self._leg is None:
            raise UseError(SipCode.WRONG_STATE, "there is no sound yet")
        return self._leg

    def _choose(self, offered: PhoneDescription | None) -> LegMedia:
        """Choose what carries it, once: what the peer offers, or what the endpoint says that it must be."""
        if offered is None:
            is_ice = self._security is MediaSecurity.DTLS
        else:
            audio = offered.first(MediaKind.AUDIO, self._security)
            is_ice = audio is not None and audio.keying is Keying.DTLS and audio.over_ice
        if is_ice:
            return IceLegMedia(self.router, security=self._security)
        flow = self._flow_of_call
        return PlainLegMedia(
            self.router,
            ip=self._bound_ip,
            told_ip=self._told_ip,
            source_ip=flow.remote_host,
            security=self._security,
        )

    # offers and answers (RFC 3264)

    async def offer(self) -> str:
        """Open our side and write the first offer."""
        self._leg = self._choose(None)
        return await media_step(self._leg.offer([Wanted(MediaKind.AUDIO, self._codecs)]))

    def offer_again(self, *, hold: bool) -> str:
        """Write an offer for the middle of a call; on hold nothing of the peer is wanted (section 8.4)."""
        return self.leg.describe(Direction.SENDONLY if hold else Direction.SENDRECV)

    async def take_answer(self, text: str) -> None:
        """Take the answer to an offer of ours; sound flows from then on."""
        await media_step(self._take_answer(text))

    async def take_offer(self, text: str) -> None:
        """Take the first offer of a peer."""
        await media_step(self._take_offer(text))

    async def answer(self) -> str:
        """Write the answer to it; sound flows from then on."""
        return await media_step(self._answer())

    async def answer_again(self, text: str) -> str:
        """Take an offer in the middle of a call, and write its answer."""
        return await media_step(self._answer_again(text))

    async def _take_answer(self, text: str) -> None:
        await self.leg.take_answer(read_sdp(text))
        await self._flow()

    async def _take_offer(self, text: str) -> None:
        self._offered = read_sdp(text)
        self._leg = self._choose(self._offered)
        await take_first_offer(self._leg, self._offered)

    async def _answer(self) -> str:
        if self._offered is None:
            raise UseError(SipCode.WRONG_STATE, "no offer of the peer waits")
        stream = self._stream
        codecs = first_choice(self.leg.agree(MediaKind.AUDIO, self._codecs))
        if not codecs:
            raise SipError(SipCode.MEDIA_FAILED, "no codec in common")
        stream.ours = codecs
        text = self.leg.answer(self._offered)
        await self.leg.connect(MediaKind.AUDIO)
        await self._flow()
        return text

    async def _answer_again(self, text: str) -> str:
        phone = read_sdp(text)
        await self.leg.take_reoffer(phone)
        stream = self._stream
        codecs = first_choice(self.leg.agree(MediaKind.AUDIO, self._codecs))
        if not codecs:
            raise SipError(SipCode.MEDIA_FAILED, "no codec in common")
        stream.ours = codecs
        answer = self.leg.answer(phone)
        await self._flow()
        return answer

    @property
    def _stream(self) -> Stream:
        stream = self._found
        if stream is None:
            raise UseError(SipCode.WRONG_STATE, "there is no sound yet")
        return stream

    @property
    def _found(self) -> Stream | None:
        return None if self._leg is None else self._leg.streams.get(MediaKind.AUDIO)

    @property
    def is_held(self) -> bool:
        """Whether the peer wants to hear nothing."""
        stream = self._found
        return stream is not None and stream.remote is not None and not stream.remote.direction.receives

    @property
    def codec(self) -> str:
        """The codec spoken, such as ``PCMU/8000``; empty before there is one."""
        stream = self._found
        spoken = None if stream is None else spoken_codec(stream)
        return "" if spoken is None else f"{spoken.name}/{spoken.clock_rate}"

    # what is heard and played

    async def _flow(self) -> None:
        """Bring mixer and consumer in step with what both sides said last."""
        stream = self._stream
        narrow(stream)
        await produce(stream)
        spoken = spoken_codec(stream)
        if spoken is None or stream.producer is None:
            raise SipError(SipCode.MEDIA_FAILED, "no codec that can be decoded")
        made_for = (stream.producer.id, spoken)
        if self._made_for != made_for:
            await self._make_mixer(stream, stream.producer, spoken)
            self._made_for = made_for
        if not self.is_bridged:
            await self.feed_own()

    async def _make_mixer(self, stream: Stream, producer: Producer, spoken: Codec) -> None:
        playing = [one for one in self._playing.values() if not one.is_over]
        await self._close_mixer()
        mixer = self._mixer = await Mixer.open(self.router)
        self._listening = asyncio.ensure_future(self._listen(self._engine.subscribe(mixer.id)))
        pairs = shared_codecs(stream.ours, stream.takes)
        keys = next(
            (one.theirs for one in pairs if one.ours.name == EVENTS and one.ours.clock_rate == spoken.clock_rate), None
        )
        number = None if keys is None else keys.payload_type
        self._takes_keys = keys is not None
        heard = await mixer.add_input(producer, inband_dtmf=keys is None)  # keys that have no other way are tones
        self._given = await mixer.add_output(spoken.to_parameters(), events_payload_type=number, without=heard)
        numbers = (spoken.payload_type,) if number is None else (spoken.payload_type, number)
        self._numbers = tuple((one, one) for one in numbers)
        for one in playing:
            await one.move(mixer)
        self._playing = {one.input: one for one in playing}

    async def feed_own(self) -> None:
        """Send what is played here, and nothing of a bridge."""
        stream, given = self._stream, self._given
        if given is None:
            return
        await feed(stream, given, self._numbers, flows=stream.peer_receives)

    async def play(self, source: MixerSource) -> Playing:
        """Play something to the peer, beside whatever is played already."""
        if self._mixer is None:
            raise UseError(SipCode.WRONG_STATE, "there is no sound yet: the call has no answer")
        mixer = self._mixer
        playing = Playing(source, mixer, await media_step(mixer.add_source(source)))
        if self._mixer is not mixer:  # the call has ended, or speaks another codec, since it was asked for
            if self._mixer is None:
                raise UseError(SipCode.WRONG_STATE, "the call is over")
            await media_step(playing.move(self._mixer))
        self._playing = {one.input: one for one in (*self._playing.values(), playing) if not one.is_over}
        return playing

    async def send_keys(self, keys: str) -> None:
        """Send keys as telephone events (RFC 4733), as tones where the peer has none; until the last has been sent."""
        if self._mixer is None or self._given is None:
            raise UseError(SipCode.WRONG_STATE, "there is no sound yet: the call has no answer")
        if self.is_bridged:
            raise UseError(SipCode.WRONG_STATE, "a bridge passes its peers' keys and has none of its own")
        for key in keys:
            if self._takes_keys:
                await media_step(self._mixer.send_dtmf(self._given.id, key, KEY_MS))
            else:
                await self.play(MixerClip(rate_hz=RATE_HZ, samples=key_tone(key, KEY_MS)))
            await asyncio.sleep((KEY_MS + KEY_GAP_MS) / 1_000)

    async def _listen(self, mailbox: Mailbox) -> None:
        with mailbox, suppress(MailboxClosed, MailboxOverflow):
            async for event in mailbox:
                if isinstance(event, DtmfReceived):
                    self._on_key(event.digit)
                elif isinstance(event, MixerSourceEnded):
                    playing = self._playing.pop(event.input, None)
                    if playing is not None:
                        playing.note_end()

    # the end

    async def close(self) -> None:
        """Give back every port. May be called twice."""
        playing = tuple(self._playing.values())
        await self._close_mixer()
        for one in playing:
            one.note_end()
        if self._leg is not None:
            with suppress(EngineCommandError):
                await self._leg.close()

    async def _close_mixer(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
        self._playing.clear()
        mixer, self._mixer = self._mixer, None
        if mixer is not None:
            with suppress(EngineCommandError):
                await mixer.close()


async def media_step(step: Awaitable[_T]) -> _T:
    """Do a step with the engine; what it refuses becomes `SipError`."""
    try:
        return await step
    except CallError as error:
        raise SipError(SipCode.MEDIA_FAILED, error.message or error.end.value) from error
    except EngineCommandError as error:
        raise SipError(SipCode.MEDIA_FAILED, f"the engine: {error}", retryable=True) from error
