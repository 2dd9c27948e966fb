"""SIPp calls our user agent and is called by it, over real sockets, with messages lost on purpose."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from roomtone.protocols.sip.agent import Answered, Ended, EndReason, Invited, Requested, UserAgent
from roomtone.protocols.sip.edge import Edge, EdgeLimits
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.headers.address import Address
from roomtone.protocols.sip.tokens import Tokens
from roomtone.protocols.sip.transaction import TransactionLayer
from roomtone.servers.sip import Endpoint, Listen, TransportOptions

SIPP = shutil.which("sipp")
pytestmark = pytest.mark.skipif(SIPP is None, reason="sipp is not installed")
CALLS = 40
PATIENCE_S = 40.0
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


class Phone:
    """Answers whoever calls, hangs up on whoever answers."""

    def __init__(self) -> None:
        self.agent = UserAgent(TransactionLayer(Tokens(b"p" * 32)))
        edge = Edge(Tokens(b"e" * 32), EdgeLimits(exempt=frozenset({"127.0.0.1"})))
        here = (Listen("127.0.0.1", 0),)
        self.endpoint = Endpoint(self.agent, edge, TransportOptions(udp=here, tcp=here), self.after_input)
        self.seen: Counter[str] = Counter()
        self.ends: Counter[EndReason] = Counter()

    def port(self, transport: Transport) -> int:
        port: int = self.endpoint.listeners.addresses()[transport][0][1]
        return port

    def after_input(self, now: int) -> None:
        while (event := self.agent.poll_event()) is not None:
            self.seen[type(event).__name__] += 1
            match event:
                case Invited(leg=leg):
                    self.agent.progress(leg, 180, now)
                    self.agent.answer_invite(leg, now, body=SDP)
                case Answered(leg=leg):
                    self.agent.bye(leg, now)
                case Requested(transaction=transaction):
                    self.agent.respond(transaction, 200, now)
                case Ended(reason=reason):
                    self.ends[reason] += 1
                case _:
                    pass

    def call(self, port: int) -> None:
        flow = Flow(Transport.UDP, "127.0.0.1", port, "127.0.0.1", self.port(Transport.UDP))
        me, you = Address(f"sip:me@127.0.0.1:{flow.local_port}"), Address(f"sip:service@127.0.0.1:{port}")
        self.agent.invite(you.uri_text, flow, self.endpoint.now(), from_=me, to=you, body=SDP)
        self.endpoint.drain()


@pytest.fixture
async def phone() -> AsyncIterator[Phone]:
    phone = Phone()
    await phone.endpoint.open()
    yield phone
    await phone.endpoint.close()


async def sipp(*words: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        str(SIPP),
        *map(str, words),
        *("-i", "127.0.0.1", "-m", str(CALLS), "-nostdin", "-timeout", "30"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def outcome(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(PATIENCE_S):
        output, _ = await process.communicate()
    return process.returncode, output.decode("utf-8", "replace")[-2_000:]


@pytest.mark.parametrize("words", [("-t", "u1", "-lost", "3"), ("-t", "t1")], ids=["udp that loses", "tcp"])
async def test_calls_of_sipp_are_answered_and_ended(phone: Phone, words: tuple[Any, ...]) -> None:
    transport = Transport.TCP if "t1" in words else Transport.UDP
    caller = await sipp("-sn", "uac", f"127.0.0.1:{phone.port(transport)}", *words, "-r", 40, "-d", 50)
    code, output = await outcome(caller)
    assert code == 0, output
    assert phone.seen["Invited"] == CALLS
    assert set(phone.ends) == {EndReason.REMOTE}
    if transport is Transport.TCP:
        assert phone.ends[EndReason.REMOTE] == CALLS
        assert not phone.agent.dialogs


async def test_sipp_is_called_and_hung_up_on(phone: Phone, unused_tcp_port: int) -> None:
    called = await sipp("-sn", "uas", "-p", unused_tcp_port, "-lost", 3)
    for _ in range(CALLS):
        phone.call(unused_tcp_port)
    code, output = await outcome(called)
    assert code == 0, output
    assert phone.seen["Answered"] == CALLS
    assert phone.ends == {EndReason.LOCAL: CALLS}
    assert not phone.agent.dialogs
    assert not phone.agent.calls
