"""Transports in their other forms: over IPv6 only, with each side active in DTLS, from offers without candidates."""

from __future__ import annotations

import re

import pytest
from aiortc_peer import assert_sees_and_hears, live, publish, watch
from conftest import Server

pytestmark = pytest.mark.timeout(120)


async def test_aiortc_publishes_and_watches_over_ipv6_alone(ipv6_only: Server) -> None:
    publisher = await publish(ipv6_only, "six")
    await live(ipv6_only, "six")
    viewer = await watch(ipv6_only, "six")
    try:
        addresses = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+)", viewer.answer)
        assert set(addresses) == {"::1"}
        await assert_sees_and_hears(viewer)
    finally:
        await viewer.close()
        await publisher.close()


@pytest.mark.parametrize(
    ("offered", "answered"), [("actpass", "passive"), ("active", "passive"), ("passive", "active")]
)
async def test_dtls_works_with_either_side_active(server: Server, offered: str, answered: str) -> None:
    def offer(sdp: str) -> str:
        return sdp.replace("a=setup:actpass", f"a=setup:{offered}")

    room = f"dtls-{offered}"
    publisher = await publish(server, room, edit=offer)
    await live(server, room)
    viewer = await watch(server, room, edit=offer)
    try:
        for peer in (publisher, viewer):
            assert set(re.findall(r"a=setup:(\w+)", peer.answer)) == {answered}
        await assert_sees_and_hears(viewer)
    finally:
        await viewer.close()
        await publisher.close()


async def test_offers_without_candidates_are_served(server: Server) -> None:
    def offer(sdp: str) -> str:
        edited = re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", sdp)
        assert "candidate" in sdp
        assert "candidate" not in edited
        return edited

    publisher = await publish(server, "bare", edit=offer)
    await live(server, "bare")
    viewer = await watch(server, "bare", edit=offer)
    try:
        await assert_sees_and_hears(viewer)
    finally:
        await viewer.close()
        await publisher.close()
