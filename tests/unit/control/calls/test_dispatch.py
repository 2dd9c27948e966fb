"""Where numbers lead, and what accounts and rules are refused."""

from __future__ import annotations

import pytest
from phone_tables import MemoryAccounts, MemoryBindings, MemoryRecords, MemoryRules, PlainSecrets

from roomtone.control.calls import (
    ANY_TRUNK,
    CallEnd,
    Caller,
    CallError,
    CallRecords,
    Contact,
    Dispatch,
    PhoneAccounts,
    PhoneError,
    PhoneRefusal,
    Registrar,
    Registration,
    RuleTarget,
    TargetKind,
    end_of_status,
    sip_status,
)
from roomtone.control.calls.reasons import most_telling
from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.store import CallRecord, StoreError

NOW = 1_800_000_000.0
FLOW = Flow(Transport.UDP, "192.0.2.7", 5060, "192.0.2.1", 5060)


class World:
    def __init__(self) -> None:
        self.accounts = PhoneAccounts(MemoryAccounts(), PlainSecrets(), lambda: NOW)
        self.registrar = Registrar(MemoryBindings())
        self.rules = MemoryRules()
        self.dispatch = Dispatch(self.rules, self.accounts, self.registrar, lambda: NOW, sealing=PlainSecrets())

    async def phone(self, username: str, *hosts: str) -> None:
        await self.accounts.create(username, "geheim", security=MediaSecurity.SDES)
        for host in hosts:
            registration = Registration(username, FLOW, host, 1)
            self.registrar.register(registration, [Contact(f"sip:{username}@{host}", 600)], NOW)


async def test_an_account_is_called_at_all_its_contacts() -> None:
    world = World()
    await world.phone("ada", "h1", "h2")
    targets = world.dispatch.targets("ada")
    assert {target.uri for target in targets} == {"sip:ada@h1", "sip:ada@h2"}
    assert {(target.account, target.security, target.flow) for target in targets} == {("ada", MediaSecurity.SDES, FLOW)}


async def test_who_is_unknown_or_not_there_is_said_apart() -> None:
    world = World()
    await world.phone("ada")
    for number, end in (("ada", CallEnd.NOT_REGISTERED), ("bob", CallEnd.NOT_FOUND)):
        with pytest.raises(CallError) as caught:
            world.dispatch.targets(number)
        assert caught.value.end is end


async def test_the_most_exact_rule_wins_over_accounts() -> None:
    world = World()
    for name in ("ada", "bob", "cleo"):
        await world.phone(name, f"{name}.example.org")
    await world.dispatch.create("sales", ["20*"], RuleTarget(TargetKind.GROUP, ("ada", "bob")))
    await world.dispatch.create("chief", ["201*"], RuleTarget(TargetKind.ACCOUNT, ("cleo",)))
    await world.dispatch.create("door", ["2010"], RuleTarget(TargetKind.URI, uri="sip:door@192.0.2.9"))
    await world.dispatch.create("ada away", ["ada"], RuleTarget(TargetKind.ACCOUNT, ("bob",)))
    found = {
        number: [target.account or target.uri for target in world.dispatch.targets(number)]
        for number in ("200", "2011", "2010", "ada", "cleo")
    }
    assert found == {
        "200": ["ada", "bob"],
        "2011": ["cleo"],
        "2010": ["sip:door@192.0.2.9"],
        "ada": ["bob"],
        "cleo": ["cleo"],
    }


async def test_a_room_is_no_phone() -> None:
    world = World()
    await world.dispatch.create("standup", ["7000"], RuleTarget(TargetKind.ROOM, room="standup"))
    assert [entry.room for entry in world.dispatch.entries(Caller("ada"), "7000")] == ["standup"]
    assert not world.dispatch.entries(Caller("ada"), "7001")
    with pytest.raises(CallError) as caught:
        world.dispatch.targets("7000")
    assert caught.value.end is CallEnd.UNSUPPORTED


