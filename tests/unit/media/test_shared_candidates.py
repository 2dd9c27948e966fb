from __future__ import annotations

import pytest

from roomtone.media import SharedTcpPort
from roomtone.media.shared_port import with_shared_ports
from roomtone.media.values import Candidate


def own(*ips: str) -> list[Candidate]:
    return [
        Candidate(foundation=str(number), component=1, protocol="udp", priority=1 << 30, ip=ip, port=40000, kind="host")
        for number, ip in enumerate(ips)
    ]


def added(ips: list[str], *shared: SharedTcpPort) -> list[tuple[str, int]]:
    return [(c.ip, c.port) for c in with_shared_ports(own(*ips), shared)[len(ips) :]]


@pytest.mark.parametrize(
    ("bound", "reached"),
    [
        ("0.0.0.0", ["192.0.2.1", "203.0.113.5"]),
        ("::", ["2001:db8::1"]),
        ("192.0.2.1", ["192.0.2.1"]),
        ("198.51.100.9", []),
    ],
)
def test_a_shared_port_is_told_on_the_addresses_it_is_open_on(bound: str, reached: list[str]) -> None:
    ips = ["192.0.2.1", "2001:db8::1", "203.0.113.5"]
    assert added(ips, SharedTcpPort(8443, (bound,))) == [(ip, 8443) for ip in reached]


def test_nothing_is_added_without_shared_ports_and_nothing_twice() -> None:
    assert with_shared_ports(own("192.0.2.1"), ()) == tuple(own("192.0.2.1"))
    twice = [SharedTcpPort(8443, ("192.0.2.1",)), SharedTcpPort(8443, ("0.0.0.0",))]
    assert added(["192.0.2.1"], *twice) == [("192.0.2.1", 8443)]


def test_shared_candidates_are_passive_tcp_and_each_has_a_place_of_its_own() -> None:
    made = with_shared_ports(own("192.0.2.1", "192.0.2.2"), [SharedTcpPort(8443, ("0.0.0.0",))])[2:]
    assert {(c.protocol, c.tcp_type, c.kind, c.component) for c in made} == {("tcp", "passive", "host", 1)}
    assert len({c.priority for c in made}) == len({c.foundation for c in made}) == 2
    assert all(0 < c.priority < own("192.0.2.1")[0].priority * 2 for c in made)
