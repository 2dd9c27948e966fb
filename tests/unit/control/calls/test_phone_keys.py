"""SRTP keys of a phone's leg: suites are offered as set, the one that is answered is used, and it may change."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest
from calls_world import World, sdp

from roomtone.control.calls import Marking, Offered, PickedUp
from roomtone.media.fake_objects import FakeTransport
from roomtone.media.values import Latching, SrtpKeys
from roomtone.protocols.sdp import parse_session
from roomtone.protocols.sdp.crypto import OFFERED, SUITES, CryptoLine, read_crypto
from roomtone.protocols.sdp.telephony import MediaSecurity


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World(marking=Marking(audio=40, video=32), extended_reports=True, srtp_suites=tuple(SUITES))
    await world.open()
    yield world
    await world.close()


def keyed(tag: int, suite: str, fill: int, port: int = 5000) -> str:
    key = base64.b64encode(bytes([fill]) * SUITES[suite]).decode()
    return sdp(port, "0 101", f"a=crypto:{tag} {suite} inline:{key}", profile="RTP/SAVP")


def lines(description: str) -> tuple[CryptoLine, ...]:
    section = parse_session(description).media[0]
    return read_crypto(line.attribute_value for line in section.lines if line.attribute == "crypto")


def secured(world: World) -> FakeTransport:
    (transport,) = (one for one in world.link.find(FakeTransport) if one.secure)
    return transport


async def test_every_suite_is_offered_with_a_key_of_its_own(world: World) -> None:
    await world.phone("bob", "h1", security=MediaSecurity.SDES)
    await world.call("bob", sdp())
    offered = lines(world.signalling.legs[0].told[0][3])
    assert [line.suite for line in offered] == list(SUITES)
    assert [line.tag for line in offered] == list(range(1, len(SUITES) + 1))
    assert len({line.key for line in offered}) == len(SUITES)
    transport = secured(world)
    assert transport.local_srtp is None, "nothing can be sent before a suite is agreed on"
    assert (transport.latching, transport.dscp, transport.extended_reports) == (Latching.REBIND, 40, True)


@pytest.mark.parametrize("suites", [OFFERED, ("F8_128_HMAC_SHA1_80", "AEAD_AES_128_GCM")], ids=["default", "chosen"])
async def test_what_is_offered_and_in_which_order_is_chosen(suites: tuple[str, ...]) -> None:
    world = World() if suites is OFFERED else World(srtp_suites=suites)
    await world.open()
    await world.phone("bob", "h1", security=MediaSecurity.SDES)
    await world.call("bob", sdp())
    assert tuple(line.suite for line in lines(world.signalling.legs[0].told[0][3])) == suites
    await world.close()


@pytest.mark.parametrize("suite", SUITES)
async def test_the_suite_that_is_answered_is_used_with_the_key_that_was_offered_for_it(
    world: World, suite: str
) -> None:
    await world.phone("bob", "h1", security=MediaSecurity.SDES)
    call, _ = await world.call("bob", sdp())
    callee = world.signalling.legs[0]
    mine = next(line for line in lines(callee.told[0][3]) if line.suite == suite)
    call.post(callee, PickedUp(keyed(mine.tag, suite, 7)))
    await world.settle()
    transport = secured(world)
    assert transport.local_srtp == SrtpKeys(suite=suite, key=mine.key)
    assert transport.remote_srtp == SrtpKeys(suite=suite, key=bytes([7]) * SUITES[suite])


async def test_an_answer_with_a_wrong_tag_is_known_by_its_suite(world: World) -> None:
    await world.phone("bob", "h1", security=MediaSecurity.SDES)
    call, _ = await world.call("bob", sdp())
    callee = world.signalling.legs[0]
    call.post(callee, PickedUp(keyed(1, "AES_CM_128_HMAC_SHA1_32", 7)))
    await world.settle()
    offered = {line.suite: line.key for line in lines(callee.told[0][3])}
    used = secured(world).local_srtp
    assert used is not None
    assert used.key == offered["AES_CM_128_HMAC_SHA1_32"]


@pytest.mark.parametrize("suite", SUITES)
async def test_an_offer_is_answered_with_its_first_suite_and_a_key_of_ours(world: World, suite: str) -> None:
    await world.phone("bob", "h1")
    call, caller = await world.call("bob", keyed(3, suite, 9, port=4000))
    call.post(world.signalling.legs[0], PickedUp(sdp(5000, "0 101")))
    await world.settle()
    (answered,) = lines(caller.last[1])
    assert (answered.tag, answered.suite) == (3, suite)
    transport = secured(world)
    assert transport.local_srtp == SrtpKeys(suite=suite, key=answered.key)
    assert transport.remote_srtp == SrtpKeys(suite=suite, key=bytes([9]) * SUITES[suite])


async def test_a_later_offer_may_bring_new_keys_and_another_suite(world: World) -> None:
    await world.phone("bob", "h1")
    first, second = "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"
    call, caller = await world.call("bob", keyed(3, first, 9, port=4000))
    call.post(world.signalling.legs[0], PickedUp(sdp(5000, "0 101")))
    await world.settle()
    transport = secured(world)
    before = transport.local_srtp
    call.post(caller, Offered("same suite", keyed(4, first, 10, port=4000)))
    await world.settle()
    assert transport.local_srtp == before, "our key stays as long as its suite does"
    assert transport.remote_srtp == SrtpKeys(suite=first, key=bytes([10]) * SUITES[first])
    call.post(caller, Offered("another", keyed(1, second, 11, port=4000)))
    await world.settle()
    (answered,) = lines(caller.last[2])
    assert (answered.tag, answered.suite) == (1, second)
    assert transport.local_srtp == SrtpKeys(suite=second, key=answered.key)
    assert transport.remote_srtp == SrtpKeys(suite=second, key=bytes([11]) * SUITES[second])
