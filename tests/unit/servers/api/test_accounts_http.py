"""Accounts over HTTP: registering, logging in and out, passwords, profiles, roles."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import pytest
import structlog
from accounts_world import ADMIN, PASSWORD, AccountsWorld

from roomtone.control.accounts import Mail
from roomtone.control.policy import AccessDenial

OTHER = "another good password"


async def test_who_registers_is_logged_in_and_can_log_in_again(world: AccountsWorld) -> None:
    made = await world.register(email="Ada@Example.org", name="Ada  Lovelace")
    account = made["account"]
    assert (account["username"], account["email"], account["name"]) == ("ada", "ada@example.org", "Ada Lovelace")
    assert (account["role"], account["disabled"], account["totp"]) == ("member", False, False)
    for login in ("ada", " ADA ", "ada@example.org"):
        answer = await world.post("/auth/login", {"login": login, "password": PASSWORD})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        me = await world.ask("GET", "/me", token=answer.json()["access_token"])
        assert me.json()["id"] == account["id"]
        assert me.json()["abilities"] == ["join_rooms", "publish", "update_own_metadata"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"username": "a"}, 422, "bad_username"),
        ({"username": "a b"}, 422, "bad_username"),
        ({"username": "Ädä"}, 422, "bad_username"),
        ({"email": "nobody"}, 422, "bad_email"),
        ({"name": "a\x00b"}, 422, "bad_display_name"),
        ({"password": "short"}, 422, "weak_password"),
        ({"password": "password123"}, 422, "weak_password"),
        ({"password": "aaaaaaaaaaaaaaaa"}, 422, "weak_password"),
        ({"username": "ada.lovelace", "password": "Ada.Lovelace"}, 422, "weak_password"),
        ({"password": "x" * 1025}, 422, "invalid_request"),
        ({"role": "admin"}, 422, "invalid_request"),
        ({"username": "admin"}, 409, "name_taken"),
    ],
)
async def test_an_account_that_cannot_be_is_refused_with_the_reason(
    world: AccountsWorld, body: dict[str, str], status: int, code: str
) -> None:
    answer = await world.post("/auth/register", {"username": "ada", "password": PASSWORD} | body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await world.people.accounts.parts.tables.accounts.count() == 1


async def test_registration_can_be_closed_and_administrators_make_accounts_then(
    make_accounts: Callable[..., Awaitable[AccountsWorld]],
) -> None:
    world = await make_accounts(accounts={"bcrypt_cost": 4, "registration": False})
    body = {"username": "ada", "password": PASSWORD}
    answer = await world.post("/auth/register", body)
    assert (answer.status_code, answer.json()["code"]) == (403, "registration_closed")
    made = await world.post("/accounts", body | {"role": "moderator"}, await world.admin())
    assert (made.status_code, made.json()["role"]) == (201, "moderator")


@pytest.mark.parametrize(
    "body",
    [
        {"login": "ada", "password": "wrong"},
        {"login": "nobody", "password": PASSWORD},
        {"login": "ada@example.org", "password": PASSWORD},
        {"login": "bob", "password": PASSWORD},
    ],
    ids=["password", "account", "address", "locked"],
)
async def test_each_failed_log_in_says_the_same_and_hashes_one_password(
    world: AccountsWorld, body: dict[str, str]
) -> None:
    await world.register()
    bob = await world.register("bob")
    admin = await world.admin()
    await world.ask("PATCH", f"/accounts/{bob['account']['id']}", {"disabled": True}, admin)
    before = world.people.accounts.parts.hasher.hashed
    answer = await world.post("/auth/login", body)
    assert answer.status_code == 401
    assert answer.json()["code"] == "bad_credentials"
    assert answer.json()["detail"] == "the name or the password is wrong"
    assert "set-cookie" not in answer.headers
    assert world.people.accounts.parts.hasher.hashed - before == 1
    assert (await world.audited("login"))[-1] == ("login", "bad_credentials", body["login"])


async def test_a_log_in_that_works_hashes_one_password_too(world: AccountsWorld) -> None:
    await world.register()
    before = world.people.accounts.parts.hasher.hashed
    assert (await world.post("/auth/login", {"login": "ada", "password": PASSWORD})).status_code == 200
    assert world.people.accounts.parts.hasher.hashed - before == 1


async def test_a_password_hashed_at_another_cost_is_hashed_anew_at_the_next_log_in(world: AccountsWorld) -> None:
    made = await world.register()
    parts = world.people.accounts.parts
    parts.hasher._cost = 5
    assert (await world.post("/auth/login", {"login": "ada", "password": PASSWORD})).status_code == 200
    account = await parts.tables.accounts.get(made["account"]["id"])
    assert account is not None
    assert account.password_hash.startswith("$2b$05$")
    assert (await world.post("/auth/login", {"login": "ada", "password": PASSWORD})).status_code == 200


async def test_a_refresh_token_is_exchanged_once_and_a_second_use_ends_the_log_in(world: AccountsWorld) -> None:
    first = await world.register()
    second = await world.post("/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert second.status_code == 200
    access = second.json()["access_token"]
    assert (await world.ask("GET", "/me", token=access)).status_code == 200
    again = await world.post("/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert (again.status_code, again.json()["code"]) == (401, "refresh_token_reused")
    gone = await world.post("/auth/refresh", {"refresh_token": second.json()["refresh_token"]})
    assert (gone.status_code, gone.json()["code"]) == (401, "bad_refresh_token")
    refused = await world.ask("GET", "/me", token=access)
    assert (refused.status_code, refused.json()["code"]) == (401, AccessDenial.WITHDRAWN)
    assert ("refresh", "refresh_token_reused", "ada") in await world.audited()
    assert (await world.post("/auth/login", {"login": "ada", "password": PASSWORD})).status_code == 200


async def test_another_log_in_of_the_account_goes_on_when_one_ends(world: AccountsWorld) -> None:
    first = await world.register()
    second = (await world.post("/auth/login", {"login": "ada", "password": PASSWORD})).json()
    out = await world.post("/auth/logout", {"refresh_token": first["refresh_token"]})
    assert out.status_code == 204
    assert (await world.ask("GET", "/me", token=first["access_token"])).status_code == 401
    assert (await world.ask("GET", "/me", token=second["access_token"])).status_code == 200
    assert (await world.post("/auth/refresh", {"refresh_token": first["refresh_token"]})).status_code == 401
    assert (await world.post("/auth/refresh", {"refresh_token": second["refresh_token"]})).status_code == 200


async def test_tokens_end_with_their_time(world: AccountsWorld) -> None:
    made = await world.register()
    assert made["access_expires_at"] == int(world.now) + 86_400
    assert made["refresh_expires_at"] == world.now + 604_800
    world.now += 86_400 + 11
    assert (await world.ask("GET", "/me", token=made["access_token"])).json()["code"] == AccessDenial.EXPIRED
    world.now += 604_800
    late = await world.post("/auth/refresh", {"refresh_token": made["refresh_token"]})
    assert (late.status_code, late.json()["code"]) == (401, "bad_refresh_token")


async def test_a_browser_keeps_its_refresh_token_in_a_cookie_no_script_reads(world: AccountsWorld) -> None:
    answer = await world.post("/auth/login", ADMIN)
    cookie = answer.headers["set-cookie"]
    for part in (
        "roomtone_refresh=rt_",
        "HttpOnly",
        "Secure",
        "SameSite=strict",
        "Path=/api/v1/auth",
        "Max-Age=604800",
    ):
        assert part in cookie
    first = world.http.cookies["roomtone_refresh"]
    refreshed = await world.http.post("/api/v1/auth/refresh")
    assert refreshed.status_code == 200, refreshed.text
    assert world.http.cookies["roomtone_refresh"] == refreshed.json()["refresh_token"] != first
    out = await world.http.post("/api/v1/auth/logout")
    assert out.status_code == 204
    assert "roomtone_refresh" not in world.http.cookies
    assert (await world.ask("GET", "/me", token=refreshed.json()["access_token"])).status_code == 401
    stale = await world.http.post("/api/v1/auth/logout", headers={"Cookie": "roomtone_refresh=rt_stale"})
    assert stale.status_code == 204, "a stale cookie goes all the same"


async def test_without_any_refresh_token_the_answer_says_so(world: AccountsWorld) -> None:
    for path in ("/auth/refresh", "/auth/logout"):
        assert (await world.post(path)).json()["code"] == "bad_refresh_token"
        assert (await world.post(path, {"refresh_token": "rt_unknown"})).status_code == 401
        assert (await world.post(path, {"refresh_token": "x" * 129})).status_code == 422


async def test_another_password_ends_all_log_ins_but_the_new_one(world: AccountsWorld) -> None:
    made = await world.register()
    wrong = await world.post("/auth/password", {"old": "wrong", "new": OTHER}, made["access_token"])
    assert (wrong.status_code, wrong.json()["code"]) == (401, "bad_credentials")
    weak = await world.post("/auth/password", {"old": PASSWORD, "new": "ada"}, made["access_token"])
    assert weak.json()["code"] == "weak_password"
    world.now += 1
    changed = await world.post("/auth/password", {"old": PASSWORD, "new": OTHER}, made["access_token"])
    assert changed.status_code == 200
    assert (await world.ask("GET", "/me", token=made["access_token"])).status_code == 401
    assert (await world.post("/auth/refresh", {"refresh_token": made["refresh_token"]})).status_code == 401
    assert (await world.ask("GET", "/me", token=changed.json()["access_token"])).status_code == 200
    assert (await world.post("/auth/login", {"login": "ada", "password": PASSWORD})).status_code == 401
    assert (await world.post("/auth/login", {"login": "ada", "password": OTHER})).status_code == 200


class Letters:
    """A mailer that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    def send(self, mail: Mail) -> None:
        self.mails.append(mail)

    def token(self) -> str:
        found = re.search(r"https://meet\.example/account/reset/#token=(\S+)", self.mails[-1].text)
        assert found
        return found[1]


