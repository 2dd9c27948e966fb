"""Phones that are not ours: they register, call and are called, and a tone tells what is heard."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import shutil
from pathlib import Path

import pytest
from foreign_phones import baresip, free_ports, has_baresip, linear, linphone, share_of
from phone_peers import Exchange, Phone, exchange, phone, pick_up
from sip_peers import PATIENCE_S, until
from test_watched_accounts import Mailbox, account, next_presence
from test_watched_accounts import at as name_at

from roomtone.control.calls.parties.legs import Leg
from roomtone.protocols.sip.agent import Answered, Ended
from roomtone.protocols.sip.digest import Algorithm

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]
MD5 = (Algorithm.MD5,)
"""Debian's baresip, SIPp and linphonec answer no challenge when the first is of another algorithm."""
needs_baresip = pytest.mark.skipif(not has_baresip, reason="baresip is not installed")


async def listen(to: Phone, packets: int = 60) -> list[int]:
    """Hear more than a second of PCMU."""
    samples: list[int] = []
    for _ in range(packets):
        payload_type, payload = await to.rtp.next()
        if payload_type == 0:
            samples += linear(payload)
    return samples


def test_a_tone_is_known_from_another() -> None:
    tone = [round(8000 * math.sin(2 * math.pi * 440 * at / 8000)) for at in range(8000)]
    assert share_of(tone, 440) > 0.999
    assert share_of(tone, 880) < 0.001


@needs_baresip
async def test_a_phone_is_heard_as_its_tone_and_as_nothing_else(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path, "ada", "bob", order=MD5) as here,
        phone(here, "ada") as ada,
        baresip(tmp_path / "bob", "bob", "bobbob", here.port, 440) as bob,
    ):
        ada.call("bob")
        leg = (await ada.wait_for(Answered)).leg
        await bob.says("Call established")
        samples = await listen(ada)
        assert share_of(samples[1600:], 440) > 0.95
        assert (await ada.reoffer(leg, ada.sdp("0", "a=inactive"))).status == 200
        await _is_silent(here, ada)
        assert (await ada.reoffer(leg, ada.sdp("0"))).status == 200
        assert share_of((await listen(ada))[1600:], 440) > 0.95
        bob.do("hangup")
        await ada.wait_for(Ended)
        await here.becomes_empty()


async def _is_silent(here: Exchange, ada: Phone) -> None:
    """The other side goes on sending for a while, and nothing of it arrives."""

    async def received() -> int:
        reports = await here.engine.stats()
        return sum(int(str(report.get("rtp_received") or 0)) for report in reports if report["type"] == "shard")

    ada.rtp.drain()
    before = await received()
    async with asyncio.timeout(PATIENCE_S):
        while await received() < before + 20:  # noqa: ASYNC110 - counters tell nobody
            await asyncio.sleep(0.02)
    assert ada.rtp.drain() == []


@needs_baresip
async def test_two_foreign_phones_talk_and_leave_nothing(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path, "ada", "bob", algorithm="MD5") as here,
        baresip(tmp_path / "ada", "ada", "adaada", here.port, 440) as ada,
        baresip(tmp_path / "bob", "bob", "bobbob", here.port, 880) as bob,
    ):
        ada.do("dial", f"sip:bob@127.0.0.1:{here.port}")
        await asyncio.gather(ada.says("Call established"), bob.says("Call established"))
        (call,) = here.calls.all()
        assert call.codec == "PCMU/8000"
        for leg in call.legs:
            await is_sent_to(leg)
        bob.do("hangup")
        await ada.says("session closed")
        await here.becomes_empty()
        await here.calls._write()
        (record,) = await here.book.records.table.page(1)
        assert (record.caller_account, record.callee_account, record.reason) == ("ada", "bob", "completed")


async def is_sent_to(leg: Leg, packets: int = 20) -> None:
    """Packets of the other side leave for this one."""
    (stream,) = leg.media.streams.values()
    assert stream.consumer is not None
    async with asyncio.timeout(PATIENCE_S):
        sent = 0
        while sent < packets:
            sent = sum(int(str(report.get("packetsSent") or 0)) for report in await stream.consumer.stats())
            await asyncio.sleep(0.02)


