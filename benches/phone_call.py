"""CPU time of one whole call between two phones, with nothing but the server's own thread on the clock.

`python benches/phone_call.py` runs calls with digest, a record in SQL and two legs of media in the engine, as the
server has them, in one process: what comes in is handed to the endpoint and what goes out is taken from it, without
sockets. The messages are those of `calls.py`, answered by templates whose time is left out; the engine's threads are
not counted. The protocol's clock goes on by ``STEP_MS`` with each batch, however long that takes: nothing is ever
repeated. A call takes several turns of the event loop, as the engine answers: ``--size`` calls share each of them,
as the messages that a socket has at once do. ``--profile`` says where the time goes.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import re
import statistics
import tempfile
import time
from contextlib import asynccontextmanager
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from roomtone.app.run import GC_THRESHOLDS
from roomtone.control.calls import (
    CallParts,
    Calls,
    Contact,
    PhoneTables,
    Registration,
    open_book,
)
from roomtone.media import CoreLink, Engine
from roomtone.media.values import EngineConfig
from roomtone.protocols.sip.digest import Algorithm, DigestPolicy, DigestServer
from roomtone.protocols.sip.edge import Edge
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.tokens import Tokens
from roomtone.protocols.sip.transaction import Timings, TransactionLayer
from roomtone.servers.sip import Endpoint, TransportOptions
from roomtone.servers.sip.domains import Domains
from roomtone.servers.sip.guard import PhoneGuard
from roomtone.servers.sip.phone_server import PhoneServer
from roomtone.store.phones import SqlCallRecords, SqlDispatchRules, SqlSipAccounts, SqlSipBindings, SqlSipTrunks
from roomtone.store.sealing import open_key_file
from roomtone.store.sql import Database
from roomtone.store.urls import database_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"
CALLER = Flow(Transport.UDP, HOST, 15_061, HOST, 15_060)
CALLED = Flow(Transport.UDP, HOST, 15_062, HOST, 15_060)
PASSWORD = "caller-secret"  # noqa: S105 - of accounts that live as long as a run
TRYING_AFTER_MS = 200
PARTS = 10
STEP_MS = 5
PORTS = 41_000 + os.getpid() % 8 * 1_000
"""Of media; runs beside each other mostly have others."""
_SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0 101\r\n"
    b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
)
_OFFER, _ANSWER = _SDP % 6_000, _SDP % 6_100
_URI = b"sip:called@127.0.0.1:15060"
_REQUEST = (
    b"%b %b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:15061;branch=z9hG4bK-7-%d-%d\r\n"
    b"From: <sip:caller@127.0.0.1>;tag=7a%d\r\nTo: %b\r\nCall-ID: %d-7@127.0.0.1\r\nCSeq: %d %b\r\n%b"
    b"Max-Forwards: 70\r\n%bContent-Length: %d\r\n\r\n%b"
)
_CONTACT_OF_CALLER = b"Contact: <sip:caller@127.0.0.1:15061>\r\n"
_CONTACT_OF_CALLED = b"Contact: <sip:called@127.0.0.1:15062>\r\n"
_SDP_TYPE = b"Content-Type: application/sdp\r\n"
_COPIED = re.compile(rb"^((?:Via|From|Call-ID|CSeq): .*\r\n)", re.MULTILINE)
_TO = re.compile(rb"^To: (.*)\r\n", re.MULTILINE)
_NUMBER = re.compile(rb"^Call-ID: (\d+)-7@", re.MULTILINE)
_TARGET = re.compile(rb"^Contact: <([^>]*)>", re.MULTILINE)
_NONCE = re.compile(rb'nonce="([^"]*)"')


class Outbox:
    """What stands for the socket: datagrams by where they were to go, and who waits for so many of them."""

    host, port = HOST, 15_060

    def __init__(self) -> None:
        self.sent: dict[int, list[bytes]] = {CALLER.remote_port: [], CALLED.remote_port: []}
        self._wanted = (0, 0)
        self._waiting: asyncio.Future[None] | None = None

    def send(self, data: bytes, host: str, port: int) -> bool:  # noqa: ARG002 - as the listener has it
        """Keep a datagram."""
        self.sent[port].append(data)
        if self._waiting is not None and len(self.sent[self._wanted[0]]) >= self._wanted[1]:
            self._waiting.set_result(None)
            self._waiting = None
        return True

    async def take(self, port: int, count: int) -> list[bytes]:
        """Wait for so many datagrams to a port, and take them."""
        if len(self.sent[port]) < count:
            self._wanted = port, count
            self._waiting = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(60):
                await self._waiting
        found, self.sent[port] = self.sent[port], []
        return found


def _answer(data: bytes, status: bytes, more: bytes = b"", body: bytes = b"") -> bytes:
    """Answer as the called does."""
    to = _TO.search(data)
    assert to is not None
    tag = b"" if b"tag=" in to[1] else b";tag=7b"
    head = b"".join(_COPIED.findall(data))
    return b"SIP/2.0 %b\r\n%bTo: %b%b\r\n%b%bContent-Length: %d\r\n\r\n%b" % (
        *(status, head, to[1], tag, _CONTACT_OF_CALLED, more),
        *(len(body), body),
    )


def _ask(  # noqa: PLR0917 - what differs from message to message
    method: bytes, number: int, step: int, cseq: int, to: bytes, uri: bytes = _URI, more: bytes = b"", body: bytes = b""
) -> bytes:
    """Ask as the caller does."""
    contact = _CONTACT_OF_CALLER if method == b"INVITE" else b""
    kind = _SDP_TYPE if body else b""
    return _REQUEST % (
        *(method, uri, number, step, number, to, number, cseq, method, contact + more),
        *(kind, len(body), body),
    )


def _credentials(challenge: bytes) -> bytes:
    """Answer a challenge by MD5, with SIPp's idea of the URI."""
    nonce = _NONCE.search(challenge)
    assert nonce is not None
    secret = md5(b"caller:roomtone:" + PASSWORD.encode(), usedforsecurity=False).hexdigest().encode()
    asked = md5(b"INVITE:sip:127.0.0.1:15060", usedforsecurity=False).hexdigest().encode()
    response = md5(b":".join([secret, nonce[1], b"00000001", b"abcd", b"auth", asked]), usedforsecurity=False)
    return (
        b'Authorization: Digest username="caller",realm="roomtone",cnonce="abcd",nc=00000001,qop=auth,'
        b'uri="sip:127.0.0.1:15060",nonce="%b",response="%b",algorithm=MD5\r\n'
        % (nonce[1], response.hexdigest().encode())
    )


