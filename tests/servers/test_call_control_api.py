"""Calls held, muted, transferred, redirected and merged by HTTP, over real sockets; what cannot be done says why."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from phone_peers import Exchange, Phone, exchange, phone, pick_up
from test_phone_server import heard, not_heard
from test_phones_api import KEY, SECRET, bearer

from roomtone.config import Settings
from roomtone.protocols.sip.agent import Answered, Ended, Invited
from roomtone.servers.api import ApiContext, create_app

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, "ada", "bob", "cleo") as made:
        yield made


@pytest.fixture
async def client(here: Exchange) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.model_validate({"keys": {KEY: SECRET}})
    context = ApiContext(settings=settings, rooms=here.rooms, engine=here.engine)
    context.phone_book, context.calls = here.book, here.calls
    transport = httpx.ASGITransport(create_app(context))
    async with httpx.AsyncClient(transport=transport, base_url="http://x/api/v1", headers=bearer()) as made:
        yield made


@pytest.fixture
async def three(here: Exchange) -> AsyncIterator[tuple[Phone, Phone, Phone]]:
    async with AsyncExitStack() as phones:
        made = [await phones.enter_async_context(phone(here, name)) for name in ("ada", "bob", "cleo")]
        for one in made:
            assert (await one.register()).status == 200
            one.answers = pick_up
        yield made[0], made[1], made[2]


async def only_call(client: httpx.AsyncClient) -> dict[str, Any]:
    (call,) = (await client.get("/calls")).json()
    assert isinstance(call, dict)
    return call


async def test_a_leg_is_muted_held_and_transferred(
    here: Exchange, client: httpx.AsyncClient, three: tuple[Phone, Phone, Phone]
) -> None:
    ada, bob, cleo = three
    ada.call("bob")
    leg = (await ada.wait_for(Answered)).leg
    call = await only_call(client)
    first, second = call["legs"]
    path = f"/calls/{call['id']}"
    assert (first["account"], first["is_party"], first["muted"]) == ("ada", True, False)
    await heard(ada, bob, b"hello")
    assert (await client.post(f"{path}/legs/{first['id']}/mute")).status_code == 204
    assert (await only_call(client))["legs"][0]["muted"]
    await not_heard(ada, bob)
    assert (await client.post(f"{path}/legs/{first['id']}/unmute")).status_code == 204
    await heard(ada, bob, b"again")
    assert (await client.post(f"{path}/hold", json={"leg": second["id"]})).status_code == 204
    await not_heard(ada, bob, back=False)
    await not_heard(bob, ada, back=False)
    assert (await client.post(f"{path}/resume", json={"leg": second["id"]})).status_code == 204
    await heard(ada, bob, b"and again")
    assert (await client.post(f"{path}/legs/{second['id']}/dtmf", json={"keys": "1"})).status_code == 204
    moved = await client.post(f"{path}/transfer", json={"leg": first["id"], "to": "cleo"})
    assert moved.status_code == 202, moved.text
    await bob.wait_for(Ended)
    await heard(ada, cleo, b"hello cleo")
    assert [one["account"] for one in (await only_call(client))["legs"]] == ["ada", "cleo"]
    ada.hang_up(leg)
    await here.becomes_empty()


async def test_a_call_that_rings_is_redirected_and_another_merged_with_it(
    here: Exchange, client: httpx.AsyncClient, three: tuple[Phone, Phone, Phone]
) -> None:
    ada, bob, cleo = three
    bob.answers = None
    ada.call("bob")
    await bob.wait_for(Invited)
    call = await only_call(client)
    redirected = await client.post(f"/calls/{call['id']}/redirect", json={"to": "cleo"})
    assert redirected.status_code == 202, redirected.text
    leg = (await ada.wait_for(Answered)).leg
    bob.call("ada")
    other = (await bob.wait_for(Answered)).leg
    _, second = (await client.get("/calls")).json()
    merged = await client.post(f"/calls/{call['id']}/merge", json={"call": second["id"]})
    assert merged.status_code == 204, merged.text
    assert len((await only_call(client))["legs"]) == 3
    ada.hang_up(leg)
    cleo.hang_up((await cleo.wait_for(Invited)).leg)
    await bob.wait_for(Ended)
    await here.becomes_empty()
    del other


async def test_what_cannot_be_done_says_why(
    here: Exchange, client: httpx.AsyncClient, three: tuple[Phone, Phone, Phone]
) -> None:
    ada, _, _ = three
    ada.call("bob")
    leg = (await ada.wait_for(Answered)).leg
    call = await only_call(client)
    path, party = f"/calls/{call['id']}", call["legs"][0]["id"]
    wishes: list[tuple[str, dict[str, str] | None, int, str]] = [
        ("/calls/none/hold", {"leg": party}, 404, "no_such_call"),
        (f"{path}/hold", {"leg": "none"}, 404, "no_such_leg"),
        (f"{path}/hold", {}, 422, "invalid_request"),
        (f"{path}/legs/{party}/dtmf", {"keys": "hello"}, 422, "bad_keys"),
        (f"{path}/transfer", {"leg": party, "to": "nobody"}, 409, "not_possible"),
        (f"{path}/redirect", {"to": "cleo"}, 409, "wrong_state"),
        (f"{path}/merge", {"call": call["id"]}, 409, "not_possible"),
        (f"{path}/merge", {"call": "none"}, 404, "no_such_call"),
    ]
    for where, body, status, code in wishes:
        answer = await client.post(where, json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), where
        refused = await client.post(where, json=body, headers=bearer(call=True))
        assert refused.status_code == 403
    ada.hang_up(leg)
    await here.becomes_empty()
