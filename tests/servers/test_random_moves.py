"""Phones on real sockets that hold, refer, take over and hang up at any time, by a seed; no dialog or port is left."""

from __future__ import annotations

import asyncio
import importlib.util
import random
import struct
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from phone_peers import Exchange, Phone, exchange, phone

from roomtone.control.calls import (
    CallEnd,
    Hold,
    Merge,
    Mute,
    PhoneError,
    PressKeys,
    Redirect,
    RuleTarget,
    TargetKind,
    Transfer,
)
from roomtone.media.values import MixerClip
from roomtone.protocols.sip.agent import Answered, Invited, Leg, WrongStateError, replaces_of
from roomtone.protocols.sip.dialog import DialogState
from roomtone.protocols.sip.headers import Address
from roomtone.protocols.sip.message import header_line
from roomtone.protocols.sip.uri import SipUri, parse_uri

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(180),
]
NAMES = ("ada", "bob", "cleo", "dora")
MUSIC = MixerClip(rate_hz=8_000, samples=struct.pack("<80h", *range(80)), repeat=True)
STEPS = 150
ROOMS = {"7000": "standup", "7001": "annex"}
NUMBERS = (*NAMES, *ROOMS)


class Chaos:
    """Does anything with four phones and the API."""

    def __init__(self, seed: int, here: Exchange, phones: list[Phone]) -> None:
        self.source = random.Random(seed)  # noqa: S311 - a seeded source is the point
        self.here = here
        self.phones = phones
        self.commands: list[asyncio.Task[None]] = []
        for one in phones:
            one.answers = self._on_invited

    def _on_invited(self, one: Phone, event: Invited) -> None:
        """Answer, ring, refuse or redirect."""
        now, agent = one.now(), one.agent
        match self.source.randrange(8):
            case 0:
                agent.progress(event.leg, 180, now)
            case 1:
                agent.refuse(event.leg, self.source.choice([486, 603, 480]), now)
            case 2:
                to = f"<{self._uri(self.source.choice(NUMBERS))}>"
                agent.refuse(event.leg, 302, now, block=header_line("Contact", to) + b"\r\n")
            case _:
                agent.answer_invite(event.leg, now, body=one.sdp(self.source.choice(["0 101", "8", "0"])))

    def _uri(self, number: str) -> str:
        return f"sip:{number}@127.0.0.1:{self.here.port}"

    @staticmethod
    def legs(one: Phone) -> list[Leg]:
        found = [event.leg for event in one.events if isinstance(event, Invited | Answered)]
        return [leg for leg in found if not leg.is_over]

    def step(self) -> None:
        one = self.source.choice(self.phones)
        legs = self.legs(one)
        what = self.source.randrange(9)
        with suppress(WrongStateError):
            if what < 3 or not legs:
                self._call(one)
            elif what == 3:
                self._hang_up(one, self.source.choice(legs))
            elif what == 4:
                directions = ["a=sendonly", "a=inactive", "a=sendrecv"]
                one.agent.reoffer(
                    self.source.choice(legs), one.now(), body=one.sdp("0", self.source.choice(directions))
                )
            elif what == 5:
                self._refer(one, self.source.choice(legs), legs)
            else:
                self._command()
        one.drain()

    def _call(self, one: Phone) -> None:
        block = b""
        if self.source.random() < 0.3:
            other = self.source.choice(self.phones)
            named = self.legs(other)
            if named:
                dialog = self.source.choice(named).dialog
                value = f"{dialog.call_id};to-tag={dialog.remote_tag or 0};from-tag={dialog.local_tag}"
                block = header_line("Replaces", value) + b"\r\n"
        one.call(self.source.choice(NUMBERS), one.sdp(self.source.choice(["0 101", "8 0", "0"])), block)

    @staticmethod
    def _hang_up(one: Phone, leg: Leg) -> None:
        if leg.dialog.state is DialogState.EARLY and leg.call is None:
            one.agent.refuse(leg, 486, one.now())
        else:
            leg.hang_up(one.now())

    def _refer(self, one: Phone, leg: Leg, legs: list[Leg]) -> None:
        if leg.dialog.state is not DialogState.CONFIRMED:
            return
        to = Address(self._uri(self.source.choice([*NUMBERS, "nobody"])))
        other = self.source.choice(legs)
        uri = parse_uri(self._uri("ada"))
        if self.source.random() < 0.5 and other is not leg and other.dialog.remote_tag and isinstance(uri, SipUri):
            to = replaces_of(other).refer_to(uri)
        one.agent.subscriptions.refer(leg.dialog, to, one.now())

    def _command(self) -> None:
        calls = self.here.calls.all()
        if not calls:
            return
        call, other = self.source.choice(calls), self.source.choice(calls)
        leg = self.source.choice([leg.id for leg in call.legs] or ["gone"])
        on = self.source.random() < 0.5
        wanted = self.source.choice(
            [
                Hold(leg, on),
                Mute(leg, on),
                PressKeys(leg, "1"),
                Transfer(leg, self.source.choice(NUMBERS)),
                Redirect(self.source.choice(NUMBERS)),
                Merge(other),
            ]
        )
        self.commands.append(asyncio.create_task(self.here.calls.command(call.id, wanted)))


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 9))])
async def test_phones_that_do_anything_leave_nothing(seed: int, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(exchange(tmp_path, *NAMES, music=MUSIC))
        phones = [await stack.enter_async_context(phone(here, name)) for name in NAMES]
        for number, room in ROOMS.items():
            await here.book.dispatch.create(room, [number], RuleTarget(TargetKind.ROOM, room=room))
        for one in phones:
            assert (await one.register()).status == 200
        chaos = Chaos(seed, here, phones)
        for _ in range(STEPS):
            chaos.step()
            await asyncio.sleep(0.01)
        for one in phones:
            one.answers = None
        while here.calls.all():
            for call in here.calls.all():
                call.ask_to_end(CallEnd.REMOVED)
            await asyncio.sleep(0.01)
        results = await asyncio.gather(*chaos.commands, return_exceptions=True)
        assert {type(one) for one in results} <= {type(None), PhoneError}
        for room in tuple(here.rooms.by_name.values()):
            await here.rooms.close_room(room)
        await here.becomes_empty()
        assert not here.rooms.mixes
        assert here.calls.started > STEPS / 10
        assert CallEnd.FAILED not in here.calls.ended, "no defect of ours was met"
        assert here.server.agent.subscriptions.count == 0, "everybody who referred was told the end"