def _number_of(data: bytes) -> int:
    found = _NUMBER.search(data)
    assert found is not None
    return int(found[1])


def _to_of(data: bytes) -> bytes:
    found = _TO.search(data)
    assert found is not None
    return found[1]


class Run:
    """Calls in batches; the time of what plays the phones is not the server's."""

    def __init__(self, endpoint: Endpoint, outbox: Outbox) -> None:
        self._endpoint = endpoint
        self._outbox = outbox
        self._number = 0
        self._now = 1_000
        endpoint.now = lambda: self._now  # type: ignore[method-assign]
        self.aside_s = 0.0
        """CPU time of the phones."""

    def _give(self, messages: list[bytes], flow: Flow) -> None:
        """Hand in what a socket has at once."""
        endpoint = self._endpoint
        now = endpoint.now()
        for data in messages:
            endpoint.take(data, flow, now)
        endpoint.settle(now)

    async def batch(self, size: int) -> None:
        """Run some calls from their INVITE to their end."""
        outbox, to = self._outbox, b"<sip:called@127.0.0.1>"
        self._now += STEP_MS
        began = time.thread_time()
        numbers = range(self._number, self._number + size)
        self._number += size
        invites = [_ask(b"INVITE", one, 0, 1, to, body=_OFFER) for one in numbers]
        self.aside_s += time.thread_time() - began

        self._give(invites, CALLER)
        refused = await outbox.take(CALLER.remote_port, size)
        began = time.thread_time()
        again = []
        for data in refused:
            one = _number_of(data)
            again.append(_ask(b"ACK", one, 0, 1, _to_of(data)))
            again.append(_ask(b"INVITE", one, 1, 2, to, more=_credentials(data), body=_OFFER))
        self.aside_s += time.thread_time() - began

        self._give(again, CALLER)
        invited = await outbox.take(CALLED.remote_port, size)
        began = time.thread_time()
        ringing = [_answer(data, b"180 Ringing") for data in invited]
        answers = [_answer(data, b"200 OK", _SDP_TYPE, _ANSWER) for data in invited]
        self.aside_s += time.thread_time() - began

        self._give(ringing, CALLED)
        assert len(await outbox.take(CALLER.remote_port, size)) == size
        self._give(answers, CALLED)
        accepted = await outbox.take(CALLER.remote_port, size)
        began = time.thread_time()
        assert len(await outbox.take(CALLED.remote_port, size)) == size  # its ACKs
        acks, byes = [], []
        for data in accepted:
            one, target = _number_of(data), _TARGET.search(data)
            assert target is not None
            acks.append(_ask(b"ACK", one, 2, 2, _to_of(data), target[1]))
            byes.append(_ask(b"BYE", one, 3, 9, _to_of(data), target[1]))
        self.aside_s += time.thread_time() - began

        self._give(acks, CALLER)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self._give(byes, CALLER)
        ended = await outbox.take(CALLED.remote_port, size)
        began = time.thread_time()
        assert len(await outbox.take(CALLER.remote_port, size)) == size
        last = [_answer(data, b"200 OK") for data in ended]
        self.aside_s += time.thread_time() - began
        self._give(last, CALLED)


