"""Calls over real sockets that are held, muted, transferred, redirected and merged: packets prove who hears whom."""

from __future__ import annotations

import asyncio
import importlib.util
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from foreign_phones import linear, share_of
from phone_peers import Exchange, Phone, exchange, phone, pick_up
from sip_peers import PATIENCE_S, until
from test_phone_conversion import PCMU, Voice, hears
from test_phone_server import heard, not_heard

from roomtone.control.calls import Hold, Merge, Mute, PressKeys, Redirect, Transfer
from roomtone.control.calls.media.keys import sound_of
from roomtone.media.values import MixerClip
from roomtone.protocols.sip.agent import (
    Answered,
    Ended,
    EndReason,
    Invited,
    Leg,
    Notified,
    Progressed,
    Refused,
    replaces_of,
)
from roomtone.protocols.sip.headers import Address
from roomtone.protocols.sip.message import header_line
from roomtone.protocols.sip.uri import SipUri, parse_uri

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]
MUSIC_HZ = 500


def music() -> MixerClip:
    """A second of a square wave."""
    half = 8_000 // MUSIC_HZ // 2
    period = [4_000] * half + [-4_000] * half
    return MixerClip(rate_hz=8_000, samples=struct.pack("<8000h", *(period * (8_000 // len(period)))), repeat=True)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, "ada", "bob", "cleo", music=music()) as made:
        yield made


@pytest.fixture
async def three(here: Exchange) -> AsyncIterator[tuple[Phone, Phone, Phone]]:
    """Three phones that are registered; the second and the third pick up."""
    async with AsyncExitStack() as phones:
        made = [await phones.enter_async_context(phone(here, name)) for name in ("ada", "bob", "cleo")]
        for one in made:
            assert (await one.register()).status == 200
            one.answers = pick_up
        yield made[0], made[1], made[2]


async def talking(one: Phone, to: str) -> Leg:
    """One has called and talks."""
    before = len([event for event in one.events if isinstance(event, Answered)])
    one.call(to)
    return (await one.wait_for(Answered, before + 1)).leg


async def leg_of_callee(one: Phone) -> Leg:
    return (await one.wait_for(Invited)).leg


async def music_heard(to: Phone) -> None:
    """Wait for a stretch that is music."""
    samples: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        while True:
            samples += linear((await to.rtp.next())[1])
            if len(samples) >= 1_600:
                if share_of(samples[:1_600], MUSIC_HZ) > 0.7:  # the rest of a square wave are its overtones
                    return
                samples.clear()


async def nothing_comes(to: Phone, other: Phone, wait_for: Phone) -> None:
    """Nothing of one phone reaches another, while a third party's packets go on to come."""
    to.rtp.drain()
    for _ in range(10):
        other.rtp.send(b"secret")
        await wait_for.rtp.next()
    assert to.rtp.drain() == []


def refer_to(here: Exchange, number: str) -> Address:
    return Address(f"sip:{number}@127.0.0.1:{here.port}")


def progress(one: Phone) -> list[str]:
    """What a referrer was told."""
    return [event.request.body.decode().split(" ")[1] for event in one.events if isinstance(event, Notified)]


@pytest.mark.parametrize("direction", ["a=sendonly", "a=inactive"])
async def test_who_is_held_hears_music_the_holder_nothing_and_nothing_passes(
    here: Exchange, three: tuple[Phone, Phone, Phone], direction: str
) -> None:
    ada, bob, _ = three
    leg = await talking(ada, "bob")
    await heard(ada, bob, b"hello bob")
    await heard(bob, ada, b"hello ada")
    assert (await ada.reoffer(leg, ada.sdp("0 101", direction))).status == 200
    await music_heard(bob)
    await nothing_comes(ada, bob, bob)
    for _ in range(10):
        ada.rtp.send(b"secret")
        assert (await bob.rtp.next())[1] != b"secret"
    assert (await ada.reoffer(leg, ada.sdp("0 101"))).status == 200
    await heard(ada, bob, b"again")
    await heard(bob, ada, b"yes")
    ada.hang_up(leg)
    await here.becomes_empty()


async def test_a_party_is_held_and_muted_from_outside(here: Exchange, three: tuple[Phone, Phone, Phone]) -> None:
    ada, bob, _ = three
    leg = await talking(ada, "bob")
    (call,) = here.calls.all()
    first, second = call.parties
    await here.calls.command(call.id, Hold(second.id, on=True))
    await music_heard(bob)
    await nothing_comes(ada, bob, bob)
    await here.calls.command(call.id, Hold(second.id, on=False))
    await heard(ada, bob, b"again")
    await here.calls.command(call.id, Mute(first.id, on=True))
    await not_heard(ada, bob)
    await here.calls.command(call.id, Mute(first.id, on=False))
    await heard(ada, bob, b"and again")
    ada.hang_up(leg)
    await here.becomes_empty()


async def test_keys_reach_a_phone_as_events_and_sound_goes_on(
    here: Exchange, three: tuple[Phone, Phone, Phone]
) -> None:
    ada, bob, _ = three
    leg = await talking(ada, "bob")
    (call,) = here.calls.all()
    sending = asyncio.create_task(here.calls.command(call.id, PressKeys(call.parties[1].id, "7#")))
    keys: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        while keys != [7, 11]:
            number, payload = await bob.rtp.next()
            if number == 101 and payload[1] & 0x80 and payload[0] not in keys:  # the end of an event
                keys.append(payload[0])
    await sending
    await heard(ada, bob, b"as before")
    ada.hang_up(leg)
    await here.becomes_empty()


async def test_keys_reach_a_phone_that_takes_neither_events_nor_info_as_tones(
    here: Exchange, three: tuple[Phone, Phone, Phone]
) -> None:
    ada, bob, _ = three

    def without_events(one: Phone, event: Invited) -> None:
        one.agent.answer_invite(event.leg, one.now(), body=one.sdp("0"))

    bob.answers, bob.refuses = without_events, frozenset({"INFO"})
    leg = await talking(ada, "bob")
    (call,) = here.calls.all()
    sending = asyncio.create_task(here.calls.command(call.id, PressKeys(call.parties[1].id, "5")))
    samples: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        while not samples or share_of(samples, 770) + share_of(samples, 1_336) < 0.9:
            samples = (samples + linear((await bob.rtp.next())[1]))[-800:]
    await sending
    assert len(sound_of("5").samples) == 2 * 8 * 220
    ada.hang_up(leg)
    await here.becomes_empty()


async def test_a_blind_transfer_connects_the_other_two(here: Exchange, three: tuple[Phone, Phone, Phone]) -> None:
    ada, bob, cleo = three
    leg = await talking(ada, "bob")
    await heard(ada, bob, b"hello bob")
    mine = await leg_of_callee(bob)
    bob.agent.subscriptions.refer(
        mine.dialog,
        refer_to(here, "cleo"),
        bob.now(),
        block=header_line("Referred-By", "<sip:bob@example.org>") + b"\r\n",
    )
    bob.drain()
    invited = (await cleo.wait_for(Invited)).request
    assert invited.headers.text("referred-by") == "<sip:bob@example.org>"
    assert invited.from_.uri.serialize() == "sip:ada@127.0.0.1"
    ended = await bob.wait_for(Ended)
    assert ended.reason is EndReason.REMOTE
    await until(lambda: "200" in progress(bob))
    assert progress(bob)[0] == "100"
    await heard(ada, cleo, b"hello cleo")
    await heard(cleo, ada, b"hello ada")
    bob.rtp.drain()
    await not_heard(ada, bob, back=False)
    ada.hang_up(leg)
    await cleo.wait_for(Ended)
    await here.becomes_empty()


async def test_a_transfer_to_who_is_busy_gives_the_parties_back_to_each_other(
    here: Exchange, three: tuple[Phone, Phone, Phone]
) -> None:
    ada, bob, cleo = three

    def busy(one: Phone, event: Invited) -> None:
        one.agent.refuse(event.leg, 486, one.now())

    cleo.answers = busy
    leg = await talking(ada, "bob")
    mine = await leg_of_callee(bob)
    bob.agent.subscriptions.refer(mine.dialog, refer_to(here, "cleo"), bob.now())
    bob.drain()
    await until(lambda: "486" in progress(bob))
    await heard(ada, bob, b"still there")
    await heard(bob, ada, b"so am I")
    ada.hang_up(leg)
    await here.becomes_empty()


async def test_an_attended_transfer_connects_two_calls_of_one_phone(
    here: Exchange, three: tuple[Phone, Phone, Phone]
) -> None:
    ada, bob, cleo = three
    first = await talking(ada, "bob")
    mine = await leg_of_callee(bob)
    assert (await bob.reoffer(mine, bob.sdp("0 101", "a=inactive"))).status == 200
    consultation = await talking(bob, "cleo")
    uri = parse_uri(f"sip:cleo@127.0.0.1:{here.port}")
    assert isinstance(uri, SipUri)
    bob.agent.subscriptions.refer(mine.dialog, replaces_of(consultation).refer_to(uri), bob.now())
    bob.drain()
    await bob.wait_for(Ended, 2)
    await until(lambda: "200" in progress(bob))
    assert len(here.calls) == 1
    await heard(ada, cleo, b"hello cleo")
    await heard(cleo, ada, b"hello ada")
    ada.hang_up(first)
    await cleo.wait_for(Ended)
    await here.becomes_empty()


async def test_who_is_transferred_to_a_phone_that_still_rings_rings_there(
    here: Exchange, three: tuple[Phone, Phone, Phone]
) -> None:
    ada, bob, cleo = three
    first = await talking(ada, "bob")
    mine = await leg_of_callee(bob)

    def ring(one: Phone, event: Invited) -> None:
        one.agent.progress(event.leg, 180, one.now())

    cleo.answers = ring
    bob.call("cleo")
    rings = (await bob.wait_for(Progressed)).leg
    assert rings is not None
    cleo.answers = pick_up
    uri = parse_uri(f"sip:cleo@127.0.0.1:{here.port}")
    assert isinstance(uri, SipUri)
    bob.agent.subscriptions.refer(mine.dialog, replaces_of(rings).refer_to(uri), bob.now())
    bob.drain()
    refused = await bob.wait_for(Refused)
    assert refused.response is not None
    assert refused.response.status == 487
    await until(lambda: "200" in progress(bob))
    await heard(ada, cleo, b"hello cleo")
    await heard(cleo, ada, b"hello ada")
    ada.hang_up(first)
    await here.becomes_empty()


async def test_an_invite_with_replaces_takes_the_place_of_a_phone(
    here: Exchange, three: tuple[Phone, Phone, Phone]
) -> None:
    ada, bob, cleo = three
    leg = await talking(ada, "bob")
    mine = await leg_of_callee(bob)
    dialog = mine.dialog
    replaces = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
    cleo.call("ada", block=header_line("Replaces", replaces) + b"\r\nRequire: replaces\r\n")
    taken = await cleo.wait_for(Answered)
    assert (await bob.wait_for(Ended)).reason is EndReason.REMOTE
    await heard(ada, cleo, b"hello cleo")
    await heard(cleo, ada, b"hello ada")
    assert len(here.calls) == 1
    cleo.hang_up(taken.leg)
    await ada.wait_for(Ended)
    await here.becomes_empty()
    del leg


async def test_who_names_no_leg_takes_no_place(here: Exchange, three: tuple[Phone, Phone, Phone]) -> None:
    _, _, cleo = three
    cleo.call("ada", block=header_line("Replaces", "x;to-tag=y;from-tag=z") + b"\r\n")
    refused = await cleo.wait_for(Refused)
    assert refused.response is not None
    assert refused.response.status == 481
    await here.becomes_empty()


async def test_a_call_that_rings_is_picked_up_by_name_of_its_dialog(
    here: Exchange, three: tuple[Phone, Phone, Phone]
) -> None:
    ada, bob, cleo = three

    def ring(one: Phone, event: Invited) -> None:
        one.agent.progress(event.leg, 180, one.now())

    bob.answers = ring
    ada.call("bob")
    dialog = (await leg_of_callee(bob)).dialog
    await until(lambda: any(leg.state.value == "ringing" for call in here.calls.all() for leg in call.callees))
    replaces = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
    cleo.call("bob", block=header_line("Replaces", replaces) + b"\r\n")
    leg = (await cleo.wait_for(Answered)).leg
    await ada.wait_for(Answered)
    assert (await bob.wait_for(Ended)).reason is EndReason.CANCELLED
    await heard(ada, cleo, b"hello cleo")
    await heard(cleo, ada, b"hello ada")
    cleo.hang_up(leg)
    await here.becomes_empty()


async def test_a_phone_that_redirects_is_followed_to_numbers_of_ours_only(
    here: Exchange, three: tuple[Phone, Phone, Phone]
) -> None:
    ada, bob, cleo = three
    to = f"sip:cleo@127.0.0.1:{here.port}"

    def away(one: Phone, event: Invited) -> None:
        one.agent.refuse(event.leg, 302, one.now(), block=header_line("Contact", f"<{to}>") + b"\r\n")

    bob.answers = away
    leg = await talking(ada, "bob")
    await heard(ada, cleo, b"hello cleo")
    ada.hang_up(leg)
    await here.becomes_empty()
    to = "sip:cleo@192.0.2.77"
    ada.call("bob")
    refused = await ada.wait_for(Refused)
    assert refused.response is not None
    assert refused.response.status == 480
    await here.becomes_empty()


async def test_an_operator_redirects_and_transfers(here: Exchange, three: tuple[Phone, Phone, Phone]) -> None:
    ada, bob, cleo = three
    bob.answers = None
    ada.call("bob")
    await bob.wait_for(Invited)
    (call,) = here.calls.all()
    await here.calls.command(call.id, Redirect("cleo"))
    leg = (await ada.wait_for(Answered)).leg
    await heard(ada, cleo, b"hello cleo")
    bob.answers = pick_up
    await here.calls.command(call.id, Transfer(call.parties[0].id, "bob"))
    await cleo.wait_for(Ended)
    await heard(ada, bob, b"hello bob")
    ada.hang_up(leg)
    await here.becomes_empty()


async def test_of_two_calls_that_are_merged_each_hears_both_others(
    here: Exchange, three: tuple[Phone, Phone, Phone]
) -> None:
    ada, bob, cleo = three
    first = await talking(ada, "bob")
    one = here.calls.all()[0]
    mine = await leg_of_callee(bob)
    assert (await bob.reoffer(mine, bob.sdp("0 101", "a=inactive"))).status == 200
    second = await talking(bob, "cleo")
    other = here.calls.all()[1]
    await here.calls.command(one.id, Merge(other))
    await bob.wait_for(Ended)
    assert len(here.calls) == 1
    tones = {ada: 440.0, bob: 880.0, cleo: 1_320.0}
    voices = [Voice(phone.rtp, PCMU, hertz) for phone, hertz in tones.items()]
    for listener in tones:
        await hears_both(listener, [hertz for phone, hertz in tones.items() if phone is not listener], voices)
    cleo.hang_up(await leg_of_callee(cleo))
    await until(lambda: len(one.parties) == 2)
    await hears(ada, PCMU, 880, voices)
    ada.hang_up(first)
    await bob.wait_for(Ended, 2)
    await here.becomes_empty()
    del second


async def hears_both(to: Phone, hertz: list[float], voices: list[Voice]) -> None:
    """Wait for a stretch that is two tones, both well there, and nothing else."""
    samples: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        while True:
            _, payload = await to.rtp.next()
            for voice in voices:
                voice.say()
            samples += linear(payload)
            if len(samples) >= 1_600:
                shares = [share_of(samples[:1_600], one) for one in hertz]
                if min(shares) > 0.3 and sum(shares) > 0.9:
                    return
                samples.clear()
