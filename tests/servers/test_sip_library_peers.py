"""The public library and SIP tools that are not ours."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil

import pytest
from foreign_phones import free_ports
from sip_peers import PATIENCE_S
from sip_programs import Peer, at, engine
from test_sip_sound import Greeter, becomes_quiet

needs_sipp = pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")
needs_engine = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)


async def run(*words: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *map(str, words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def outcome(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(PATIENCE_S):
        output, _ = await process.communicate()
    return process.returncode, output.decode("utf-8", "replace")[-2_000:]


@needs_sipp
@needs_engine
async def test_keys_as_tones_come_back_from_sipp_which_echoes_and_has_no_events() -> None:
    (port, media_port) = free_ports(2)
    sipp = await run(
        *("sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", port, "-mi", "127.0.0.1", "-mp", media_port),
        *("-rtp_echo", "-m", 1, "-nostdin", "-timeout", 60),
    )
    async with engine() as media, Greeter(media) as program:
        call = await program.call(f"sip:echo@127.0.0.1:{port}")
        await call.wait_answered()
        assert call.codec == "PCMU/8000"
        for key in "5#":
            await call.send_dtmf(key)
            assert await call.next_key(PATIENCE_S) == key
        await call.hang_up()
        code, output = await outcome(sipp)
        assert code == 0, output
        await becomes_quiet(media)


@needs_sipp
async def test_calls_of_sipp_are_answered_by_a_program_and_ended_by_it() -> None:
    async with Peer() as program:
        sipp = await run(
            *("sipp", "-sn", "uac", f"127.0.0.1:{program.port()}", "-i", "127.0.0.1"),
            *("-m", 20, "-r", 40, "-d", 20, "-nostdin", "-timeout", 60),
        )
        code, output = await outcome(sipp)
        assert code == 0, output
        assert program.counters.calls_in == 20
        assert not program.calls


@pytest.mark.skipif(shutil.which("sipsak") is None, reason="sipsak is not installed")
async def test_sipsak_asks_a_program_what_it_can_do() -> None:
    async with Peer() as program:
        code, output = await outcome(await run("sipsak", "-vv", "-s", at(program)))
        assert code == 0, output
        assert "INVITE" in output
