from __future__ import annotations

from pathlib import Path

import pytest

from roomtone.protocols.sip.edge import Drop, Edge, EdgeLimits
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.message import Request, parse_message
from roomtone.protocols.sip.tokens import Tokens

VECTORS = Path(__file__).resolve().parents[3] / "vectors" / "sip" / "rfc4475"
FLOW = Flow(Transport.UDP, "192.0.2.9", 5060, "192.0.2.1", 5060)
OPTIONS = (VECTORS / "lwsdisp.dat").read_bytes()


def an_edge(**limits: object) -> Edge:
    return Edge(Tokens(b"x" * 32), EdgeLimits(**limits))  # type: ignore[arg-type]


def test_what_is_broken_is_answered_to_where_it_came_from() -> None:
    edge = an_edge()
    assert edge.handle((VECTORS / "escruri.dat").read_bytes(), FLOW, 0) is None
    transmit = edge.poll_transmit()
    assert transmit is not None
    assert transmit.flow is FLOW
    assert transmit.data.startswith(b"SIP/2.0 400 Bad Request-URI\r\n")
    answer = parse_message(transmit.data)
    assert answer.to_tag
    assert edge.handle((VECTORS / "escruri.dat").read_bytes(), FLOW, 0) is None
    again = edge.poll_transmit()
    assert again is not None
    assert again.data == transmit.data
    assert edge.poll_transmit() is None
    assert edge.counters.refused == 2


@pytest.mark.parametrize("name", ["insuf", "bigcode", "scalarlg"])
def test_what_nobody_would_recognise_is_dropped(name: str) -> None:
    edge = an_edge()
    assert edge.handle((VECTORS / f"{name}.dat").read_bytes(), FLOW, 0) is None
    assert edge.poll_transmit() is None
    assert edge.counters.dropped.total() == 1


def test_an_ack_is_never_answered() -> None:
    edge = an_edge()
    ack = (VECTORS / "escruri.dat").read_bytes().replace(b"INVITE", b"ACK")
    assert edge.handle(ack, FLOW, 0) is None
    assert edge.handle(ack.replace(b"ACK sip", b"ACK  sip"), FLOW, 0) is None
    assert edge.poll_transmit() is None
    assert edge.counters.dropped[Drop.MALFORMED] == 2


def test_sources_earn_what_they_may_send() -> None:
    edge = an_edge(messages_per_second=10, burst=3)
    assert [isinstance(edge.handle(OPTIONS, FLOW, 0), Request) for _ in range(5)] == [True] * 3 + [False] * 2
    assert [isinstance(edge.handle(OPTIONS, FLOW, 200), Request) for _ in range(3)] == [True, True, False]
    other = FLOW._replace(remote_host="192.0.2.10")
    assert edge.handle(OPTIONS, other, 200) is not None
    assert edge.counters.dropped[Drop.TOO_MANY] == 3
    loopback = FLOW._replace(remote_host="127.0.5.1")
    assert all(edge.handle(OPTIONS, loopback, 200) is not None for _ in range(9))


def test_ipv6_is_limited_by_network() -> None:
    edge = an_edge(messages_per_second=1, burst=1)
    first, neighbour, stranger = (
        FLOW._replace(remote_host=host) for host in ("2001:db8:0:1::5", "2001:db8:0:1:9::6", "2001:db8:0:2::5")
    )
    assert edge.handle(OPTIONS, first, 0) is not None
    assert edge.handle(OPTIONS, neighbour, 0) is None
    assert edge.handle(OPTIONS, stranger, 0) is not None


def test_failed_attempts_ban_for_a_while_but_never_who_is_exempt() -> None:
    edge = an_edge(failures=3, failure_window_ms=1_000, ban_ms=5_000, exempt=frozenset({"192.0.2.99"}))
    assert [edge.note_failure("192.0.2.9", at) for at in (1, 2)] == [False, False]
    assert not edge.note_failure("192.0.2.9", 2_000)  # the first two are long ago
    assert [edge.note_failure("192.0.2.9", at) for at in (2_001, 2_002)] == [False, True]
    assert edge.handle(OPTIONS, FLOW, 2_003) is None
    assert edge.handle(OPTIONS, FLOW, 7_003) is not None
    assert not any(edge.note_failure("192.0.2.99", 1) for _ in range(20))


def test_sources_remembered_are_bounded_and_the_most_silent_goes() -> None:
    edge = an_edge(sources=2, burst=1, messages_per_second=1)
    flows = [FLOW._replace(remote_host=f"192.0.2.{number}") for number in (1, 2, 1, 3)]
    got = [edge.handle(OPTIONS, flow, 0) is not None for flow in flows]
    assert got == [True, True, False, True]
    assert edge.counters.sources_forgotten == 1
    assert edge.handle(OPTIONS, flows[0], 0) is None  # 2 was forgotten, not 1
