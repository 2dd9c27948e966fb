"""Transcoders: tracks of a packager that another process codes anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.media.engine_object import EngineObject
from roomtone.media.values import (
    AnyCommand,
    CloseTrackTranscoder,
    CloseTranscoder,
    IngestTrackId,
    MediaKind,
    OpenTrackTranscoder,
    OpenTranscoder,
    PackagerId,
    TrackTranscoderOpened,
    TranscoderId,
    TranscoderOpened,
)

if TYPE_CHECKING:
    from roomtone.media.engine import Engine


class Transcoder(EngineObject):
    """Has the first track of a kind coded anew by a process that connects to a socket, takes units and gives units.

    What it makes are further tracks of the packager, which waits twenty seconds for them before it begins. The process
    may go and come again. `PackagerWarned` tells when it is behind, or gone.
    """

    __slots__ = ("packager",)

    @classmethod
    async def open(
        cls, engine: Engine, packager: PackagerId, kind: MediaKind, path: str, *, keep: bool, paces: bool = False
    ) -> Transcoder:
        """Listen for the process at ``path``; the values are those of `OpenTranscoder`.

        Refused as a wrong state where the packager has begun, or tracks of this kind are coded anew already.
        """
        command = OpenTranscoder(packager=packager, kind=kind, path=path, keep=keep, paces=paces)
        return cls(engine, (await engine.ask(command, TranscoderOpened)).transcoder, packager)

    def __init__(self, engine: Engine, id_: TranscoderId, packager: PackagerId) -> None:
        super().__init__(engine, id_)
        self.packager = packager

    @property
    def id(self) -> TranscoderId:
        """The transcoder's id."""
        return TranscoderId(self._id)

    def _close_command(self) -> AnyCommand:
        return CloseTranscoder(packager=self.packager, transcoder=self.id)


class TrackTranscoder(EngineObject):
    """Has a track of an encoder coded anew by a process, for feeds: pictures as H.264, sound as Opus.

    What it makes is ``track``, which a feed can be given at once. It is silent until a process is there, and again
    while one is gone; what a new one makes goes on at its first keyframe.
    """

    __slots__ = ("track",)

    @classmethod
    async def open(cls, engine: Engine, track: IngestTrackId, path: str) -> TrackTranscoder:
        """Listen for the process at ``path``; `ErrorCode.NOT_FOUND` where the encoder sends the track no more."""
        opened = await engine.ask(OpenTrackTranscoder(track=track, path=path), TrackTranscoderOpened)
        return cls(engine, opened.transcoder, opened.track)

    def __init__(self, engine: Engine, id_: TranscoderId, track: IngestTrackId) -> None:
        super().__init__(engine, id_)
        self.track = track

    @property
    def id(self) -> TranscoderId:
        """The transcoder's id."""
        return TranscoderId(self._id)

    def _close_command(self) -> AnyCommand:
        return CloseTrackTranscoder(transcoder=self.id)
