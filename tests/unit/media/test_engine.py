from __future__ import annotations

import asyncio
import contextlib
import select
import time
from collections.abc import AsyncIterator

import pytest

from roomtone.media import Engine, EngineCommandError, FakeLink, SocketLink
from roomtone.media.fake_objects import FakeTransport
from roomtone.media.link import decode_outbound, encode
from roomtone.media.mailbox import Mailbox
from roomtone.media.values import (
    Answer,
    AnyEvent,
    ChannelMessage,
    ChannelOpened,
    DtlsStateChanged,
    EngineCloseReason,
    EngineConfig,
    ErrorCode,
    EventOut,
    IceState,
    IceStateChanged,
    ProducerId,
    ProducerScore,
    Question,
    TransportClosed,
    TransportId,
)


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
async def engine(link: FakeLink) -> AsyncIterator[Engine]:
    engine = Engine(link)
    await engine.start()
    yield engine
    await engine.close()


async def test_a_subscription_right_after_opening_misses_nothing(engine: Engine, link: FakeLink) -> None:
    router = await engine.open_router()
    transport = await router.open_webrtc_transport(sctp=True)
    link.connect_peer(transport.id)
    # The reply and the event that follows it come in one batch.
    channel = await transport.open_channel("chat")
    with engine.subscribe(channel.id) as mailbox:
        assert isinstance(await mailbox.get(), ChannelOpened)


async def test_events_of_a_peer_reach_the_mailbox_of_its_transport(engine: Engine, link: FakeLink) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport()
    other = await (await engine.open_router()).open_webrtc_transport()
    with engine.subscribe(transport.id) as mailbox:
        link.connect_peer(other.id)
        link.connect_peer(transport.id)
        link.lose_peer(transport.id, EngineCloseReason.CONSENT_EXPIRED, "no answer on udp")
        events = [await mailbox.get() for _ in range(3)]
    assert [type(event) for event in events] == [IceStateChanged, DtlsStateChanged, TransportClosed]
    assert events[-1] == TransportClosed(
        transport=transport.id, reason=EngineCloseReason.CONSENT_EXPIRED, detail="no answer on udp"
    )
    assert [held.id for held in link.find(FakeTransport)] == [other.id]


