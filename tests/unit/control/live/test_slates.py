"""Slates: shown while an encoder is away, and gone when it is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from roomtone.control.live import Ingests, PublishRights, SlateLook, SlateRules, Slates
from roomtone.control.live.slates import AGAIN_S, look_of
from roomtone.control.policy import KeyTable
from roomtone.media import Engine, FakeLink
from roomtone.media.values import (
    Answer,
    IngestProtocol,
    PackagerId,
    PackagerStarted,
    PackagerTrack,
    PackagerTrackId,
    Question,
)

LOCAL = "127.0.0.1:40000"
VIDEO = PackagerTrack(track=PackagerTrackId(1), name="video", codec="avc1.42c01e", width=641, height=360, channels=None)
AUDIO = PackagerTrack(track=PackagerTrackId(2), name="audio", codec="mp4a.40.2", width=None, height=None, channels=2)


@dataclass
class Processes:
    """Notes what is shown; each ends when it is told to, or cancelled."""

    shown: list[tuple[str, str, SlateLook]] = field(default_factory=list)
    over: asyncio.Future[str] | None = None
    cancelled: int = 0
    bar: str = ""

    def why_not(self, shown: str) -> str:
        assert shown
        return self.bar

    async def show(self, name: str, secret: str, look: SlateLook) -> str:
        self.shown.append((name, secret, look))
        self.over = asyncio.get_running_loop().create_future()
        try:
            return await self.over
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


@dataclass
class Stage:
    link: FakeLink
    ingests: Ingests
    slates: Slates
    processes: Processes
    slept: list[float]
    enough: asyncio.Event
    """Set when a slate has been shown long enough."""
    due: asyncio.Event
    """Cleared while none is to begin yet."""
    listener: int = 0

    async def settle(self) -> None:
        for _ in range(300):
            await asyncio.sleep(0)

    async def ask(self, credential: str | None = None) -> Answer:
        return await self.ingests.decide(
            Question(
                id=1,
                deadline_ms=1_000,
                topic="publish",
                subject="stage",
                credential=credential,
                protocol=IngestProtocol.RTMP,
                remote=LOCAL,
            )
        )

    async def publish(self) -> PackagerId:
        """Have an encoder publish, and its playlist be readable."""
        packager = self.link.begin_ingest(self.listener, "stage", remote=LOCAL)
        await self.settle()
        self.link.emit(PackagerStarted(packager=packager, tracks=[VIDEO, AUDIO]))
        await self.settle()
        return packager


async def make(rules: SlateRules, *, own_source: bool = False) -> AsyncIterator[Stage]:
    link, slept, enough, due = FakeLink(), list[float](), asyncio.Event(), asyncio.Event()
    due.set()
    engine = Engine(link)
    await engine.start()
    ingests = Ingests(engine, PublishRights(KeyTable({"key": "s" * 32}), time.time, open_to_loopback=True))

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)
        if seconds != AGAIN_S:
            await (enough if seconds == rules.for_s else due).wait()

    slates = Slates(ingests, rules, lambda _name: own_source, sleep=sleep)
    processes = slates.processes = Processes()
    listener = await ingests.listen(IngestProtocol.RTMP, "127.0.0.1:0")
    yield Stage(link, ingests, slates, processes, slept, enough, due, listener.id)
    await slates.close()
    await ingests.close()
    await engine.close()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async for one in make(SlateRules("card", after_s=2.5)):
        yield one


async def test_a_stream_that_lost_its_encoder_shows_a_slate_that_fits_it(stage: Stage) -> None:
    packager = await stage.publish()
    assert stage.processes.shown == []
    stage.link.lose_encoder(packager)
    await stage.settle()
    assert stage.slept[0] == 2.5
    ((name, secret, look),) = stage.processes.shown
    assert (name, look) == ("stage", SlateLook("card", 640, 360, "aac"))
    assert not stage.slates.shows("stage")
    assert (await stage.ask(secret)).allowed
    assert not (await stage.ask("another")).allowed
    await stage.publish()
    assert stage.slates.shows("stage")
    assert (stage.slates.shown, stage.slates.begun) == (1, 1)


async def test_who_may_publish_takes_the_place_of_a_slate_once_it_is_gone(stage: Stage) -> None:
    packager = await stage.publish()
    stage.link.lose_encoder(packager)
    await stage.settle()
    assert (await stage.ask(stage.processes.shown[0][1])).allowed
    await stage.publish()
    stage.due.clear()
    asked = asyncio.ensure_future(stage.ask())
    await stage.settle()
    assert stage.processes.cancelled == 1
    assert not asked.done(), "the engine would say that somebody publishes already"
    stage.link.lose_encoder(packager)
    assert (await asked).allowed
    await stage.publish()
    assert not stage.slates.shows("stage")
    stage.due.set()
    await stage.settle()
    assert len(stage.processes.shown) == 1, "it is back: nothing more is shown"


async def test_a_slate_that_ends_by_itself_is_shown_again_while_nobody_publishes(stage: Stage) -> None:
    packager = await stage.publish()
    stage.link.lose_encoder(packager)
    await stage.settle()
    assert stage.processes.over is not None
    stage.processes.over.set_result("it broke")
    await stage.settle()
    assert (len(stage.processes.shown), stage.slates.failed) == (2, 1)
    stage.link.give_up_ingest(packager)
    await stage.settle()
    stage.processes.over.set_result("the stream is over")
    await stage.settle()
    assert len(stage.processes.shown) == 2
    assert not stage.slates.shows("stage")


async def test_a_stream_that_shows_another_encoder_s_has_none(stage: Stage) -> None:
    packager = await stage.publish()
    other = stage.link.begin_ingest(stage.listener, "other", remote=LOCAL)
    await stage.settle()
    await stage.ingests.point(stage.ingests.by_name["stage"], "other")
    stage.link.lose_encoder(packager)
    await stage.settle()
    assert stage.processes.shown == []
    # That of the other, where there is one, is shown of both.
    stage.link.emit(PackagerStarted(packager=other, tracks=[VIDEO, AUDIO]))
    await stage.settle()
    stage.link.lose_encoder(other)
    await stage.settle()
    assert [name for name, _, _ in stage.processes.shown] == ["other"]


async def test_an_encoder_that_is_back_at_once_shows_none(stage: Stage) -> None:
    packager = await stage.publish()
    stage.link.lose_encoder(packager)
    assert (await stage.ask()).allowed
    await stage.publish()
    assert stage.processes.shown == []


@pytest.mark.parametrize(
    ("rules", "own_source", "bar"),
    [
        (SlateRules(), False, ""),
        (SlateRules("card", {"stage": ""}), False, ""),
        (SlateRules("card"), True, ""),
        (SlateRules("missing.png"), False, "there is no file missing.png"),
    ],
    ids=["none", "not-this-name", "comes-by-itself", "cannot"],
)
async def test_nothing_is_shown_where_nothing_is_to_be_or_can(rules: SlateRules, bar: str, *, own_source: bool) -> None:
    async for stage in make(rules, own_source=own_source):
        stage.processes.bar = bar
        packager = await stage.publish()
        stage.link.lose_encoder(packager)
        await stage.settle()
        assert stage.processes.shown == []


async def test_a_slate_is_shown_for_so_long_and_no_longer(stage: Stage) -> None:
    packager = await stage.publish()
    stage.link.lose_encoder(packager)
    await stage.settle()
    assert (len(stage.processes.shown), stage.processes.cancelled) == (1, 0)
    stage.enough.set()
    await stage.settle()
    assert (len(stage.processes.shown), stage.processes.cancelled) == (1, 1)


def test_a_slate_has_the_size_and_the_sound_of_its_stream() -> None:
    opus = PackagerTrack(track=PackagerTrackId(2), name="audio", codec="opus", width=None, height=None, channels=2)
    assert look_of("a.png", [opus, VIDEO]) == SlateLook("a.png", 640, 360, "opus")
    assert look_of("a.png", [VIDEO]) == SlateLook("a.png", 640, 360, "")
    assert look_of("a.png", [AUDIO]) is None
