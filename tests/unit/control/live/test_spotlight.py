"""Streams that follow who speaks: whom they show when, and that they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from live_world import close_world, fed, flows, make_world, picture, sound

from roomtone.control.live import LiveError, LiveEventKind, LivePicture, LiveRefusal, LiveSound
from roomtone.control.live.spotlight import HOLD_S, SETTLE_S, Spotlight
from roomtone.control.rooms import RoomLimits, SpeakerRules
from roomtone.control.rooms.speakers import Speaker, tell_speakers
from roomtone.media.values import MediaKind

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL = ("ann", "bob", "cleo")


def shown(*heard: tuple[float, str | None], people: Sequence[str] = ALL) -> list[str | None]:
    """Give who is shown after each time that somebody was heard."""
    spotlight, seen = Spotlight(), []
    for now, dominant in heard:
        spotlight.handle(dominant, people, now)
        seen.append(spotlight.shown)
    return seen


def test_whoever_began_first_is_shown_until_somebody_speaks() -> None:
    assert shown((0, None), (10, "bob"), (10 + SETTLE_S - 0.1, "bob"), (10 + SETTLE_S, "bob")) == [
        "ann",
        "ann",
        "ann",
        "bob",
    ]
    assert shown((0, "cleo")) == ["cleo"]


def test_who_coughs_is_not_shown_and_who_is_shown_stays_for_a_while() -> None:
    assert shown((0, "ann"), (10, "bob"), (10.9, "ann"), (11.5, "bob"), (12, "bob")) == ["ann"] * 5
    assert shown((0, "ann"), (10, "bob"), (10.5, "cleo"), (11, "cleo"), (11.5, "cleo")) == ["ann"] * 4 + ["cleo"]
    # Bob had the picture from the eleventh second on.
    late = 11 + HOLD_S
    assert shown((0, "ann"), (10, "bob"), (11, "bob"), (11.1, "cleo"), (late - 0.1, "cleo"), (late, "cleo")) == [
        *("ann", "ann", "bob", "bob", "bob", "cleo"),
    ]


def test_who_has_no_picture_leaves_the_one_before() -> None:
    assert shown((0, "ann"), (10, "phone"), (20, "phone"), (21, None)) == ["ann"] * 4
    # A word of another between does not count as the phone's.
    assert shown((0, "ann"), (10, "bob"), (10.5, "phone"), (11.5, "bob"), (12, "bob")) == ["ann"] * 5


def test_who_goes_is_followed_at_once_and_nobody_by_none() -> None:
    spotlight = Spotlight()
    spotlight.handle("ann", ALL, 0)
    spotlight.handle("cleo", ("bob", "cleo"), 0.1)
    assert spotlight.shown == "cleo"
    spotlight.handle(None, ("bob",), 0.2)
    assert spotlight.shown == "bob"
    spotlight.handle(None, (), 0.3)
    assert spotlight.shown == "bob"


def test_it_says_when_to_look_again() -> None:
    spotlight = Spotlight()
    spotlight.handle("ann", ALL, 0)
    assert spotlight.next_timeout() is None
    spotlight.handle("bob", ALL, 0.5)
    assert spotlight.next_timeout() == HOLD_S
    spotlight.handle("bob", ALL, HOLD_S)
    assert (spotlight.shown, spotlight.next_timeout()) == ("bob", None)
    spotlight.handle("ann", ALL, 100)
    assert spotlight.next_timeout() == 100 + SETTLE_S


async def test_a_stream_shows_who_speaks_and_who_is_pinned_before_that() -> None:
    times = [0.0]
    world = await make_world(monotonic=lambda: times[0])
    people = [await world.publish(identity, sound(), picture()) for identity in ("ann", "bob")]
    people.append(await world.publish("phone", sound()))
    for person in people:
        await flows(world, person)
    room = people[0].room

    async def speaks(identity: str | None) -> None:
        speakers = () if identity is None else (Speaker(identity, 0.5),)
        tell_speakers(room, speakers, identity)
        await world.settle()

    stream = await world.live.go_live("demo", sound=LiveSound.MIX, picture=LivePicture.SPEAKER)
    world.link.begin_packager(stream.packager.id)
    await world.start(stream)
    assert (fed(stream), stream.picture) == ({MediaKind.VIDEO: "ann"}, LivePicture.SPEAKER)
    times[0] = 10.0
    await speaks("bob")
    assert fed(stream) == {MediaKind.VIDEO: "ann"}
    times[0] = 10.0 + SETTLE_S
    await world.live.feeding.get_in_step(stream)
    assert fed(stream) == {MediaKind.VIDEO: "bob"}
    times[0] = 20.0
    await speaks("phone")
    times[0] = 30.0
    await world.live.feeding.get_in_step(stream)
    assert fed(stream) == {MediaKind.VIDEO: "bob"}  # there is no picture of the phone
    await flows(world, people[1], comes=False)
    assert fed(stream) == {MediaKind.VIDEO: "ann"}
    await flows(world, people[1])
    await world.live.point(stream, ["bob"])
    assert fed(stream) == {MediaKind.VIDEO: "bob"}
    times[0] = 40.0
    await speaks("ann")
    times[0] = 50.0
    await world.live.feeding.get_in_step(stream)
    assert fed(stream) == {MediaKind.VIDEO: "bob"}  # who is pinned stays
    await world.live.point(stream, [])
    assert fed(stream) == {MediaKind.VIDEO: "ann"}
    assert [event.detail for event in stream.events if event.kind is LiveEventKind.SWITCHED] == [
        *("bob", "ann", "bob", "ann"),
    ]
    await close_world(world)


async def test_where_nobody_looks_who_speaks_it_is_refused() -> None:
    world = await make_world(room_limits=RoomLimits(speakers=SpeakerRules(top_n=0)))
    await world.publish("ann", picture())
    with pytest.raises(LiveError) as refused:
        await world.live.go_live("demo", picture=LivePicture.SPEAKER)
    assert refused.value.refusal is LiveRefusal.NOBODY_LISTENS
    assert world.live.by_name == {}
    assert (await world.live.go_live("demo")).picture is LivePicture.FIRST
    await close_world(world)


async def test_a_stream_looks_by_itself_when_somebody_has_spoken_for_long_enough() -> None:
    times = [0.0]
    world = await make_world(monotonic=lambda: times[0])
    for identity in ("ann", "bob"):
        await flows(world, await world.publish(identity, picture()))
    stream = await world.live.go_live("demo", picture=LivePicture.SPEAKER)
    world.link.begin_packager(stream.packager.id)
    await world.start(stream)
    times[0] = 10.0
    tell_speakers(stream.room, (Speaker("bob", 0.5),), "bob")
    await world.settle()
    assert stream.looks_again is not None
    await world.live.end(stream)
    assert stream.looks_again.cancelled()
    await close_world(world)
