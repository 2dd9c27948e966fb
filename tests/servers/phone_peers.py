"""An exchange on real sockets with the real engine, and phones made of our own user agent that register and call."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sip_peers import HERE, PATIENCE_S, until

from roomtone.control.calls import CallParts, Calls, PhoneBook, PhoneTables, TrunkKeeper, open_book
from roomtone.control.rooms import Rooms
from roomtone.media import CoreLink, Engine
from roomtone.media.values import EngineConfig, MixerSource
from roomtone.protocols.sdp import parse_session
from roomtone.protocols.sdp.crypto import OFFERED
from roomtone.protocols.sip.agent import (
    AgentEvent,
    Answered,
    Ended,
    Invited,
    Leg,
    OutgoingInvite,
    Reoffered,
    Requested,
    Responded,
    UserAgent,
)
from roomtone.protocols.sip.digest import Algorithm, DigestClient, DigestPolicy, DigestServer, Login
from roomtone.protocols.sip.edge import Edge, EdgeLimits
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.headers import Address
from roomtone.protocols.sip.message import Request, Response, header_line
from roomtone.protocols.sip.tokens import Tokens
from roomtone.protocols.sip.transaction import TransactionLayer
from roomtone.servers.sip import Endpoint, Listen, TransportOptions
from roomtone.servers.sip.domains import Domains
from roomtone.servers.sip.guard import PhoneGuard
from roomtone.servers.sip.phone_server import PhoneServer
from roomtone.servers.sip.ways import Names
from roomtone.store.phones import SqlCallRecords, SqlDispatchRules, SqlSipAccounts, SqlSipBindings, SqlSipTrunks
from roomtone.store.sealing import open_key_file
from roomtone.store.sql import Database
from roomtone.store.urls import database_url

_seeds = itertools.count(1)
T = TypeVar("T")


def tokens() -> Tokens:
    return Tokens(next(_seeds).to_bytes(32, "big"))


@dataclass
class Exchange:
    """The server's side."""

    endpoint: Endpoint
    server: PhoneServer
    calls: Calls
    book: PhoneBook
    engine: Engine
    rooms: Rooms
    database: Database

    @property
    def port(self) -> int:
        return self.endpoint.listeners.addresses()[Transport.UDP][0][1]

    async def kinds(self) -> dict[str, int]:
        """How many routers and transports the engine has."""
        shards = [report for report in await self.engine.stats() if report["type"] == "shard"]
        return {name: sum(int(str(shard.get(name) or 0)) for shard in shards) for name in ("routers", "transports")}

    async def is_empty(self) -> bool:
        """Whether no call, leg, dialog, router or port is left."""
        agent = self.server.agent
        left = len(self.calls) + self.calls.legs() + len(agent.dialogs) + len(agent.calls)
        return not left and not any((await self.kinds()).values())

    async def becomes_empty_of_calls(self) -> None:
        """Wait until no call is left; dialogs of subscriptions may be."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.calls) or any((await self.kinds()).values()):  # noqa: ASYNC110 - counters tell nobody
                await asyncio.sleep(0.01)

    async def becomes_empty(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not await self.is_empty():  # noqa: ASYNC110 - counters tell nobody
                await asyncio.sleep(0.01)


@asynccontextmanager
async def exchange(
    folder: Path,
    *accounts: str,
    order: tuple[Algorithm, ...] | None = None,
    ring_timeout_s: float = 60.0,
    names: Names | None = None,
    options: TransportOptions | None = None,
    music: MixerSource | None = None,
    extended_reports: bool = False,
    describes_silence: bool = False,
    srtp_suites: tuple[str, ...] = OFFERED,
    **account: Any,
) -> AsyncIterator[Exchange]:
    """An exchange with these accounts; the password of each is its name twice."""
    database = Database(database_url("", folder / "phones.db"))
    await database.open()
    tables = PhoneTables(
        SqlSipAccounts(database),
        SqlSipBindings(database),
        SqlDispatchRules(database),
        SqlCallRecords(database),
        SqlSipTrunks(database),
    )
    book = open_book(tables, open_key_file(folder / "key"))
    await book.load()
    for name in accounts:
        await book.accounts.create(name, name * 2, name=name.title(), **account)
    engine = Engine(CoreLink(EngineConfig(shards=1, listen_ips=["127.0.0.1"], webrtc_ports=(0, 0), plain_ports=(0, 0))))
    await engine.start()
    words = tokens()
    edge = Edge(words, EdgeLimits(exempt=frozenset({"127.0.0.1"})))
    policy = DigestPolicy("roomtone") if order is None else DigestPolicy("roomtone", order)
    domains = Domains()
    loop = asyncio.get_running_loop()
    digest = DigestServer(policy, b"k" * 32)
    guard = PhoneGuard(book.accounts, digest, domains, edge, lambda: int(loop.time() * 1000), trunks=book.trunks)
    server = PhoneServer(TransactionLayer(words), guard, domains, "Roomtone/test")
    endpoint = Endpoint(server.agent, edge, options or TransportOptions(udp=HERE, tcp=HERE), server.after_input)
    rooms = Rooms(engine)
    rooms.start()
    parts = CallParts(
        *(engine, book.dispatch, server, time.time, ring_timeout_s, rooms),
        music=music,
        extended_reports=extended_reports,
        describes_silence=describes_silence,
        srtp_suites=srtp_suites,
    )
    calls = Calls(parts, book)
    server.attach(endpoint, calls, book.registrar, time.time, names=names, trunks=book.trunks)
    assert server.trunk_desk is not None
    keeper = TrunkKeeper(book.trunks, server.trunk_desk)
    await endpoint.open()
    calls.start()
    keeper.start()
    try:
        yield Exchange(endpoint, server, calls, book, engine, rooms, database)
    finally:
        await calls.close()
        await keeper.close()
        await endpoint.close()
        await rooms.close()
        await engine.close()
        await database.close()


class Rtp:
    """A phone's socket for media: sends packets of known payload, and sorts what comes."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.sequence = 0
        self.ssrc = next(_seeds) + 0x1000
        self.remote = 0
        self.other: Rtp | None = None
        """Whose packets it hears, where a test needs to know."""

    def packet(self, payload: bytes, payload_type: int = 0) -> bytes:
        """Make the next packet."""
        self.sequence += 1
        head = struct.pack("!BBHII", 0x80, payload_type, self.sequence, 160 * self.sequence, self.ssrc)
        return head + payload

    def send(self, payload: bytes, payload_type: int = 0) -> None:
        self.socket.sendto(self.packet(payload, payload_type), ("127.0.0.1", self.remote))

    async def next_packet(self) -> bytes:
        """The next packet that is no RTCP."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                data = await asyncio.get_running_loop().sock_recv(self.socket, 2048)
                if not 192 <= data[1] <= 223:
                    return data

    async def next(self) -> tuple[int, bytes]:
        """Payload type and payload of the next packet."""
        data = await self.next_packet()
        return data[1] & 0x7F, data[12:]

    def drain(self) -> list[bytes]:
        """Payloads of what is here already."""
        found = []
        while True:
            try:
                data = self.socket.recv(2048)
            except BlockingIOError:
                return found
            if not 192 <= data[1] <= 223:
                found.append(data[12:])

    def close(self) -> None:
        self.socket.close()


@dataclass(eq=False)
class Phone:
    """A phone: user agent, account, media."""

    name: str
    agent: UserAgent
    server: Flow
    endpoint: Endpoint | None = None
    rtp: Rtp = field(default_factory=Rtp)
    events: list[AgentEvent] = field(default_factory=list)
    answers: Callable[[Phone, Invited], None] | None = None
    """What it does with calls; None: it lets them ring."""
    reanswers: Callable[[Phone, Reoffered], bytes | int] | None = None
    """What it answers offers in the middle of a call with, or a status to refuse; without it, what it always has."""
    keeps: frozenset[str] = frozenset()
    """Methods it leaves to the test to answer."""
    refuses: frozenset[str] = frozenset()
    """Methods it refuses."""

    def now(self) -> int:
        assert self.endpoint is not None
        return self.endpoint.now()

    def drain(self) -> None:
        assert self.endpoint is not None
        self.endpoint.drain()

    def sdp(self, formats: str = "0 101", *lines: str, profile: str = "RTP/AVP", place: str = "127.0.0.1") -> bytes:
        events = ["a=rtpmap:101 telephone-event/8000"] if "101" in formats.split() else []
        head = [f"o=- 1 {next(_seeds)} IN IP4 127.0.0.1", "s=-", f"c=IN IP4 {place}", "t=0 0"]
        section = f"m=audio {self.rtp.port} {profile} {formats}"
        return "\r\n".join(["v=0", *head, section, *events, *lines, ""]).encode()

    def after_input(self, now: int) -> None:
        while (event := self.agent.poll_event()) is not None:
            self.events.append(event)
            match event:
                case Invited():
                    self._listen_to(event.request)
                    if self.answers is not None:
                        self.answers(self, event)
                case Answered():
                    self._listen_to(event.response)
                case Reoffered():
                    said = self.sdp() if self.reanswers is None else self.reanswers(self, event)
                    status, body = (said, b"") if isinstance(said, int) else (200, said)
                    self.agent.respond(event.transaction, status, now, body=body)
                case Requested() if event.request.method in self.keeps:
                    pass
                case Requested():
                    refused = event.request.method in self.refuses
                    self.agent.answer(event.transaction, 415 if refused else 200, now)
                case _:
                    pass

    def _listen_to(self, message: Request | Response) -> None:
        if message.body:
            self.rtp.remote = parse_session(message.body).media[0].port

    async def wait_for(self, kind: type[T], count: int = 1) -> T:
        """Wait for the nth event of a kind."""
        await until(lambda: len([one for one in self.events if isinstance(one, kind)]) >= count)
        return [one for one in self.events if isinstance(one, kind)][count - 1]

    def address(self, user: str) -> Address:
        return Address(f"sip:{user}@127.0.0.1:{self.server.remote_port}")

    async def register(self, expires: int = 600, **more: str) -> Response:
        """Register; the final response."""
        me = self.address(more.get("user", self.name))
        flow = self.server
        dialog = self.agent.new_dialog(f"sip:127.0.0.1:{flow.remote_port}", flow, from_=me, to=me)
        contact = more.get("contact", f"<sip:{self.name}@127.0.0.1:{flow.local_port}>;expires={expires}")
        before = len([one for one in self.events if isinstance(one, Responded)])
        self.agent.request(dialog, "REGISTER", self.now(), contact=f"Contact: {contact}\r\n".encode())
        self.drain()
        responded = await self.wait_for(Responded, before + 1)
        assert responded.response is not None
        return responded.response

    def call(self, number: str, body: bytes | None = None, block: bytes = b"") -> OutgoingInvite:
        uri = self.address(number)
        made = self.agent.invite(
            uri.uri_text,
            self.server,
            self.now(),
            from_=self.address(self.name),
            to=uri,
            body=self.sdp() if body is None else body,
            block=block,
            user=self.name,
        )
        self.drain()
        return made

    async def reoffer(self, leg: Leg, body: bytes) -> Response:
        """Send a re-INVITE; its final response."""
        before = len([one for one in self.events if isinstance(one, Responded)])
        self.agent.reoffer(leg, self.now(), body=body)
        self.drain()
        responded = await self.wait_for(Responded, before + 1)
        assert responded.response is not None
        return responded.response

    def hang_up(self, leg: Leg) -> None:
        leg.hang_up(self.now())
        self.drain()


def pick_up(phone: Phone, event: Invited) -> None:
    """Answer at once."""
    phone.agent.answer_invite(event.leg, phone.now(), body=phone.sdp())


class Password:
    """Answers challenges for a phone."""

    def __init__(self, name: str, password: str) -> None:
        words = tokens()
        self._client = DigestClient(Login(name, password), words.next)

    def answer(self, request: Request, response: Response, _: object) -> bytes | None:
        found = self._client.answer(response, request)
        if not isinstance(found, list):
            return None
        return b"".join(header_line(name, value) + b"\r\n" for name, value in found)


@asynccontextmanager
async def phone(here: Exchange, name: str, password: str | None = None, *, both_at: int = 0) -> AsyncIterator[Phone]:
    """A phone of this account, not registered yet; where it is given a port, it takes UDP and TCP there."""
    words = tokens()
    secret = Password(name, name * 2 if password is None else password)
    agent = UserAgent(TransactionLayer(words), authenticator=secret)
    made = Phone(name, agent, Flow(Transport.UDP, "127.0.0.1", here.port, "127.0.0.1", 0))
    edge = Edge(words, EdgeLimits(exempt=frozenset({"127.0.0.1"})))
    udp = (Listen("127.0.0.1", both_at),)
    endpoint = Endpoint(agent, edge, TransportOptions(udp=udp, tcp=udp if both_at else ()), made.after_input)
    await endpoint.open()
    made.endpoint = endpoint
    made.server = made.server._replace(local_port=endpoint.listeners.addresses()[Transport.UDP][0][1])
    try:
        yield made
    finally:
        await endpoint.close()
        made.rtp.close()


__all__ = ["Ended", "Exchange", "Phone", "exchange", "phone", "pick_up"]
