"""The programs for phones that are given as examples: run as they are, with phones that are not theirs."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from foreign_phones import baresip, free_ports, has_baresip
from phone_peers import exchange, phone, pick_up
from sip_peers import PATIENCE_S
from sip_programs import Peer, at, hears
from test_foreign_phones import MD5

from roomtone.protocols.sip.agent import Answered, Ended, Invited

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.skipif(not has_baresip, reason="baresip is not installed"),
    pytest.mark.timeout(120),
]
FOLDER = Path(__file__).resolve().parents[2] / "examples"


class Program:
    """An example that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def says(self, *words: str) -> str:
        """Wait for a line with these words."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while True:
                line = (await self.process.stdout.readline()).decode()
                self.lines.append(line)
                assert line, "".join(self.lines)
                if all(word in line for word in words):
                    return line


@asynccontextmanager
async def example(name: str, *arguments: str) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(FOLDER / name), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_softphone_registers_plays_its_tone_and_says_what_is_pressed(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", "bob") as here, phone(here, "bob") as bob:
        await bob.register()
        bob.answers = pick_up
        server = f"127.0.0.1:{here.port}"
        async with example("softphone.py", "ada", "adaada", server, f"sip:bob@{server}") as softphone:
            await softphone.says("registered for 600 s")
            await softphone.says("answered", "PCMU/8000")
            await hears(bob.rtp, 440)
            for _ in range(3):
                bob.rtp.send(bytes([5, 0x8A, 3, 32]), 101)
            await softphone.says("key 5")
            bob.hang_up((await bob.wait_for(Invited)).leg)
            await softphone.says("ended: remote")
            assert await asyncio.wait_for(softphone.process.wait(), PATIENCE_S) == 0
        await here.becomes_empty()


async def test_the_attendant_prompts_a_foreign_phone_and_transfers_it_by_key(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with Peer() as sales, Peer() as listener:
        menu = f"1={at(sales, 'sales')}"
        async with (
            example("auto_attendant.py", str(port), "-", menu) as attendant,
            baresip(tmp_path / "bob", "bob", "x", 0, 440, account="regint=0;audio_codecs=PCMU") as bob,
        ):
            await attendant.says("listening")
            call = await listener.call(f"sip:menu@127.0.0.1:{port}", sdp=listener.sdp)
            await call.wait_answered()
            listener.listen_to(call)
            await hears(listener.rtp, 620)
            listener.press(9)
            await attendant.says("key 9 stands for nobody")
            await call.hang_up()
            await attendant.says("hung up")
            bob.do("dial", f"sip:menu@127.0.0.1:{port}")
            await attendant.says("sip:bob@", "calls")
            await bob.says("Call established")
            bob.do("sndcode", "1")
            await attendant.says("key 1: transferred")
            await sales.calls_in.get()
            await hears(sales.rtp, 440)


async def test_the_gateway_bridges_a_trunk_to_a_secured_phone_of_another_codec(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path, "ada", "gate", order=MD5) as here,
        phone(here, "ada") as ada,
        baresip(
            tmp_path / "desk",
            "desk",
            "x",
            0,
            440,
            modules=["srtp"],
            account="regint=0;audio_codecs=PCMA;mediaenc=srtp-mand",
        ) as desk,
        example(
            "trunk_gateway.py", "gate", "gategate", f"127.0.0.1:{here.port}", f"sip:desk@127.0.0.1:{desk.port}"
        ) as gate,
    ):
        await gate.says("registered")
        ada.call("gate", ada.sdp("0 101"))
        leg = (await ada.wait_for(Answered)).leg
        await gate.says("PCMU/8000 to PCMA/8000")
        await desk.says("Call established")
        await hears(ada.rtp, 440)
        ada.hang_up(leg)
        await ada.wait_for(Ended)
        await gate.says("ended")
        await desk.says("session closed")
        await here.becomes_empty()