async def test_rules_of_a_trunk_are_for_its_calls_only_and_come_first() -> None:
    world = World()
    for name, trunks in (("all", ()), ("one", ("carrier",)), ("any", (ANY_TRUNK,))):
        await world.dispatch.create(name, ["70*"], RuleTarget(TargetKind.ROOM, room=name), trunks=trunks)

    def rooms(caller: Caller) -> list[str]:
        return [entry.room for entry in world.dispatch.entries(caller, "7000")]

    assert rooms(Caller("ada")) == ["all"]
    assert rooms(Caller("+49", trunk="carrier")) == ["one"]
    assert rooms(Caller("+49", trunk="other")) == ["any"]


async def test_a_room_may_be_the_callers_or_the_numbers_own() -> None:
    world = World()
    for name, kind, is_random in (("1", TargetKind.ROOM_OF_CALLER, False), ("2", TargetKind.ROOM_OF_NUMBER, True)):
        await world.dispatch.create(name, [name], RuleTarget(kind, room="call", is_random=is_random))
    (own,) = world.dispatch.entries(Caller("+49 30/1"), "1")
    assert own.room == "call_-49-30-1"
    first, second = (world.dispatch.entries(Caller("ada"), "2")[0].room for _ in range(2))
    assert first.startswith("call_2_")
    assert first != second


async def test_rules_with_pins_for_one_number_are_told_apart_by_them() -> None:
    world = World()
    for name, pin in (("a", "1111"), ("b", "2222")):
        await world.dispatch.create(name, ["7000"], RuleTarget(TargetKind.ROOM, room=name), pin=pin)
    assert [entry.room for entry in world.dispatch.entries(Caller("ada"), "7000")] == ["a", "b"]


@pytest.mark.parametrize("pin", ["12a4", "1" * 33, "#"])
async def test_a_pin_is_digits(pin: str) -> None:
    with pytest.raises(PhoneError) as caught:
        await World().dispatch.create("r", ["1"], RuleTarget(TargetKind.ROOM, room="r"), pin=pin)
    assert caught.value.refusal is PhoneRefusal.BAD_RULE


async def test_rules_survive_a_restart_and_can_be_deleted() -> None:
    world = World()
    await world.phone("ada", "h1")
    made = await world.dispatch.create("desk", ["1", "1", "2*"], RuleTarget(TargetKind.ACCOUNT, ("ada",)))
    assert made.numbers == ("1", "2*")
    target = RuleTarget(TargetKind.ROOM_OF_CALLER, room="call", is_random=True)
    more = {"pin": "4711", "trunks": ("carrier",), "hides_number": True, "metadata": "m", "attributes": (("k", "v"),)}
    other = await world.dispatch.create("in", ["*"], target, note="n", **more)
    assert "4711" not in world.rules.rows["in"].target.replace(PlainSecrets().seal("4711"), "")
    again = Dispatch(world.rules, world.accounts, world.registrar, lambda: NOW, sealing=PlainSecrets())
    await again.load()
    assert again.rules() == [made, other]
    await again.delete("desk")
    with pytest.raises(PhoneError, match="no rule"):
        await again.delete("desk")


@pytest.mark.parametrize(
    ("name", "numbers", "target", "refusal"),
    [
        ("", ["1"], RuleTarget(TargetKind.ROOM, room="r"), PhoneRefusal.BAD_RULE),
        ("r", [], RuleTarget(TargetKind.ROOM, room="r"), PhoneRefusal.BAD_RULE),
        ("r", ["1 2"], RuleTarget(TargetKind.ROOM, room="r"), PhoneRefusal.BAD_RULE),
        ("r", ["1"], RuleTarget(TargetKind.ROOM), PhoneRefusal.BAD_RULE),
        ("r", ["1"], RuleTarget(TargetKind.URI, uri="http://x"), PhoneRefusal.BAD_RULE),
        ("r", ["1"], RuleTarget(TargetKind.ACCOUNT, ("ada", "ada")), PhoneRefusal.BAD_RULE),
        ("r", ["1"], RuleTarget(TargetKind.GROUP), PhoneRefusal.BAD_RULE),
        ("r", ["1"], RuleTarget(TargetKind.ACCOUNT, ("bob",)), PhoneRefusal.NO_SUCH_ACCOUNT),
    ],
)
async def test_bad_rules_are_refused(name: str, numbers: list[str], target: RuleTarget, refusal: PhoneRefusal) -> None:
    world = World()
    await world.phone("ada")
    with pytest.raises(PhoneError) as caught:
        await world.dispatch.create(name, numbers, target)
    assert caught.value.refusal is refusal
    assert world.dispatch.rules() == []


