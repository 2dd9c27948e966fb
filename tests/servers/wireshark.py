"""What goes over the loopback, captured by dumpcap and read by tshark."""

from __future__ import annotations

import asyncio
import itertools
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sip_peers import PATIENCE_S

DUMPCAP, TSHARK = shutil.which("dumpcap"), shutil.which("tshark")
BUFFER_MIB = 64
"""Tests beside this one flood the loopback: what is not captured, as the SDP of a call, is taken for something else."""
WARNING = 6_291_456
"""The severity from which on Wireshark complains."""


@asynccontextmanager
async def capture(file: Path) -> AsyncIterator[None]:
    """Write what goes over the loopback to a file; fail where this user may not."""
    words = (str(DUMPCAP), "-q", "-i", "lo", "-B", str(BUFFER_MIB), "-f", "udp", "-w", str(file))
    process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(PATIENCE_S):
        while b"File:" not in said:
            line = await process.stderr.readline()
            said += line
            if not line:
                pytest.skip(f"dumpcap may not read the loopback: {said.decode('utf-8', 'replace')}")
    try:
        yield
    finally:
        process.terminate()
        await process.communicate()


async def read(file: Path, sip_port: int, only: str, *fields: str) -> list[list[str]]:
    """Fields of the packets that Wireshark's filter lets through, in which SIP stands on one port."""
    words = [str(TSHARK), "-r", str(file), "-d", f"udp.port=={sip_port},sip", "-Y", only, "-T", "fields"]
    for field in fields:
        words += ["-e", field]
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, complaint = await process.communicate()
    assert process.returncode == 0, complaint
    return [line.split("\t") for line in output.decode().splitlines()]


def gaps(numbers: list[int]) -> int:
    """Sequence numbers that were left out, said twice or out of order (RFC 3550 section 5.1)."""
    return sum((after - before) % 65_536 != 1 for before, after in itertools.pairwise(numbers))


async def sources(file: Path, sip_port: int) -> str:
    """A filter for what we sent: signalling from this port, sound and reports from ports that we described."""
    ports = await told_ports(file, sip_port)
    return " || ".join(f"udp.srcport == {port}" for port in (*sorted(ports), sip_port))


async def told_ports(file: Path, sip_port: int) -> set[str]:
    """Ports of ours that we described."""
    told = await read(file, sip_port, f"sip && udp.srcport == {sip_port} && sdp", "sdp.media.port", "sdp.media_attr")
    ports = {port for numbers, _ in told for port in numbers.split(",") if port and port != "0"}
    return ports | {port for _, text in told for port in re.findall(r"\brtcp:(\d+)", text)}


async def complaints(file: Path, sip_port: int) -> list[list[str]]:
    """What of ours is malformed, or has Wireshark warn."""
    wrong = f"(_ws.malformed || _ws.expert.severity >= {WARNING})"
    ours = await sources(file, sip_port)
    return await read(file, sip_port, f"({ours}) && {wrong}", "frame.number", "_ws.col.Info", "_ws.expert.message")
