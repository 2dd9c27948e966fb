"""A server of phones between two of them, in virtual time: its user agent and its calls, over a line by one seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from sip_line import Weather

from roomtone.control.calls import Call, CallParts, Invitation, Target
from roomtone.control.calls.parties.phone_call import PhoneCall
from roomtone.media import Engine
from roomtone.media.fake import FakeLink
from roomtone.protocols.sdp import parse_session
from roomtone.protocols.sip.agent import (
    Answered,
    Ended,
    Invited,
    Leg,
    OutgoingInvite,
    Refused,
    Reoffered,
    Responded,
    UserAgent,
    WrongStateError,
)
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.headers import Address
from roomtone.protocols.sip.message import Response
from roomtone.protocols.sip.tokens import Tokens
from roomtone.protocols.sip.transaction import TransactionLayer
from roomtone.servers.sip.domains import Domains
from roomtone.servers.sip.phone_server import PhoneServer

SERVER, ADA, BOB = "192.0.2.1", "192.0.2.2", "192.0.2.3"


def layer(name: str, seed: int) -> TransactionLayer:
    return TransactionLayer(Tokens((name + str(seed)).encode() * 8))


class Wire:
    """Carries messages between hosts, and loses, doubles and delays them."""

    def __init__(self, seed: int, weather: Weather) -> None:
        self.chance = random.Random(seed)  # noqa: S311
        self.weather = weather
        self.nodes: dict[str, Node] = {}

    def carry(self, sender: str, flow: Flow, data: bytes) -> None:
        weather, chance = self.weather, self.chance
        if chance.random() < weather.loss:
            return
        back = Flow(flow.transport, sender, flow.local_port, flow.remote_host, flow.remote_port)
        for _ in range(2 if chance.random() < weather.doubling else 1):
            delay_ms = chance.randint(weather.least_ms, weather.most_ms)
            node = self.nodes[flow.remote_host]
            asyncio.get_running_loop().call_later(delay_ms / 1000, node.receive, data, back)


class Node:
    """A host with a user agent; ``after_input`` takes what that tells."""

    def __init__(self, wire: Wire, host: str, agent: UserAgent, after_input: Callable[[int], None]) -> None:
        self.wire, self.host, self.agent, self.after_input = wire, host, agent, after_input
        self._timer: asyncio.TimerHandle | None = None
        wire.nodes[host] = self

    def now(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    def receive(self, data: bytes, flow: Flow) -> None:
        self.agent.handle_data(data, flow, self.now())
        self.drain()

    def drain(self) -> None:
        self.after_input(self.now())
        while (transmit := self.agent.poll_transmit()) is not None:
            self.wire.carry(self.host, transmit.flow, transmit.data)
        if self._timer is not None:
            self._timer.cancel()
        due = self.agent.next_timeout()
        loop = asyncio.get_running_loop()
        self._timer = None if due is None else loop.call_at(due / 1000 + 0.001, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self.agent.handle_timeout(self.now())
        self.drain()


class Bridge(PhoneServer):
    """The server: who calls is believed, and whoever is called is Bob."""

    def __init__(self, wire: Wire, seed: int) -> None:
        guard: Any = SimpleNamespace(
            check=lambda *_: None,
            trunk_of=lambda *_: None,
            account_of=lambda request: SimpleNamespace(
                username=request.from_.uri.user, name="", security=Target("").security
            ),
        )
        super().__init__(layer("server", seed), guard, Domains())
        self.node = Node(wire, SERVER, self.agent, self.after_input)
        self.link = FakeLink()
        self.engine = Engine(self.link)
        flow = Flow(Transport.UDP, BOB, 5060, SERVER, 5060)
        dispatch: Any = SimpleNamespace(
            targets=lambda *_: [Target(f"sip:bob@{BOB}", flow=flow, account="bob")], entries=lambda *_: []
        )
        self.parts = CallParts(self.engine, dispatch, self, lambda: 0.0)
        self.running: list[Call] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.calls = self  # type: ignore[assignment]

    def now(self) -> int:
        return self.node.now()

    def drain(self) -> None:
        self.node.drain()

    def bound_ip(self, flow: Flow) -> str:
        return flow.local_host

    async def ways_to(self, target: Target) -> list[Target]:
        return [target]

    def invited(self, signal: Any, invitation: Invitation) -> Call:
        call = PhoneCall(self.parts, invitation, signal)
        self.running.append(call)
        self.tasks.append(asyncio.create_task(call.run()))
        return call


@dataclass(eq=False)
class SimPhone:
    """A phone with its own wishes; it keeps what was agreed on last, as it has understood it."""

    name: str
    host: str
    wire: Wire
    seed: int
    takes: tuple[str, ...]
    """Payload types of sound it has now."""
    pictures: bool = False
    leg: Leg | None = None
    agreed: frozenset[str] = frozenset()
    """Kinds of media."""
    sections: int = 1
    ended: bool = False
    changes: int = 0
    refused: int = 0
    made: OutgoingInvite | None = None
    """What it has called by last."""
    turned_away: list[Response | None] = field(default_factory=list)
    """What its calls were refused with."""
    agent: UserAgent = field(init=False)
    node: Node = field(init=False)

    def __post_init__(self) -> None:
        self.agent = UserAgent(layer(self.name, self.seed))
        self.node = Node(self.wire, self.host, self.agent, self._after_input)

    def describe(self, kinds: frozenset[str], numbers: tuple[str, ...]) -> bytes:
        lines = ["v=0", f"o=- 1 1 IN IP4 {self.host}", "s=-", f"c=IN IP4 {self.host}", "t=0 0"]
        lines.append(f"m=audio {4000 if 'audio' in kinds else 0} RTP/AVP {' '.join(numbers)}")
        if "video" in kinds:
            lines += ["m=video 4002 RTP/AVP 97", "a=rtpmap:97 H264/90000"]
        elif self.sections > 1:
            lines.append("m=video 0 RTP/AVP 97")
        return "\r\n".join([*lines, ""]).encode()

    def answer(self, offer: bytes) -> bytes | None:
        """Answer an offer, and note what is agreed on by that; None: no codec in common."""
        media = parse_session(offer).media
        numbers = tuple(one for one in media[0].formats if one in self.takes)
        if not numbers or not media[0].port:
            return None
        wanted = len(media) > 1 and media[1].port and self.pictures
        self.sections = len(media)
        self.agreed = frozenset({"audio", "video"}) if wanted else frozenset({"audio"})
        return self.describe(self.agreed, numbers[:1])

    def call(self, number: str) -> None:
        uri = Address(f"sip:{number}@{SERVER}")
        me = Address(f"sip:{self.name}@{SERVER}")
        flow = Flow(Transport.UDP, SERVER, 5060, self.host, 5060)
        body = self.describe(frozenset({"audio"}), self.takes)
        self.made = self.agent.invite(uri.uri_text, flow, self.node.now(), from_=me, to=uri, body=body)
        self.node.drain()

    def give_up(self) -> None:
        """Cancel what nobody has answered yet."""
        assert self.made is not None
        self.made.cancel(self.node.now())
        self.node.drain()

    def change(self, *, pictures: bool, takes: tuple[str, ...]) -> None:
        """Want something else from now on, and say so unless an offer is under way."""
        self.pictures, self.takes = pictures, takes
        kinds = frozenset({"audio", "video"}) if pictures else frozenset({"audio"})
        if self.leg is None or self.ended:
            return
        with suppress(WrongStateError):
            self.agent.reoffer(self.leg, self.node.now(), body=self.describe(kinds, takes))
        self.node.drain()

    def hang_up(self) -> None:
        if self.leg is not None and not self.ended:
            self.leg.hang_up(self.node.now())
        self.node.drain()

    def _after_input(self, now: int) -> None:
        while (event := self.agent.poll_event()) is not None:
            match event:
                case Invited():
                    self.leg = event.leg
                    self.agent.answer_invite(event.leg, now, body=self.answer(event.request.body) or b"")
                case Answered():
                    self.leg = event.leg
                    self._note(event.response.body)
                case Reoffered():
                    said = self.answer(event.request.body)
                    self.agent.respond(event.transaction, 200 if said else 488, now, body=said or b"")
                case Responded() if event.response is not None and event.response.status < 300:
                    self.changes += 1
                    self._note(event.response.body)
                case Responded():
                    self.refused += 1
                case Refused():
                    self.turned_away.append(event.response)
                case Ended():
                    self.ended = True
                case _:
                    pass

    def _note(self, answer: bytes) -> None:
        media = parse_session(answer).media
        self.sections = max(self.sections, len(media))
        self.agreed = frozenset(one.kind for one in media if one.port)
