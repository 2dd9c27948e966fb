"""Rooms call phones: who answers is a participant, hears the others by their tones and is heard by them."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from phone_peers import Exchange, Phone, exchange, phone, pick_up
from sip_peers import PATIENCE_S, until
from test_phones_in_rooms import MD5, Voice, caller, hears, track_hears

from roomtone.control.calls import CallEnd, CallError, DialRequest, RuleTarget, TargetKind, Trunk
from roomtone.control.rooms import CloseReason, ParticipantKind, RoomOptions
from roomtone.protocols.sip.agent import Answered, Ended, Invited, Requested

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, "ada", "bob", order=MD5) as made:
        await made.book.dispatch.create("standup", ["7000"], RuleTarget(TargetKind.ROOM, room="standup"))
        yield made


async def left(here: Exchange, room: str = "standup") -> None:
    """Nothing of the calls is left in the room or the engine."""
    found = here.rooms.find(room)
    await until(lambda: not found.participants and not here.rooms.mixes and not len(here.calls))
    await here.rooms.close_room(found)
    await here.becomes_empty()


async def registered(one: Phone) -> None:
    assert (await one.register()).status == 200


def invited(one: Phone) -> int:
    return len([event for event in one.events if isinstance(event, Invited)])


async def test_a_dialled_phone_and_who_is_in_the_room_hear_each_other(here: Exchange) -> None:
    async with caller(here, "ada") as ada, phone(here, "bob") as bob:
        await registered(bob)
        call = here.calls.dial(DialRequest("standup", "bob"))
        await call.rings()
        event = await bob.wait_for(Invited)
        room = here.rooms.find("standup")
        assert "sip_bob" not in room.participants  # not before it answers
        pick_up(bob, event)
        bob.drain()
        await asyncio.wait_for(call.answered(), PATIENCE_S)
        who = room.participants["sip_bob"]
        assert who.kind is ParticipantKind.SIP
        assert who.attributes == {"sip.callID": call.id, "sip.callStatus": "active", "sip.phoneNumber": "bob"}
        voices = [Voice(ada.rtp, 880), Voice(bob.rtp, 440)]

        def say() -> None:
            for voice in voices:
                voice.say()

        await hears(bob.rtp, {880: 0.9}, (440,), say)
        await hears(ada.rtp, {440: 0.9}, (880,), say)
        await track_hears(who, 440, say)
        bob.hang_up(event.leg)
        await until(lambda: "sip_bob" not in room.participants)
        assert call.end is CallEnd.COMPLETED
        ada.hang_up((await ada.wait_for(Answered)).leg)
        await left(here)


async def test_a_participant_that_joins_early_says_how_far_its_call_is(here: Exchange) -> None:
    async with phone(here, "bob") as bob:
        await registered(bob)
        request = DialRequest(
            "standup", "bob", identity="door", name="Door", metadata="m", attributes=(("k", "v"),), joins_early=True
        )
        call = here.calls.dial(request)
        who = await asyncio.wait_for(call.joined(), PATIENCE_S)
        assert (who.identity, who.name, who.metadata, who.attributes["k"]) == ("door", "Door", "m", "v")
        assert who.attributes["sip.callStatus"] == "dialing"
        event = await bob.wait_for(Invited)
        assert event.request.from_.uri_text.startswith("sip:standup@")
        pick_up(bob, event)
        bob.drain()
        await until(lambda: who.attributes["sip.callStatus"] == "active")
        await here.rooms.end(who, CloseReason.REMOVED)
        await bob.wait_for(Ended)
        assert who.attributes["sip.callStatus"] == "active"
        await left(here)


async def test_early_media_of_who_is_dialled_is_heard_in_the_room(here: Exchange) -> None:
    async with caller(here, "ada") as ada, phone(here, "bob") as bob:
        await registered(bob)
        call = here.calls.dial(DialRequest("standup", "bob", joins_early=True))
        event = await bob.wait_for(Invited)
        bob.agent.progress(event.leg, 183, bob.now(), body=bob.sdp())
        bob.drain()
        voices = [Voice(ada.rtp, 880), Voice(bob.rtp, 425)]

        def say() -> None:
            for voice in voices:
                voice.say()

        await hears(ada.rtp, {425: 0.9}, (880,), say)
        assert call.answered_at is None
        pick_up(bob, event)
        bob.drain()
        await asyncio.wait_for(call.answered(), PATIENCE_S)
        await hears(ada.rtp, {425: 0.9}, (880,), say)
        await hears(bob.rtp, {880: 0.9}, (425,), say)


@pytest.mark.parametrize(
    ("status", "end", "reason"),
    [
        (486, CallEnd.BUSY, CloseReason.CALLEE_REJECTED),
        (603, CallEnd.DECLINED, CloseReason.CALLEE_REJECTED),
        (480, CallEnd.NO_ANSWER, CloseReason.CALLEE_UNAVAILABLE),
        (404, CallEnd.NOT_FOUND, CloseReason.CALL_FAILED),
    ],
)
async def test_who_refuses_is_named_by_reason(here: Exchange, status: int, end: CallEnd, reason: CloseReason) -> None:
    async with phone(here, "bob") as bob:
        await registered(bob)

        def refuse(one: Phone, event: Invited) -> None:
            one.agent.refuse(event.leg, status, one.now())

        bob.answers = refuse
        call = here.calls.dial(DialRequest("standup", "bob", joins_early=True))
        who = await call.joined()
        with pytest.raises(CallError) as refused:
            await asyncio.wait_for(call.answered(), PATIENCE_S)
        assert refused.value.end is end
        await until(lambda: who.closed is not None)
        assert who.closed is reason
        await left(here)


async def test_nobody_answers_in_time_and_the_phone_stops_ringing(here: Exchange) -> None:
    async with phone(here, "bob") as bob:
        await registered(bob)
        call = here.calls.dial(DialRequest("standup", "bob", ringing_timeout_s=1))
        await bob.wait_for(Invited)
        with pytest.raises(CallError) as refused:
            await asyncio.wait_for(call.answered(), PATIENCE_S)
        assert refused.value.end is CallEnd.NO_ANSWER
        await bob.wait_for(Ended)
        await left(here)


async def test_whom_nothing_leads_to_is_refused_at_once(here: Exchange) -> None:
    for to, end in (
        ("nobody", CallEnd.NOT_FOUND),
        ("bob", CallEnd.NOT_REGISTERED),
        ("7000", CallEnd.UNSUPPORTED),
        ("sip:x@no.such.host.invalid", CallEnd.UNREACHABLE),
    ):
        call = here.calls.dial(DialRequest("standup", to))
        with pytest.raises(CallError) as refused:
            await asyncio.wait_for(call.rings(), PATIENCE_S)
        assert refused.value.end is end
    for to in ("", "a\nb", "sip:%", "tel:"):
        with pytest.raises(CallError) as refused:
            here.calls.dial(DialRequest("standup", to))
        assert refused.value.end is CallEnd.BAD_REQUEST
    await left(here)


async def test_a_room_that_only_takes_encrypted_media_calls_nobody(here: Exchange) -> None:
    await here.rooms.create("standup", RoomOptions(e2ee=True))
    async with phone(here, "bob") as bob:
        await registered(bob)
        call = here.calls.dial(DialRequest("standup", "bob"))
        with pytest.raises(CallError) as refused:
            await asyncio.wait_for(call.rings(), PATIENCE_S)
        assert refused.value.end is CallEnd.ROOM_IS_ENCRYPTED
        assert not invited(bob)
        await left(here)


async def test_a_locked_room_lets_in_whom_it_calls(here: Exchange) -> None:
    await here.rooms.create("standup", RoomOptions(locked=True))
    async with phone(here, "bob") as bob:
        await registered(bob)
        bob.answers = pick_up
        await asyncio.wait_for(here.calls.dial(DialRequest("standup", "bob")).answered(), PATIENCE_S)
        assert "sip_bob" in here.rooms.find("standup").participants


async def test_of_two_phones_the_first_that_answers_is_in_the_room(here: Exchange) -> None:
    await here.book.dispatch.create("both", ["30"], RuleTarget(TargetKind.GROUP, ("ada", "bob")))
    async with phone(here, "ada") as ada, phone(here, "bob") as bob:
        await registered(ada)
        await registered(bob)
        call = here.calls.dial(DialRequest("standup", "30"))
        await ada.wait_for(Invited)
        pick_up(bob, await bob.wait_for(Invited))
        bob.drain()
        await asyncio.wait_for(call.answered(), PATIENCE_S)
        await ada.wait_for(Ended)
        assert call.record().callee_account == "bob"
        here.calls.hang_up(call.id)
        await left(here)


async def test_a_number_goes_out_by_a_trunk_as_digits_and_shows_what_was_asked_for(here: Exchange) -> None:
    async with phone(here, "bob") as bob:
        trunk = Trunk("carrier", uri=f"sip:127.0.0.1:{bob.server.local_port}", probes=False, caller_id="+4930100")
        await here.book.trunks.create(trunk)
        bob.answers = pick_up
        call = here.calls.dial(DialRequest("standup", "+49 (30) 555-77", "carrier", shown_number="+4930199"))
        await asyncio.wait_for(call.answered(), PATIENCE_S)
        request = (await bob.wait_for(Invited)).request
        assert request.uri_text.startswith("sip:+493055577@")
        assert request.from_.uri_text.startswith("sip:+4930199@")
        who = here.rooms.find("standup").participants["sip_+493055577"]
        assert who.attributes["sip.trunkID"] == "carrier"
        assert who.attributes["sip.trunkPhoneNumber"] == "+4930199"


async def test_keys_are_pressed_once_it_is_answered(here: Exchange) -> None:
    async with phone(here, "bob") as bob:
        await registered(bob)
        bob.answers = pick_up
        call = here.calls.dial(DialRequest("standup", "bob", keys="4#"))
        await asyncio.wait_for(call.answered(), PATIENCE_S)
        voice, pressed = Voice(bob.rtp, 440), list[int]()
        async with asyncio.timeout(PATIENCE_S):
            while len(pressed) < 2:
                number, payload = await bob.rtp.next()
                voice.say()
                if number == 101 and payload[1] & 0x80 and pressed[-1:] != [payload[0]]:
                    pressed.append(payload[0])
        assert pressed == [4, 11]


async def test_a_call_ends_when_its_time_is_up(here: Exchange) -> None:
    async with phone(here, "bob") as bob:
        await registered(bob)
        bob.answers = pick_up
        call = here.calls.dial(DialRequest("standup", "bob", most_s=0.3))
        await bob.wait_for(Ended)
        await left(here)
        assert call.end is CallEnd.TOO_LONG


async def test_a_room_hears_that_it_rings_and_then_the_phone(here: Exchange) -> None:
    async with caller(here, "ada") as ada, phone(here, "bob") as bob:
        await registered(bob)
        call = here.calls.dial(DialRequest("standup", "bob", joins_early=True, rings_in="DE"))
        who = await call.joined()
        voices = [Voice(ada.rtp, 880), Voice(bob.rtp, 1_320)]

        def say() -> None:
            for voice in voices:
                voice.say()

        await hears(ada.rtp, {425: 0.9}, (880, 1_320), voices[0].say)  # ITU-T E.180: Germany rings at 425 Hz
        (track,) = who.publications.values()
        pick_up(bob, await bob.wait_for(Invited))
        bob.drain()
        await asyncio.wait_for(call.answered(), PATIENCE_S)
        await hears(ada.rtp, {1_320: 0.9}, (425, 880), say)
        await hears(bob.rtp, {880: 0.9}, (425, 1_320), say)
        assert list(who.publications.values()) == [track]
        bob.hang_up((await bob.wait_for(Invited)).leg)
        ada.hang_up((await ada.wait_for(Answered)).leg)
        await left(here)


async def test_a_country_whose_tones_are_not_known_is_refused(here: Exchange) -> None:
    async with phone(here, "bob") as bob:
        await registered(bob)
        call = here.calls.dial(DialRequest("standup", "bob", joins_early=True, rings_in="XX"))
        with pytest.raises(CallError):
            await asyncio.wait_for(call.answered(), PATIENCE_S)
        await left(here)


@pytest.mark.parametrize("final", [200, 486])
async def test_a_phone_in_a_room_is_asked_to_call_somebody_else(here: Exchange, final: int) -> None:
    async with phone(here, "bob") as bob:
        await registered(bob)
        bob.answers, bob.keeps = pick_up, frozenset({"REFER"})
        call = here.calls.dial(DialRequest("standup", "bob"))
        await asyncio.wait_for(call.answered(), PATIENCE_S)
        who = here.rooms.find("standup").participants["sip_bob"]
        assert here.calls.of_participant(who) is call
        transferring = asyncio.create_task(call.transfer("sip:cleo@192.0.2.7", PATIENCE_S))
        asked = await bob.wait_for(Requested)
        assert asked.request.method == "REFER"
        assert b"sip:cleo@192.0.2.7" in (asked.request.headers.get("refer-to") or b"")
        told = bob.agent.subscriptions.accept_refer(asked.transaction, bob.now())
        assert told is not None
        bob.drain()
        for status in (180, final):
            bob.agent.subscriptions.tell_refer(told, status, bob.now())
            bob.drain()
        if final == 200:
            assert await transferring == 200
            await bob.wait_for(Ended)
            await left(here)
            assert call.end is CallEnd.TRANSFERRED
        else:
            with pytest.raises(CallError) as refused:
                await transferring
            assert refused.value.end is CallEnd.BUSY
            assert who.closed is None  # and stays


async def test_a_phone_that_knows_no_transfer_stays(here: Exchange) -> None:
    async with phone(here, "bob") as bob:
        await registered(bob)
        bob.answers, bob.refuses = pick_up, frozenset({"REFER"})
        call = here.calls.dial(DialRequest("standup", "bob"))
        await asyncio.wait_for(call.answered(), PATIENCE_S)
        with pytest.raises(CallError):
            await call.transfer("tel:+4930", PATIENCE_S)
        assert call.end is None
