"""Temporary GRUUs (RFC 5627): all lead to their device as long as it is registered, over restarts too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from phone_tables import MemoryBindings
from test_registrar import DESK, FLOW, NOW, registration

from roomtone.control.calls import Registrar
from roomtone.control.calls.directory.bindings import Contact

KEY = bytes(range(32))
DEVICE = replace(DESK, instance="urn:uuid:1")
FLOWS = [replace(DEVICE, uri=f"sip:ada@192.0.2.{number}", reg_id=number) for number in (1, 2)]


def names(registrar: Registrar, *contacts: Contact, cseq: int = 1, call_id: str = "c1", account: str = "ada") -> str:
    """Register, and give the temporary name that is told."""
    asked = replace(registration(cseq, call_id, account), wants_gruu=True)
    held = registrar.register(asked, contacts, NOW + cseq)
    return registrar.temporary_gruu(held[0])


async def test_names_survive_a_restart_and_say_nothing_of_each_other() -> None:
    table = MemoryBindings()
    before = Registrar(table, gruu_key=KEY)
    told = [names(before, DEVICE, cseq=number) for number in range(1, 20)]
    assert len(set(told)) == len(told)
    assert {len(name) for name in told} == {len("tgruu.") + 32}
    await before.flush()
    after = Registrar(table, gruu_key=KEY)
    await after.load(NOW + 30)
    assert {after.of_temporary(name) for name in told} == {("ada", DEVICE.instance)}
    assert names(after, DEVICE, cseq=30) not in told
    assert after.of_temporary(told[0]) == ("ada", DEVICE.instance)
    other = Registrar(table, gruu_key=KEY[::-1])
    await other.load(NOW + 30)
    assert other.of_temporary(told[0]) is None


@pytest.mark.parametrize("name", ["tgruu.", "tgruu.xyz", "tgruu." + "0" * 32, "0" * 32, "ada", "tgruu." + "z" * 32])
async def test_what_is_no_name_leads_nowhere(name: str) -> None:
    registrar = Registrar(MemoryBindings(), gruu_key=KEY)
    names(registrar, DEVICE)
    assert registrar.of_temporary(name) is None


async def test_names_end_with_the_registration_and_do_not_come_back_with_another() -> None:
    registrar = Registrar(MemoryBindings(), gruu_key=KEY)
    first = names(registrar, DEVICE)
    registrar.register(registration(2), [replace(DEVICE, expires_s=0)], NOW + 2)
    assert registrar.of_temporary(first) is None
    second = names(registrar, DEVICE, cseq=3)
    assert (registrar.of_temporary(first), registrar.of_temporary(second)) == (None, ("ada", DEVICE.instance))
    third = names(registrar, DEVICE, cseq=4, call_id="rebooted")
    assert (registrar.of_temporary(second), registrar.of_temporary(third)) == (None, ("ada", DEVICE.instance))


async def test_flows_of_a_device_share_its_names_until_the_last_is_gone() -> None:
    table = MemoryBindings()
    registrar = Registrar(table, gruu_key=KEY)
    told = [names(registrar, flow, cseq=1, call_id=f"flow{flow.reg_id}") for flow in FLOWS]
    first, second = sorted(registrar.bindings("ada", NOW), key=lambda one: one.reg_id)
    assert first.mark == second.mark
    registrar.flow_failed(first, NOW + 5)
    assert {registrar.of_temporary(name) for name in told} == {("ada", DEVICE.instance)}
    registrar.flow_failed(second, NOW + 6)
    assert {registrar.of_temporary(name) for name in told} == {None}
    assert second.flow == FLOW


async def test_who_wants_no_names_has_none() -> None:
    registrar = Registrar(MemoryBindings(), gruu_key=KEY)
    (binding,) = registrar.register(registration(), [DEVICE], NOW)
    assert (binding.mark, registrar.temporary_gruu(binding)) == ("", "")
