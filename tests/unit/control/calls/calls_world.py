"""Calls over the engine in memory, with signalling that writes down what it is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from phone_tables import MemoryAccounts, MemoryBindings, MemoryRecords, MemoryRules, MemoryTrunks, PlainSecrets

from roomtone.control.calls import (
    Call,
    CallEnd,
    Caller,
    CallError,
    CallParts,
    Calls,
    Contact,
    Invitation,
    PhoneTables,
    Registration,
    RuleTarget,
    Target,
    TargetKind,
    Trunk,
    open_book,
)
from roomtone.control.rooms import Rooms
from roomtone.media import Engine
from roomtone.media.fake import FakeLink
from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.protocols.sip.flow import Flow, Transport

NOW = 1_800_000_000.0
FLOW = Flow(Transport.UDP, "127.0.0.1", 5070, "127.0.0.1", 5060)
KEY = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"


def sdp(
    port: int = 4000, formats: str = "0 8 101", *lines: str, place: str = "127.0.0.1", profile: str = "RTP/AVP"
) -> str:
    maps = ["a=rtpmap:101 telephone-event/8000"] if "101" in formats.split() else []
    head = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", f"c=IN IP4 {place}", "t=0 0"]
    return "\r\n".join([*head, f"m=audio {port} {profile} {formats}", *maps, *lines, ""])


@dataclass(eq=False)
class FakeSignal:
    """A leg that writes down what it is told."""

    uri: str = ""
    media_ip: str = "127.0.0.1"
    told_ip: str = "127.0.0.1"
    source_ip: str = "127.0.0.1"
    is_browser: bool = False
    told: list[tuple[Any, ...]] = field(default_factory=list)
    fails: bool = False
    owner: Call | None = None
    referred_by: str = ""
    info_status: int = 200
    has_room: bool = True
    is_busy: bool = False
    """Whether an offer is under way that ours would cross."""
    given_up: set[Any] = field(default_factory=set)
    """Offers of its peer that were cancelled."""

    def invite(self, caller: Caller, called: str, sdp: str, referred_by: str = "") -> None:
        if self.fails:
            raise CallError(CallEnd.UNREACHABLE, "no way there")
        self.referred_by = referred_by
        self.told.append(("invite", caller.account, called, sdp))

    def ring(self, status: int, sdp: str | None) -> None:
        self.told.append(("ring", status, sdp))

    def answer(self, sdp: str) -> None:
        self.told.append(("answer", sdp))

    def end(self, end: CallEnd) -> None:
        self.told.append(("end", end))

    def answer_offer(self, offer: Any, sdp: str) -> None:
        self.told.append(("answer_offer", offer, sdp))

    def refuse_offer(self, offer: Any, end: CallEnd) -> None:
        self.told.append(("refuse_offer", offer, end))

    def postpone_offer(self, offer: Any) -> None:
        self.told.append(("postpone_offer", offer))

    def awaits(self, offer: Any) -> bool:
        return offer not in self.given_up

    def reoffer(self, sdp: str) -> bool:
        if not self.is_busy:
            self.told.append(("reoffer", sdp))
        return not self.is_busy

    def send_info(self, content_type: str, body: bytes, reply: Callable[[int], None]) -> None:
        self.told.append(("info", content_type, body))
        reply(self.info_status)

    def accept_referral(self, referral: Any) -> bool:
        self.told.append(("accepted" if self.has_room else "no room", referral))
        return self.has_room

    def refer(self, to: str, tell: Callable[[int], None]) -> None:
        self.told.append(("refer", to, tell))

    def refuse_referral(self, referral: Any, status: int) -> None:
        self.told.append(("refused", referral, status))

    def tell_referral(self, referral: Any, status: int) -> None:
        self.told.append(("progress", referral, status))

    def move_to(self, call: Call) -> None:
        self.owner = call

    @property
    def last(self) -> tuple[Any, ...]:
        return self.told[-1]

    @property
    def words(self) -> list[str]:
        return [str(one[0]) for one in self.told]


@dataclass
class FakeSignalling:
    """Makes legs; those to unreachable hosts cannot be made."""

    legs: list[FakeSignal] = field(default_factory=list)
    browsers: bool = False
    """Whether those who are called are browsers."""

    async def ways_to(self, target: Target) -> list[Target]:
        return [replace(target, uri=uri) for uri in target.uri.split(" or ")]

    def leg_to(self, target: Target, call: Call) -> FakeSignal:
        if "nowhere" in target.uri:
            raise CallError(CallEnd.UNREACHABLE, target.uri)
        signal = FakeSignal(target.uri, fails="broken" in target.uri, is_browser=self.browsers, owner=call)
        self.legs.append(signal)
        return signal


class World:
    """Everything."""

    def __init__(self, **more: Any) -> None:
        self.link = FakeLink()
        self.engine = Engine(self.link)
        self.signalling = FakeSignalling()
        self.records = MemoryRecords()
        tables = PhoneTables(MemoryAccounts(), MemoryBindings(), MemoryRules(), self.records, MemoryTrunks())
        book = open_book(tables, PlainSecrets(), clock=lambda: NOW)
        self.registrar, self.accounts, self.dispatch = book.registrar, book.accounts, book.dispatch
        most, on_waiting = more.pop("most", 10), more.pop("on_waiting", lambda _: None)
        self.rooms = more["rooms"] = Rooms(self.engine) if more.pop("with_rooms", False) else None
        parts = CallParts(self.engine, self.dispatch, self.signalling, lambda: NOW, **more)
        self.calls = Calls(parts, book, most=most, on_waiting=on_waiting)
        self.trunks = book.trunks

    async def open(self) -> None:
        await self.engine.start()
        if self.rooms is not None:
            self.rooms.start()
        self.calls.start()

    async def close(self) -> None:
        await self.calls.close()
        if self.rooms is not None:
            await self.rooms.close()
        await self.engine.close()

    async def phone(self, username: str, *hosts: str, security: MediaSecurity = MediaSecurity.OPTIONAL) -> None:
        await self.accounts.create(username, "geheim", security=security)
        for host in hosts:
            registration = Registration(username, FLOW, host, 1)
            self.registrar.register(registration, [Contact(f"sip:{username}@{host}", 600)], NOW)

    async def trunk(self, name: str) -> None:
        """A trunk that numbers with two zeros go by."""
        await self.trunks.create(Trunk(name, uri="sip:192.0.2.1", addresses=("192.0.2.1",)))
        await self.dispatch.create(name, ["00*"], RuleTarget(TargetKind.TRUNK, trunk=name))

    async def settle(self) -> None:
        for _ in range(300):
            await asyncio.sleep(0)

    async def call(
        self,
        called: str,
        offer: str | None,
        security: MediaSecurity = MediaSecurity.OPTIONAL,
        account: str = "ada",
        *,
        is_browser: bool = False,
    ) -> tuple[Call, FakeSignal]:
        signal = FakeSignal(is_browser=is_browser)
        call = signal.owner = self.calls.invited(signal, Invitation(Caller(account, "Ada", security), called, offer))
        assert call is not None
        await self.settle()
        return call, signal

    def objects(self) -> Counter[str]:
        return Counter(type(held).__name__.removeprefix("Fake") for held in self.link.objects.values())

    @property
    def record(self) -> Any:
        return self.records.rows[-1]
