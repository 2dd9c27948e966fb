"""Feeds: tracks of encoders as producers of a router."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.media.engine_object import EngineObject
from roomtone.media.objects import Producer
from roomtone.media.values import (
    AddFeedTrack,
    AnyCommand,
    CloseFeed,
    CodecParameters,
    FeedOpened,
    IngestTrackId,
    MediaKind,
    OpenFeed,
    Produced,
    TransportId,
)

if TYPE_CHECKING:
    from roomtone.media.engine import Engine
    from roomtone.media.objects import Router


class Feed(EngineObject):
    """A transport of a router that only has producers, whose media come from an encoder.

    Nobody there makes a keyframe when asked: who begins to watch begins with the last one, or waits for the next.
    """

    __slots__ = ()

    @classmethod
    async def open(cls, router: Router) -> Feed:
        """Open a feed on a router."""
        engine = router.engine
        return cls(engine, (await engine.ask(OpenFeed(router=router.id), FeedOpened)).feed)

    def __init__(self, engine: Engine, id_: TransportId) -> None:
        super().__init__(engine, id_)

    @property
    def id(self) -> TransportId:
        """The feed's id, as a transport."""
        return TransportId(self._id)

    def _close_command(self) -> AnyCommand:
        return CloseFeed(feed=self.id)

    async def add_track(self, track: IngestTrackId, kind: MediaKind, codec: CodecParameters) -> Producer:
        """Produce a track that `IngestTrack` told of.

        `ErrorCode.NOT_FOUND` where the encoder sends it no more, `ErrorCode.UNSUPPORTED` where it is barred.
        """
        command = AddFeedTrack(feed=self.id, track=track, codec=codec)
        return Producer(self._engine, (await self._engine.ask(command, Produced)).producer, kind)
