"""Tracks of encoders that WebRTC does not carry: offered as what is made of them, made while somebody wants them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from live_world import PEER, World
from test_transcoding import FakeWorkers

from roomtone.control.live import Ingests, LiveStreams, PublishRights, RoomMaking, TranscodeRules, Transcodings
from roomtone.control.live.attendance import AttendanceCount
from roomtone.control.live.making import REST_S, MadeTrack, Makings
from roomtone.control.policy import KeyTable
from roomtone.control.rooms import CloseReason, Rooms, SubscriptionOffer
from roomtone.media import Engine, EngineCommandError, FakeLink, IngestListener, QueueFull
from roomtone.media.fake_objects import FakeIngest, FakeTrackTranscoder
from roomtone.media.values import IngestProtocol, MediaKind, PackagerId, TrackBar
from roomtone.protocols.sdp.repertoire import OPUS, VIDEO_CODECS

H264, AAC = "avc1.64001f", "mp4a.40.2"


@dataclass
class Stage(World):
    ingests: Ingests
    listener: IngestListener
    transcodings: Transcodings
    workers: FakeWorkers

    async def begin(self) -> PackagerId:
        """An encoder that sends B-frames and AAC."""
        packager = self.link.begin_ingest(self.listener.id, "demo")
        self.link.tell_track(packager, MediaKind.VIDEO, H264, TrackBar.REORDERED)
        self.link.tell_track(packager, MediaKind.AUDIO, AAC, TrackBar.CODEC)
        await self.settle()
        return packager

    def offered(self) -> dict[MediaKind, str]:
        """What the encoder has in its room."""
        room = self.rooms.by_name.get("demo")
        encoder = None if room is None else room.participants.get("encoder")
        tracks = () if encoder is None else encoder.publications.values()
        return {track.offer.kind: track.offer.codecs[0].name for track in tracks}

    def unavailable(self) -> dict[MediaKind, str]:
        return self.ingests.unavailable(self.ingests.by_name["demo"])

    def transcoders(self) -> int:
        return sum(isinstance(held, FakeTrackTranscoder) for held in self.link.objects.values())

    async def watch(self) -> None:
        offers = [
            SubscriptionOffer(MediaKind.VIDEO, VIDEO_CODECS, mid="0"),
            SubscriptionOffer(MediaKind.AUDIO, (OPUS,)),
        ]
        await self.rooms.watch("demo", PEER, offers)


async def stage_with(making: RoomMaking) -> AsyncIterator[Stage]:
    link = FakeLink()
    engine = Engine(link)
    await engine.start()
    rooms = Rooms(engine)
    rooms.start()
    transcodings, workers = Transcodings(engine, TranscodeRules(making=making)), FakeWorkers()
    transcodings.workers = workers
    ingests = Ingests(engine, PublishRights(KeyTable({}), time.time), rooms=rooms, transcodings=transcodings)
    listener = await ingests.listen(IngestProtocol.RTMP, "127.0.0.1:0")
    yield Stage(link, engine, rooms, LiveStreams(rooms), ingests, listener, transcodings, workers)
    await ingests.close()
    await transcodings.close()
    await rooms.close()
    await engine.close()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async for one in stage_with(RoomMaking.ALWAYS):
        yield one


async def test_b_frames_and_aac_are_offered_as_what_is_made_of_them(stage: Stage) -> None:
    packager = await stage.begin()
    assert stage.offered() == {MediaKind.VIDEO: "H264", MediaKind.AUDIO: "OPUS"}
    assert stage.unavailable() == {}
    video, sound = stage.workers.started
    assert (video.plan["profile"], video.plan["keeps_source"], video.plan["rungs"][0]["lines"]) == (
        "baseline",
        False,
        1080,
    )
    assert sound.plan == {"sound": "opus"}
    await stage.watch()
    assert stage.ingests.made(stage.ingests.by_name["demo"])[MediaKind.VIDEO].runs
    stage.link.lose_encoder(packager)
    await stage.settle()
    assert (video.closed, sound.closed, stage.transcoders(), stage.transcodings.open) == (True, True, 0, 0)


async def test_nothing_is_made_where_the_settings_say_so() -> None:
    async for stage in stage_with(RoomMaking.OFF):
        await stage.begin()
        assert (stage.offered(), stage.workers.started) == ({}, [])
        assert stage.unavailable().keys() == {MediaKind.VIDEO, MediaKind.AUDIO}


async def test_a_track_that_can_be_had_as_it_is_is_not_made_any_more(stage: Stage) -> None:
    packager = await stage.begin()
    (ingest,) = (held for held in stage.link.objects.values() if isinstance(held, FakeIngest))
    source = next(id_ for id_, track in ingest.tracks.items() if track.codec == H264)
    stage.link.tell_track(packager, MediaKind.VIDEO, "avc1.42c01f", None, source)
    await stage.settle()
    assert stage.offered() == {MediaKind.VIDEO: "H264", MediaKind.AUDIO: "OPUS"}
    assert (stage.workers.started[0].closed, stage.transcoders()) == (True, 1)


async def test_what_cannot_be_made_is_unavailable_and_says_why(stage: Stage) -> None:
    await stage.begin()
    stage.workers.started[0].say({"event": "cannot", "why": "no encoder of H.264 works here"})
    await stage.settle()
    assert stage.offered() == {MediaKind.AUDIO: "OPUS"}
    why = stage.unavailable()[MediaKind.VIDEO]
    assert "B-frames" in why
    assert "no encoder of H.264 works here" in why
    assert stage.ingests.attendances is not None
    assert stage.ingests.attendances.counts[AttendanceCount.TRACK_NOT_MADE] == 1


async def test_a_process_that_cannot_be_started_is_no_track_either() -> None:
    async for stage in stage_with(RoomMaking.ALWAYS):
        stage.workers.fails_at = 0
        await stage.begin()
        assert stage.offered() == {}
        assert "there is no such program" in stage.unavailable()[MediaKind.AUDIO]


async def test_an_encoder_that_is_removed_is_made_no_more(stage: Stage) -> None:
    await stage.begin()
    encoder = stage.rooms.by_name["demo"].participants["encoder"]
    await stage.rooms.end(encoder, CloseReason.REMOVED)
    await stage.settle()
    assert all(worker.closed for worker in stage.workers.started)
    assert stage.transcoders() == 0


async def test_sound_of_an_encoder_is_shifted_in_its_lists_and_its_room_also_when_it_comes_back(stage: Stage) -> None:
    packager = await stage.begin()
    stream = stage.ingests.by_name["demo"]
    await stage.ingests.shift_sound(stream, -80)
    (ingest,) = (held for held in stage.link.objects.values() if isinstance(held, FakeIngest))
    sound = {track.track for track in ingest.tracks.values() if track.codec == AAC}
    assert (ingest.audio_offset_ms, set(ingest.shifted)) == (-80, sound)
    assert (await stage.ingests.sync(stream)).av_offset_ms == -80
    stage.link.lose_encoder(packager)
    await stage.settle()
    ingest.tracks.clear()
    await stage.begin()
    again = {track.track for track in ingest.tracks.values() if track.codec == AAC}
    assert set(ingest.shifted) == again != sound
    with pytest.raises(EngineCommandError):
        await stage.ingests.shift_sound(stream, 5_000)
    assert stream.audio_offset_ms == -80


class Turns:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self._next = asyncio.Event()
        self._waits = asyncio.Event()

    def clock(self) -> float:
        return self.now

    async def pause(self, _seconds: float) -> None:
        self._waits.set()
        await self._next.wait()
        self._next.clear()

    async def go(self, seconds: float) -> None:
        """Let one look pass so much later."""
        await self._waits.wait()
        self._waits.clear()
        self.now += seconds
        self._next.set()
        await self._waits.wait()


class Wanted:
    """A track of which is said who wants it."""

    def __init__(self) -> None:
        self.by = 0
        self.fails = False
        self.producer = self

    async def stats(self) -> list[dict[str, Any]]:
        if self.fails:
            raise QueueFull("the engine is busy")
        return [{"wantedBy": self.by}]


async def test_a_process_runs_while_somebody_wants_its_track_and_a_little_longer() -> None:
    async for stage in stage_with(RoomMaking.DEMAND):
        await stage.begin()
        (ingest,) = (held for held in stage.link.objects.values() if isinstance(held, FakeIngest))
        source = next(track for track in ingest.tracks.values() if track.codec == AAC)
        turns, wanted = Turns(), Wanted()
        makings = Makings(stage.transcodings, pause=turns.pause, clock=turns.clock)
        making = await makings.prepare("demo", source)
        made = MadeTrack(making, wanted)  # type: ignore[arg-type]
        makings.follow(made)
        await turns.go(1)
        assert stage.workers.started == []
        wanted.by = 1
        await turns.go(1)
        (first,) = stage.workers.started
        wanted.by, wanted.fails = 0, True
        await turns.go(2 * REST_S)
        assert not first.closed, "nothing is known of who wants it"
        wanted.fails, wanted.by = False, 1
        await turns.go(1)
        wanted.by = 0
        await turns.go(REST_S)
        assert not first.closed
        await turns.go(1)
        assert (first.closed, making.runs) == (True, False)
        wanted.by = 1
        await turns.go(1)
        assert len(stage.workers.started) == 2
        await makings.stop(made)
        assert stage.workers.started[1].closed