@pytest.fixture
async def mailing(make_accounts: Callable[..., Awaitable[AccountsWorld]]) -> tuple[AccountsWorld, Letters]:
    world = await make_accounts(mail={"public_url": "https://meet.example/"})
    letters = Letters()
    object.__setattr__(world.people.accounts.parts, "mailer", letters)
    return world, letters


async def test_a_mailed_link_sets_a_new_password_once_and_in_its_time(mailing: tuple[AccountsWorld, Letters]) -> None:
    world, letters = mailing
    made = await world.register(email="ada@example.org")
    assert (await world.post("/auth/password/forgot", {"login": "ada@example.org"})).status_code == 202
    assert letters.mails[-1].to == "ada@example.org"
    first = letters.token()
    await world.post("/auth/password/forgot", {"login": "ada"})
    token = letters.token()
    world.now += 1
    for weak in ("short", "Ada@example.org"):
        answer = await world.post("/auth/password/reset", {"token": token, "password": weak})
        assert answer.json()["code"] == "weak_password", "which does not use the link up"
    old = await world.post("/auth/password/reset", {"token": first, "password": OTHER})
    assert (old.status_code, old.json()["code"]) == (400, "bad_reset_token")
    done = await world.post("/auth/password/reset", {"token": token, "password": OTHER})
    assert done.status_code == 200
    assert (await world.ask("GET", "/me", token=made["access_token"])).status_code == 401
    assert (await world.ask("GET", "/me", token=done.json()["access_token"])).status_code == 200
    again = await world.post("/auth/password/reset", {"token": token, "password": OTHER})
    assert again.json()["code"] == "bad_reset_token"
    await world.post("/auth/password/forgot", {"login": "ada"})
    world.now += 3_601
    late = await world.post("/auth/password/reset", {"token": letters.token(), "password": OTHER})
    assert late.json()["code"] == "bad_reset_token"


