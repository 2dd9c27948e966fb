"""What phones get from us, read by Wireshark: signalling, sound and reports without a complaint."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from foreign_phones import baresip, has_baresip, heard_by
from phone_peers import Exchange, Phone, exchange, phone, pick_up
from sip_peers import until
from test_foreign_phones import is_sent_to
from test_moved_calls import music, refer_to
from test_phone_pins import gone
from test_phones_change_rooms import speaking
from test_phones_in_rooms import Voice, hears
from wireshark import DUMPCAP, TSHARK, capture, complaints, gaps, read, sources, told_ports

from roomtone.control.calls import Hold, PressKeys, RuleTarget, TargetKind, Transfer
from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.protocols.sip.agent import Answered, Ended, Invited

Scene = Callable[[Exchange, Phone, Phone, Phone], Awaitable[None]]
pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.skipif(DUMPCAP is None or TSHARK is None, reason="tshark is not installed"),
    pytest.mark.skipif(not has_baresip, reason="baresip is not installed"),
    pytest.mark.timeout(150),
]
SENDER_REPORT, LEAST_PACKETS = "200", 250


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
    ports = await told_ports(file, sip)
    assert len(ports) >= 4, "each phone was told ports of its own for sound and for reports"
    ours = " || ".join(f"udp.srcport == {port}" for port in ports)
    assert await complaints(file, sip) == []
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


@asynccontextmanager
async def three(here: Exchange) -> AsyncIterator[list[Phone]]:
    """Phones that are registered and pick up, and say tones of their own all the time."""
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(phone(here, name)) for name in ("ada", "bob", "cleo")]
        for one in made:
            assert (await one.register()).status == 200
            one.answers = pick_up
        voices = [Voice(one.rtp, hertz) for one, hertz in zip(made, (880, 440, 660), strict=True)]
        await stack.enter_async_context(speaking(*voices))
        yield made


async def hears_tone(one: Phone, hertz: float, share: float = 0.9) -> None:
    one.rtp.drain()
    await hears(one.rtp, {hertz: share}, (), lambda: None)


async def held_and_transferred(here: Exchange, ada: Phone, bob: Phone, cleo: Phone) -> None:
    """A call of two, held by one, then by an operator, transferred by REFER to a third."""
    ada.call("bob")
    leg = (await ada.wait_for(Answered)).leg
    await hears_tone(bob, 880)
    assert (await ada.reoffer(leg, ada.sdp("0 101", "a=sendonly"))).status == 200
    await hears_tone(bob, 500, 0.7)
    assert (await ada.reoffer(leg, ada.sdp("0 101"))).status == 200
    (call,) = here.calls.all()
    await here.calls.command(call.id, Hold(call.parties[0].id, on=True))
    await hears_tone(ada, 500, 0.7)
    await here.calls.command(call.id, Hold(call.parties[0].id, on=False))
    await here.calls.command(call.id, PressKeys(call.parties[0].id, "12"))
    ada.agent.subscriptions.refer(leg.dialog, refer_to(here, "cleo"), ada.now())
    ada.drain()
    await hears_tone(cleo, 440)
    await ada.wait_for(Ended)
    cleo.hang_up((await cleo.wait_for(Invited)).leg)


async def in_rooms(here: Exchange, ada: Phone, bob: Phone, cleo: Phone) -> None:
    """Two phones in a room; one is put on hold and then given to a third."""
    await here.book.dispatch.create("standup", ["7000"], RuleTarget(TargetKind.ROOM, room="standup"))
    for one in (ada, bob):
        one.call("7000")
        await one.wait_for(Answered)
    await hears_tone(bob, 880)
    first = here.calls.all()[0]
    await here.calls.command(first.id, Hold(first.legs[0].id, on=True))
    await hears_tone(ada, 500, 0.7)
    await here.calls.command(first.id, Hold(first.legs[0].id, on=False))
    await here.calls.command(first.id, Transfer(first.legs[0].id, "cleo"))
    await hears_tone(cleo, 880)
    for one in (ada, bob):
        one.hang_up((await one.wait_for(Answered)).leg)


@pytest.mark.long
@pytest.mark.parametrize("scene", [held_and_transferred, in_rooms])
async def test_wireshark_has_nothing_to_say_against_calls_that_change(tmp_path: Path, scene: Scene) -> None:
    file = tmp_path / "calls.pcapng"
    async with exchange(tmp_path, "ada", "bob", "cleo", music=music(), extended_reports=True) as here:
        async with capture(file), three(here) as phones:
            await scene(here, *phones)
            await gone(here)
        sip = here.port
    assert len(await told_ports(file, sip)) >= 6
    assert await complaints(file, sip) == []
    assert await read(file, sip, f"rtp && ({await sources(file, sip)})", "rtp.ssrc"), "sound was read as such"


@pytest.mark.long
async def test_wireshark_has_nothing_to_say_against_a_call_by_srtp(tmp_path: Path) -> None:
    file, account = tmp_path / "srtp.pcapng", "regint=60;audio_codecs=PCMU;mediaenc=srtp-mand"
    secure = partial(baresip, modules=("srtp",), account=account, records=True)
    async with exchange(tmp_path, "ada", "bob", algorithm="MD5", security=MediaSecurity.SDES) as here:
        sip = here.port
        async with (
            capture(file),
            secure(tmp_path / "ada", "ada", "adaada", sip, 440) as ada,
            secure(tmp_path / "bob", "bob", "bobbob", sip, 880),
        ):
            ada.do("dial", f"sip:bob@127.0.0.1:{sip}")
            await ada.says("Call established")
            await until(lambda: heard_by(tmp_path / "ada", 880) and heard_by(tmp_path / "bob", 440))
            ada.do("hangup")
            await here.becomes_empty()
    said = {message for _, _, message in await complaints(file, sip)}
    assert said <= {"Encrypted RTCP Payload - not dissected"}, "it has no key, and nothing else to say"
    assert await read(file, sip, f"srtp.enc_payload && ({await sources(file, sip)})", "rtp.ssrc"), "sound was secured"
