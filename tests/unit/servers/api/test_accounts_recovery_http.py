"""Accounts in others' hands, and lost passwords: log-ins end everywhere, links set a new password."""

from __future__ import annotations

import pytest
from accounts_world import PASSWORD, AccountsWorld

from roomtone.control.rooms import CloseReason, JoinRequest

NEW = "another battery staple"


async def held(world: AccountsWorld, path: str, token: str, account: str) -> list[int]:
    """End what an account holds, while it is in a room; what its access and refresh tokens give afterwards."""
    log_in = (await world.post("/auth/login", {"login": "ada", "password": PASSWORD})).json()
    participant = await world.rooms.join("demo", JoinRequest("ada", account_id=account))
    stranger = await world.rooms.join("demo", JoinRequest("eve"))
    world.now += 1
    assert (await world.ask("DELETE", path, token=token)).status_code == 204
    assert (participant.closed, stranger.closed) == (CloseReason.REMOVED, None)
    refreshed = await world.post("/auth/refresh", {"refresh_token": log_in["refresh_token"]})
    return [(await world.ask("GET", "/me", token=log_in["access_token"])).status_code, refreshed.status_code]


async def test_an_administrator_ends_all_log_ins_of_an_account(world: AccountsWorld) -> None:
    made = await world.register()
    admin, account = await world.admin(), made["account"]["id"]
    assert await held(world, f"/accounts/{account}/log-ins", admin, account) == [401, 401]
    assert (await world.ask("GET", "/me", token=admin)).status_code == 200
    assert (await world.post("/auth/login", {"login": "ada", "password": PASSWORD})).status_code == 200
    assert await world.audited("log_ins_ended") == [("log_ins_ended", "ok", "ada")]
    assert (await world.ask("DELETE", "/accounts/a_nobody/log-ins", token=admin)).status_code == 404


async def test_somebody_logs_out_everywhere(world: AccountsWorld) -> None:
    made = await world.register()
    assert await held(world, "/me/log-ins", made["access_token"], made["account"]["id"]) == [401, 401]
    assert (await world.ask("GET", "/me", token=made["access_token"])).status_code == 401


async def test_a_link_sets_a_new_password_once_and_without_mail(world: AccountsWorld) -> None:
    made = await world.register()
    answer = await world.post(f"/accounts/{made['account']['id']}/reset-link", token=await world.admin())
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    link, _, token = answer.json()["link"].partition("#token=")
    assert link == "https://test/account/reset/"
    assert (await world.ask("GET", "/me", token=made["access_token"])).status_code == 200
    world.now += 1
    assert (await world.post("/auth/password/reset", {"token": token, "password": NEW})).status_code == 200
    again = await world.post("/auth/password/reset", {"token": token, "password": NEW})
    assert (again.status_code, again.json()["code"]) == (400, "bad_reset_token")
    assert (await world.post("/auth/login", {"login": "ada", "password": NEW})).status_code == 200
    assert await world.audited("reset_link_made") == [("reset_link_made", "ok", "ada")]


@pytest.mark.parametrize(("account", "status", "code"), [("", 409, "locked_out"), ("a_nobody", 404, "no_such_account")])
async def test_no_link_is_made_that_would_open_nothing(
    world: AccountsWorld, account: str, status: int, code: str
) -> None:
    made, admin = await world.register(), await world.admin()
    await world.ask("PATCH", f"/accounts/{made['account']['id']}", {"disabled": True}, admin)
    answer = await world.post(f"/accounts/{account or made['account']['id']}/reset-link", token=admin)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
