"""rtpengine between a phone and the server: it seals and opens by every suite, with a library of its own."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from foreign_phones import free_ports
from phone_peers import Rtp, exchange, phone
from sip_peers import PATIENCE_S, UdpPeer, udp_peer
from test_changed_media import takes

from roomtone.protocols.sdp import parse_session
from roomtone.protocols.sdp.crypto import SUITES
from roomtone.protocols.sip.agent import Answered

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.skipif(shutil.which("rtpengine") is None, reason="rtpengine is not installed"),
    pytest.mark.timeout(120),
]
Value = str | list[str]
_cookies = itertools.count(1)


def bencoded(value: Value | dict[str, Value]) -> bytes:
    """Write a value of the control protocol."""
    if isinstance(value, str):
        return b"%d:%s" % (len(value.encode()), value.encode())
    if isinstance(value, list):
        return b"l" + b"".join(map(bencoded, value)) + b"e"
    return b"d" + b"".join(bencoded(name) + bencoded(value[name]) for name in sorted(value)) + b"e"


def bdecoded(text: bytes, at: int = 0) -> tuple[Any, int]:
    """Read a value, and where it ends."""
    first = text[at : at + 1]
    if first == b"i":
        end = text.index(b"e", at)
        return int(text[at + 1 : end]), end + 1
    if first in {b"l", b"d"}:
        found, at = [], at + 1
        while text[at : at + 1] != b"e":
            one, at = bdecoded(text, at)
            found.append(one)
        return (found if first == b"l" else dict(zip(found[::2], found[1::2], strict=True))), at + 1
    colon = text.index(b":", at)
    end = colon + 1 + int(text[at:colon])
    return text[colon + 1 : end].decode(), end


class Relay:
    """A running rtpengine."""

    def __init__(self, peer: UdpPeer) -> None:
        self._peer = peer

    async def ask(self, command: str, **values: Value) -> dict[str, Any]:
        """Give a command; its answer."""
        cookie = b"c%d " % next(_cookies)
        text = bencoded({"command": command, **{name.replace("_", "-"): value for name, value in values.items()}})
        async with asyncio.timeout(PATIENCE_S):
            while True:  # it may not listen yet
                self._peer.send(cookie + text)
                with contextlib.suppress(TimeoutError):
                    data = await asyncio.wait_for(self._peer.got.get(), 0.5)
                    if data.startswith(cookie):
                        return dict(bdecoded(data, len(cookie))[0])

    async def describe(self, command: str, text: bytes, **values: Value) -> bytes:
        """Have it take a description; what it makes of it."""
        answer = await self.ask(command, sdp=text.decode(), call_id="call", ICE="remove", **values)
        assert answer["result"] == "ok", answer
        return str(answer["sdp"]).encode()


@asynccontextmanager
async def rtpengine(folder: Path) -> AsyncIterator[Relay]:
    """An rtpengine in user space, on loopback."""
    (control,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        *("rtpengine", "--foreground", "--log-stderr", "--config-file=none", "--table=-1", "--num-threads=2"),
        *("--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{control}", f"--pidfile={folder / 'rtpengine.pid'}"),
        *("--port-min=23000", "--port-max=23999"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with udp_peer(control) as peer:
            yield Relay(peer)
    finally:
        process.terminate()
        await process.wait()


async def crosses(sender: Rtp, to: Rtp, payload: bytes) -> None:
    """What is said again and again is heard as it was."""

    async def say() -> None:
        while True:
            sender.send(payload)
            await asyncio.sleep(0.02)

    saying = asyncio.create_task(say())
    try:
        async with asyncio.timeout(PATIENCE_S):
            while (await to.next())[1] != payload:
                pass
    finally:
        saying.cancel()


@pytest.mark.parametrize("suite", SUITES)
async def test_what_rtpengine_seals_is_opened_and_the_other_way_round(tmp_path: Path, suite: str) -> None:
    async with (
        exchange(tmp_path, "ada", "bob") as here,
        rtpengine(tmp_path) as relay,
        phone(here, "ada") as ada,
        phone(here, "bob") as bob,
    ):
        await bob.register()
        bob.answers = takes("0")
        only = [f"no-{other}" for other in (*SUITES, "F8_128_HMAC_SHA1_32") if other != suite]
        secured: dict[str, Value] = {"transport_protocol": "RTP/SAVP", "DTLS": "off", "SDES": only}
        offer = await relay.describe("offer", ada.sdp("0"), from_tag="ada", **secured)
        assert f" {suite} inline:" in offer.decode()
        ada.call("bob", offer)
        answer = (await ada.wait_for(Answered)).response.body
        assert f" {suite} inline:" in answer.decode()
        told = await relay.describe("answer", answer, from_tag="ada", to_tag="bob")
        ada.rtp.remote = parse_session(told).media[0].port
        await crosses(ada.rtp, bob.rtp, b"sealed by rtpengine" * 8)
        await crosses(bob.rtp, ada.rtp, b"opened by rtpengine" * 8)
