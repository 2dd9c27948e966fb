"""Packagers: producers of a router as a live stream that the front door serves (LL-HLS)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.media.engine_object import EngineObject
from roomtone.media.values import (
    AddPackagerTrack,
    AnyCommand,
    ClosePackager,
    Done,
    GetStreamPressure,
    GetStreamSync,
    OpenPackager,
    PackagerId,
    PackagerOpened,
    PackagerTrackAdded,
    PackagerTrackId,
    RemovePackagerTrack,
    SetStreamEncryption,
    SetStreamSync,
    ShowStreamText,
    Stats,
    SwitchPackagerTrack,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.media.engine import Engine, Report
    from roomtone.media.objects import Producer, Router
    from roomtone.media.values import IngestTrackId, LiveEncryption


class Packager(EngineObject):
    """Carries video (H.264, HEVC, AV1) and Opus sound of its router as a live stream, at ``/live/NAME/index.m3u8``.

    It begins by itself, a few seconds after the first track was added, once all tracks have said how they are coded, or
    without those that do not say it in time; `PackagerStarted` tells. From then on its tracks are fixed: one whose
    producer is gone is listed as lost until another producer of its kind is added.
    """

    __slots__ = ("name",)

    @classmethod
    async def open(
        cls,
        router: Router,
        name: str,
        *,
        window_ms: int = 120_000,
        part_ms: int | None = None,
        encryption: LiveEncryption | None = None,
    ) -> Packager:
        """Open a packager on a router, by a name that no other open packager has (`ErrorCode.WRONG_STATE`).

        ``name`` is one step of a path; ``window_ms`` is how much is listed, at most 24 hours; ``part_ms`` how long
        parts are wished to be, 100 to 2000, None for a third of a second. With ``encryption`` its media is encrypted.
        """
        engine = router.engine
        command = OpenPackager(router=router.id, name=name, window_ms=window_ms, part_ms=part_ms, encryption=encryption)
        return cls(engine, (await engine.ask(command, PackagerOpened)).packager, name)

    def __init__(self, engine: Engine, id_: PackagerId, name: str) -> None:
        super().__init__(engine, id_)
        self.name = name

    @property
    def id(self) -> PackagerId:
        """The packager's id."""
        return PackagerId(self._id)

    def _close_command(self) -> AnyCommand:
        return ClosePackager(packager=self.id)

    async def add_track(self, producer: Producer) -> PackagerTrackId:
        """Carry a producer, as a new track or in place of one of its kind that is gone.

        Refused as unsupported where HLS cannot carry its codecs, and as a wrong state where the packager has begun and
        no track of this kind is free.
        """
        command = AddPackagerTrack(packager=self.id, producer=producer.id)
        return (await self._engine.ask(command, PackagerTrackAdded)).track

    async def switch_track(self, track: PackagerTrackId, producer: Producer) -> None:
        """Have a track go on with another producer once that can be shown; what feeds it goes on until then.

        Refused as a wrong state where the packager has not begun.
        """
        command = SwitchPackagerTrack(packager=self.id, track=track, producer=producer.id)
        await self._engine.ask(command, PackagerTrackAdded)

    async def remove_track(self, track: PackagerTrackId) -> None:
        """Take what feeds a track off it; another producer of its kind may go on there."""
        await self._do(RemovePackagerTrack(packager=self.id, track=track))


async def shift_sound(
    engine: Engine, packager: PackagerId, audio_offset_ms: int, tracks: Sequence[IngestTrackId] = ()
) -> None:
    """Have the sound of a stream lie later than its source says; the values are those of `SetStreamSync`."""
    command = SetStreamSync(packager=packager, audio_offset_ms=audio_offset_ms, tracks=list(tracks))
    await engine.ask(command, Done)


async def show_text(engine: Engine, line: ShowStreamText) -> None:
    """Have a line of text shown with a stream; the values are those of `ShowStreamText`."""
    await engine.ask(line, Done)


async def set_encryption(engine: Engine, packager: PackagerId, encryption: LiveEncryption | None) -> None:
    """Have a stream encrypt otherwise from its next segment on; the values are those of `SetStreamEncryption`."""
    await engine.ask(SetStreamEncryption(packager=packager, encryption=encryption), Done)


async def alignment_of(engine: Engine, packager: PackagerId) -> list[Report]:
    """Get how sound and pictures of a stream lie: a report of its timeline, and one of each track of its source."""
    return (await engine.ask(GetStreamSync(packager=packager), Stats)).reports


async def pressure_of(engine: Engine, packager: PackagerId, tracks: Sequence[IngestTrackId] = ()) -> list[Report]:
    """Get how full the queues of a stream are; the values are those of `GetStreamPressure`."""
    return (await engine.ask(GetStreamPressure(packager=packager, tracks=list(tracks)), Stats)).reports
