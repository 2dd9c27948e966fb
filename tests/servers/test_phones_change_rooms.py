"""Phones that leave rooms for somebody else, and calls that ring and go to rooms instead: their tones prove it."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from foreign_phones import baresip, has_baresip, heard_by, linear, share_of
from phone_peers import Exchange, Phone, exchange, phone, pick_up
from sip_peers import PATIENCE_S, until
from test_moved_calls import music, progress, refer_to
from test_phone_conversion import PCMA
from test_phone_conversion import Voice as CodedVoice
from test_phone_pins import enter, gone, in_room
from test_phone_server import heard
from test_phones_in_rooms import MD5, NUMBER, Voice, caller, hears, left_the_room
from test_rooms_controlled import ask, client, seat_of

from roomtone.control.calls import CallEnd, DialRequest, RuleTarget, TargetKind
from roomtone.control.rooms import RoomOptions
from roomtone.protocols.sip.agent import Answered, Ended, Invited, Progressed, Refused
from roomtone.store import CallRecord

__all__ = ["client"]
pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, "ada", "bob", "cleo", order=MD5, music=music()) as made:
        await made.book.dispatch.create("standup", [NUMBER], RuleTarget(TargetKind.ROOM, room="standup"))
        await made.book.dispatch.create("annex", ["7002"], RuleTarget(TargetKind.ROOM, room="annex"))
        await made.book.dispatch.create("board", ["7001"], RuleTarget(TargetKind.ROOM, room="board"), pin="42")
        yield made


@asynccontextmanager
async def speaking(*voices: Voice | CodedVoice) -> AsyncIterator[None]:
    """All say their tones all the time, once they have been told where to."""
    loop = asyncio.get_running_loop()

    async def speak() -> None:
        due = loop.time()
        while True:
            for voice in voices:
                with suppress(OSError):
                    voice.say()
            due += 0.02
            await asyncio.sleep(due - loop.time())

    task = asyncio.create_task(speak())
    try:
        yield
    finally:
        task.cancel()


@asynccontextmanager
async def registered(here: Exchange, *names: str) -> AsyncIterator[list[Phone]]:
    """Phones that pick up."""
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(phone(here, name)) for name in names]
        for one in made:
            assert (await one.register()).status == 200
            one.answers = pick_up
        yield made


async def hears_only(one: Phone, hertz: float, *others: float) -> None:
    """One tone is heard, and none of the others."""
    one.rtp.drain()
    await hears(one.rtp, {hertz: 0.9}, others, lambda: None)


async def is_silent(one: Phone, *tones: float) -> None:
    one.rtp.drain()
    await hears(one.rtp, {}, tones, lambda: None)


async def is_asked(one: Phone) -> None:
    """The first of three tones is heard, which is shorter than what is judged elsewhere."""
    samples: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(samples) < 800 or share_of(samples, 660) < 0.9:
            samples = (samples + linear((await one.rtp.next())[1]))[-800:]


async def records(here: Exchange) -> list[CallRecord]:
    await here.calls._write()
    return await here.book.records.table.page(10)


async def test_a_phone_that_called_a_room_is_transferred_out_of_it(here: Exchange, client: httpx.AsyncClient) -> None:
    async with caller(here, "ada") as ada, caller(here, "cleo") as cleo, registered(here, "bob") as (bob,):
        voices = Voice(ada.rtp, 880), Voice(cleo.rtp, 660), Voice(bob.rtp, 440)
        async with speaking(*voices):
            await hears_only(ada, 660, 880)
            path, leg = await seat_of(client, "ada")
            await ask(client, f"{path}/transfer", {"leg": leg["id"], "to": "bob"}, 202)
            await bob.wait_for(Invited)
            await hears_only(bob, 880, 660)
            await hears_only(ada, 440, 660)
            room = here.rooms.find("standup")
            assert set(room.participants) == {"sip_cleo"}
            await is_silent(cleo, 440, 880)
            # The room ends, and with it the router that was its own; the two go on.
            cleo.hang_up((await cleo.wait_for(Answered)).leg)
            await until(lambda: not room.participants)
            await here.rooms.close_room(room)
            await hears_only(bob, 880)
            await hears_only(ada, 440)
            new_path, held = await seat_of(client, "ada")
            assert new_path != path
            await ask(client, f"{new_path}/hold", {"leg": held["id"]})
            ada.rtp.drain()
            await hears(ada.rtp, {500: 0.7}, (440,), lambda: None)
        ada.hang_up((await ada.wait_for(Answered)).leg)
        await bob.wait_for(Ended)
        await here.becomes_empty()
        reasons = {(one.caller_account, one.called): one.reason for one in await records(here)}
        assert reasons[("ada", NUMBER)] == "transferred"
        assert reasons[("ada", "bob")] == "completed"


async def test_a_phone_that_a_room_called_is_transferred_out_of_it(here: Exchange, client: httpx.AsyncClient) -> None:
    async with caller(here, "cleo") as cleo, registered(here, "ada", "bob") as (ada, bob):
        bob.answers = lambda one, event: one.agent.answer_invite(event.leg, one.now(), body=one.sdp("8 101"))
        call = here.calls.dial(DialRequest("standup", "ada", joins_early=True, rings_in="us"))
        await asyncio.wait_for(call.answered(), PATIENCE_S)
        async with speaking(Voice(ada.rtp, 880), Voice(cleo.rtp, 660), CodedVoice(bob.rtp, PCMA, 440)):
            await hears_only(ada, 660, 880)
            path, leg = await seat_of(client, "ada")
            await ask(client, f"{path}/transfer", {"leg": leg["id"], "to": "bob"}, 202)
            await bob.wait_for(Invited)
            await hears_only(ada, 440, 660)  # converted: they have no codec in common
            await is_silent(cleo, 440, 880)
            bob.hang_up((await bob.wait_for(Invited)).leg)
            await ada.wait_for(Ended)
        cleo.hang_up((await cleo.wait_for(Answered)).leg)
        await left_the_room(here)


@pytest.mark.long
async def test_who_may_talk_for_some_time_takes_that_along(here: Exchange, client: httpx.AsyncClient) -> None:
    async with registered(here, "ada", "bob") as (ada, bob):
        call = here.calls.dial(DialRequest("standup", "ada", most_s=600))
        await asyncio.wait_for(call.answered(), PATIENCE_S)
        path, leg = await seat_of(client, "ada")
        await ask(client, f"{path}/transfer", {"leg": leg["id"], "to": "bob"}, 202)
        await bob.wait_for(Invited)
        await until(lambda: [one.ends_at for one in here.calls.all()] == [call.ends_at])  # type: ignore[attr-defined]
        (after,) = here.calls.all()
        assert after is not call
        after.end_by(asyncio.get_running_loop().time())  # type: ignore[attr-defined]
        await ada.wait_for(Ended)
        await bob.wait_for(Ended)
        await until(lambda: after.end is CallEnd.TOO_LONG)
        await gone(here)


@pytest.mark.long
async def test_a_muted_phone_is_heard_where_it_goes(here: Exchange, client: httpx.AsyncClient) -> None:
    async with caller(here, "ada") as ada, registered(here, "bob") as (bob,):
        path, leg = await seat_of(client, "ada")
        await ask(client, f"{path}/legs/{leg['id']}/mute")
        await ask(client, f"{path}/transfer", {"leg": leg["id"], "to": "bob"}, 202)
        async with speaking(Voice(ada.rtp, 880), Voice(bob.rtp, 440)):
            await bob.wait_for(Invited)
            await hears_only(bob, 880)
            await hears_only(ada, 440)
        ada.hang_up((await ada.wait_for(Answered)).leg)
        await gone(here)


async def test_a_phone_goes_to_another_room_and_comes_back(here: Exchange, client: httpx.AsyncClient) -> None:
    async with caller(here, "ada") as ada, caller(here, "bob") as bob, caller(here, "cleo", "7002") as cleo:
        async with speaking(Voice(ada.rtp, 880), Voice(bob.rtp, 440), Voice(cleo.rtp, 660)):
            path, leg = await seat_of(client, "ada")
            await ask(client, f"{path}/transfer", {"leg": leg["id"], "to": "7002"}, 202)
            assert in_room(here, "annex", "sip_ada")
            await until(lambda: not in_room(here, "standup", "sip_ada"))
            await hears_only(ada, 660, 440)
            await hears_only(cleo, 880, 440)
            await is_silent(bob, 880, 660)
            path, leg = await seat_of(client, "ada")
            await ask(client, f"{path}/transfer", {"leg": leg["id"], "to": NUMBER}, 202)
            assert in_room(here, "standup", "sip_ada")
            await hears_only(ada, 440, 660)
            await hears_only(bob, 880, 660)
            await is_silent(cleo, 880, 440)
        for one in (ada, bob, cleo):
            one.hang_up((await one.wait_for(Answered)).leg)
        await gone(here)


@pytest.mark.long
async def test_a_phone_that_goes_to_a_room_with_a_pin_is_asked_for_it(
    here: Exchange, client: httpx.AsyncClient
) -> None:
    async with caller(here, "ada") as ada:
        path, leg = await seat_of(client, "ada")
        await ask(client, f"{path}/transfer", {"leg": leg["id"], "to": "7001"}, 202)
        await is_asked(ada)
        assert not in_room(here, "standup", "sip_ada")
        await enter(ada, "42#")
        await until(lambda: in_room(here, "board", "sip_ada"))
        ada.hang_up((await ada.wait_for(Answered)).leg)
        await gone(here)


@pytest.mark.parametrize("status", [486, pytest.param(603, marks=pytest.mark.long)])
async def test_a_phone_stays_in_its_room_where_nobody_answers(
    here: Exchange, client: httpx.AsyncClient, status: int
) -> None:
    async with caller(here, "ada") as ada, caller(here, "cleo") as cleo, registered(here, "bob") as (bob,):
        bob.answers = lambda one, event: one.agent.refuse(event.leg, status, one.now())
        path, leg = await seat_of(client, "ada")
        for number, expected in (("bob", 202), ("nobody", 409), (NUMBER, 409)):
            before = len(await records(here))
            await ask(client, f"{path}/transfer", {"leg": leg["id"], "to": number}, expected)
            if expected == 202:
                await bob.wait_for(Ended)
                await until(lambda: len(here.calls) == 2)
            assert len(await records(here)) <= before + 1
            async with speaking(Voice(ada.rtp, 880), Voice(cleo.rtp, 660)):
                await hears_only(ada, 660)
                await hears_only(cleo, 880)
        for one in (ada, cleo):
            one.hang_up((await one.wait_for(Answered)).leg)
        await left_the_room(here)


async def test_who_hangs_up_on_its_way_out_of_a_room_rings_nowhere(here: Exchange, client: httpx.AsyncClient) -> None:
    async with caller(here, "ada") as ada, registered(here, "bob") as (bob,):
        bob.answers = None
        path, leg = await seat_of(client, "ada")
        await ask(client, f"{path}/transfer", {"leg": leg["id"], "to": "bob"}, 202)
        await bob.wait_for(Invited)
        again = await client.post(f"{path}/transfer", json={"leg": leg["id"], "to": "cleo"})
        assert (again.status_code, again.json()["code"]) == (409, "wrong_state")
        ada.hang_up((await ada.wait_for(Answered)).leg)
        await bob.wait_for(Ended)
        await left_the_room(here)


@pytest.mark.parametrize("early", [False, True])
async def test_a_call_that_rings_is_redirected_into_a_room(
    here: Exchange, client: httpx.AsyncClient, early: bool
) -> None:
    async with caller(here, "cleo") as cleo, registered(here, "ada", "bob") as (ada, bob):

        def ring(one: Phone, event: Invited) -> None:
            one.agent.progress(event.leg, 183 if early else 180, one.now(), body=one.sdp() if early else b"")

        bob.answers = ring
        ada.call("bob")
        await ada.wait_for(Progressed)
        (call,) = [one for one in here.calls.all() if one.invitation.called == "bob"]
        await ask(client, f"/calls/{call.id}/redirect", {"to": NUMBER}, 202)
        await ada.wait_for(Answered)
        await bob.wait_for(Ended)
        async with speaking(Voice(ada.rtp, 880), Voice(cleo.rtp, 660)):
            await hears_only(ada, 660, 880)
            await hears_only(cleo, 880, 660)
        assert in_room(here, "standup", "sip_ada")
        for one in (ada, cleo):
            one.hang_up((await one.wait_for(Answered)).leg)
        await left_the_room(here)


@pytest.mark.long
async def test_a_caller_that_wants_an_offer_is_redirected_into_a_room(
    here: Exchange, client: httpx.AsyncClient
) -> None:
    async with caller(here, "cleo") as cleo, registered(here, "ada", "bob") as (ada, bob):
        bob.answers = None
        ada.call("bob", b"")
        await bob.wait_for(Invited)
        (call,) = [one for one in here.calls.all() if one.invitation.called == "bob"]
        await ask(client, f"/calls/{call.id}/redirect", {"to": NUMBER}, 202)
        leg = (await ada.wait_for(Answered)).leg
        ada.agent.acknowledge(leg, ada.now(), body=ada.sdp("0 101"))
        ada.drain()
        async with speaking(Voice(ada.rtp, 880), Voice(cleo.rtp, 660)):
            await hears_only(ada, 660, 880)
            await hears_only(cleo, 880, 660)
        for one in (ada, cleo):
            one.hang_up((await one.wait_for(Answered)).leg)
        await left_the_room(here)


async def test_a_room_that_takes_nobody_in_leaves_the_call_ringing(here: Exchange, client: httpx.AsyncClient) -> None:
    room = await here.rooms.create("standup", RoomOptions(locked=True))
    async with registered(here, "ada", "bob") as (ada, bob):
        bob.answers = None
        ada.call("bob")
        invited = await bob.wait_for(Invited)
        (call,) = here.calls.all()
        answer = await client.post(f"/calls/{call.id}/redirect", json={"to": NUMBER})
        assert (answer.status_code, answer.json()["code"]) == (409, "not_possible")
        pick_up(bob, invited)
        bob.drain()
        leg = (await ada.wait_for(Answered)).leg
        await heard(ada, bob, b"hello")
        await heard(bob, ada, b"hello back")
        answer = await client.post(f"/calls/{call.id}/redirect", json={"to": NUMBER})
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
        ada.hang_up(leg)
        await until(lambda: not len(here.calls))
        assert not room.participants
        await gone(here)


@pytest.mark.long
async def test_a_codec_that_cannot_be_mixed_is_refused_by_a_room_and_rings_on(
    here: Exchange, client: httpx.AsyncClient
) -> None:
    async with registered(here, "ada", "bob") as (ada, bob):
        bob.answers = None
        ada.call("bob", ada.sdp("18"))
        await bob.wait_for(Invited)
        (call,) = here.calls.all()
        answer = await client.post(f"/calls/{call.id}/redirect", json={"to": NUMBER})
        assert (answer.status_code, answer.json()["code"]) == (409, "not_possible")
        assert "codec" in answer.json()["detail"]
        bob.answers = pick_up
        bob.agent.refuse((await bob.wait_for(Invited)).leg, 486, bob.now())
        bob.drain()
        refused = await ada.wait_for(Refused)
        assert refused.response is not None
        assert refused.response.status == 486
        await gone(here)


async def test_a_phone_that_names_a_rooms_number_sends_its_caller_there(here: Exchange) -> None:
    async with caller(here, "cleo") as cleo, registered(here, "ada", "bob") as (ada, bob):
        contact = f"Contact: <sip:{NUMBER}@127.0.0.1:{here.port}>\r\n".encode()
        bob.answers = lambda one, event: one.agent.refuse(event.leg, 302, one.now(), block=contact)
        ada.call("bob")
        await ada.wait_for(Answered)
        async with speaking(Voice(ada.rtp, 880), Voice(cleo.rtp, 660)):
            await hears_only(ada, 660, 880)
            await hears_only(cleo, 880, 660)
        for one in (ada, cleo):
            one.hang_up((await one.wait_for(Answered)).leg)
        await left_the_room(here)


@pytest.mark.long
async def test_a_room_that_calls_is_redirected_to_somebody_else(here: Exchange, client: httpx.AsyncClient) -> None:
    async with caller(here, "cleo") as cleo, registered(here, "ada", "bob") as (ada, bob):
        ada.answers = None
        call = here.calls.dial(DialRequest("standup", "ada"))
        await ada.wait_for(Invited)
        refused = await client.post(f"/calls/{call.id}/redirect", json={"to": NUMBER})
        assert (refused.status_code, refused.json()["code"]) == (409, "not_possible")
        await ask(client, f"/calls/{call.id}/redirect", {"to": "bob"}, 202)
        await ada.wait_for(Ended)
        await asyncio.wait_for(call.answered(), PATIENCE_S)
        async with speaking(Voice(bob.rtp, 440), Voice(cleo.rtp, 660)):
            await hears_only(bob, 660, 440)
            await hears_only(cleo, 440, 660)
        bob.hang_up((await bob.wait_for(Invited)).leg)
        cleo.hang_up((await cleo.wait_for(Answered)).leg)
        await left_the_room(here)


async def test_a_phone_in_a_room_asks_another_in(here: Exchange) -> None:
    async with caller(here, "ada") as ada, registered(here, "bob") as (bob,):
        leg = (await ada.wait_for(Answered)).leg

        def refer(number: str) -> None:
            ada.agent.subscriptions.refer(leg.dialog, refer_to(here, number), ada.now())
            ada.drain()

        refer("bob")
        await bob.wait_for(Invited)
        await until(lambda: progress(ada)[-1:] == ["200"])
        async with speaking(Voice(ada.rtp, 880), Voice(bob.rtp, 440)):
            await hears_only(ada, 440, 880)
            await hears_only(bob, 880, 440)
        assert in_room(here, "standup", "sip_bob")
        for number, status in (("bob", "486"), ("nobody", "404"), (NUMBER, "501")):  # there already; nowhere; a room
            refer(number)
            await until(lambda status=status: progress(ada)[-1:] == [status])  # type: ignore[misc]
        ada.hang_up(leg)
        await until(lambda: not in_room(here, "standup", "sip_ada"))
        bob.hang_up((await bob.wait_for(Invited)).leg)
        await left_the_room(here)


@pytest.mark.long
async def test_who_asked_another_in_may_hang_up_before_that_one_answers(here: Exchange) -> None:
    async with caller(here, "ada") as ada, registered(here, "bob") as (bob,):
        bob.answers = None
        leg = (await ada.wait_for(Answered)).leg
        ada.agent.subscriptions.refer(leg.dialog, refer_to(here, "bob"), ada.now())
        ada.drain()
        invited = await bob.wait_for(Invited)
        ada.agent.subscriptions.refer(leg.dialog, refer_to(here, "cleo"), ada.now())  # one at a time: refused
        ada.hang_up(leg)
        await until(lambda: not in_room(here, "standup", "sip_ada"))
        pick_up(bob, invited)
        bob.drain()
        await until(lambda: in_room(here, "standup", "sip_bob"))
        bob.hang_up(invited.leg)
        await until(lambda: not len(here.calls))
        await gone(here)


@pytest.mark.long
@pytest.mark.skipif(not has_baresip, reason="baresip is not installed")
async def test_a_foreign_phone_is_taken_out_of_a_room_and_hears_whom_it_is_given(
    here: Exchange, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    async with baresip(tmp_path / "ada", "ada", "adaada", here.port, 880, records=True) as ada:
        async with registered(here, "bob") as (bob,):
            ada.do("dial", NUMBER)
            await ada.says("Call established")
            await until(lambda: in_room(here, "standup", "sip_ada"))
            path, leg = await seat_of(client, "ada")
            await ask(client, f"{path}/transfer", {"leg": leg["id"], "to": "bob"}, 202)
            await bob.wait_for(Invited)
            async with speaking(Voice(bob.rtp, 440)):
                await hears_only(bob, 880)
                await until(lambda: heard_by(tmp_path / "ada", 440))
            bob.hang_up((await bob.wait_for(Invited)).leg)
            await ada.says("session closed")
        await gone(here)