@pytest.mark.parametrize(
    ("username", "password", "more", "refusal"),
    [
        ("a b", "geheim", {}, PhoneRefusal.BAD_USERNAME),
        ("", "geheim", {}, PhoneRefusal.BAD_USERNAME),
        ("ada", "123", {}, PhoneRefusal.BAD_PASSWORD),
        ("ada", "a\nbcd", {}, PhoneRefusal.BAD_PASSWORD),
        ("ada", "geheim", {"name": "x" * 129}, PhoneRefusal.BAD_NAME),
        ("ada", "geheim", {"algorithm": "MD4"}, PhoneRefusal.BAD_NAME),
        ("taken", "geheim", {}, PhoneRefusal.ACCOUNT_EXISTS),
    ],
)
async def test_bad_accounts_are_refused(
    username: str, password: str, more: dict[str, str], refusal: PhoneRefusal
) -> None:
    world = World()
    await world.phone("taken")
    with pytest.raises(PhoneError) as caught:
        await world.accounts.create(username, password, **more)  # type: ignore[arg-type]
    assert caught.value.refusal is refusal


async def test_a_password_is_sealed_in_the_table_and_shows_nowhere() -> None:
    table = MemoryAccounts()
    accounts = PhoneAccounts(table, PlainSecrets(), lambda: NOW)
    made = await accounts.create("ada", "geheim")
    assert table.rows["ada"].password_sealed == "mieheg"
    assert "geheim" not in repr(made)
    again = PhoneAccounts(table, PlainSecrets(), lambda: NOW)
    await again.load()
    assert again.find("ada") == made
    await again.delete("ada")
    assert again.find("ada") is None
    with pytest.raises(PhoneError):
        await again.delete("ada")


async def test_a_disabled_account_is_not_found() -> None:
    table = MemoryAccounts()
    accounts = PhoneAccounts(table, PlainSecrets(), lambda: NOW)
    await accounts.create("ada", "geheim")
    await table.update("ada", disabled=True)
    await accounts.load()
    assert accounts.find("ada") is None
    assert [one.username for one in accounts.list()] == ["ada"]


@pytest.mark.parametrize("end", list(CallEnd))
def test_every_end_has_a_status(end: CallEnd) -> None:
    status, phrase = sip_status(end)
    assert 200 <= status < 700
    assert phrase


@pytest.mark.parametrize(
    ("status", "end"),
    [
        (486, CallEnd.BUSY),
        (600, CallEnd.BUSY),
        (603, CallEnd.DECLINED),
        (488, CallEnd.MEDIA_INCOMPATIBLE),
        (404, CallEnd.NOT_FOUND),
        (408, CallEnd.UNREACHABLE),
        (499, CallEnd.REFUSED),
    ],
)
def test_refusals_of_peers_are_read(status: int, end: CallEnd) -> None:
    assert end_of_status(status) is end


def test_of_several_refusals_the_caller_is_told_the_one_that_says_most() -> None:
    assert most_telling([CallEnd.UNREACHABLE, CallEnd.BUSY, CallEnd.NO_ANSWER]) is CallEnd.BUSY
    assert most_telling([CallEnd.UNREACHABLE]) is CallEnd.UNREACHABLE
    assert most_telling([]) is CallEnd.NOT_REGISTERED


async def test_records_wait_for_the_database_and_the_oldest_make_way() -> None:
    table = MemoryRecords(fails=True)
    records = CallRecords(table, most=2)
    for id_ in "abc":
        records.add(CallRecord(id_, "ada", "bob", "ada", "", NOW, None, NOW + 1, "busy", 486, ""))
    with pytest.raises(StoreError):
        await records.flush()
    table.fails = False
    await records.flush()
    await records.flush()
    assert [record.id for record in table.rows] == ["b", "c"]
    assert (records.dropped, records.kept, records.write_failures, len(records)) == (1, 2, 1, 0)
