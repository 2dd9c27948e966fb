"""What phones get from us, read by Wireshark: signalling, sound and reports without a complaint."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from foreign_phones import baresip, has_baresip, heard_by
from phone_peers import exchange
from sip_peers import PATIENCE_S, until
from test_foreign_phones import is_sent_to

DUMPCAP, TSHARK = shutil.which("dumpcap"), shutil.which("tshark")
pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.skipif(DUMPCAP is None or TSHARK is None, reason="tshark is not installed"),
    pytest.mark.skipif(not has_baresip, reason="baresip is not installed"),
    pytest.mark.timeout(150),
]
SENDER_REPORT, LEAST_PACKETS = "200", 250


@asynccontextmanager
async def capture(file: Path) -> AsyncIterator[None]:
    """Write what goes over the loopback to a file; fail where this user may not."""
    words = (str(DUMPCAP), "-q", "-i", "lo", "-f", "udp", "-w", str(file))
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


async def test_wireshark_has_nothing_to_say_against_a_converted_call(tmp_path: Path) -> None:
    file = tmp_path / "call.pcapng"
    async with (
        exchange(tmp_path, "ada", "bob", algorithm="MD5") as here,
        capture(file),
        baresip(tmp_path / "ada", "ada", "adaada", here.port, 440, records=True) as ada,
        baresip(
            tmp_path / "bob",
            "bob",
            "bobbob",
            here.port,
            880,
            records=True,
            account="regint=60;audio_codecs=PCMA",
        ) as bob,
    ):
        sip = here.port
        ada.do("dial", f"sip:bob@127.0.0.1:{sip}")
        await asyncio.gather(ada.says("Call established"), bob.says("Call established"))
        await until(lambda: heard_by(tmp_path / "ada", 880) and heard_by(tmp_path / "bob", 440))
        (call,) = here.calls.all()
        for leg in call.legs:
            # The last ones may still be on their way to the capture when the call ends.
            await is_sent_to(leg, LEAST_PACKETS + 25)
        bob.do("hangup")
        await ada.says("session closed")
        await here.becomes_empty()
    told = await read(file, sip, f"sip && udp.srcport == {sip} && sdp", "sdp.media.port", "sdp.media_attr")
    ports = {port for port, _ in told} | {port for _, text in told for port in re.findall(r"\brtcp:(\d+)", text)}
    assert len(ports) >= 4, "each phone was told ports of its own for sound and for reports"
    ours = " || ".join(f"udp.srcport == {port}" for port in ports)
    signalled = f"udp.srcport == {sip}"
    complaints = await read(
        file,
        sip,
        f"({signalled} || {ours}) && (_ws.malformed || _ws.expert.severity >= 6291456)",
        "frame.number",
        "_ws.col.Info",
        "_ws.expert.message",
    )
    assert complaints == []
    streams: dict[tuple[str, str], list[int]] = {}
    for ssrc, payload_type, number in await read(file, sip, f"rtp && ({ours})", "rtp.ssrc", "rtp.p_type", "rtp.seq"):
        streams.setdefault((ssrc, payload_type), []).append(int(number))
    assert {payload_type for _, payload_type in streams} == {"0", "8"}, "each hears its own codec"
    for stream, numbers in streams.items():
        assert len(numbers) >= LEAST_PACKETS, stream
        assert gaps(numbers) == 0, stream
    reports = await read(file, sip, f"rtcp && ({ours})", "rtcp.pt", "rtcp.senderssrc")
    heads = {(kinds.split(",")[0], ssrc.split(",")[0]) for kinds, ssrc in reports}
    for ssrc, _ in streams:
        assert any(kind == SENDER_REPORT and int(of, 0) == int(ssrc, 0) for kind, of in heads), (ssrc, heads)
