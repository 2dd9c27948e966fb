"""The store on each database it knows: the same tests on all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import database_servers
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from roomtone.control.rooms.chat import ChatMessage, ChatStore
from roomtone.store import (
    AccountRecord,
    ApiKeyRecord,
    AuditRecord,
    CallRecord,
    DeadLetterRecord,
    DispatchRuleRecord,
    IngressRecord,
    RefreshTokenRecord,
    ResetTokenRecord,
    SipAccountRecord,
    SipBindingRecord,
    SipTrunkRecord,
    StoreError,
    StoreFailure,
    WaitingWebhookRecord,
)
from roomtone.store.accounts import SqlAccounts, SqlBackupCodes, SqlRefreshTokens, SqlResetTokens
from roomtone.store.audit import SqlAudit
from roomtone.store.chat import SqlChat
from roomtone.store.ingresses import SqlIngresses
from roomtone.store.keys import SqlApiKeys
from roomtone.store.migrate import revision, scripts
from roomtone.store.migrations import HEAD
from roomtone.store.phones import SqlCallRecords, SqlDispatchRules, SqlSipAccounts, SqlSipBindings, SqlSipTrunks
from roomtone.store.sql import Database
from roomtone.store.tables import metadata
from roomtone.store.urls import database_url
from roomtone.store.webhooks import SqlWebhooks

SERVERS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "sqlite": lambda: nullcontext(""),
    "postgresql": database_servers.postgresql,
    "mariadb": database_servers.mariadb,
}
NOW = 1_800_000_000.25


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    with SERVERS[request.param]() as url:
        yield url


@pytest.fixture
async def database(server: str, tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(database_url(server, tmp_path / "roomtone.db"))
    await database.open()
    async with database.transaction() as sql:
        for table in metadata.sorted_tables:
            await sql.execute(table.delete())
    yield database
    await database.close()


def account(id_: str = "a1", username: str = "ada", **more: object) -> AccountRecord:
    made = AccountRecord(
        id=id_, username=username, role="member", password_hash="$2b$x", created_at=NOW, updated_at=NOW
    )
    return replace(made, **more)  # type: ignore[arg-type]


async def test_an_open_database_is_at_the_newest_revision_and_opens_again(database: Database) -> None:
    async with database.transaction() as sql:
        assert await sql.run_sync(revision) == HEAD
    second = Database(database.url)
    await second.open()
    assert await second.ping()
    await second.close()


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def run_migrations(connection: Connection) -> None:
    directory = scripts()
    context = MigrationContext.configure(connection, opts={"fn": lambda at, _: directory._upgrade_revs("head", at)})
    context.run_migrations(op=Operations(context))


def go_back(connection: Connection) -> None:
    directory = scripts()
    context = MigrationContext.configure(connection, opts={"fn": lambda at, _: directory._downgrade_revs("base", at)})
    context.run_migrations(op=Operations(context))


async def test_the_migrations_make_the_same_tables_as_a_first_start_and_go_back(database: Database) -> None:
    async with database.transaction() as sql:
        assert await sql.run_sync(differences) == []
        await sql.run_sync(go_back)
        assert await sql.run_sync(lambda connection: inspect(connection).get_table_names()) == ["alembic_version"]
        await sql.run_sync(run_migrations)
        assert await sql.run_sync(differences) == []
    assert scripts().get_current_head() == HEAD


async def test_servers_that_start_at_once_on_an_empty_database_migrate_it_once(database: Database) -> None:
    async with database.transaction() as sql:
        await sql.run_sync(metadata.drop_all)
        await sql.execute(text("DROP TABLE alembic_version"))
    several = [Database(database.url) for _ in range(3)]
    await asyncio.gather(*(one.open() for one in several))
    for one in several:
        await SqlAccounts(one).add(account(id_=f"a{id(one)}", username=f"u{id(one)}"))
        await one.close()
    assert await SqlAccounts(database).count() == 3


@pytest.mark.parametrize("values", [{"role": "member"}, {"disabled": True}])
async def test_of_administrators_that_put_each_other_out_at_once_one_stays(
    database: Database, values: dict[str, object]
) -> None:
    table = SqlAccounts(database)
    for number in range(4):
        await table.add(account(f"a{number}", f"u{number}", role="admin"))
    await table.add(account("locked", "locked", role="admin", disabled=True))
    await table.add(account("m1", "member"))
    done = await asyncio.gather(*(table.update_unless_last(f"a{number}", "admin", **values) for number in range(4)))
    assert sorted(done) == [False, True, True, True]
    assert await table.count("admin") == 1
    assert await table.update_unless_last("m1", "admin", disabled=True)
    member = await table.get("m1")
    assert member is not None
    assert member.disabled


async def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    async with database.transaction() as sql:
        await sql.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    other = Database(database.url)
    try:
        with pytest.raises(StoreError) as caught:
            await other.open()
        assert caught.value.failure is StoreFailure.BAD_SCHEMA
        assert "9999" in caught.value.message
    finally:
        async with database.transaction() as sql:
            await sql.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": HEAD})


async def test_an_account_is_found_by_user_name_and_by_mail_address(database: Database) -> None:
    table = SqlAccounts(database)
    await table.add(account(email="ada@example.org", name="Ada 🦆", totp_sealed="x" * 300))
    found = await table.find("ada")
    assert found == account(email="ada@example.org", name="Ada 🦆", totp_sealed="x" * 300)
    assert await table.find("ada@example.org") == found == await table.get("a1")
    assert await table.find("bob") is None


async def test_names_differ_by_each_byte(database: Database) -> None:
    table = SqlAccounts(database)
    for number, name in enumerate(("ada", "adä", "ADA", "aDa")):
        await table.add(account(id_=f"a{number}", username=name))
    assert await table.count() == 4
    exact = await table.find("ADA")
    assert exact is not None
    assert exact.id == "a2"


@pytest.mark.parametrize("same", [{"username": "ada"}, {"email": "ada@example.org"}])
async def test_a_name_or_address_is_one_accounts_only(database: Database, same: dict[str, str]) -> None:
    table = SqlAccounts(database)
    await table.add(account(email="ada@example.org"))
    with pytest.raises(StoreError) as caught:
        await table.add(account("a2", **({"username": "bob"} | same)))
    assert caught.value.failure is StoreFailure.TAKEN
    assert await table.count() == 1


async def test_accounts_without_an_address_do_not_collide(database: Database) -> None:
    table = SqlAccounts(database)
    await table.add(account("a1", "ada"))
    await table.add(account("a2", "bob"))
    assert [one.username for one in await table.page(0, 10)] == ["ada", "bob"]
    assert [one.username for one in await table.page(1, 10)] == ["bob"]


async def test_accounts_that_may_log_in_are_counted_by_role(database: Database) -> None:
    table = SqlAccounts(database)
    await table.add(account("a1", "ada", role="admin"))
    await table.add(account("a2", "bob", role="admin", disabled=True))
    assert await table.count("admin") == 1
    changed = await table.update("a2", disabled=False, tokens_valid_after=NOW)
    assert changed is not None
    assert not changed.disabled
    assert await table.count("admin") == 2
    assert await table.changed_since(NOW - 1) == [("a2", NOW)]
    assert await table.update("nobody", disabled=True) is None


async def test_a_time_step_is_taken_once_by_whoever_comes_first(database: Database) -> None:
    table = SqlAccounts(database)
    await table.add(account())
    taken = await asyncio.gather(*(table.claim_totp_step("a1", 7) for _ in range(4)))
    assert sorted(taken) == [False, False, False, True]
    assert not await table.claim_totp_step("a1", 6)
    assert await table.claim_totp_step("a1", 8)


def refresh(digest: str, family: str = "f1", **more: object) -> RefreshTokenRecord:
    made = RefreshTokenRecord(digest=digest, family=family, account_id="a1", created_at=NOW, expires_at=NOW + 60)
    return replace(made, **more)  # type: ignore[arg-type]


async def test_a_refresh_token_is_used_once_by_whoever_comes_first(database: Database) -> None:
    table = SqlRefreshTokens(database)
    await table.add(refresh("d1"))
    used = await asyncio.gather(*(table.use("d1", NOW + 1) for _ in range(4)))
    assert sorted(first for found in used if found for _, first in [found]) == [False, False, False, True]
    assert await table.use("d2", NOW) is None


async def test_a_revoked_family_and_a_revoked_account_are_told(database: Database) -> None:
    table = SqlRefreshTokens(database)
    for digest, family in (("d1", "f1"), ("d2", "f1"), ("d3", "f2")):
        await table.add(refresh(digest, family))
    await table.revoke_family("f1", NOW + 5)
    assert await table.revoked_since(NOW) == [("f1", NOW + 5)]
    await table.revoke_account("a1", NOW + 9)
    assert sorted(await table.revoked_since(NOW)) == [("f1", NOW + 5), ("f2", NOW + 9)]
    found = await table.use("d3", NOW)
    assert found is not None
    assert found[0].revoked_at == NOW + 9
    assert await table.purge(NOW) == 0
    assert await table.purge(NOW + 61) == 3


async def test_a_reset_link_works_once_in_its_time_and_the_last_one_only(database: Database) -> None:
    table = SqlResetTokens(database)
    for digest in ("r1", "r2"):
        await table.add(ResetTokenRecord(digest=digest, account_id="a1", created_at=NOW, expires_at=NOW + 60))
    assert await table.use("r1", NOW) is None
    used = await asyncio.gather(*(table.use("r2", NOW + 1) for _ in range(3)))
    assert [found.account_id for found in used if found] == ["a1"]
    await table.add(ResetTokenRecord(digest="r3", account_id="a1", created_at=NOW, expires_at=NOW + 60))
    assert await table.use("r3", NOW + 60) is None
    assert await table.purge(NOW + 61) == 1


async def test_backup_codes_are_used_once_and_replaced_together(database: Database) -> None:
    table = SqlBackupCodes(database)
    await table.replace("a1", ["c1", "c2"])
    await table.replace("a2", ["c3"])
    used = await asyncio.gather(*(table.use("a1", "c1", NOW) for _ in range(3)))
    assert sorted(used) == [False, False, True]
    assert not await table.use("a1", "c3", NOW), "another account's"
    assert await table.left("a1") == 1
    await table.replace("a1", [])
    assert (await table.left("a1"), await table.left("a2")) == (0, 1)


async def test_api_keys_are_listed_and_revoked_once(database: Database) -> None:
    table = SqlApiKeys(database)
    await table.add(ApiKeyRecord("k2", "sealed", "second", NOW + 1, "ada"))
    await table.add(ApiKeyRecord("k1", "sealed", "first", NOW, "ada"))
    with pytest.raises(StoreError):
        await table.add(ApiKeyRecord("k1", "other"))
    assert await table.revoke("k1", NOW + 2)
    assert not await table.revoke("k1", NOW + 3)
    assert not await table.revoke("k9", NOW + 3)
    assert [(key.name, key.revoked_at) for key in await table.list()] == [("k1", NOW + 2), ("k2", None)]


async def test_the_audit_trail_is_read_backwards(database: Database) -> None:
    table = SqlAudit(database)
    await table.add([AuditRecord(NOW + n, "login", "ok", account=f"a{n % 2}", detail="{}") for n in range(5)])
    await table.add([])
    events = await table.list(2)
    assert [event.at for event in events] == [NOW + 4, NOW + 3]
    assert [event.at for event in await table.list(9, before=events[-1].id)] == [NOW + 2, NOW + 1, NOW]
    assert [event.account for event in await table.list(9, account="a1")] == ["a1", "a1"]
    assert await table.purge(NOW + 3) == 3
    assert [event.at for event in await table.list(9)] == [NOW + 4, NOW + 3]


def message(id_: str, room: str = "r", **more: object) -> ChatMessage:
    return replace(ChatMessage(id_, room, "ada", "Ada 🦆", f"text {id_} 🦆", NOW), **more)  # type: ignore[arg-type]


async def test_chat_history_pages_backwards_in_the_order_of_adding(database: Database) -> None:
    table: ChatStore = SqlChat(database, ChatMessage)
    for number in (3, 1, 4, 0, 2):  # neither ids nor equal times say what came first
        await table.add(message(f"m{number}"))
    await table.add(message("m1", "other"))
    assert await table.history("r", limit=2) == [message("m0"), message("m2")]
    assert [one.id for one in await table.history("r", before="m0")] == ["m3", "m1", "m4"]
    assert await table.history("r", before="m3") == []
    assert await table.history("r", before="nothing") == []
    await table.forget("r")
    assert await table.history("r") == []
    assert await table.get("other", "m1") == message("m1", "other")


async def test_a_chat_message_is_replaced_in_its_place_and_room(database: Database) -> None:
    messages = SqlChat(database, ChatMessage)
    table: ChatStore = messages
    await table.add(message("m1", reply_to="m0"))
    await table.add(message("m2"))
    edited = message("m1", text="x" * 70_000, edited_at=NOW + 9, deleted_at=NOW + 10, deleted_by="bob")
    await table.replace(edited)
    await table.replace(message("m2", "other", text="elsewhere"))
    assert await table.history("r") == [edited, message("m2")]
    assert await table.get("other", "m2") is None
    await table.add(message("m3", at=NOW - 1))
    assert await messages.purge(NOW) == 1
    assert await table.history("r") == [edited, message("m2")]


LETTER = DeadLetterRecord("https://x/", "e1", "room_started", b"\x00\xff" * 40_000, 5, "status 500", NOW, NOW + 9)


async def test_webhooks_given_up_are_kept_up_to_their_limit_and_wait_again_once(database: Database) -> None:
    table = SqlWebhooks(database, most=3)
    for n in range(4):
        await table.give_up(None, replace(LETTER, event_id=f"e{n}"))
    assert table.dropped == 1
    held = await table.letters(9)
    assert [one.event_id for one in held] == ["e1", "e2", "e3"]
    assert replace(held[0], id=None) == LETTER
    first, second, third = (one.id for one in held if one.id is not None)
    assert await table.letter(second) == held[1]
    assert [one.id for one in await table.letters(9, after=first)] == [second, third]
    taken = await asyncio.gather(*(table.revive(first, f"s{n}", NOW + 60) for n in range(3)))
    (again,) = [one for one in taken if one is not None]
    assert (again.event_id, again.body, again.url, again.lease_until) == ("e1", LETTER.body, LETTER.url, NOW + 60)
    assert await table.letter(first) is None
    assert await table.forget(second)
    assert not await table.forget(second)


async def test_waiting_webhooks_are_their_owners_until_its_lease_ends(database: Database) -> None:
    table = SqlWebhooks(database)
    waiting = [
        WaitingWebhookRecord("one", NOW + 60, "https://x/", f"e{n}", "room_started", "demo", b"{}", NOW)
        for n in range(4)
    ]
    ids = await table.add(waiting)
    assert sorted(ids) == ids
    await table.delivered(ids[:1])
    assert await table.claim("two", NOW, NOW + 60, 10) == []
    await table.renew("one", NOW + 90)
    assert await table.claim("two", NOW + 61, NOW + 121, 10) == []
    both = await asyncio.gather(
        table.claim("two", NOW + 91, NOW + 151, 2), table.claim("three", NOW + 91, NOW + 151, 10)
    )
    assert sorted(one.id for found in both for one in found if one.id is not None) == ids[1:]
    await table.renew("two", 0)
    await table.renew("three", 0)
    assert [one.id for one in await table.claim("one", NOW, NOW + 60, 10)] == ids[1:]
    await table.give_up(ids[1], LETTER)
    assert [one.event_id for one in await table.letters(9)] == ["e1"]
    await table.renew("one", 0)
    assert [one.id for one in await table.claim("two", NOW, NOW + 60, 10)] == ids[2:]


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    await SqlAccounts(database).add(account())

    async def fail() -> None:
        async with database.transaction() as sql:
            await sql.execute(text("DELETE FROM accounts"))
            await sql.execute(text("SELECT nonsense FROM nowhere"))

    with pytest.raises(StoreError):
        await fail()
    assert await SqlAccounts(database).count() == 1
    assert database.failures == 1
    assert await database.ping()


def binding(key: str = "k1", **more: object) -> SipBindingRecord:
    made = SipBindingRecord(
        key=key,
        account="ada",
        contact="sip:ada@192.0.2.7:5060;transport=tcp",
        path="[]",
        transport="tcp",
        remote_host="2001:db8::7",
        remote_port=5060,
        local_host="2001:db8::1",
        local_port=5060,
        call_id="c" * 300,
        cseq=2**31 - 1,
        user_agent="Desk 🦆",
        q=0.7,
        registered_at=NOW,
        expires_at=NOW + 600,
    )
    return replace(made, **more)  # type: ignore[arg-type]


async def test_phones_and_their_bindings_come_and_go_together(database: Database) -> None:
    accounts, bindings = SqlSipAccounts(database), SqlSipBindings(database)
    await accounts.add(SipAccountRecord("ada", "sealed", "Ada", created_at=NOW, updated_at=NOW))
    with pytest.raises(StoreError) as caught:
        await accounts.add(SipAccountRecord("ada", "sealed"))
    assert caught.value.failure is StoreFailure.TAKEN
    await bindings.write([binding(), binding("k2", expires_at=NOW)], [])
    await bindings.write([binding(cseq=7)], ["k3"])
    assert await bindings.load(NOW) == [binding(cseq=7)]
    assert await accounts.update("ada", disabled=True)
    assert (await accounts.list())[0].disabled
    assert await accounts.delete("ada")
    assert await bindings.load(NOW) == []
    assert not await accounts.delete("ada")


async def test_dispatch_rules_and_call_records_are_kept(database: Database) -> None:
    rules, calls = SqlDispatchRules(database), SqlCallRecords(database)
    rule = DispatchRuleRecord("sales", '["20*"]', '{"kind": "group"}', NOW)
    await rules.add(rule)
    assert await rules.list() == [rule]
    changed = replace(rule, numbers='["21*"]')
    await rules.replace(changed)
    assert await rules.list() == [changed]
    assert await rules.delete("sales")
    await rules.replace(rule)
    assert await rules.list() == []
    assert not await rules.delete("sales")
    made = [
        CallRecord(f"c{at}", "Ada", "bob", "ada", "bob" if at else "", NOW + at, None, NOW + 9, "busy", 486, "")
        for at in range(2)
    ]
    made.append(replace(made[1], id="c2", begun_at=NOW + 2, quality='[{"account": "ada"}]'))
    await calls.add(made)
    assert await calls.page(2) == [made[2], made[1]]
    assert await calls.page(5, before=NOW + 1) == [made[0]]
    assert await calls.page(5, account="bob") == [made[2], made[1]]
    assert await calls.purge(NOW + 2) == 2


async def test_trunks_are_kept(database: Database) -> None:
    trunks = SqlSipTrunks(database)
    trunk = SipTrunkRecord("carrier", '{"uri": "sip:sip.example.net"}', "sealed", NOW)
    await trunks.add(trunk)
    with pytest.raises(StoreError) as caught:
        await trunks.add(trunk)
    assert caught.value.failure is StoreFailure.TAKEN
    assert await trunks.list() == [trunk]
    changed = replace(trunk, profile="{}", password_sealed="")
    await trunks.replace(changed)
    assert await trunks.list() == [changed]
    assert await trunks.delete("carrier")
    assert not await trunks.delete("carrier")


async def test_ingresses_are_kept(database: Database) -> None:
    ingresses = SqlIngresses(database)
    younger, older = IngressRecord("IN_a", "{}", "sealed", NOW + 1), IngressRecord("IN_b", "{}", "", NOW)
    for one in (younger, older):
        await ingresses.add(one)
    assert await ingresses.list() == [older, younger]
    changed = replace(younger, profile='{"enabled": false}')
    await ingresses.replace(changed)
    assert await ingresses.list() == [older, changed]
    assert [await ingresses.delete("IN_b"), await ingresses.delete("IN_b")] == [True, False]