@asynccontextmanager
async def exchange(folder: Path) -> AsyncIterator[tuple[Run, Calls]]:
    """Have the server's own parts of SIP, with two accounts, the called of which is registered."""
    database = Database(database_url("", folder / "phones.db"))
    await database.open()
    tables: Any = (SqlSipAccounts, SqlSipBindings, SqlDispatchRules, SqlCallRecords, SqlSipTrunks)
    book = open_book(PhoneTables(*(table(database) for table in tables)), open_key_file(folder / "key"))
    await book.load()
    for name in ("caller", "called"):
        await book.accounts.create(name, PASSWORD)
    book.registrar.register(
        Registration("called", CALLED, "registration", 1), [Contact("sip:called@127.0.0.1:15062")], book.clock()
    )
    engine = Engine(
        CoreLink(EngineConfig(shards=1, listen_ips=[HOST], webrtc_ports=(0, 0), plain_ports=(PORTS, PORTS + 999)))
    )
    await engine.start()
    tokens = Tokens(b"t" * 32)
    edge, domains = Edge(tokens), Domains()
    digest = DigestServer(DigestPolicy("roomtone", (Algorithm.MD5,)), b"k" * 32)
    guard = PhoneGuard(book.accounts, digest, domains, edge, lambda: endpoint.now(), trunks=book.trunks)  # noqa: PLW0108 - made below
    server = PhoneServer(TransactionLayer(tokens, Timings(trying_after_ms=TRYING_AFTER_MS)), guard, domains)
    endpoint = Endpoint(server.agent, edge, TransportOptions(), server.after_input)
    outbox: Any = Outbox()
    endpoint.listeners.udp_for = lambda _: outbox  # type: ignore[method-assign]
    calls = Calls(CallParts(engine, book.dispatch, server, book.clock), book)
    server.attach(endpoint, calls, book.registrar, book.clock, trunks=book.trunks)
    calls.start()
    try:
        yield Run(endpoint, outbox), calls
    finally:
        await calls.close()
        await endpoint.close()
        await engine.close()
        await database.close()


async def measure(count: int, size: int, profile: cProfile.Profile | None) -> list[float]:
    """Microseconds of a call, in `PARTS` parts."""
    with tempfile.TemporaryDirectory() as folder:
        async with exchange(Path(folder)) as (run, calls):
            for _ in range(max(20, count // size // PARTS)):
                await run.batch(size)
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            if profile is not None:
                profile.enable()
            figures = []
            batches = max(1, count // size // PARTS)
            for _ in range(PARTS):
                run.aside_s = 0.0
                began = time.thread_time()
                for _ in range(batches):
                    await run.batch(size)
                figures.append((time.thread_time() - began - run.aside_s) * 1e6 / batches / size)
            if profile is not None:
                profile.disable()
            async with asyncio.timeout(10):
                while len(calls):  # noqa: ASYNC110 - the last ones end
                    await asyncio.sleep(0.01)
            assert set(calls.ended) == {"completed"}, calls.ended
            return figures


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--size", type=int, default=1, help="calls that share each turn of the loop")
    parser.add_argument("--profile", action="store_true")
    words = parser.parse_args()
    profile = cProfile.Profile(time.thread_time) if words.profile else None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(measure(words.calls, words.size, profile))
    middle = statistics.median(figures)
    print(f"{middle:,.1f} us a call ({min(figures):,.1f} to {max(figures):,.1f} in {PARTS} parts)")
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(60)


if __name__ == "__main__":
    main()
