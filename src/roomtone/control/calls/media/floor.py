"""Who hears what in a call: two legs joined, one that waits, or more in one mix; music for who is on hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.media.bridge import Flows, feed, join, produce
from roomtone.control.calls.media.conversion import carried, side_of, spoken
from roomtone.control.calls.media.ears import Ears, listen
from roomtone.control.calls.media.pipes import Pipes
from roomtone.control.calls.media.playing import Playing, gone_already
from roomtone.control.calls.reasons import CallEnd
from roomtone.media import EngineCommandError, Mixer
from roomtone.media.values import MediaKind
from roomtone.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.control.calls.media.conversion import Conversion, Side
    from roomtone.control.calls.media.streams import Stream
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.values import KeyPressed
    from roomtone.media import Producer, Router, Together
    from roomtone.media.values import MixerId, MixerInputId, MixerSource
    from roomtone.protocols.sdp import Codec

_log = get_logger(__name__)


@dataclass(slots=True)
class Seat:
    """A leg's place in a mix."""

    side: Side
    producer: Producer
    codec: Codec
    quiet: bool = False
    """Whether its producer is paused."""


class Floor(Playing):
    """Arranges the media of a call's legs. ``music`` is what who is on hold hears; None: nothing.

    All that it opens is on routers of the call, and ends with them.
    """

    def __init__(self, music: MixerSource | None) -> None:
        super().__init__(music)
        self.conversion: Conversion | None = None
        self.mix: Mixer | None = None
        """Of a conference."""
        self._seats: dict[str, Seat] = {}
        self._home: Router | None = None
        """The mix's router."""
        self._pipes = Pipes()
        self._ears: Ears | None = None
        """What hears the keys of two legs whose sound passes as it is, where they have to be translated."""
        self._pair_ids = ("", "")

    @property
    def mixers(self) -> list[MixerId]:
        """Mixers without which there is no conversation."""
        found = [] if self.conversion is None else [self.conversion.mixer.id]
        ears = None if self._ears is None else self._ears.mixer
        return [*found, *(mixer.id for mixer in (self.mix, ears) if mixer is not None)]

    def leg_of(self, heard: MixerInputId, legs: Sequence[Leg]) -> Leg | None:
        """Give the leg of a pair whose key was heard; None for another."""
        inputs: tuple[MixerInputId, ...] = () if self._ears is None else self._ears.heard
        if self.conversion is not None:
            inputs = self.conversion.first.heard, self.conversion.second.heard
        id_ = next((id_ for id_, input_ in zip(self._pair_ids, inputs, strict=False) if input_ == heard), None)
        return next((leg for leg in legs if leg.id == id_), None)

    def converts_keys_for(self, leg: Leg) -> bool:
        """Whether a leg hears a conversion beside which it takes events."""
        side = self._side(leg)
        return side is not None and side.takes_keys and leg.id not in self._aside

    async def press(self, leg: Leg, key: KeyPressed) -> None:
        """Send a key beside the conversion that a leg hears."""
        side = self._side(leg)
        if side is None or self.conversion is None:
            return
        try:
            duration_ms = min(max(key.duration_ms, 40), 10_000)
            await self.conversion.mixer.send_dtmf(side.output.id, key.key, duration_ms)
        except EngineCommandError as error:
            _log.info("a key was not sent on", key=key.key, code=error.code.value)

    def _side(self, leg: Leg) -> Side | None:
        if self.conversion is None or leg.id not in self._pair_ids:
            return None
        return self.conversion.first if leg.id == self._pair_ids[0] else self.conversion.second

    async def arrange(self, legs: Sequence[Leg], together: Together | None = None) -> None:
        """Bring the media in step with the legs that talk, and with who holds, is held or muted.

        What was gathered ``together`` for a pair is done with it.
        """
        if self.mix is not None or len(legs) > 2:  # noqa: PLR2004 - a pair needs no mix
            await self._confer(legs)
        elif len(legs) == 2:  # noqa: PLR2004
            await self._pair(legs[0], legs[1], together)
        elif legs:
            await self._wait(legs[0])
        for leg in legs:
            aside = self._aside.get(leg.id)
            if aside is not None:
                stream = leg.media.streams[MediaKind.AUDIO]
                await feed(stream, aside.output, aside.mapped, flows=stream.peer_receives)

    async def forget(self, leg: Leg) -> None:
        """End what was made for a leg that leaves."""
        await self._stop_music(leg)
        aside = self._aside.pop(leg.id, None)
        if aside is not None:
            await gone_already(aside.mixer.close())
        seat = self._seats.pop(leg.id, None)
        if seat is not None and self.mix is not None:
            await gone_already(self.mix.remove_input(seat.side.heard))
            await gone_already(seat.side.output.close())

    async def clear(self) -> None:
        """End all that was made: the legs go on in another call."""
        for played in (*self._played.values(), *self._aside.values()):
            await gone_already(played.mixer.close())
        self._played.clear()
        self._aside.clear()
        if self.conversion is not None:
            await gone_already(self.conversion.mixer.close())
            self.conversion = None
        if self.mix is not None:
            await gone_already(self.mix.close())
            self.mix = None
        self._seats.clear()
        await self._deafen()

    # --- two, and one ---

    async def _pair(self, one: Leg, other: Leg, together: Together | None = None) -> None:
        closed = one.held or other.held
        plays = self._music is not None
        there = not (closed or one.muted or (plays and one.holds))
        back = not (closed or other.muted or (plays and other.holds))
        flows = Flows(there=there, back=back)
        self.conversion = await join(one.media, other.media, self.conversion, self._pipes, flows, together=together)
        self._pair_ids = one.id, other.id
        self._ears = await listen(one, other, self._ears, self._pipes, converted=self.conversion is not None)
        for leg, far in ((one, other), (other, one)):
            if leg.held or far.holds:
                await self._play_music(leg)
            else:
                await self._stop_music(leg)

    async def _deafen(self) -> None:
        ears, self._ears = self._ears, None
        if ears is not None:
            await ears.close()

    async def _wait(self, leg: Leg) -> None:
        await self._deafen()
        for stream in leg.media.streams.values():
            if stream.consumer is not None:
                await feed(stream, None, (), flows=False)
        await self._play_music(leg)

    # --- three and more ---

    async def _confer(self, legs: Sequence[Leg]) -> None:
        await self._deafen()
        if self.conversion is not None:
            await self.conversion.mixer.close()
            self.conversion = None
        if self.mix is None:
            self._home = legs[0].media.router
            self.mix = await Mixer.open(self._home)
        for leg in legs:
            await self._sit(leg, self.mix)

    async def _sit(self, leg: Leg, mix: Mixer) -> None:
        stream = leg.media.streams[MediaKind.AUDIO]
        seat = await self._seat(leg, stream, mix)
        quiet = leg.muted or leg.held or leg.holds
        if quiet != seat.quiet:
            await (seat.producer.pause() if quiet else seat.producer.resume())
            seat.quiet = quiet
        if leg.held:
            await feed(stream, seat.side.given, seat.side.mapped, flows=False)
            await self._play_music(leg)
        else:
            await feed(stream, seat.side.given, seat.side.mapped, flows=stream.peer_receives)
            await self._stop_music(leg)
        video = leg.media.streams.get(MediaKind.VIDEO)
        if video is not None and video.consumer is not None:
            await feed(video, None, (), flows=False)  # pictures are not mixed

    async def _seat(self, leg: Leg, stream: Stream, mix: Mixer) -> Seat:
        await produce(stream)
        codec, producer = spoken(stream), stream.producer
        if codec is None or producer is None:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "no codec that can be mixed")
        seat = self._seats.get(leg.id)
        if seat is not None and seat.producer.id == producer.id and seat.codec == codec:
            return seat
        if seat is not None:
            await self.forget(leg)
        here = leg.media.router
        home = self._home or here
        heard = await mix.add_input(await self._pipes.at(home, producer, here))
        side = await side_of(mix, heard, stream, codec)
        side = await carried(side, home, here, self._pipes)
        seat = self._seats[leg.id] = Seat(side, producer, codec)
        return seat
