"""Encoders: who may publish by SRT and RTMP, and what is known of those that do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from roomtone.control.live import Ingests, PublishRights
from roomtone.control.policy import KeyTable, VideoGrants
from roomtone.media import Engine, EngineCommandError, FakeLink
from roomtone.media.values import Answer, ErrorCode, IngestEnd, IngestProtocol, Question

KEY, SECRET = "key", "a secret that is long enough for everybody"
HERE, THERE = "127.0.0.1:40000", "192.0.2.7:40000"


@dataclass
class Stage:
    link: FakeLink
    ingests: Ingests
    keys: KeyTable

    def token(self, room: str, **grants: bool) -> str:
        return self.keys.sign(KEY, "encoder", VideoGrants(room_join=True, room=room, **grants), time.time())

    async def asked(self, name: str, remote: str, credential: str | None = None, user: str | None = None) -> Answer:
        return await self.ingests.decide(
            Question(
                id=1,
                deadline_ms=1_000,
                topic="publish",
                subject=name,
                credential=credential,
                user=user,
                protocol=IngestProtocol.SRT,
                remote=remote,
            )
        )


async def stage_with(*, open_to_loopback: bool, max_streams: int = 100) -> AsyncIterator[Stage]:
    link = FakeLink()
    engine = Engine(link)
    await engine.start()
    keys = KeyTable({KEY: SECRET})
    rights = PublishRights(keys, time.time, open_to_loopback=open_to_loopback)
    ingests = Ingests(engine, rights, max_streams=max_streams)
    yield Stage(link, ingests, keys)
    await ingests.close()
    await engine.close()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async for one in stage_with(open_to_loopback=False):
        yield one


@pytest.fixture
async def development() -> AsyncIterator[Stage]:
    async for one in stage_with(open_to_loopback=True):
        yield one


async def settled(look: object) -> None:
    """Let what the engine said arrive."""
    async with asyncio.timeout(40):
        while not look():  # type: ignore[operator]  # noqa: ASYNC110 - a dictionary tells nobody
            await asyncio.sleep(0)


async def test_a_token_lets_publish_under_the_name_of_its_room_and_under_no_other(stage: Stage) -> None:
    token = stage.token("stage", can_publish=True)
    assert (await stage.asked("stage", THERE, token)).allowed
    assert (await stage.asked("stage", THERE, token, "anybody")).allowed
    refused = await stage.asked("other", THERE, token)
    assert not refused.allowed
    assert "another room" in refused.detail
    assert not (await stage.asked("stage", THERE, stage.token("stage", can_publish=False))).allowed
    assert stage.ingests.accepted == 2
    assert sum(stage.ingests.refused.values()) == 2


async def test_a_key_and_its_secret_let_publish_under_any_name(stage: Stage) -> None:
    assert (await stage.asked("stage", THERE, SECRET, KEY)).allowed
    assert not (await stage.asked("stage", THERE, "wrong", KEY)).allowed
    assert not (await stage.asked("stage", THERE, None, KEY)).allowed
    assert not (await stage.asked("stage", THERE, SECRET, "nobody")).allowed


async def test_without_a_credential_only_this_machine_may_and_only_in_development(
    stage: Stage, development: Stage
) -> None:
    for remote in (HERE, THERE, "[::1]:40000"):
        assert not (await stage.asked("stage", remote)).allowed
    assert (await development.asked("stage", HERE)).allowed
    assert (await development.asked("stage", "[::1]:40000")).allowed
    assert (await development.asked("stage", "[::ffff:127.0.0.1]:40000")).allowed
    assert not (await development.asked("stage", THERE)).allowed
    assert not (await development.asked("stage", HERE, "a wrong one")).allowed


async def test_a_question_of_another_topic_is_refused(stage: Stage) -> None:
    answer = await stage.ingests.decide(Question(id=1, deadline_ms=1_000, topic="play", subject="stage"))
    assert not answer.allowed


async def test_a_stream_is_known_until_it_is_over_and_not_only_while_it_is_published(stage: Stage) -> None:
    listener = await stage.ingests.listen(IngestProtocol.SRT, "127.0.0.1:0")
    packager = stage.link.begin_ingest(listener.id, "stage", remote=THERE)
    await settled(lambda: "stage" in stage.ingests.by_name)
    stream = stage.ingests.by_name["stage"]
    first = stream.ingest
    assert first is not None
    assert (stream.packager, stream.remote, stream.protocol) == (packager, THERE, IngestProtocol.SRT)
    stage.link.lose_encoder(packager, IngestEnd.SILENT)
    await settled(lambda: stream.ingest is None)
    assert stage.ingests.by_name == {"stage": stream}
    stage.link.begin_ingest(listener.id, "stage", remote=HERE)
    await settled(lambda: stream.ingest is not None)
    assert stream.ingest != first
    assert (stage.ingests.by_name, stream.remote) == ({"stage": stream}, HERE)
    stage.link.lose_encoder(packager)
    stage.link.give_up_ingest(packager)
    await settled(lambda: not stage.ingests.by_name)
    assert stage.ingests.ended == {IngestEnd.SILENT: 1, IngestEnd.PEER: 1}


async def test_a_stream_that_waits_for_its_encoder_can_be_ended_too(stage: Stage) -> None:
    listener = await stage.ingests.listen(IngestProtocol.SRT, "127.0.0.1:0")
    packager = stage.link.begin_ingest(listener.id, "stage")
    await settled(lambda: "stage" in stage.ingests.by_name)
    stage.link.lose_encoder(packager)
    await settled(lambda: stage.ingests.by_name["stage"].ingest is None)
    await stage.ingests.end(stage.ingests.by_name["stage"])
    await settled(lambda: not stage.ingests.by_name)


async def test_no_more_publish_than_may_and_who_does_can_come_back() -> None:
    async for stage in stage_with(open_to_loopback=True, max_streams=1):
        listener = await stage.ingests.listen(IngestProtocol.SRT, "127.0.0.1:0")
        stage.link.begin_ingest(listener.id, "first")
        await settled(lambda stage=stage: stage.ingests.by_name)
        refused = await stage.asked("second", HERE)
        assert (refused.allowed, refused.detail) == (False, "1 streams are published already")
        assert (await stage.asked("first", HERE)).allowed
        assert stage.ingests.refused == {"too_many_streams": 1}


async def test_what_is_published_can_be_ended_and_twice_is_no_error(stage: Stage) -> None:
    listener = await stage.ingests.listen(IngestProtocol.RTMP, "127.0.0.1:0")
    stage.link.begin_ingest(listener.id, "stage")
    await settled(lambda: "stage" in stage.ingests.by_name)
    stream = stage.ingests.by_name["stage"]
    await stage.ingests.end(stream)
    await stage.ingests.end(stream)
    await settled(lambda: not stage.ingests.by_name)
    assert stage.ingests.ended == {IngestEnd.REQUESTED: 1}


@pytest.mark.parametrize(
    ("protocol", "address", "more", "code"),
    [
        (IngestProtocol.SRT, "nowhere", {}, ErrorCode.INVALID),
        (IngestProtocol.SRT, "127.0.0.1:0", {"passphrase": "short"}, ErrorCode.INVALID),
        (IngestProtocol.RTMP, "127.0.0.1:0", {"passphrase": "long enough for it"}, ErrorCode.INVALID),
        (IngestProtocol.SRT, "127.0.0.1:0", {"latency_ms": 5}, ErrorCode.INVALID),
    ],
)
async def test_a_listener_that_cannot_be_is_refused(
    stage: Stage, protocol: IngestProtocol, address: str, more: dict[str, object], code: ErrorCode
) -> None:
    with pytest.raises(EngineCommandError) as refused:
        await stage.ingests.listen(protocol, address, **more)  # type: ignore[arg-type]
    assert refused.value.code is code
    assert stage.ingests.listeners == []
