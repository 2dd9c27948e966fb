"""Phones with DTLS-SRTP and without ICE (RFC 5763): answered on ports of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from calls_world import World, sdp

from roomtone.control.calls import CallEnd, Offered, PickedUp
from roomtone.media.fake_objects import FakeTransport
from roomtone.media.values import DtlsParameters, DtlsRole, Fingerprint
from roomtone.protocols.sdp import parse_session
from roomtone.protocols.sdp.telephony import MediaSecurity

PRINT = ":".join(["C0"] * 32)
OTHER = ":".join(["D1"] * 32)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.open()
    yield world
    await world.close()


def offered(setup: str = "actpass", print_: str = PRINT, port: int = 4000, place: str = "127.0.0.1") -> str:
    lines = (f"a=fingerprint:sha-256 {print_}", f"a=setup:{setup}", "a=rtcp-mux")
    return sdp(port, "0 101", *lines, place=place, profile="UDP/TLS/RTP/SAVP")


def secured(world: World) -> FakeTransport:
    (transport,) = (one for one in world.link.find(FakeTransport) if one.dtls)
    return transport


@pytest.mark.parametrize(
    ("setup", "ours"),
    [("actpass", DtlsRole.PASSIVE), ("active", DtlsRole.PASSIVE), ("passive", DtlsRole.ACTIVE)],
)
async def test_an_offer_by_dtls_is_answered_with_our_certificate_and_role(
    world: World, setup: str, ours: DtlsRole
) -> None:
    await world.phone("bob", "h1")
    call, caller = await world.call("bob", offered(setup), MediaSecurity.DTLS)
    call.post(world.signalling.legs[0], PickedUp(sdp(5000, "0 101")))
    await world.settle()
    section = parse_session(caller.last[1]).media[0]
    assert section.protocol == "UDP/TLS/RTP/SAVP"
    assert section.setup is not None
    assert section.setup.value == ours.value
    assert [one.algorithm for one in section.fingerprints] == ["sha-256"]
    assert section.has("rtcp-mux")
    transport = secured(world)
    named = DtlsParameters(role=ours, fingerprints=[Fingerprint(algorithm="sha-256", value=PRINT)])
    assert transport.dtls_parameters == named
    assert transport.remote == ("127.0.0.1", 4000)


async def test_behind_a_nat_the_certificate_tells_who_is_the_peer(world: World) -> None:
    await world.phone("bob", "h1")
    call, _ = await world.call("bob", offered(place="192.0.2.1"))
    call.post(world.signalling.legs[0], PickedUp(sdp(5000, "0 101")))
    await world.settle()
    assert secured(world).dtls_parameters is not None
    assert secured(world).remote is None


async def test_with_the_same_certificate_the_role_stays_and_another_is_taken(world: World) -> None:
    await world.phone("bob", "h1")
    call, caller = await world.call("bob", offered("passive"))
    call.post(world.signalling.legs[0], PickedUp(sdp(5000, "0 101")))
    await world.settle()
    call.post(caller, Offered("same", offered("actpass", port=4002)))
    await world.settle()
    transport = secured(world)
    assert transport.dtls_parameters is not None
    assert transport.dtls_parameters.role is DtlsRole.ACTIVE
    assert transport.remote == ("127.0.0.1", 4002)
    call.post(caller, Offered("another", offered("actpass", OTHER)))
    await world.settle()
    assert transport.dtls_parameters.role is DtlsRole.PASSIVE
    assert transport.dtls_parameters.fingerprints[0].value == OTHER


@pytest.mark.parametrize(
    ("security", "offer"),
    [
        (MediaSecurity.OFF, offered()),
        (MediaSecurity.SDES, offered()),
        (MediaSecurity.OPTIONAL, offered().replace("a=fingerprint", "a=x-print")),
        (MediaSecurity.OPTIONAL, offered("holdconn")),
    ],
    ids=["off", "sdes", "no fingerprint", "holdconn"],
)
async def test_dtls_that_cannot_be_is_refused(world: World, security: MediaSecurity, offer: str) -> None:
    await world.phone("bob", "h1")
    _, caller = await world.call("bob", offer, security)
    assert caller.last == ("end", CallEnd.MEDIA_INCOMPATIBLE)
    assert world.objects() == {}


@pytest.mark.parametrize(("setup", "ours"), [("active", DtlsRole.PASSIVE), ("passive", DtlsRole.ACTIVE)])
async def test_a_phone_is_offered_dtls_and_says_who_begins(world: World, setup: str, ours: DtlsRole) -> None:
    await world.phone("bob", "h1", security=MediaSecurity.DTLS)
    call, caller = await world.call("bob", sdp(4000, "0 101"))
    phone = world.signalling.legs[0]
    section = parse_session(phone.told[0][3]).media[0]
    assert (section.protocol, section.setup) == ("UDP/TLS/RTP/SAVP", "actpass")
    assert [one.algorithm for one in section.fingerprints] == ["sha-256"]
    assert section.ice_ufrag is None, "a phone without ICE is asked for none"
    call.post(phone, PickedUp(offered(setup, port=5000)))
    await world.settle()
    assert caller.words == ["answer"]
    transport = secured(world)
    assert transport.dtls_parameters is not None
    assert transport.dtls_parameters.role is ours
    assert transport.remote == ("127.0.0.1", 5000)


@pytest.mark.parametrize(
    "answer",
    [
        sdp(5000, "0 101"),
        offered("active", port=5000).replace("a=rtcp-mux", "a=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:" + "x" * 22),
        offered("active", port=5000).replace("a=fingerprint", "a=x-print"),
    ],
    ids=["plain", "ice that was not offered", "no fingerprint"],
)
async def test_an_answer_to_dtls_that_is_none_ends_the_call(world: World, answer: str) -> None:
    await world.phone("bob", "h1", security=MediaSecurity.DTLS)
    call, caller = await world.call("bob", sdp(4000, "0 101"))
    call.post(world.signalling.legs[0], PickedUp(answer))
    await world.settle()
    assert caller.last == ("end", CallEnd.MEDIA_INCOMPATIBLE)
    assert world.objects() == {}
