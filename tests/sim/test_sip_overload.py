"""More calls at once than can be set up, in virtual time: new ones are turned away, what goes on does, and it ends."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from sip_bridge import ADA, BOB, Bridge, SimPhone, Wire
from sip_line import Weather
from virtual_time import run_virtual

from roomtone.control.calls import Calls
from roomtone.protocols.sip.message import Response
from roomtone.protocols.sip.overload import Overload, OverloadCause

MOST, FLOOD = 10, 40
QUEUE = OverloadCause.QUEUE


class Busy(Bridge):
    """The server with all its calls, and a bound on those that wait to be set up."""

    def __init__(self, wire: Wire, seed: int) -> None:
        super().__init__(wire, seed)
        self.overload = self.agent.layer.overload = Overload({QUEUE: MOST})
        records = SimpleNamespace(add=lambda _: None)
        book: Any = SimpleNamespace(records=records, registrar=None, accounts=None, trunks=None)
        self.all_calls = Calls(self.parts, book, on_waiting=lambda waiting: self.overload.heed(QUEUE, waiting))
        self.calls = self.all_calls


def status(phone: SimPhone) -> tuple[int, bytes | None]:
    """What a phone was turned away with, and what it was told to wait."""
    (response,) = phone.turned_away
    assert isinstance(response, Response)
    return response.status, response.headers.get("retry-after")


async def _flood() -> None:
    seed, wire = 7, Wire(7, Weather())
    server = Busy(wire, seed)
    await server.engine.start()
    ada, bob = SimPhone("ada", ADA, wire, seed, ("0",)), SimPhone("bob", BOB, wire, seed, ("0",))
    ada.call("bob")
    await asyncio.sleep(1)
    assert ada.leg is not None
    others = [SimPhone(f"p{at}", f"198.51.100.{at}", wire, seed, ("0",)) for at in range(FLOOD)]
    server.link.stalled = True
    for phone in others:
        phone.call("bob")
    await asyncio.sleep(1)
    refused = [phone for phone in others if phone.turned_away]
    waiting = [phone for phone in others if not phone.turned_away]
    assert (server.all_calls.waiting, server.overload.cause) == (MOST + 1, QUEUE)
    assert len(waiting) == MOST + 1
    assert {status(phone) for phone in refused} == {(503, b"5")}
    assert server.overload.refused == {QUEUE: len(refused)}
    # What belongs to calls that there are goes on meanwhile.
    ada.hang_up()
    gone = waiting.pop()
    gone.give_up()
    await asyncio.sleep(1)
    assert ada.ended
    assert status(gone)[0] == 487
    assert server.overload.refused == {QUEUE: len(refused)}
    # Those that waited are served, and who was turned away is when it comes again.
    server.link.resume()
    await asyncio.sleep(1)
    assert (server.all_calls.waiting, server.overload.cause) == (0, None)
    assert all(phone.leg is not None for phone in waiting)
    refused[0].call("bob")
    await asyncio.sleep(1)
    assert refused[0].leg is not None
    for phone in (*waiting, refused[0]):
        phone.hang_up()
    await asyncio.sleep(120)
    assert (len(server.all_calls), server.link.objects) == (0, {})
    for agent in (server.agent, ada.agent, bob.agent, *(phone.agent for phone in others)):
        assert (len(agent.dialogs), len(agent.calls), len(agent.layer)) == (0, 0, 0)
    await server.engine.close()


def test_a_flood_of_calls_is_turned_away_until_half_of_those_that_wait_have_begun() -> None:
    run_virtual(_flood())