SCENARIO = """<?xml version="1.0"?><!DOCTYPE scenario SYSTEM "sipp.dtd"><scenario name="register and call">
<send retrans="500"><![CDATA[
REGISTER sip:[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:ada@[remote_ip]>;tag=r[call_number]
To: <sip:ada@[remote_ip]>
Call-ID: r///[call_id]
CSeq: 1 REGISTER
Contact: <sip:ada@[local_ip]:[local_port]>;expires=600
Max-Forwards: 70
Content-Length: 0

]]></send><recv response="401" auth="true"/>
<send retrans="500"><![CDATA[
REGISTER sip:[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:ada@[remote_ip]>;tag=r[call_number]
To: <sip:ada@[remote_ip]>
Call-ID: r///[call_id]
CSeq: 2 REGISTER
Contact: <sip:ada@[local_ip]:[local_port]>;expires=600
[authentication username=ada password=adaada]
Max-Forwards: 70
Content-Length: 0

]]></send><recv response="200"/>
<send retrans="500"><![CDATA[
INVITE sip:bob@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:ada@[remote_ip]>;tag=i[call_number]
To: <sip:bob@[remote_ip]>
Call-ID: [call_id]
CSeq: 3 INVITE
Contact: <sip:ada@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
]]></send><recv response="100" optional="true"/><recv response="401" auth="true"/>
<send><![CDATA[
ACK sip:bob@[remote_ip]:[remote_port] SIP/2.0
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
CSeq: 3 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<send retrans="500"><![CDATA[
INVITE sip:bob@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:ada@[remote_ip]>;tag=i[call_number]
To: <sip:bob@[remote_ip]>
Call-ID: [call_id]
CSeq: 4 INVITE
Contact: <sip:ada@[local_ip]:[local_port]>
[authentication username=ada password=adaada]
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
]]></send><recv response="100" optional="true"/><recv response="180" optional="true"/><recv response="200" rrs="true"/>
<send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:ada@[remote_ip]>;tag=i[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 4 ACK
Max-Forwards: 70
Content-Length: 0

]]></send><pause milliseconds="100"/>
<send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:ada@[remote_ip]>;tag=i[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 5 BYE
Max-Forwards: 70
Content-Length: 0

]]></send><recv response="200"/></scenario>
"""


@pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is not installed")
async def test_sipp_registers_with_digest_and_calls(tmp_path: Path) -> None:
    (tmp_path / "call.xml").write_text(SCENARIO)
    async with exchange(tmp_path, "ada", "bob", order=MD5) as here, phone(here, "bob") as bob:
        await bob.register()
        bob.answers = pick_up
        sip, media = free_ports(2)
        process = await asyncio.create_subprocess_exec(
            *("sipp", f"127.0.0.1:{here.port}", "-sf", str(tmp_path / "call.xml"), "-i", "127.0.0.1"),
            *("-p", str(sip), "-mp", str(media), "-m", "5", "-r", "5", "-nostdin", "-timeout", "40s"),
            cwd=tmp_path,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, output.decode("utf-8", "replace")[-3000:]
        await here.becomes_empty()
        assert here.calls.started == 5
        assert {str(end): count for end, count in here.calls.ended.items()} == {"completed": 5}


needs_linphone = pytest.mark.skipif(shutil.which("linphonec") is None, reason="linphonec is not installed")


@needs_linphone
async def test_linphone_registers(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", order=MD5) as here, linphone(tmp_path, here.port):
        await until(lambda: here.book.registrar.bindings("ada", here.book.clock()))
        (binding,) = here.book.registrar.bindings("ada", here.book.clock())
        assert "inphone" in binding.user_agent


@needs_linphone
async def test_linphone_writes_and_is_written_to(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path, "ada", "bob", order=MD5) as here,
        Mailbox() as bob,
        linphone(tmp_path, here.port) as linphonec,
    ):
        await bob.register(account(here, "bob"))
        await until(lambda: here.book.registrar.bindings("ada", here.book.clock()))
        linphonec.write(f"chat {name_at(here, 'bob')} from_linphone\n".encode())
        await until(lambda: [one.text for one in bob.texts] == ["from_linphone"])
        assert (await bob.message(name_at(here, "ada"), "to linphone", account=account(here, "bob"))).status == 200


@needs_baresip
async def test_a_foreign_phone_says_whether_it_is_there_and_sees_whether_another_is(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", "bob", order=MD5) as here, Mailbox() as ada:
        watch = await ada.subscribe(name_at(here, "bob"), "presence", account=account(here, "ada"))
        assert [one.is_open for one in (await next_presence(watch)).tuples] == [False]
        async with baresip(
            *(tmp_path / "bob", "bob", "bobbob", here.port, 440),
            apps=["contact", "presence"],
            contacts=f'"Ada" <{name_at(here, "ada")}>;presence=p2p\n',
            account="regint=60;audio_codecs=PCMU;pubint=60",
        ) as bob:
            while not any(one.id.startswith("t") for one in (await next_presence(watch)).tuples):
                pass  # until it says so itself, by its own tuple
            await until(lambda: here.server.watching.watched("presence", "ada"))
            await ada.register(account(here, "ada"))
            await bob.says("sip:ada", "changed status", "Online")
