"""Commands done together: one message each way, and what is real of them afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from roomtone.media import Engine, EngineCommandError, FakeLink, PlainTransport, Router, Together
from roomtone.media.fake_objects import FakeConsumer, FakeTransport
from roomtone.media.values import (
    CodecParameters,
    ConnectPlainTransport,
    DoTogether,
    EngineConfig,
    ErrorCode,
    MediaKind,
    OpenPlainTransport,
    RouterClosed,
)

PCMU = [CodecParameters(payload_type=0, name="PCMU", clock_rate=8000)]


@pytest.fixture
def link() -> FakeLink:
    return FakeLink(EngineConfig(max_transports=3))


@pytest.fixture
async def engine(link: FakeLink) -> AsyncIterator[Engine]:
    engine = Engine(link)
    await engine.start()
    yield engine
    await engine.close()


def pair(engine: Engine) -> tuple[Together, Router, list[PlainTransport]]:
    together = engine.together()
    router = together.open_router()
    return together, router, [together.open_plain_transport(OpenPlainTransport(router=router.id)) for _ in range(2)]


async def test_a_bridge_takes_two_messages(engine: Engine, link: FakeLink) -> None:
    together, router, (one, other) = pair(engine)
    assert len(together) == 3
    await together.do()
    assert not together
    assert router.id in link.objects
    assert one.port != other.port
    assert 0 not in {one.port, other.port}
    for transport, port in ((one, 4000), (other, 5000)):
        together.connect(ConnectPlainTransport(transport=transport.id, ip="192.0.2.1", port=port))
    producer = together.produce(one, MediaKind.AUDIO, PCMU)
    consumer = together.consume(other, MediaKind.AUDIO, producer, payload_types=[(0, 0)], paused=True)
    await together.do()
    assert [held.remote for held in link.find(FakeTransport)] == [("192.0.2.1", 4000), ("192.0.2.1", 5000)]
    held: Any = link.objects[consumer.id]
    assert isinstance(held, FakeConsumer)
    assert (held.producer, held.paused, consumer.ssrc) == (producer.id, True, held.ssrc)
    assert [type(command) for command in link.commands] == [DoTogether, DoTogether]


async def test_nothing_to_do_is_no_message(engine: Engine, link: FakeLink) -> None:
    await engine.together().do()
    assert link.commands == []


async def test_what_failed_was_never_opened_and_what_was_done_before_is_there_to_be_closed(
    engine: Engine, link: FakeLink
) -> None:
    together, router, transports = pair(engine)
    many = [together.open_plain_transport(OpenPlainTransport(router=router.id)) for _ in range(3)]
    with pytest.raises(EngineCommandError) as refused:
        await together.do()
    assert refused.value.code is ErrorCode.LIMIT
    assert engine.counters.failures == 1
    assert all(one.id in link.objects for one in (router, *transports, many[0]))
    told = len(link.commands)
    for never in many[1:]:
        await never.close()
    assert len(link.commands) == told, "there is nothing to close"
    with engine.events() as mailbox:
        await router.close_quietly()
        assert link.objects == {}
        other = await engine.open_router()
        await other.close()
        event = await mailbox.get()
        assert isinstance(event, RouterClosed)
        assert event.router == other.id, "of the first nothing is told"


async def test_a_router_that_is_not_closed_quietly_is_told_of(engine: Engine) -> None:
    together, router, transports = pair(engine)
    await together.do()
    with engine.subscribe(router.id, transports[0].id) as mailbox:
        await router.close()
        assert [type(await mailbox.get()).__name__ for _ in range(2)] == ["TransportClosed", "RouterClosed"]


async def test_an_engine_that_is_closed_does_nothing(engine: Engine) -> None:
    together, _, _ = pair(engine)
    await engine.close()
    with pytest.raises(EngineCommandError) as refused:
        await together.do()
    assert refused.value.code is ErrorCode.ENGINE_CLOSED