async def test_nobody_learns_from_a_forgotten_password_who_has_an_account(
    mailing: tuple[AccountsWorld, Letters],
) -> None:
    world, letters = mailing
    await world.register()
    before = world.people.accounts.parts.hasher.hashed
    answers = [await world.post("/auth/password/forgot", {"login": login}) for login in ("ada", "nobody")]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b"")}
    assert letters.mails == [], "one has no address, the other is nobody"
    assert world.people.accounts.parts.hasher.hashed == before


async def test_without_mail_the_link_is_logged_in_development_only(
    make_accounts: Callable[..., Awaitable[AccountsWorld]],
) -> None:
    world = await make_accounts()
    await world.register()
    with structlog.testing.capture_logs() as logs:
        await world.post("/auth/password/forgot", {"login": "ada"})
    (line,) = [entry for entry in logs if "link" in entry]
    token = line["link"].partition("#token=")[2]
    assert line["link"].startswith("https://test/account/reset/#token=")
    assert (await world.post("/auth/password/reset", {"token": token, "password": OTHER})).status_code == 200
    other = await make_accounts(server={"dev": False})
    answer = await other.post("/auth/password/forgot", {"login": "ada"})
    assert (answer.status_code, answer.json()["code"]) == (503, "no_mail")


async def test_a_profile_changes_and_another_mail_address_takes_the_password(world: AccountsWorld) -> None:
    made = await world.register(email="ada@example.org")
    await world.register("bob", email="bob@example.org")
    token = made["access_token"]
    assert (await world.ask("PATCH", "/me", {"name": "Countess"}, token)).json()["name"] == "Countess"
    for body, code in (
        ({"email": "new@example.org"}, "bad_credentials"),
        ({"email": "bob@example.org", "password": PASSWORD}, "name_taken"),
        ({"email": "nonsense", "password": PASSWORD}, "bad_email"),
    ):
        assert (await world.ask("PATCH", "/me", body, token)).json()["code"] == code
    assert (await world.ask("PATCH", "/me", {"email": "ada@example.org"}, token)).status_code == 200, "unchanged"
    changed = await world.ask("PATCH", "/me", {"email": "new@example.org", "password": PASSWORD}, token)
    assert (changed.json()["email"], changed.json()["name"]) == ("new@example.org", "Countess")
    gone = await world.ask("PATCH", "/me", {"email": "", "password": PASSWORD}, token)
    assert gone.json()["email"] is None


