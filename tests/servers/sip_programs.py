"""Programs of the public library for tests: endpoints on loopback, an engine, tones that are sought in what arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from foreign_phones import linear, share_of
from phone_peers import Rtp
from sip_peers import PATIENCE_S

from roomtone.media import CoreLink, Engine
from roomtone.media.values import EngineConfig
from roomtone.protocols.sdp import parse_session
from roomtone.sip import Call, InboundCall, Server


@asynccontextmanager
async def engine() -> AsyncIterator[Engine]:
    made = Engine(CoreLink(EngineConfig(shards=1, listen_ips=["127.0.0.1"], webrtc_ports=(0, 0), plain_ports=(0, 0))))
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def transports(of: Engine) -> int:
    """How many transports are open."""
    shards = [report for report in await of.stats() if report["type"] == "shard"]
    return sum(int(str(shard.get("transports") or 0)) for shard in shards)


async def hears(rtp: Rtp, hertz: float, *, window: int = 1_600) -> None:
    """Wait for a stretch of PCMU that is one tone and nothing else."""
    samples: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        while True:
            number, payload = await rtp.next()
            if number != 0:
                continue
            samples += linear(payload)
            if len(samples) >= window:
                stretch, samples = samples[:window], []
                if share_of(stretch, hertz) > 0.95:
                    return


class Peer(Server):
    """A program without an engine: its sound is a socket of the test."""

    def __init__(self, formats: str = "0 101", lines: str = "") -> None:
        super().__init__(host="127.0.0.1")
        self.rtp = Rtp()
        self.calls_in: asyncio.Queue[InboundCall] = asyncio.Queue()
        self.formats = formats
        self.lines = lines

    @property
    def sdp(self) -> str:
        events = "a=rtpmap:101 telephone-event/8000\r\n" if "101" in self.formats else ""
        head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        return f"{head}m=audio {self.rtp.port} RTP/AVP {self.formats}\r\n{events}{self.lines}"

    def listen_to(self, call: Call) -> None:
        """Send to where the other side receives."""
        self.rtp.remote = parse_session(call.remote_sdp.encode()).media[0].port

    async def on_invite(self, call: InboundCall) -> None:
        call.on_offer = self._take
        await call.answer(self.sdp)
        self.listen_to(call)
        self.calls_in.put_nowait(call)

    async def _take(self, _: str) -> str:
        return self.sdp

    async def __aexit__(self, *end: object) -> None:
        await super().__aexit__(*end)
        self.rtp.close()

    def press(self, key: int) -> None:
        """Press a key for 100 ms: its end three times (RFC 4733 section 2.5.1.4)."""
        first = self.rtp.packet(bytes([key, 0x8A, 3, 32]), 101)
        for number in range(3):  # of one time: three times the same key, and not three keys
            self.rtp.sequence += number > 0
            packet = first[:2] + self.rtp.sequence.to_bytes(2, "big") + first[4:]
            self.rtp.socket.sendto(packet, ("127.0.0.1", self.rtp.remote))

    async def hears_key(self) -> int:
        """Wait for the next telephone event."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                number, payload = await self.rtp.next()
                if number == 101:
                    return payload[0]


def at(endpoint: Server, user: str = "x") -> str:
    return f"sip:{user}@127.0.0.1:{endpoint.port()}"
