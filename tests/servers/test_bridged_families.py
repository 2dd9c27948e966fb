"""A phone of IPv6 and one of IPv4 call each other: signalling and sound cross from one family to the other."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest
from phone_peers import exchange
from sip_peers import has_ipv6
from sip_programs import Peer, engine, hears

from roomtone.media import Engine
from roomtone.protocols.sdp import parse_session
from roomtone.protocols.sip.flow import Transport
from roomtone.servers.sip import Listen, TransportOptions
from roomtone.sip import Account, InboundCall, Server

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6"),
    pytest.mark.timeout(120),
]
BOTH = TransportOptions(udp=(Listen("127.0.0.1", 0), Listen("::1", 0)))


class SixthPhone(Server):
    """A program of IPv6 that answers and hands calls to the test."""

    def __init__(self, media: Engine) -> None:
        super().__init__(host="::1", engine=media, codecs=["pcmu"])
        self.taken: asyncio.Queue[InboundCall] = asyncio.Queue()

    async def on_invite(self, call: InboundCall) -> None:
        await call.answer()
        self.taken.put_nowait(call)


async def test_phones_of_both_families_call_each_other_and_are_heard(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path, "ada", "bob", options=BOTH) as here,
        engine() as media,
        SixthPhone(media) as six,
        Peer() as four,
    ):
        ports = dict(here.endpoint.listeners.addresses()[Transport.UDP])
        ada = Account("ada", "adaada", f"[::1]:{ports['::1']}")
        bob = Account("bob", "bobbob", f"127.0.0.1:{ports['127.0.0.1']}")
        await six.register(ada)
        await four.register(bob)
        call = await four.call(f"sip:ada@{bob.domain}", account=bob, sdp=four.sdp)
        await call.wait_answered()
        four.listen_to(call)
        inbound = await six.taken.get()
        for described, address in ((call.remote_sdp, "IN IP4 127.0.0.1"), (inbound.remote_sdp, "IN IP6 ::1")):
            assert f"c={address}" in described
        await inbound.play_tone(440)
        await hears(four.rtp, 440)
        await call.hang_up()
        await inbound.wait_ended()
        outbound = await six.call(f"sip:bob@{ada.domain}", account=ada)
        await outbound.wait_answered()
        assert parse_session(outbound.remote_sdp.encode()).media[0].port
        await outbound.play_tone(880)
        await hears(four.rtp, 880)
        four.press(7)
        assert await outbound.next_key(30) == "7"
        await outbound.hang_up()
        await here.becomes_empty()
