"""Tracks of encoders that WebRTC does not carry, made anew for the rooms of their streams: while somebody wants them.

Such a track is published before anything of it is made. It is looked at who takes it; the process that makes it is
started for the first, and ended some time after the last.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roomtone.control.live.ladders import RoomMaking
from roomtone.control.live.transcoding import WorkerStartError
from roomtone.control.rooms import TrackOffer, usual_source
from roomtone.media import EngineCommandError, MediaError
from roomtone.media.values import CodecFeedback, MediaKind
from roomtone.protocols.sdp import repertoire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomtone.control.live.transcoding import TrackMaking, Transcodings
    from roomtone.control.rooms import Publication
    from roomtone.media.values import IngestTrack
    from roomtone.protocols.sdp.codecs import Codec

LOOK_S = 0.5
"""Between two looks at who takes a track."""
REST_S = 15.0
"""A process goes on for so long after the last who took its track has left."""
CONSTRAINED_BASELINE = "42e0"
_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class MadeTrack:
    """One of them; ``ended`` says why it is made no more."""

    making: TrackMaking
    publication: Publication
    watching: asyncio.Task[None] | None = None
    ended: str | None = None

    @property
    def source(self) -> IngestTrack:
        """What it is made of."""
        return self.making.source


def made_offer(making: TrackMaking) -> TrackOffer:
    """Give what a room is offered in place of a track that it cannot have."""
    kind = making.source.kind
    return TrackOffer(
        kind=kind,
        codecs=(made_codec(kind),),
        source=usual_source(kind),
        name=kind.value,
        stereo=kind is MediaKind.AUDIO,
        fed_by=making.track,
        on_demand=True,
    )


def made_codec(kind: MediaKind) -> Codec:
    """Give what pictures, and sound, are made to: what every client of WebRTC takes."""
    if kind is MediaKind.AUDIO:
        return repertoire.OPUS_STEREO
    codec = next(
        codec
        for codec in repertoire.VIDEO_CODECS
        if codec.name == "H264"
        and codec.parameter("profile-level-id", "").startswith(CONSTRAINED_BASELINE)
        and codec.parameter("packetization-mode", "0") == "1"
    )
    return replace(codec, feedback=CodecFeedback())


class Makings:
    """Starts and ends the processes of such tracks by who wants them."""

    def __init__(
        self,
        transcodings: Transcodings,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transcodings = transcodings
        self._pause = pause
        self._clock = clock

    @property
    def ready(self) -> bool:
        """Whether tracks are made anew for rooms."""
        rules = self._transcodings.rules
        return self._transcodings.workers is not None and rules.making is not RoomMaking.OFF

    async def prepare(self, name: str, track: IngestTrack) -> TrackMaking:
        """Have a track ready to be offered; raise `EngineCommandError` or `WorkerStartError`."""
        return await self._transcodings.prepare(name, track)

    def follow(self, made: MadeTrack) -> None:
        """Make a track that is published while somebody wants it."""
        made.watching = asyncio.ensure_future(self._follow(made))

    async def abandon(self, making: TrackMaking) -> None:
        """End what was prepared for a track that is not published after all."""
        await self._transcodings.stop(making)

    async def stop(self, made: MadeTrack) -> None:
        """Make a track no more."""
        if made.watching is not None:
            made.watching.cancel()
            await asyncio.gather(made.watching, return_exceptions=True)
        await self._transcodings.stop(made.making)

    async def _follow(self, made: MadeTrack) -> None:
        always = self._transcodings.rules.making is RoomMaking.ALWAYS
        wanted_at: float | None = None
        while not made.making.closed:
            try:
                if always or await _is_wanted(made.publication):
                    wanted_at = self._clock()
                    await self._transcodings.run(made.making)
                elif wanted_at is not None and self._clock() - wanted_at > REST_S:
                    wanted_at = None
                    await self._transcodings.rest(made.making)
            except WorkerStartError as error:
                made.making.when_given_up(str(error))
                return
            except EngineCommandError:
                return  # it is closed, which its owner is told otherwise
            except MediaError as error:
                _log.debug("who wants a track of %s is not known: %s", made.making.name, error)
            await self._pause(LOOK_S)


async def _is_wanted(publication: Publication) -> bool:
    (report, *_) = await publication.producer.stats()
    wanted_by = report.get("wantedBy", 0)
    return isinstance(wanted_by, int) and wanted_by > 0
