"""Comfort noise (RFC 3389): agreed on where it passes or is decoded, and sent in place of silence where that is set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from calls_world import World, sdp
from test_phone_calls import answered, formats

from roomtone.control.calls import RuleTarget, TargetKind
from roomtone.media.fake_objects import FakeMixer, FakeProducer


@pytest.fixture(params=[False, True], ids=["as sound", "described"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    world = World(describes_silence=request.param, with_rooms=True)
    await world.open()
    yield world
    await world.close()


def outputs(world: World) -> list[Any]:
    """What mixers give out in a phone's codec."""
    return [made for mixer in world.link.find(FakeMixer) for made in mixer.outputs.values()]


async def test_noise_of_both_passes_and_that_of_one_is_not_agreed_on(world: World) -> None:
    _, caller, callee = await answered(world, offer=sdp(4000, "0 13 101"), answer=sdp(5000, "0 13"))
    assert "13" in formats(callee.told[0][3])
    assert formats(caller.last[1]) == ("0", "13", "101"), "keys that the callee has not are translated"
    _, caller, _ = await answered(world, offer=sdp(4000, "0 13 101"), answer=sdp(5000, "0 101"))
    assert formats(caller.last[1]) == ("0", "101")


async def test_noise_of_one_is_decoded_where_its_sound_is(world: World) -> None:
    _, caller, _ = await answered(world, offer=sdp(4000, "0 13 101"), answer=sdp(5000, "9 101"))
    assert formats(caller.last[1]) == ("0", "13", "101")
    (mixer,) = world.link.find(FakeMixer)
    heard = world.link.find(FakeProducer)
    assert any(codec.name == "CN" for one in heard if one.id in mixer.inputs.values() for codec in one.codecs)
    described = world.calls.parts.describes_silence
    by_codec = {made.codec.name: made.noise_payload_type for made in outputs(world)}
    assert by_codec == {"PCMU": 13 if described else None, "G722": None}


async def test_nobody_is_sent_noise_that_has_not_offered_it(world: World) -> None:
    _, caller, callee = await answered(world, offer=sdp(4000, "0 101"), answer=sdp(5000, "9 101"))
    assert "13" not in formats(caller.last[1])
    assert "13" not in formats(callee.told[0][3])
    assert [made.noise_payload_type for made in outputs(world)] == [None, None]


async def test_a_phone_with_noise_has_it_in_a_room(world: World) -> None:
    await world.dispatch.create("standup", ["7000"], RuleTarget(TargetKind.ROOM, room="standup"))
    _, caller = await world.call("7000", sdp(4000, "0 13 101"))
    assert formats(caller.last[1]) == ("0", "13", "101")
    described = world.calls.parts.describes_silence
    (mix,) = [made for made in outputs(world) if made.codec.name == "PCMU"]
    assert mix.noise_payload_type == (13 if described else None)
