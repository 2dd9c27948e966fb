"""Sound of ours for one leg alone: music for who is on hold, keys, and short sounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.calls.media.bridge import feed
from roomtone.control.calls.media.conversion import keys_of, numbers_of, spoken
from roomtone.media import EngineCommandError, Mixer
from roomtone.media.values import ErrorCode, MediaKind
from roomtone.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from roomtone.control.calls.media.streams import Stream
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.media import Producer
    from roomtone.media.values import MixerSource
    from roomtone.protocols.sdp import Codec

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Played:
    """Sound of ours for one leg: music, or keys."""

    mixer: Mixer
    output: Producer
    codec: Codec
    mapped: tuple[tuple[int, int], ...]


class Playing:
    """What is played to legs. ``music`` is what who is on hold hears; None: nothing."""

    def __init__(self, music: MixerSource | None) -> None:
        self._music = music
        self._played: dict[str, Played] = {}
        """Music, by the id of the leg that hears it."""
        self._aside: dict[str, Played] = {}
        """Keys, by the id of the leg that gets them."""

    async def _play_music(self, leg: Leg) -> None:
        stream = leg.media.streams.get(MediaKind.AUDIO)
        codec = None if stream is None else spoken(stream)
        if self._music is None or stream is None or codec is None or not stream.peer_receives:
            await self._stop_music(leg)
            return
        played = self._played.get(leg.id)
        if played is not None and played.codec != codec:
            await self._stop_music(leg)
            played = None
        if played is None:
            played = await self._open(leg, stream, codec, self._music)
            if played is None:
                return
            self._played[leg.id] = played
        await feed(stream, played.output, played.mapped, flows=True)

    async def _open(self, leg: Leg, stream: Stream, codec: Codec, source: MixerSource | None) -> Played | None:
        """Play something to one leg; None where the engine cannot, and then it is in silence."""
        mixer: Mixer | None = None
        keys = keys_of(stream, codec)
        number = None if keys is None else keys.payload_type
        try:
            mixer = await Mixer.open(leg.media.router)
            if source is not None:
                await mixer.add_source(source)
            output = await mixer.add_output(codec.to_parameters(), events_payload_type=number)
        except EngineCommandError as error:
            _log.info("nothing is played to a leg", code=error.code.value, detail=str(error))
            if mixer is not None:
                await gone_already(mixer.close())
            return None
        return Played(mixer, output, codec, numbers_of(codec, number))

    async def _stop_music(self, leg: Leg) -> None:
        played = self._played.pop(leg.id, None)
        if played is not None:
            await gone_already(played.mixer.close())

    # --- keys and short sounds to one leg ---

    async def play(self, leg: Leg, source: MixerSource | None) -> Played | None:
        """Have a leg hear something of ours alone, or silence that keys can be put into, until `end_play`.

        None where that cannot be.
        """
        stream = leg.media.streams.get(MediaKind.AUDIO)
        codec = None if stream is None else spoken(stream)
        if stream is None or codec is None or not stream.peer_receives:
            return None
        played = await self._open(leg, stream, codec, source)
        if played is not None:
            self._aside[leg.id] = played
            await feed(stream, played.output, played.mapped, flows=True)
        return played

    def is_playing(self, leg: Leg) -> bool:
        """Whether a leg hears what `play` gave it."""
        return leg.id in self._aside

    async def end_play(self, leg: Leg, arrange: Callable[[], Awaitable[None]]) -> None:
        """Let a leg hear again what is its due, by arranging what all hear."""
        aside = self._aside.pop(leg.id)
        await arrange()
        await gone_already(aside.mixer.close())

    async def tell(self, leg: Leg, mix: Producer, mapped: tuple[tuple[int, int], ...]) -> None:
        """Have a leg hear what is mixed for it elsewhere; on hold it hears music, and keys while they go out."""
        stream = leg.media.streams[MediaKind.AUDIO]
        aside = self._aside.get(leg.id)
        if aside is not None:
            await feed(stream, aside.output, aside.mapped, flows=stream.peer_receives)
        elif leg.held:
            await feed(stream, None, (), flows=False)
            await self._play_music(leg)
        else:
            await feed(stream, mix, mapped, flows=stream.peer_receives)
            await self._stop_music(leg)


async def gone_already(closing: Coroutine[Any, Any, None]) -> None:
    """Wait for an end that may have come already with what it belongs to."""
    try:
        await closing
    except EngineCommandError as error:
        if error.code not in {ErrorCode.NOT_FOUND, ErrorCode.ENGINE_CLOSED}:
            raise
