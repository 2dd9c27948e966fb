"""Calls whose sides change their media at any time, over bad lines, in virtual time: all three agree in the end."""

from __future__ import annotations

import asyncio

import pytest
from sip_bridge import ADA, BOB, Bridge, SimPhone, Wire
from sip_line import Weather
from virtual_time import run_virtual

from roomtone.control.calls import CallState
from roomtone.media.values import MediaKind

GOOD = Weather()
BAD = Weather(loss=0.12, doubling=0.1, least_ms=1, most_ms=400)
SOUND = (("0",), ("8",), ("0", "8"), ("18",), ("9", "0"))


async def _changing_call(seed: int, weather: Weather) -> tuple[int, int, int]:
    wire = Wire(seed, weather)
    bridge = Bridge(wire, seed)
    await bridge.engine.start()
    ada, bob = SimPhone("ada", ADA, wire, seed, ("0", "8")), SimPhone("bob", BOB, wire, seed, ("0", "8", "9", "18"))
    ada.call("bob")
    await asyncio.sleep(20)
    for _ in range(40):
        one = wire.chance.choice([ada, bob])
        one.change(pictures=wire.chance.random() < 0.5, takes=wire.chance.choice(SOUND))
        if wire.chance.random() < 0.2:  # the other one at the same time
            other = bob if one is ada else ada
            other.change(pictures=wire.chance.random() < 0.5, takes=wire.chance.choice(SOUND))
        await asyncio.sleep(wire.chance.choice([0.01, 0.3, 2, 15]))
    await asyncio.sleep(120)
    (call,) = bridge.running
    is_up = call.state is CallState.ANSWERED and not ada.ended and not bob.ended
    if is_up:
        for leg, phone in ((call.parties[0], ada), (call.parties[1], bob)):
            has = {MediaKind.AUDIO: "audio", MediaKind.VIDEO: "video"}
            assert {has[kind] for kind in leg.media.streams} == phone.agreed, f"{phone.name}, seed {seed}"
            assert not leg.media.is_proposing
        streams = [one for leg in call.parties for one in leg.media.streams.values()]
        transports = [one for one in bridge.link.objects.values() if type(one).__name__ == "FakeTransport"]
        assert len(transports) == len(streams), f"a port is left over, seed {seed}"
    ada.hang_up()
    bob.hang_up()
    await asyncio.sleep(120)
    await asyncio.gather(*bridge.tasks)
    assert call.state is CallState.ENDED
    assert bridge.link.objects == {}, f"seed {seed}"
    for agent in (bridge.agent, ada.agent, bob.agent):
        assert (len(agent.dialogs), len(agent.calls)) == (0, 0), f"seed {seed}"
        assert len(agent.layer) == 0
    await bridge.engine.close()
    return int(is_up), ada.changes + bob.changes, bridge.agent.counters.glares


@pytest.mark.parametrize("weather", [GOOD, BAD], ids=["good", "bad"])
def test_calls_that_are_changed_at_any_time_agree_and_leave_nothing(weather: Weather) -> None:
    up = changes = glares = 0
    for seed in range(25):
        went = run_virtual(_changing_call(seed, weather))
        up, changes, glares = up + went[0], changes + went[1], glares + went[2]
    assert up >= (25 if weather is GOOD else 20), f"{up} calls went on to their end"
    assert changes > 150, f"{changes} changes were answered"
    assert glares > 0, "offers have crossed"
