"""Bindings: taken, replaced, expired, evicted, and written no oftener than they must be."""

from __future__ import annotations

import pytest
from phone_tables import MemoryBindings

from roomtone.control.calls import BindingError, BindingRefusal, Contact, Registrar, RegistrarRules, Registration
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.servers.sip.registering import BrowserBindings
from roomtone.store import StoreError

NOW = 1_800_000_000.0
FLOW = Flow(Transport.UDP, "192.0.2.7", 5060, "192.0.2.1", 5060)
DESK = Contact("sip:ada@192.0.2.7:5060", 600)


def registration(cseq: int = 1, call_id: str = "c1", account: str = "ada", flow: Flow = FLOW) -> Registration:
    return Registration(account, flow, call_id, cseq, ("<sip:edge.example.org;lr>",), "Desk/1.0")


def registrar(**rules: int) -> tuple[Registrar, MemoryBindings]:
    table = MemoryBindings()
    return Registrar(table, RegistrarRules(**rules)), table


async def test_a_binding_lasts_as_long_as_it_was_granted() -> None:
    bindings, _ = registrar()
    (made,) = bindings.register(registration(), [DESK], NOW)
    assert (made.contact, made.flow, made.expires_at) == ("sip:ada@192.0.2.7:5060", FLOW, NOW + 600)
    assert made.path == ("<sip:edge.example.org;lr>",)
    assert bindings.bindings("ada", NOW + 599.9) == [made]
    assert bindings.bindings("ada", NOW + 600) == []
    assert bindings.all(NOW + 600) == []


@pytest.mark.parametrize(("asked", "granted"), [(None, 600), (60, 60), (100_000, 3600)])
async def test_expiry_is_bounded(asked: int | None, granted: int) -> None:
    bindings, _ = registrar()
    (made,) = bindings.register(registration(), [Contact("sip:ada@192.0.2.7", asked)], NOW)
    assert made.expires_at == NOW + granted


async def test_a_time_that_is_too_brief_is_refused_and_nothing_is_done() -> None:
    bindings, _ = registrar()
    with pytest.raises(BindingError) as caught:
        bindings.register(registration(), [DESK, Contact("sip:ada@192.0.2.8", 59)], NOW)
    assert caught.value.refusal is BindingRefusal.TOO_BRIEF
    assert bindings.bindings("ada", NOW) == []


async def test_an_older_request_of_the_same_call_id_changes_nothing() -> None:
    bindings, _ = registrar()
    bindings.register(registration(cseq=5), [DESK], NOW)
    for cseq in (5, 4):
        with pytest.raises(BindingError) as caught:
            bindings.register(registration(cseq=cseq), [Contact(DESK.uri, 0)], NOW)
        assert caught.value.refusal is BindingRefusal.OUT_OF_ORDER
    assert bindings.register(registration(cseq=1, call_id="c2"), [Contact(DESK.uri, 0)], NOW) == []


async def test_a_phone_that_comes_from_another_port_replaces_its_own_binding_by_its_instance() -> None:
    bindings, _ = registrar()
    bindings.register(registration(), [Contact("sip:ada@192.0.2.7:1111", 600, instance="<urn:uuid:1>;1")], NOW)
    moved = Contact("sip:ada@192.0.2.7:2222", 600, instance="<urn:uuid:1>;1")
    assert [one.contact for one in bindings.register(registration(cseq=2), [moved], NOW)] == ["sip:ada@192.0.2.7:2222"]


async def test_the_preferred_contact_comes_first() -> None:
    bindings, _ = registrar()
    bindings.register(registration(), [Contact("sip:a@h", 600, 0.5), Contact("sip:b@h", 600, 0.9)], NOW)
    assert [one.contact for one in bindings.bindings("ada", NOW)] == ["sip:b@h", "sip:a@h"]


async def test_one_binding_too_many_takes_the_place_of_the_oldest() -> None:
    bindings, _ = registrar(max_bindings=2)
    for at in range(3):
        bindings.register(registration(call_id=f"c{at}"), [Contact(f"sip:ada@192.0.2.{at}", 600)], NOW + at)
    assert [one.contact for one in bindings.bindings("ada", NOW + 3)] == ["sip:ada@192.0.2.2", "sip:ada@192.0.2.1"]
    assert bindings.evicted == 1


async def test_what_is_written_is_there_after_a_restart_and_what_expired_is_not() -> None:
    bindings, table = registrar()
    bindings.register(registration(), [DESK, Contact("sip:ada@192.0.2.8", 60)], NOW)
    await bindings.flush()
    again = Registrar(table)
    await again.load(NOW + 100)
    (left,) = again.bindings("ada", NOW + 100)
    assert (left.contact, left.flow, left.path) == (DESK.uri, FLOW, ("<sip:edge.example.org;lr>",))


async def test_a_refresh_is_written_at_half_of_its_life() -> None:
    bindings, table = registrar()
    bindings.register(registration(cseq=1), [DESK], NOW)
    await bindings.flush()
    bindings.register(registration(cseq=2), [DESK], NOW + 100)
    await bindings.flush()
    assert table.writes == 1
    bindings.register(registration(cseq=3), [DESK], NOW + 301)
    await bindings.flush()
    assert table.writes == 2
    bindings.register(registration(cseq=4, flow=FLOW._replace(remote_port=6000)), [DESK], NOW + 302)
    await bindings.flush()
    assert table.writes == 3, "another way to it is no mere refresh"


async def test_a_database_that_is_away_loses_nothing() -> None:
    bindings, table = registrar()
    bindings.register(registration(), [DESK], NOW)
    table.fails = True
    with pytest.raises(StoreError):
        await bindings.flush()
    table.fails = False
    await bindings.flush()
    assert len(table.rows) == 1
    bindings.unregister_all("ada")
    await bindings.flush()
    assert table.rows == {}
    assert bindings.write_failures == 1


async def test_a_browser_is_forgotten_with_its_connection_and_other_ways_to_its_account_stay() -> None:
    bindings, _ = registrar()
    first, second = (FLOW._replace(transport=Transport.WSS, connection=number) for number in (7, 8))
    watcher = BrowserBindings(bindings)
    for flow, contact in ((FLOW, DESK), (first, Contact("sip:a@x.invalid", 600)), (second, Contact("sip:b@x.invalid"))):
        bindings.register(registration(call_id=contact.uri, flow=flow), [contact], NOW)
        watcher.note("ada", flow)
    watcher.connection_closed(first, "peer_closed")
    watcher.connection_closed(first._replace(connection=9), "peer_closed")
    assert {one.flow for one in bindings.bindings("ada", NOW)} == {FLOW, second}
    watcher.connection_closed(FLOW, "peer_closed")
    assert len(bindings) == 2, "a desk phone is found by its address again"


async def test_browsers_are_not_looked_for_after_a_restart() -> None:
    bindings, table = registrar()
    bindings.register(registration(flow=FLOW._replace(transport=Transport.WS, connection=7)), [DESK], NOW)
    await bindings.flush()
    again = Registrar(table)
    await again.load(NOW)
    assert again.all(NOW) == []
    await again.flush()
    assert await table.load(NOW) == []
