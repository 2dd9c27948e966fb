"""Processes that make live streams anew: when they are started, what they say, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from roomtone.control.live import (
    PRESETS,
    Rung,
    SoundCodec,
    TranscodeEventKind,
    TranscodeRules,
    Transcodings,
    WorkerStartError,
    rungs_of,
)
from roomtone.media import Engine, EngineCommandError, FakeLink, IngestListener
from roomtone.media.values import ErrorCode, IngestProtocol, MediaKind, PackagerId


@dataclass
class FakeWorker:
    name: str
    plan: Mapping[str, Any]
    say: Callable[[Mapping[str, Any]], None]
    restarted: Callable[[], None]
    closed: bool = False
    killed: int = 0

    async def close(self) -> None:
        self.closed = True

    def kill(self) -> None:
        self.killed += 1


@dataclass
class FakeWorkers:
    started: list[FakeWorker] = field(default_factory=list)
    fails_at: int | None = None

    def socket_path(self) -> str:
        return f"/nowhere/{len(self.started)}.sock"

    async def start(
        self,
        name: str,
        socket: str,
        plan: Mapping[str, Any],
        on_said: Callable[[Mapping[str, Any]], None],
        on_restart: Callable[[], None],
    ) -> FakeWorker:
        if len(self.started) == self.fails_at:
            raise WorkerStartError("there is no such program")
        assert socket.startswith("/nowhere/")
        self.started.append(FakeWorker(name, plan, on_said, on_restart))
        return self.started[-1]


@dataclass
class Plant:
    link: FakeLink
    transcodings: Transcodings
    workers: FakeWorkers
    packager: PackagerId


async def plant_with(rules: TranscodeRules) -> AsyncIterator[Plant]:
    link = FakeLink()
    engine = Engine(link)
    await engine.start()
    listener = await IngestListener.open(engine, IngestProtocol.RTMP, "127.0.0.1:0")
    transcodings, workers = Transcodings(engine, rules), FakeWorkers()
    transcodings.workers = workers
    yield Plant(link, transcodings, workers, link.begin_ingest(listener.id, "stage"))
    await transcodings.close()
    await engine.close()


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    async for one in plant_with(TranscodeRules(rungs=PRESETS["ladder-720"], sound=SoundCodec.OPUS)):
        yield one


async def test_each_track_has_a_process_with_its_plan_until_the_stream_ends(plant: Plant) -> None:
    made = await plant.transcodings.start("stage", plant.packager)
    assert made is not None
    video, sound = plant.workers.started
    assert [rung["lines"] for rung in video.plan["rungs"]] == [720, 480, 360]
    assert (video.plan["keeps_source"], sound.plan) == (True, {"sound": "opus"})
    assert plant.transcodings.open == 1
    await plant.transcodings.stop(made)
    await plant.transcodings.stop(made)
    assert (video.closed, sound.closed, plant.transcodings.open) == (True, True, 0)
    assert await plant.transcodings.start("stage", plant.packager) is not None, "nothing of it remains in the engine"


async def test_nothing_is_started_where_nothing_is_wanted() -> None:
    async for plant in plant_with(TranscodeRules()):
        assert not plant.transcodings.ready
        assert await plant.transcodings.start("stage", plant.packager) is None
    async for plant in plant_with(TranscodeRules(rooms=True)):
        assert await plant.transcodings.start("stage", plant.packager) is None
        assert await plant.transcodings.start("stage", plant.packager, keeps_video=False) is not None
        assert plant.workers.started[0].plan["keeps_source"] is False


async def test_a_process_that_cannot_be_started_leaves_nothing(plant: Plant) -> None:
    plant.workers.fails_at = 1
    with pytest.raises(WorkerStartError):
        await plant.transcodings.start("stage", plant.packager)
    assert (plant.workers.started[0].closed, plant.transcodings.open) == (True, 0)
    plant.workers.fails_at = None
    assert await plant.transcodings.start("stage", plant.packager) is not None


async def test_a_stream_is_made_anew_once(plant: Plant) -> None:
    await plant.transcodings.start("stage", plant.packager)
    with pytest.raises(EngineCommandError) as refused:
        await plant.transcodings.start("stage", plant.packager)
    assert refused.value.code is ErrorCode.WRONG_STATE


async def test_what_processes_say_is_known(plant: Plant) -> None:
    made = await plant.transcodings.start("stage", plant.packager)
    assert made is not None
    video = plant.workers.started[0]
    video.say({"event": "refused", "encoder": "h264_nvenc", "why": "no device"})
    video.say({"event": "rungs", "encoder": "libx264", "rungs": ["v480", "v360"]})
    video.say({"event": "changed", "rung": "v480", "on": True, "bps": 7, "every": 1, "size": 1.0, "why": "busy"})
    video.say({"event": "changed", "rung": "v480", "on": False, "bps": 7, "every": 2, "size": 0.7, "why": "busy"})
    video.say({"event": "stats", "busy": 0.5})
    video.say({"event": "something new"})
    video.restarted()
    kinds = TranscodeEventKind
    assert [event.kind for event in made.events] == [
        kinds.ENCODER_REFUSED,
        kinds.STARTED,
        kinds.CHANGED,
        kinds.SHED,
        kinds.RESTARTED,
    ]
    assert (made.encoder, made.rungs, made.restarts) == ("libx264", ("v480", "v360"), 1)
    assert made.figures[MediaKind.VIDEO]["busy"] == 0.5
    assert plant.transcodings.events[kinds.SHED] == 1


async def test_a_process_that_says_that_it_cannot_is_ended_and_the_others_go_on(plant: Plant) -> None:
    made = await plant.transcodings.start("stage", plant.packager)
    assert made is not None
    video, sound = plant.workers.started
    video.say({"event": "cannot", "why": "no encoder"})
    for _ in range(100):
        if not video.closed:
            await asyncio.sleep(0)
    assert video.closed
    assert not sound.closed
    assert [event.kind for event in made.events] == [TranscodeEventKind.CANNOT]


def test_ladders_are_known_by_their_names() -> None:
    own = {"small": (Rung(240),), "ladder-720": (Rung(100),)}
    assert rungs_of("small", own) == (Rung(240),)
    assert rungs_of("ladder-720", own) == (Rung(100),)
    assert rungs_of("source", own) == ()
    with pytest.raises(LookupError, match="there is no ladder 'large'"):
        rungs_of("large", own)
