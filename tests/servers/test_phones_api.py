"""Phones by HTTP: who may, what is made, listed and deleted, and what is refused."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from phone_peers import Exchange, exchange, phone, pick_up
from sip_peers import until

from roomtone.config import Settings
from roomtone.protocols.sip.agent import Answered, Ended
from roomtone.servers.api import ApiContext, create_app

KEY, SECRET = "tests", "a secret that is long enough for tests"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, "ada", "bob") as made:
        yield made


@pytest.fixture
async def client(here: Exchange) -> AsyncIterator[httpx.AsyncClient]:
    context = ApiContext(
        settings=Settings.model_validate({"keys": {KEY: SECRET}}), rooms=here.rooms, engine=here.engine
    )
    context.phone_book, context.calls = here.book, here.calls
    transport = httpx.ASGITransport(create_app(context))
    async with httpx.AsyncClient(transport=transport, base_url="http://x/api/v1", headers=bearer()) as made:
        yield made


def bearer(**sip: bool) -> dict[str, str]:
    claims: dict[str, Any] = {"iss": KEY, "sub": "tests", "exp": int(time.time()) + 600, "sip": sip or {"admin": True}}
    return {"Authorization": f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"}


@pytest.mark.parametrize("path", ["sip-accounts", "registrations", "dispatch-rules", "calls", "call-records", "trunks"])
async def test_only_who_administers_phones_may_look(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(f"/{path}")).status_code == 200
    assert (await client.get(f"/{path}", headers={"Authorization": ""})).status_code == 401
    assert (await client.get(f"/{path}", headers=bearer(call=True))).status_code == 403


async def test_an_account_is_made_listed_without_its_password_and_deleted(client: httpx.AsyncClient) -> None:
    body = {"username": "cleo", "password": "geheim", "name": "Cleo", "media_security": "sdes", "algorithm": "MD5"}
    made = await client.post("/sip-accounts", json=body)
    assert made.status_code == 201, made.text
    assert made.json() | {"created_at": 0} == {
        "username": "cleo",
        "name": "Cleo",
        "media_security": "sdes",
        "algorithm": "MD5",
        "disabled": False,
        "created_at": 0,
        "registered": 0,
    }
    assert "geheim" not in (await client.get("/sip-accounts")).text
    assert [one["username"] for one in (await client.get("/sip-accounts")).json()] == ["ada", "bob", "cleo"]
    again = await client.post("/sip-accounts", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "account_exists")
    assert (await client.delete("/sip-accounts/cleo")).status_code == 204
    assert (await client.delete("/sip-accounts/cleo")).status_code == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"username": "a b"}, "bad_username"),
        ({"password": "1"}, "bad_password"),
        ({"media_security": "zrtp"}, "invalid_request"),
        ({"pin": "1"}, "invalid_request"),
    ],
)
async def test_bad_accounts_say_why(client: httpx.AsyncClient, change: dict[str, str], code: str) -> None:
    answer = await client.post("/sip-accounts", json={"username": "cleo", "password": "geheim"} | change)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_dispatch_rules_are_made_listed_and_deleted(client: httpx.AsyncClient) -> None:
    targets = [
        {"kind": "account", "account": "ada"},
        {"kind": "group", "accounts": ["ada", "bob"]},
        {"kind": "uri", "uri": "sip:door@192.0.2.9"},
        {"kind": "room", "room": "standup"},
    ]
    for number, target in enumerate(targets):
        made = await client.post("/dispatch-rules", json={"name": f"r{number}", "numbers": ["1*"], "target": target})
        assert made.status_code == 201, made.text
        assert made.json()["target"] == target
    assert [rule["target"] for rule in (await client.get("/dispatch-rules")).json()] == targets
    assert (await client.delete("/dispatch-rules/r0")).status_code == 204
    assert (await client.delete("/dispatch-rules/r0")).status_code == 404


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ({"kind": "account", "account": "nobody"}, 404, "no_such_account"),
        ({"kind": "uri", "uri": "tel:+4930"}, 422, "bad_rule"),
        ({"kind": "conference"}, 422, "invalid_request"),
    ],
)
async def test_rules_that_lead_nowhere_say_why(
    client: httpx.AsyncClient, target: dict[str, str], status: int, code: str
) -> None:
    answer = await client.post("/dispatch-rules", json={"name": "r", "numbers": ["1"], "target": target})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_call_is_seen_ended_and_recorded(here: Exchange, client: httpx.AsyncClient) -> None:
    async with phone(here, "ada") as ada, phone(here, "bob") as bob:
        await bob.register()
        (registration,) = (await client.get("/registrations")).json()
        assert (registration["account"], registration["transport"]) == ("bob", "udp")
        bob.answers = pick_up
        ada.call("bob")
        await ada.wait_for(Answered)
        (call,) = (await client.get("/calls")).json()
        assert (call["caller"], call["called"], call["state"], call["codec"]) == ("ada", "bob", "answered", "PCMU/8000")
        assert [(leg["account"], leg["state"]) for leg in call["legs"]] == [("ada", "up"), ("bob", "up")]
        assert (await client.delete(f"/calls/{call['id']}")).status_code == 202
        await ada.wait_for(Ended)
        await bob.wait_for(Ended)
        await here.becomes_empty()
        assert (await client.delete(f"/calls/{call['id']}")).status_code == 404
        await here.calls._write()
        (record,) = (await client.get("/call-records", params={"account": "bob"})).json()
        assert (record["id"], record["reason"], record["callee_account"]) == (call["id"], "removed", "bob")


async def test_a_server_without_phones_says_so(client: httpx.AsyncClient) -> None:
    context = client._transport.app.state.context  # type: ignore[attr-defined]
    context.calls = None
    answer = await client.get("/calls")
    assert (answer.status_code, answer.json()["code"]) == (503, "no_phones")


async def test_trunks_are_made_listed_with_their_state_and_deleted(here: Exchange, client: httpx.AsyncClient) -> None:
    body = {"name": "carrier", "addresses": ["192.0.2.0/24"], "password": "geheim", "media_security": "sdes"}
    made = await client.post("/trunks", json=body)
    assert made.status_code == 201, made.text
    assert (made.json()["state"], made.json()["next_try_at"], made.json()["last_error"]) == ("unregistered", None, "")
    assert (await client.get("/trunks")).json() == [made.json()]
    assert (await client.get("/trunks/carrier")).json() == made.json()
    assert "geheim" not in made.text + str(await here.book.trunks._table.list())
    again = await client.post("/trunks", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "trunk_exists")
    target = {"kind": "trunk", "trunk": "carrier", "strip": 1, "prefix": "+49"}
    rule = {"name": "out", "numbers": ["0*"], "target": target}
    refused = await client.post("/dispatch-rules", json=rule)
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_rule")  # it takes no calls
    assert (await client.post("/trunks", json={"name": "b"})).json()["code"] == "bad_trunk"
    assert (await client.delete("/trunks/carrier")).status_code == 204
    for gone in (await client.delete("/trunks/carrier"), await client.get("/trunks/carrier")):
        assert (gone.status_code, gone.json()["code"]) == (404, "no_such_trunk")
    assert (await client.post("/dispatch-rules", json=rule)).json()["code"] == "no_such_trunk"


async def test_a_rule_that_leads_out_by_a_trunk_is_as_it_was_made(client: httpx.AsyncClient) -> None:
    trunk = {"name": "carrier", "uri": "sip:127.0.0.1:1;transport=tcp", "probes": False}
    assert (await client.post("/trunks", json=trunk)).status_code == 201
    target = {"kind": "trunk", "trunk": "carrier", "strip": 1, "prefix": "+49"}
    made = await client.post("/dispatch-rules", json={"name": "out", "numbers": ["0*"], "target": target})
    assert made.json()["target"] == target


async def test_a_room_calls_a_phone_and_says_who_it_will_be(here: Exchange, client: httpx.AsyncClient) -> None:
    async with phone(here, "bob") as bob:
        await bob.register()
        bob.answers = pick_up
        body = {"to": "bob", "identity": "door", "name": "Door", "attributes": {"k": "v"}, "wait_until_answered": True}
        answer = await client.post("/rooms/standup/calls", json=body, headers=bearer(call=True))
        assert answer.status_code == 201, answer.text
        made = answer.json()
        who = here.rooms.find("standup").participants["door"]
        expected = {"room": "standup", "identity": "door", "participant": who.id, "called": "bob", "state": "answered"}
        assert made == expected | {"id": made["id"]}
        assert who.attributes["k"] == "v"
        (call,) = (await client.get("/calls")).json()
        assert (call["id"], call["caller"], call["called"]) == (made["id"], "standup", "bob")
        assert (await client.delete(f"/calls/{made['id']}")).status_code == 202
        await bob.wait_for(Ended)
        await until(lambda: not len(here.calls))
        await here.calls._write()
        (record,) = (await client.get("/call-records", params={"account": "bob"})).json()
        assert (record["caller"], record["caller_account"], record["callee_account"]) == ("standup", "", "bob")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"to": "bob"}, 409, "not_registered"),
        ({"to": "nobody"}, 404, "not_found"),
        ({"to": "1", "trunk": "none"}, 409, "unreachable"),
        ({"to": "bob", "dtmf": "x"}, 422, "bad_request"),
        ({"to": ""}, 422, "bad_request"),
        ({"to": "bob", "ring_tone": "DE"}, 422, "bad_request"),
        ({"to": "bob", "ringing_timeout_s": 0}, 422, "invalid_request"),
        ({"to": "bob", "from_number": "a b"}, 422, "invalid_request"),
    ],
)
async def test_a_room_that_cannot_call_says_why(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await client.post("/rooms/standup/calls", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_a_rule_shows_that_it_has_a_pin_and_not_which(here: Exchange, client: httpx.AsyncClient) -> None:
    rule = {
        "name": "board",
        "numbers": ["7001"],
        "target": {"kind": "room_of_caller", "prefix": "call", "random": True},
        "trunks": ["*"],
        "hide_number": True,
    }
    made = await client.post("/dispatch-rules", json=rule | {"pin": "4711"})
    assert made.status_code == 201, made.text
    assert made.json() == rule | {"has_pin": True, "created_at": made.json()["created_at"]}
    assert "4711" not in made.text + (await client.get("/dispatch-rules")).text
    assert here.book.dispatch.find("board").pin == "4711"
    bad = {"name": "b", "numbers": ["1"], "target": {"kind": "uri", "uri": "sip:a@192.0.2.1"}, "pin": "1"}
    assert (await client.post("/dispatch-rules", json=bad)).json()["code"] == "bad_rule"


async def test_only_who_may_call_has_a_room_call(client: httpx.AsyncClient) -> None:
    for headers, status in ((bearer(admin=False), 403), ({"Authorization": ""}, 401)):
        assert (await client.post("/rooms/standup/calls", json={"to": "bob"}, headers=headers)).status_code == status
