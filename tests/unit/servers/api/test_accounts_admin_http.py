"""What administrators do over HTTP: accounts, keys, the audit trail; one-time passwords; room tokens."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable

import pytest
import structlog
from accounts_world import PASSWORD, AccountsWorld
from livekit import api as livekit

from roomtone.control.accounts import totp
from roomtone.control.policy import Role, VideoGrants, room_grants

ADMIN_ONLY = [
    ("GET", "/accounts", None),
    ("POST", "/accounts", {"username": "eve", "password": PASSWORD}),
    ("GET", "/accounts/a_first", None),
    ("PATCH", "/accounts/a_first", {"role": "member"}),
    ("DELETE", "/accounts/a_first/totp", None),
    ("DELETE", "/accounts/a_first/log-ins", None),
    ("POST", "/accounts/a_first/reset-link", None),
    ("GET", "/keys", None),
    ("POST", "/keys", {}),
    ("DELETE", "/keys/devkey", None),
    ("GET", "/audit", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ADMIN_ONLY)
async def test_only_administrators_administer(
    world: AccountsWorld, method: str, path: str, body: dict[str, str] | None
) -> None:
    assert (await world.ask(method, path, body)).status_code == 401
    member = await world.register()
    moderator = await promoted(world, "bob", "moderator")
    key = world.context.keys.sign("devkey", "x", VideoGrants(room_admin=True, room_list=True), world.now)
    for token in (member["access_token"], moderator, key):
        answer = await world.ask(method, path, body, token)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_granted")
    admin = await world.admin()
    assert (await world.ask(method, path, body, admin)).status_code in {200, 201, 204, 404, 409}


async def promoted(world: AccountsWorld, username: str, role: str) -> str:
    """Register an account and give it a role; its access token with that role."""
    made = await world.register(username)
    admin = await world.admin()
    changed = await world.ask("PATCH", f"/accounts/{made['account']['id']}", {"role": role}, admin)
    assert changed.json()["role"] == role
    world.now += 1
    answer = await world.post("/auth/login", {"login": username, "password": PASSWORD})
    return str(answer.json()["access_token"])


async def test_the_token_of_an_account_opens_rooms_by_its_role(world: AccountsWorld) -> None:
    await world.rooms.open("demo")
    member = (await world.register())["access_token"]
    moderator = await promoted(world, "bob", "moderator")
    admin = await world.admin()
    for path in ("/rooms", "/rooms/demo", "/rooms/demo/participants"):
        assert (await world.ask("GET", path, token=member)).status_code == 403
        assert (await world.ask("GET", path, token=moderator)).status_code == 200
        assert (await world.ask("GET", path, token=admin)).status_code == 200


async def test_another_role_ends_the_tokens_of_the_old_one_and_refreshing_gives_the_new(world: AccountsWorld) -> None:
    made = await world.register()
    admin = await world.admin()
    world.now += 1
    path = f"/accounts/{made['account']['id']}"
    assert (await world.ask("PATCH", path, {"role": "admin"}, admin)).status_code == 200
    assert (await world.ask("GET", "/me", token=made["access_token"])).json()["code"] == "token_withdrawn"
    again = (await world.post("/auth/refresh", {"refresh_token": made["refresh_token"]})).json()
    assert (await world.ask("GET", "/accounts", token=again["access_token"])).status_code == 200
    assert ("role_changed", "ok", "ada") in await world.audited()


async def test_a_locked_account_is_out_at_once_and_back_when_unlocked(world: AccountsWorld) -> None:
    made = await world.register()
    room = (await world.post("/rooms/demo/token", token=made["access_token"])).json()["token"]
    admin = await world.admin()
    world.now += 1
    path = f"/accounts/{made['account']['id']}"
    assert (await world.ask("PATCH", path, {"disabled": True}, admin)).json()["disabled"] is True
    assert (await world.ask("GET", "/me", token=made["access_token"])).status_code == 401
    assert (await world.post("/auth/refresh", {"refresh_token": made["refresh_token"]})).status_code == 401
    answer = await world.http.post("/whip/demo", headers={"Authorization": f"Bearer {room}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_withdrawn")
    await world.ask("PATCH", path, {"disabled": False}, admin)
    world.now += 1
    assert (await world.post("/auth/login", {"login": "ada", "password": PASSWORD})).status_code == 200
    kinds = [kind for kind, _, account in await world.audited() if account == "ada"]
    assert kinds.count("account_disabled") == kinds.count("account_enabled") == 1


async def test_the_last_administrator_stays_one(world: AccountsWorld) -> None:
    admin = await world.admin()
    for body in ({"role": "member"}, {"disabled": True}):
        answer = await world.ask("PATCH", "/accounts/a_first", body, admin)
        assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")
    await promoted(world, "bob", "admin")
    assert (await world.ask("PATCH", "/accounts/a_first", {"role": "member"}, admin)).status_code == 200


async def test_accounts_are_listed_by_page(world: AccountsWorld) -> None:
    for name in ("cy", "bob"):
        await world.register(name)
    admin = await world.admin()
    page = await world.ask("GET", "/accounts?offset=1&limit=2", token=admin)
    assert [account["username"] for account in page.json()] == ["bob", "cy"]
    assert "password" not in page.text
    assert (await world.ask("GET", "/accounts?limit=1000", token=admin)).status_code == 422
    assert (await world.ask("GET", "/accounts/a_nobody", token=admin)).status_code == 404


async def test_a_key_signs_from_the_moment_it_is_made_until_it_is_revoked(world: AccountsWorld) -> None:
    world.now = time.time()  # LiveKit's library reads the real clock
    admin = await world.admin()
    answer = await world.post("/keys", {"label": "bot"}, admin)
    assert answer.status_code == 201
    made = answer.json()
    grants = livekit.VideoGrants(room_list=True)
    token = livekit.AccessToken(made["key"], made["secret"]).with_identity("bot").with_grants(grants).to_jwt()
    assert (await world.ask("GET", "/rooms", token=token)).status_code == 200
    listed = (await world.ask("GET", "/keys", token=admin)).json()
    assert [(key["key"], key["settings"], key["created_by"]) for key in listed] == [
        ("devkey", True, "settings"),
        (made["key"], False, "admin"),
    ]
    assert made["secret"] not in str(listed)
    assert (await world.ask("DELETE", f"/keys/{made['key']}", token=admin)).status_code == 204
    refused = await world.ask("GET", "/rooms", token=token)
    assert (refused.status_code, refused.json()["code"]) == (401, "token_unknown_key")
    assert (await world.ask("DELETE", f"/keys/{made['key']}", token=admin)).status_code == 404
    again = await world.post("/keys", {"name": made["key"]}, admin)
    assert (again.status_code, again.json()["code"]) == (409, "key_taken")
    assert [(kind, outcome) for kind, outcome, _ in await world.audited() if kind.startswith("key")] == [
        ("key_created", "ok"),
        ("key_revoked", "ok"),
    ]


@pytest.mark.parametrize(
    ("name", "status", "code"), [("a b", 422, "bad_key"), ("@account", 422, "bad_key"), ("devkey", 409, "key_taken")]
)
async def test_a_key_with_a_name_that_cannot_be_is_refused(
    world: AccountsWorld, name: str, status: int, code: str
) -> None:
    answer = await world.post("/keys", {"name": name}, await world.admin())
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_key_of_the_settings_is_not_revoked_over_http(world: AccountsWorld) -> None:
    answer = await world.ask("DELETE", "/keys/devkey", token=await world.admin())
    assert answer.status_code == 404
    assert "settings" in answer.json()["detail"]


@pytest.mark.parametrize("role", list(Role))
async def test_an_account_gets_a_room_token_by_its_role(world: AccountsWorld, role: Role) -> None:
    token = await world.admin() if role is Role.ADMIN else await promoted(world, "ada", role.value)
    answer = await world.post("/rooms/demo/token", token=token)
    assert answer.status_code == 200
    body = answer.json()
    name = "admin" if role is Role.ADMIN else "ada"
    assert (body["room"], body["identity"]) == ("demo", name)
    assert body["expires_at"] == int(world.now) + 21_600
    read = world.context.keys.verify(body["token"], world.now)
    assert (read.identity, read.name, read.grants) == (name, name, room_grants(role, "demo"))
    assert read.account_id is not None
    assert (await world.ask("GET", "/me", token=body["token"])).status_code == 403, "it is for the room only"
    assert (await world.ask("GET", "/accounts", token=body["token"])).status_code == 403
    assert (await world.post("/rooms/demo/token", token=body["token"])).status_code == 403


async def test_room_tokens_are_limited_and_audited_and_need_a_name_of_a_room(
    make_accounts: Callable[..., Awaitable[AccountsWorld]],
) -> None:
    world = await make_accounts(accounts={"bcrypt_cost": 4, "rates": {"room_tokens_per_minute": 2}})
    token = (await world.register())["access_token"]
    assert (await world.post("/rooms/a%20b/token", token=token)).json()["code"] == "bad_name"
    codes = [(await world.post("/rooms/demo/token", token=token)).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert await world.audited("room_token") == [("room_token", "ok", "ada")] * 2
    assert (await world.post("/rooms/demo/token")).status_code == 401


async def test_the_audit_trail_is_read_backwards_and_by_account(world: AccountsWorld) -> None:
    await world.register()
    admin = await world.admin()
    events = (await world.ask("GET", "/audit?limit=2", token=admin)).json()
    assert [(event["kind"], event["account"]) for event in events] == [("login", "admin"), ("account_created", "ada")]
    assert (events[0]["address"], events[1]["detail"]) == ("192.0.2.7", "role member")
    assert (await world.ask("GET", f"/audit?before={events[1]['id']}", token=admin)).json() == []
    of_ada = (await world.ask("GET", "/audit?account=ada", token=admin)).json()
    assert [event["account"] for event in of_ada] == ["ada"]
    assert PASSWORD not in str(events)


async def set_up(world: AccountsWorld, token: str) -> tuple[bytes, list[str]]:
    """Set one-time passwords up and confirm them: the secret and the backup codes."""
    setup = (await world.post("/auth/totp/setup", token=token)).json()
    assert re.fullmatch(
        r"otpauth://totp/Roomtone:ada\?secret=[A-Z2-7]{32}&issuer=Roomtone&algorithm=SHA1&digits=6&period=30",
        setup["uri"],
    )
    secret = totp.secret_bytes(setup["secret"])
    code = totp.hotp(secret, totp.step_at(world.now))
    wrong = await world.post("/auth/totp/confirm", {"totp": "000000" if code != "000000" else "000001"}, token)
    assert (wrong.status_code, wrong.json()["code"]) == (401, "bad_totp")
    confirmed = await world.post("/auth/totp/confirm", {"totp": code}, token)
    assert confirmed.status_code == 200, confirmed.text
    return secret, list(confirmed.json()["backup_codes"])


async def test_one_time_passwords_are_asked_for_once_confirmed_and_each_is_good_once(world: AccountsWorld) -> None:
    made = await world.register()
    secret, codes = await set_up(world, made["access_token"])
    assert len(set(codes)) == 10
    login = {"login": "ada", "password": PASSWORD}
    asked = await world.post("/auth/login", login)
    assert (asked.status_code, asked.json()["code"]) == (401, "totp_required")
    used = totp.hotp(secret, totp.step_at(world.now))
    assert (await world.post("/auth/login", login | {"totp": used})).json()["code"] == "bad_totp", "used to confirm"
    world.now += 30
    fresh = totp.hotp(secret, totp.step_at(world.now))
    assert (await world.post("/auth/login", login | {"password": "no", "totp": fresh})).json()["code"] == (
        "bad_credentials"
    )
    assert (await world.post("/auth/login", login | {"totp": f"{fresh[:3]} {fresh[3:]}"})).status_code == 200
    assert (await world.post("/auth/login", login | {"totp": fresh})).json()["code"] == "bad_totp"
    assert (await world.ask("GET", "/me", token=made["access_token"])).json()["totp"] is True


async def test_a_backup_code_stands_in_once(world: AccountsWorld) -> None:
    made = await world.register()
    _, codes = await set_up(world, made["access_token"])
    login = {"login": "ada", "password": PASSWORD}
    assert (await world.post("/auth/login", login | {"totp": codes[0].upper()})).status_code == 200
    assert (await world.post("/auth/login", login | {"totp": codes[0]})).json()["code"] == "bad_totp"
    assert ("login", "backup_code", "ada") in await world.audited()


async def test_one_time_passwords_are_removed_with_the_password_and_one_of_them(world: AccountsWorld) -> None:
    made = await world.register()
    token = made["access_token"]
    body = {"password": PASSWORD}
    assert (await world.ask("DELETE", "/auth/totp", body, token)).json()["code"] == "totp_not_set_up"
    _, codes = await set_up(world, token)
    assert (await world.post("/auth/totp/setup", token=token)).json()["code"] == "totp_active"
    assert (await world.ask("DELETE", "/auth/totp", body, token)).json()["code"] == "totp_required"
    wrong = await world.ask("DELETE", "/auth/totp", body | {"totp": "123456"}, token)
    assert wrong.json()["code"] == "bad_totp"
    assert (await world.ask("DELETE", "/auth/totp", body | {"totp": codes[3]}, token)).status_code == 204
    assert (await world.post("/auth/login", {"login": "ada"} | body)).status_code == 200


async def test_a_mailed_link_does_not_replace_the_second_factor(world: AccountsWorld) -> None:
    made = await world.register()
    _, codes = await set_up(world, made["access_token"])
    with structlog.testing.capture_logs() as logs:
        await world.post("/auth/password/forgot", {"login": "ada"})
    token = next(entry["link"] for entry in logs if "link" in entry).partition("#token=")[2]
    other = "another good password"
    answer = await world.post("/auth/password/reset", {"token": token, "password": other})
    assert (answer.status_code, answer.json()["code"]) == (401, "totp_required")
    assert "set-cookie" not in answer.headers
    login = {"login": "ada", "password": other}
    assert (await world.post("/auth/login", login)).json()["code"] == "totp_required", "the password is the new one"
    assert (await world.post("/auth/login", login | {"totp": codes[0]})).status_code == 200


async def test_an_administrator_removes_one_time_passwords_of_who_lost_them(world: AccountsWorld) -> None:
    made = await world.register()
    await set_up(world, made["access_token"])
    admin = await world.admin()
    path = f"/accounts/{made['account']['id']}/totp"
    assert (await world.ask("DELETE", path, token=admin)).status_code == 204
    assert (await world.post("/auth/login", {"login": "ada", "password": PASSWORD})).status_code == 200


async def test_another_process_sees_keys_and_withdrawn_tokens_when_it_syncs(
    make_accounts: Callable[..., Awaitable[AccountsWorld]],
) -> None:
    first = await make_accounts()
    second = await make_accounts()
    made = await first.register()
    admin = await first.admin()
    key = (await first.post("/keys", {}, admin)).json()
    grants = VideoGrants(room_list=True)
    signed = first.context.keys.sign(key["key"], "bot", grants, second.now)
    assert (await second.ask("GET", "/rooms", token=signed)).status_code == 401
    await second.people.sync()
    assert (await second.ask("GET", "/rooms", token=signed)).status_code == 200
    assert (await second.ask("GET", "/me", token=made["access_token"])).status_code == 200
    first.now += 1
    await first.ask("DELETE", f"/keys/{key['key']}", token=admin)
    await first.post("/auth/logout", {"refresh_token": made["refresh_token"]})
    await second.people.sync()
    assert (await second.ask("GET", "/rooms", token=signed)).status_code == 401
    assert (await second.ask("GET", "/me", token=made["access_token"])).status_code == 401
