"""PUBLISH between two user agents (RFC 3903): one publishes, the other keeps."""

from __future__ import annotations

import pytest
from agent_bench import ADDRESS, B_HOST, Pair

from roomtone.protocols.sip.agent import (
    AgentLimits,
    AgentSettings,
    EndReason,
    Publication,
    PublicationEnded,
    Responded,
    StateChange,
    StateChanged,
    StateKind,
    TooManyError,
    WrongStateError,
)
from roomtone.protocols.sip.message import Request
from roomtone.protocols.sip.packages import EventPackage, Presence, PresenceTuple

KEEPER = AgentSettings(published_packages=frozenset({"presence"}))
OPEN = Presence("pres:a@example.org", (PresenceTuple("t", is_open=True),)).serialize()
CLOSED = Presence("pres:a@example.org", (PresenceTuple("t", is_open=False),)).serialize()
PIDF = f"Content-Type: {EventPackage.PRESENCE.content_type}\r\n".encode()


def publish(pair: Pair, body: bytes = OPEN, package: str = "presence", expires_s: int = 600) -> Publication:
    publication = pair.a.agent.publications.publish(
        f"sip:a@{B_HOST}",
        pair.a.flow,
        pair.now,
        package=package,
        from_=ADDRESS,
        body=body,
        block=PIDF,
        expires_s=expires_s,
    )
    pair.run()
    return publication


def change(pair: Pair) -> StateChange:
    return pair.b.take(StateChanged).change


def status(pair: Pair) -> int:
    response = pair.a.take(Responded).response
    assert response is not None
    return response.status


def test_a_state_is_published_changed_refreshed_and_taken_back() -> None:
    pair = Pair(b=KEEPER)
    publication = publish(pair)
    first = change(pair)
    assert (first.kind, first.resource, first.package) == (StateKind.PUBLISHED, f"sip:a@{B_HOST}", "presence")
    assert (Presence.parse(first.body).tuples[0].is_open, first.content_type) == (True, "application/pidf+xml")
    pair.a.agent.publications.change(publication, pair.now, body=CLOSED, block=PIDF)
    pair.run()
    second = change(pair)
    assert (second.kind, second.replaces) == (StateKind.CHANGED, first.etag)
    assert second.etag != first.etag
    pair.wait(3_000_000)
    assert pair.b.none()
    assert len(pair.b.agent.published) == 1
    pair.a.agent.publications.remove(publication, pair.now)
    pair.run()
    assert change(pair).kind is StateKind.REMOVED
    assert pair.a.events[-1] == PublicationEnded(publication, EndReason.LOCAL, pair.a.events[-1].response)
    assert len(pair.b.agent.published) == 0
    with pytest.raises(WrongStateError):
        pair.a.agent.publications.remove(publication, pair.now)
    assert pair.is_empty()


def test_a_state_that_nobody_refreshes_expires() -> None:
    pair = Pair(b=KEEPER)
    publish(pair)
    change(pair)
    pair.lose = lambda message: isinstance(message, Request)
    pair.wait(610_000)
    assert change(pair).kind is StateKind.EXPIRED
    assert pair.a.events[-1].reason is EndReason.TIMEOUT
    assert pair.is_empty()


def test_a_compositor_that_forgot_gets_the_whole_state_again() -> None:
    pair = Pair(b=KEEPER)
    publish(pair)
    change(pair)
    pair.b.agent.published._states.clear()
    pair.words()
    pair.wait(571_000)
    assert pair.words() == ["a PUBLISH", "b 412 PUBLISH", "a PUBLISH", "b 200 PUBLISH"]
    assert change(pair).body == OPEN


def test_while_a_publish_is_on_its_way_only_the_newest_state_waits() -> None:
    pair = Pair(b=KEEPER)
    publication = publish(pair)
    change(pair)
    pair.words()
    for n in range(4):
        pair.a.agent.publications.change(publication, pair.now, body=b"%d" % n, block=PIDF)
    pair.run()
    assert [change(pair).body, change(pair).body] == [b"0", b"3"]
    assert pair.words() == ["a PUBLISH", "b 200 PUBLISH"] * 2


def test_too_brief_a_publication_is_tried_again_for_longer() -> None:
    pair = Pair(b=KEEPER)
    assert publish(pair, expires_s=10).expires_s == 60
    assert change(pair).kind is StateKind.PUBLISHED


def test_what_is_not_kept_is_refused() -> None:
    pair = Pair(b=KEEPER, limits=AgentLimits(state_bytes=100))
    publish(pair, package="dialog")
    assert status(pair) == 489
    assert pair.a.take(PublicationEnded).reason is EndReason.REFUSED
    publish(pair, body=b"x" * 101)
    assert status(pair) == 413
    publish(pair, body=b"")
    pair.a.take(PublicationEnded)
    assert status(pair) == 400
    assert pair.b.none()
    assert len(pair.b.agent.published) == 0


def test_an_etag_of_another_resource_is_not_taken() -> None:
    pair = Pair(b=KEEPER)
    publish(pair)
    etag = change(pair).etag
    dialog = pair.a.agent.new_dialog(f"sip:other@{B_HOST}", pair.a.flow, from_=ADDRESS, to=ADDRESS)
    block = f"Event: presence\r\nSIP-If-Match: {etag}\r\nExpires: 0\r\n".encode()
    pair.a.agent.request(dialog, "PUBLISH", pair.now, block=block)
    pair.run()
    assert pair.a.events[-1].response.status == 412
    assert len(pair.b.agent.published) == 1


def test_more_states_than_may_be_are_refused() -> None:
    pair = Pair(b=KEEPER, limits=AgentLimits(publications=1))
    publish(pair)
    with pytest.raises(TooManyError):
        publish(pair)
    pair.a.agent.limits = AgentLimits()
    publish(pair)
    assert pair.a.events[-2].response.status == 503
    assert len(pair.b.agent.published) == 1
