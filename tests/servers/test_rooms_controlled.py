"""Phones in rooms are held, muted and sent keys by HTTP, parties are transferred into rooms: their tones prove it."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from foreign_phones import linear, share_of
from phone_peers import Exchange, Phone, exchange, phone, pick_up
from sip_peers import PATIENCE_S, until
from test_moved_calls import music, progress, refer_to
from test_phone_pins import enter, gone, in_room
from test_phone_server import heard
from test_phones_api import KEY, SECRET, bearer
from test_phones_in_rooms import MD5, NUMBER, Voice, caller, hears, left_the_room, track_hears

from roomtone.config import Settings
from roomtone.control.calls import DialRequest, RuleTarget, TargetKind
from roomtone.control.rooms import RoomOptions
from roomtone.protocols.sip.agent import Answered, Ended, Invited
from roomtone.servers.api import ApiContext, create_app

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]
MUSIC = {500.0: 0.7}
"""The rest of a square wave are its overtones."""


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, "ada", "bob", "cleo", order=MD5, music=music()) as made:
        await made.book.dispatch.create("standup", [NUMBER], RuleTarget(TargetKind.ROOM, room="standup"))
        yield made


@pytest.fixture
async def client(here: Exchange) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.model_validate({"keys": {KEY: SECRET}})
    context = ApiContext(settings=settings, rooms=here.rooms, engine=here.engine)
    context.phone_book, context.calls = here.book, here.calls
    transport = httpx.ASGITransport(create_app(context))
    async with httpx.AsyncClient(transport=transport, base_url="http://x/api/v1", headers=bearer()) as made:
        yield made


async def seat_of(client: httpx.AsyncClient, account: str) -> tuple[str, dict[str, Any]]:
    """The path of the call of a phone in a room, and its leg."""
    for call in (await client.get("/calls")).json():
        for leg in call["legs"]:
            if leg["account"] == account:
                return f"/calls/{call['id']}", leg
    raise AssertionError(account)


async def ask(client: httpx.AsyncClient, path: str, body: dict[str, str] | None = None, status: int = 204) -> None:
    answer = await client.post(path, json=body)
    assert answer.status_code == status, answer.text


async def test_a_phone_in_a_room_is_muted_and_held_by_http(here: Exchange, client: httpx.AsyncClient) -> None:
    async with caller(here, "ada") as ada, caller(here, "bob") as bob:
        voices = [Voice(ada.rtp, 880), Voice(bob.rtp, 440)]

        def say() -> None:
            for voice in voices:
                voice.say()

        path, leg = await seat_of(client, "bob")
        assert (leg["is_party"], leg["held"], leg["muted"]) == (True, False, False)
        await hears(ada.rtp, {440: 0.9}, (880,), say)
        await ask(client, f"{path}/legs/{leg['id']}/mute")
        await hears(ada.rtp, {}, (440, 880), say)
        await hears(bob.rtp, {880: 0.9}, (440,), say)  # it goes on to hear
        assert (await seat_of(client, "bob"))[1]["muted"]
        await ask(client, f"{path}/hold", {"leg": leg["id"]})
        await hears(bob.rtp, MUSIC, (440, 880), say)
        await ask(client, f"{path}/legs/{leg['id']}/unmute")
        await hears(ada.rtp, {}, (440, 880), say)  # who is on hold is not heard, muted or not
        assert (await bob.reoffer((await bob.wait_for(Answered)).leg, bob.sdp("0 101"))).status == 200
        await hears(bob.rtp, MUSIC, (440, 880), say)  # nor does an offer end a hold
        await ask(client, f"{path}/resume", {"leg": leg["id"]})
        await hears(bob.rtp, {880: 0.9}, (440, 500), say)
        await hears(ada.rtp, {440: 0.9}, (880,), say)
        for one in (ada, bob):
            one.hang_up((await one.wait_for(Answered)).leg)
        await left_the_room(here)


@pytest.mark.parametrize("held", [False, True])
async def test_a_phone_in_a_room_gets_keys_as_events(here: Exchange, client: httpx.AsyncClient, held: bool) -> None:
    async with caller(here, "ada") as ada, caller(here, "bob") as bob:
        voice = Voice(ada.rtp, 880)
        path, leg = await seat_of(client, "bob")
        if held:
            await ask(client, f"{path}/hold", {"leg": leg["id"]})
        pressing = asyncio.create_task(ask(client, f"{path}/legs/{leg['id']}/dtmf", {"keys": "4#"}))
        keys: list[int] = []
        async with asyncio.timeout(PATIENCE_S):
            while keys != [4, 11]:
                number, payload = await bob.rtp.next()
                voice.say()
                if number == 101 and payload[0] not in keys:
                    keys.append(payload[0])
        await pressing
        if held:
            await hears(bob.rtp, MUSIC, (880,), voice.say)
        else:
            await hears(bob.rtp, {880: 0.9}, (), voice.say)
        for one in (ada, bob):
            one.hang_up((await one.wait_for(Answered)).leg)
        await left_the_room(here)


async def test_a_phone_in_a_room_without_events_and_info_gets_tones(here: Exchange, client: httpx.AsyncClient) -> None:
    async with phone(here, "bob") as bob:
        bob.refuses = frozenset({"INFO"})
        assert (await bob.register()).status == 200
        bob.call(NUMBER, bob.sdp("0"))
        answered = await bob.wait_for(Answered)
        path, leg = await seat_of(client, "bob")
        pressing = asyncio.create_task(ask(client, f"{path}/legs/{leg['id']}/dtmf", {"keys": "5"}))
        await hears_key(bob)
        await pressing
        bob.hang_up(answered.leg)
        await left_the_room(here)


async def hears_key(to: Phone) -> None:
    """Wait for the two tones of a 5: 770 and 1,336 Hz, each about half of the sound."""
    async with asyncio.timeout(PATIENCE_S):
        samples: list[int] = []
        while True:
            samples = (samples + linear((await to.rtp.next())[1]))[-800:]
            if len(samples) == 800 and all(share_of(samples, hertz) > 0.35 for hertz in (770, 1_336)):
                return


async def test_what_a_phone_in_a_room_cannot_do_says_why(here: Exchange, client: httpx.AsyncClient) -> None:
    async with caller(here, "ada") as ada:
        path, leg = await seat_of(client, "ada")
        wishes: list[tuple[str, dict[str, str], int, str]] = [
            ("/hold", {"leg": "none"}, 404, "no_such_leg"),
            (f"/legs/{leg['id']}/dtmf", {"keys": "hello"}, 422, "bad_keys"),
            ("/transfer", {"leg": leg["id"], "to": "bob"}, 409, "not_possible"),  # who has no phone
            ("/redirect", {"to": "bob"}, 409, "not_possible"),  # what has been answered
        ]
        for where, body, status, code in wishes:
            answer = await client.post(path + where, json=body)
            assert (answer.status_code, answer.json()["code"]) == (status, code), where
        ada.hang_up((await ada.wait_for(Answered)).leg)
        await left_the_room(here)


async def test_a_party_is_transferred_into_a_room(here: Exchange) -> None:
    async with caller(here, "cleo") as cleo, phone(here, "ada") as ada, phone(here, "bob") as bob:
        for one in (ada, bob):
            assert (await one.register()).status == 200
        bob.answers = pick_up
        ada.call("bob")
        leg = (await ada.wait_for(Answered)).leg
        ada.agent.subscriptions.refer(leg.dialog, refer_to(here, NUMBER), ada.now())
        ada.drain()
        await ada.wait_for(Ended)
        assert progress(ada) == ["100", "200"]
        voices = [Voice(cleo.rtp, 880), Voice(bob.rtp, 440)]

        def say() -> None:
            for voice in voices:
                voice.say()

        await hears(cleo.rtp, {440: 0.9}, (880,), say)
        await hears(bob.rtp, {880: 0.9}, (440,), say)
        room = here.rooms.find("standup")
        await track_hears(room.participants["sip_bob"], 440, say)
        bob.hang_up((await bob.wait_for(Invited)).leg)
        await until(lambda: "sip_bob" not in room.participants)
        cleo.hang_up((await cleo.wait_for(Answered)).leg)
        await left_the_room(here)


async def test_a_party_is_transferred_into_a_room_by_http_and_enters_its_pin(
    here: Exchange, client: httpx.AsyncClient
) -> None:
    await here.book.dispatch.create("board", ["7001"], RuleTarget(TargetKind.ROOM, room="board"), pin="42")
    async with phone(here, "ada") as ada, phone(here, "bob") as bob:
        for one in (ada, bob):
            assert (await one.register()).status == 200
        bob.answers = pick_up
        ada.call("bob")
        leg = (await ada.wait_for(Answered)).leg
        path, stays = await seat_of(client, "ada")
        await ask(client, f"{path}/transfer", {"leg": stays["id"], "to": "7001"}, 202)
        await bob.wait_for(Ended)
        await hears(ada.rtp, {660: 0.8}, (), lambda: None)  # is asked
        assert not in_room(here, "board", "sip_ada")
        await enter(ada, "42#")
        await until(lambda: in_room(here, "board", "sip_ada"))
        ada.hang_up(leg)
        await gone(here)


async def test_a_room_that_lets_nobody_in_leaves_the_parties_with_each_other(here: Exchange) -> None:
    room = await here.rooms.create("standup", RoomOptions(locked=True))
    async with phone(here, "ada") as ada, phone(here, "bob") as bob:
        for one in (ada, bob):
            assert (await one.register()).status == 200
        bob.answers = pick_up
        ada.call("bob")
        leg = (await ada.wait_for(Answered)).leg
        ada.agent.subscriptions.refer(leg.dialog, refer_to(here, NUMBER), ada.now())
        ada.drain()
        await until(lambda: progress(ada) == ["100", "403"])
        await heard(ada, bob, b"hello")
        await heard(bob, ada, b"hello back")
        ada.hang_up(leg)
        await until(lambda: not len(here.calls))
        assert not room.participants
        await gone(here)


async def test_a_room_follows_a_phone_that_says_where_else_to_call(here: Exchange) -> None:
    async with caller(here, "cleo") as cleo, phone(here, "ada") as ada, phone(here, "bob") as bob:
        for one in (ada, bob):
            assert (await one.register()).status == 200
        bob.answers = pick_up
        call = here.calls.dial(DialRequest("standup", "ada", identity="guest"))
        invited = await ada.wait_for(Invited)
        ada.agent.refuse(invited.leg, 302, ada.now(), block=f"Contact: <sip:bob@127.0.0.1:{here.port}>\r\n".encode())
        ada.drain()
        await asyncio.wait_for(call.answered(), PATIENCE_S)
        voices = [Voice(cleo.rtp, 880), Voice(bob.rtp, 440)]

        def say() -> None:
            for voice in voices:
                voice.say()

        await hears(cleo.rtp, {440: 0.9}, (880,), say)
        await hears(bob.rtp, {880: 0.9}, (440,), say)
        bob.hang_up((await bob.wait_for(Invited)).leg)
        cleo.hang_up((await cleo.wait_for(Answered)).leg)
        await left_the_room(here)