async def test_a_full_command_queue_is_an_error_that_may_be_tried_again() -> None:
    link = FakeLink(EngineConfig(command_queue=2))
    engine = Engine(link)
    await engine.start()
    link.stalled = True
    waiting = [asyncio.create_task(engine.open_router()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(EngineCommandError) as caught:
        await engine.open_router()
    assert caught.value.code is ErrorCode.QUEUE_FULL
    assert caught.value.retryable
    link.resume()
    assert len(await asyncio.gather(*waiting)) == 2
    await engine.close()


async def test_commands_that_wait_fail_when_the_engine_is_closed(engine: Engine, link: FakeLink) -> None:
    link.stalled = True
    waiting = asyncio.create_task(engine.open_router())
    await asyncio.sleep(0)
    await engine.close()
    with pytest.raises(EngineCommandError) as caught:
        await waiting
    assert caught.value.code is ErrorCode.ENGINE_CLOSED


async def test_a_caller_that_gave_up_does_not_disturb_the_rest(engine: Engine, link: FakeLink) -> None:
    link.stalled = True
    impatient = asyncio.create_task(engine.open_router())
    await asyncio.sleep(0)
    impatient.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await impatient
    link.resume()
    assert (await engine.open_router()).id


async def test_mailboxes_end_with_the_engine(engine: Engine) -> None:
    mailbox = engine.events()
    await engine.close()
    assert [event async for event in mailbox] == []


async def test_a_gap_in_the_numbers_of_events_is_counted(engine: Engine, link: FakeLink) -> None:
    mailbox = engine.events()
    link.emit(_ice(1))
    link._next_seq += 4
    link.emit(_ice(2))
    await mailbox.get()
    await mailbox.get()
    assert engine.counters.events_missed == 4


async def test_what_cannot_be_decoded_is_counted_and_the_rest_arrives(
    engine: Engine, link: FakeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = link.drain
    monkeypatch.setattr(link, "drain", lambda limit: [b"\xc1", b"\x81\xa4kind\xa5bogus", *drain(limit)])
    mailbox = engine.events()
    link.emit(_ice(1))
    await mailbox.get()
    assert engine.counters.undecodable == 2


async def test_a_flood_of_events_is_taken_in_bounded_batches(link: FakeLink) -> None:
    engine = Engine(link, max_batch=16)
    taken: list[int] = []
    drain = link.drain

    def spy(limit: int) -> list[bytes]:
        got = drain(limit)
        taken.append(len(got))
        return got

    link.drain = spy  # type: ignore[method-assign]
    await engine.start()
    mailbox = engine.events(limit=1000)
    for number in range(100):
        link.emit(_ice(number))
    for _ in range(100):
        await mailbox.get()
    assert max(taken) <= 16
    await engine.close()


# --- questions ---


async def answered(link: FakeLink, question: int) -> Answer:
    while question not in link.answers:  # noqa: ASYNC110 - the fake has no event for answers
        await asyncio.sleep(0)
    return link.answers[question]


async def test_without_a_handler_a_question_is_refused(engine: Engine, link: FakeLink) -> None:
    assert not (await answered(link, link.pose("publish", "cam"))).allowed
    assert engine.counters.questions_refused_unasked == 1


async def test_a_handler_decides(engine: Engine, link: FakeLink) -> None:
    async def decide(question: Question) -> bool:
        return question.subject == "cam" and question.credential == "good"

    engine.answer_questions(decide)
    assert (await answered(link, link.pose("publish", "cam", credential="good"))).allowed
    assert not (await answered(link, link.pose("publish", "cam", credential="bad"))).allowed


async def test_a_handler_that_is_too_slow_refuses_at_the_deadline(engine: Engine, link: FakeLink) -> None:
    async def never(_: Question) -> bool:
        await asyncio.Event().wait()
        return True

    engine.answer_questions(never)
    answer = await answered(link, link.pose("publish", "cam", deadline_ms=1))
    assert not answer.allowed
    assert answer.detail == "deadline passed"


async def test_a_handler_that_breaks_refuses_and_the_engine_lives_on(engine: Engine, link: FakeLink) -> None:
    async def broken(_: Question) -> bool:
        raise RuntimeError("no store")

    engine.answer_questions(broken)
    assert not (await answered(link, link.pose("publish", "cam"))).allowed
    assert (await engine.open_router()).id


async def test_too_many_open_questions_are_refused_at_once(engine: Engine, link: FakeLink) -> None:
    release = asyncio.Event()

    async def wait(_: Question) -> bool:
        await release.wait()
        return True

    engine.answer_questions(wait)
    questions = [link.pose("publish", str(number), deadline_ms=60_000) for number in range(257)]
    assert not (await answered(link, questions[-1])).allowed
    release.set()
    assert (await answered(link, questions[0])).allowed


# --- the socket pair ---


async def test_large_messages_pass_the_socket_pair_whole() -> None:
    far = FakeLink()
    engine = Engine(SocketLink(lambda: far))
    await engine.start()
    transport = await (await engine.open_router()).open_webrtc_transport(sctp=True)
    far.connect_peer(transport.id)
    channel = await transport.open_channel("files")
    data = bytes(range(256)) * 1024
    with engine.subscribe(channel.id) as mailbox:
        far.emit(ChannelMessage(channel=channel.id, data=data, text=False))
        while not isinstance(event := await mailbox.get(), ChannelMessage):
            pass
    assert event.data == data
    await channel.send(data)
    await engine.close()
    assert far.closed


async def test_a_far_engine_that_is_full_says_so_through_the_socket() -> None:
    far = FakeLink(EngineConfig(command_queue=0))
    engine = Engine(SocketLink(lambda: far))
    await engine.start()
    with pytest.raises(EngineCommandError) as caught:
        await engine.open_router()
    assert caught.value.code is ErrorCode.QUEUE_FULL
    await engine.close()


@pytest.mark.parametrize("events", [1, 50, 20_000])
async def test_who_goes_with_something_unread_takes_the_far_engine_along(events: int) -> None:
    far = FakeLink()
    link = SocketLink(lambda: far)
    for number in range(events):
        far.emit(_ice(number))
    until = time.monotonic() + 10
    while not select.select([link.event_fd()], [], [], 0.1)[0] and time.monotonic() < until:
        pass
    link.close()  # waits for the thread, whose failures fail the test
    assert far.closed


async def test_ten_thousand_events_pass_the_socket_pair_in_order() -> None:
    far = FakeLink()
    engine = Engine(SocketLink(lambda: far))
    await engine.start()
    mailbox = engine.events(limit=20_000)
    for number in range(10_000):
        far.emit(_ice(number))
    numbers = [await _transport(mailbox) for _ in range(10_000)]
    assert numbers == list(range(10_000))
    assert engine.counters.events_missed == 0
    await engine.close()


async def _transport(mailbox: Mailbox) -> int:
    event: AnyEvent = await mailbox.get()
    assert isinstance(event, IceStateChanged)
    return event.transport


def _ice(transport: int) -> IceStateChanged:
    return IceStateChanged(transport=TransportId(transport), state=IceState.CHECKING)


def test_every_value_survives_the_wire() -> None:
    event = EventOut(seq=3, event=ProducerScore(producer=ProducerId(2), encoding=1, score=9))
    assert decode_outbound(encode(event)) == event