async def test_attempts_of_an_account_and_of_an_address_are_limited(
    make_accounts: Callable[..., Awaitable[AccountsWorld]],
) -> None:
    rates = {"logins_per_minute": 3, "logins_per_minute_of_address": 5}
    world = await make_accounts(accounts={"bcrypt_cost": 4, "rates": rates})
    await world.register()
    codes = [(await world.post("/auth/login", {"login": "ada", "password": "wrong"})).status_code for _ in range(4)]
    assert codes == [401, 401, 401, 429]
    right = await world.post("/auth/login", {"login": "ada", "password": PASSWORD})
    assert (right.status_code, right.json()["code"]) == (429, "too_many_attempts")
    assert 0 < int(right.headers["retry-after"]) <= 20
    of_address = await world.post("/auth/login", ADMIN)
    assert of_address.status_code == 429, "the same address"
    assert ("login", "too_many_attempts", "ada") in await world.audited()
    world.now += 60
    assert (await world.post("/auth/login", {"login": "ada", "password": PASSWORD})).status_code == 200


async def test_without_accounts_the_answer_says_so(world: AccountsWorld) -> None:
    world.context.accounts = None
    answer = await world.post("/auth/login", ADMIN)
    assert (answer.status_code, answer.json()["code"]) == (503, "no_accounts")


async def test_a_database_that_is_gone_is_503_and_the_health_page_says_why(world: AccountsWorld) -> None:
    made = await world.register()
    database = world.people.database
    engine, database._engine = database._engine, None
    answer = await world.ask("GET", "/me", token=made["access_token"])
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    database.last_failure = "no answer within 10 s"
    assert world.people.verdict().reason == "no answer within 10 s"
    database._engine = engine
    assert (await world.ask("GET", "/me", token=made["access_token"])).status_code == 200
    assert world.people.verdict().ok
