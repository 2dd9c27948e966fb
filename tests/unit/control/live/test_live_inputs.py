"""Inputs: RTP and MPEG-TS of sources that do not ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from roomtone.control.live import Ingests, InputRefusal, InputRefusedError, InputRequest, Inputs, PublishRights
from roomtone.control.live import inputs as module
from roomtone.control.policy import KeyTable
from roomtone.media import Engine, FakeLink
from roomtone.media.values import IngestListenerId, IngestProtocol, IngestRtpTrack, IngestStranger

H264 = IngestRtpTrack(payload_type=96, codec="H264", is_video=True, clock_rate=90_000)


@dataclass
class Stage:
    link: FakeLink
    ingests: Ingests
    inputs: Inputs


@pytest.fixture
async def stage(link: FakeLink, engine: Engine) -> AsyncIterator[Stage]:
    keys = KeyTable({"key": "a secret that is long enough for everybody"})
    ingests = Ingests(engine, PublishRights(keys, time.time))
    yield Stage(link, ingests, Inputs(engine, ingests))
    await ingests.close()


async def settled(look: object) -> None:
    async with asyncio.timeout(40):
        while not look():  # type: ignore[operator]  # noqa: ASYNC110 - a dictionary tells nobody
            await asyncio.sleep(0)


async def refused(stage: Stage, request: InputRequest) -> InputRefusal:
    with pytest.raises(InputRefusedError) as caught:
        await stage.inputs.open(request)
    return caught.value.refusal


async def test_a_stream_comes_and_goes_while_its_input_stays_and_ends_with_it(stage: Stage) -> None:
    opened = await stage.inputs.open(InputRequest("studio", tracks=(H264,), listen="127.0.0.1:0"))
    assert (opened.listener.protocol, stage.ingests.by_name) == (IngestProtocol.RTP, {})
    packager = stage.link.begin_ingest(opened.listener.id, "studio")
    await settled(lambda: "studio" in stage.ingests.by_name)
    stage.link.give_up_ingest(packager)
    await settled(lambda: not stage.ingests.by_name)
    stage.link.begin_ingest(opened.listener.id, "studio")
    await settled(lambda: "studio" in stage.ingests.by_name)
    await stage.inputs.close("studio")
    assert stage.inputs.by_name == {}
    await settled(lambda: not stage.ingests.by_name)


async def test_a_name_has_one_input(stage: Stage) -> None:
    await stage.inputs.open(InputRequest("studio", listen="127.0.0.1:0"))
    assert await refused(stage, InputRequest("studio", listen="127.0.0.1:0")) is InputRefusal.EXISTS


async def test_without_a_port_of_its_own_it_takes_the_one_that_is_shared_if_there_is_one(stage: Stage) -> None:
    assert await refused(stage, InputRequest("studio")) is InputRefusal.NO_SHARED_PORT
    shared = await stage.ingests.listen(IngestProtocol.RTP, "0.0.0.0:5004")
    other = await stage.ingests.listen(IngestProtocol.RTP, "[::]:5006")
    assert (await stage.inputs.open(InputRequest("studio"))).port == shared.port
    assert (await stage.inputs.open(InputRequest("other", source="2001:db8::1"))).port == other.port


async def test_a_port_that_is_taken_and_an_address_that_is_none_are_refused(stage: Stage) -> None:
    opened = await stage.inputs.open(InputRequest("one", listen="127.0.0.1:0"))
    taken = InputRequest("two", listen=f"127.0.0.1:{opened.port}")
    assert await refused(stage, taken) is InputRefusal.PORT_TAKEN
    assert await refused(stage, InputRequest("two", listen="somewhere")) is InputRefusal.INVALID


async def test_there_are_so_many_inputs_and_no_more(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_INPUTS", 1)
    await stage.inputs.open(InputRequest("one", listen="127.0.0.1:0"))
    assert await refused(stage, InputRequest("two", listen="127.0.0.1:0")) is InputRefusal.TOO_MANY


async def test_strangers_are_counted(stage: Stage) -> None:
    opened = await stage.inputs.open(InputRequest("one", listen="127.0.0.1:0"))
    listener = IngestListenerId(opened.listener.id)
    stage.link.emit(IngestStranger(listener=listener, remote="192.0.2.1:5000", detail="no input takes it"))
    await settled(lambda: stage.ingests.strangers == 1)
