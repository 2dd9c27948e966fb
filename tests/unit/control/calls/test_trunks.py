"""Trunks: made, found by address, and numbers that lead out by them; the keeper asks each in its time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from phone_tables import MemoryAccounts, MemoryBindings, MemoryRules, MemoryTrunks, PlainSecrets

from roomtone.control.calls import (
    CallEnd,
    Caller,
    CallError,
    Dispatch,
    PhoneAccounts,
    PhoneError,
    PhoneRefusal,
    Registrar,
    RuleTarget,
    TargetKind,
    Trunk,
    TrunkKeeper,
    TrunkReply,
    Trunks,
    TrunkState,
)

NOW = 1_800_000_000.0
TRUNK = Trunk("carrier", "sip:sip.example.net;transport=tcp", "4930", "geheim", registers=True)


class World:
    def __init__(self) -> None:
        self.now = NOW
        self.table = MemoryTrunks()
        self.trunks = Trunks(self.table, PlainSecrets(), lambda: self.now, lambda: 0.0)
        accounts = PhoneAccounts(MemoryAccounts(), PlainSecrets(), lambda: NOW)
        self.dispatch = Dispatch(MemoryRules(), accounts, Registrar(MemoryBindings()), lambda: NOW, self.trunks)

    async def out(self, **more: Any) -> None:
        await self.dispatch.create("out", ["0*"], RuleTarget(TargetKind.TRUNK, trunk="carrier", **more))


class FakeSignalling:
    """Answers as it is told; writes down what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self.reply = TrunkReply(200, expires_s=600)
        self.fails = False

    async def register(self, trunk: Trunk, expires_s: int) -> TrunkReply:
        self.asked.append(("register", trunk.name, expires_s))
        if self.fails:
            raise RuntimeError("a defect")
        return self.reply

    async def probe(self, trunk: Trunk) -> TrunkReply:
        self.asked.append(("probe", trunk.name, 0))
        return self.reply


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_trunk_survives_a_restart_with_its_password_sealed() -> None:
    world = World()
    made = await world.trunks.create(replace(TRUNK, addresses=("192.0.2.0/24",), caller_id="+4930"))
    assert world.table.rows["carrier"].password_sealed == "mieheg"
    assert "geheim" not in world.table.rows["carrier"].profile + repr(made)
    again = Trunks(world.table, PlainSecrets(), lambda: NOW)
    await again.load()
    assert again.list() == [made]
    await again.delete("carrier")
    with pytest.raises(PhoneError, match="no trunk"):
        await again.delete("carrier")


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"uri": "tel:1"},
        {"uri": "sip:me@sip.example.net"},
        {"uri": "", "registers": False},
        {"username": ""},
        {"username": "a b"},
        {"caller_id": "a\r\nb"},
        {"password": "a\nb"},
        {"domain": "a b"},
        {"addresses": ("sip.example.net",)},
        {"addresses": ("192.0.2.1/24",)},
    ],
)
async def test_bad_trunks_are_refused(change: dict[str, Any]) -> None:
    world = World()
    with pytest.raises(PhoneError) as caught:
        await world.trunks.create(replace(TRUNK, **change))
    assert caught.value.refusal is PhoneRefusal.BAD_TRUNK
    assert not world.table.rows


async def test_a_trunk_is_known_by_the_smallest_network_it_calls_from() -> None:
    world = World()
    await world.trunks.create(Trunk("wide", addresses=("192.0.2.0/24",)))
    await world.trunks.create(Trunk("narrow", addresses=("192.0.2.7", "2001:db8::/32")))
    found = [world.trunks.of_address(host) for host in ("192.0.2.7", "192.0.2.8", "2001:db8::1", "198.51.100.1", "x")]
    assert [None if one is None else one.name for one in found] == ["narrow", "wide", "narrow", None, None]
    with pytest.raises(PhoneError) as caught:
        await world.trunks.create(Trunk("wide", addresses=("192.0.2.1",)))
    assert caught.value.refusal is PhoneRefusal.TRUNK_EXISTS


async def test_numbers_are_normalised_on_their_way_out() -> None:
    world = World()
    await world.trunks.create(TRUNK)
    await world.out(strip=1, prefix="+49")
    (target,) = world.dispatch.targets("030123")
    assert (target.uri, target.trunk) == ("sip:+4930123@sip.example.net;transport=tcp", world.trunks.find("carrier"))
    again = Dispatch(world.dispatch._table, world.dispatch._accounts, world.dispatch._registrar, lambda: NOW)
    await again.load()
    assert again.rules() == world.dispatch.rules()


async def test_what_cannot_go_out_says_why() -> None:
    world = World()
    with pytest.raises(PhoneError) as refused:
        await world.out()
    assert refused.value.refusal is PhoneRefusal.NO_SUCH_TRUNK
    await world.trunks.create(TRUNK)
    await world.out(strip=1)
    for number, trunk, end in (("030", "carrier", CallEnd.FORBIDDEN), ("0", "", CallEnd.NOT_FOUND)):
        with pytest.raises(CallError) as caught:
            world.dispatch.targets(number, Caller("+49", trunk=trunk))
        assert caught.value.end is end
    for _ in range(3):
        world.trunks.note_call("carrier", reached=False)
    with pytest.raises(CallError, match="down"):
        world.dispatch.targets("030")
    await world.trunks.delete("carrier")
    with pytest.raises(CallError, match="no trunk"):
        world.dispatch.targets("030")


async def test_the_keeper_registers_asks_and_takes_back() -> None:
    world, signalling = World(), FakeSignalling()
    keeper = TrunkKeeper(world.trunks, signalling)
    keeper.start()
    await settle()
    assert signalling.asked == []
    await world.trunks.create(TRUNK)
    await settle()
    assert signalling.asked == [("register", "carrier", 3_600)]
    assert world.trunks.life("carrier").state is TrunkState.REGISTERED
    world.now += 30
    world.trunks.changed.set()
    await settle()
    assert signalling.asked[1:] == [("probe", "carrier", 0)]
    await world.trunks.delete("carrier")
    await settle()
    assert signalling.asked[2:] == [("register", "carrier", 0)]
    await world.trunks.create(replace(TRUNK, name="other"))
    await settle()
    await keeper.close()
    assert signalling.asked[3:] == [("register", "other", 3_600), ("register", "other", 0)]


async def test_a_defect_is_a_failure_of_that_trunk_only() -> None:
    world, signalling = World(), FakeSignalling()
    signalling.fails = True
    keeper = TrunkKeeper(world.trunks, signalling)
    await world.trunks.create(TRUNK)
    keeper.start()
    await settle()
    life = world.trunks.life("carrier")
    assert (life.state, life.last_error) == (TrunkState.BACKING_OFF, "no answer: it failed here")
    signalling.fails = False
    world.now += 10
    world.trunks.changed.set()
    await settle()
    assert life.state is TrunkState.REGISTERED
    await keeper.close()


async def test_a_trunk_that_granted_nothing_is_not_waited_for_at_the_end() -> None:
    world, signalling = World(), FakeSignalling()
    signalling.reply = TrunkReply(None)
    keeper = TrunkKeeper(world.trunks, signalling)
    await world.trunks.create(TRUNK)
    keeper.start()
    await settle()
    await keeper.close()
    assert signalling.asked == [("register", "carrier", 3_600)]
