from __future__ import annotations

import asyncio
import random
from collections import Counter

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from roomtone.clients.resolver import (
    DnsError,
    FailedTargets,
    Locator,
    Naptr,
    NotFoundError,
    NotFoundReason,
    Srv,
    SystemDns,
    Target,
    for_size,
)
from roomtone.clients.resolver.locating import in_order
from roomtone.protocols.sip import SipUri, parse_uri
from roomtone.protocols.sip.flow import Transport

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS


class Zone:
    """Records in memory; what was asked for."""

    def __init__(self) -> None:
        self.naptrs: dict[str, list[Naptr]] = {}
        self.srvs: dict[str, list[Srv]] = {}
        self.hosts: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.is_down = False

    def _ask(self, kind: str, name: str) -> None:
        if self.is_down:
            raise DnsError(name)
        self.asked.append(f"{kind} {name}")

    async def naptr(self, name: str) -> list[Naptr]:
        self._ask("NAPTR", name)
        return self.naptrs.get(name, [])

    async def srv(self, name: str) -> list[Srv]:
        self._ask("SRV", name)
        return self.srvs.get(name, [])

    async def addresses(self, name: str) -> list[str]:
        self._ask("A", name)
        return self.hosts.get(name, [])


@pytest.fixture
def zone() -> Zone:
    # RFC 3263, 4.1 and 4.2
    zone = Zone()
    zone.naptrs["example.com"] = [
        Naptr(100, 50, "s", "SIP+D2U", "_sip._udp.example.com"),
        Naptr(50, 50, "s", "SIPS+D2T", "_sips._tcp.example.com"),
        Naptr(90, 50, "s", "SIP+D2T", "_sip._tcp.example.com"),
        Naptr(10, 50, "u", "E2U+sip", ""),
    ]
    zone.srvs["_sips._tcp.example.com"] = [Srv(0, 1, 5061, "s.example.com")]
    zone.srvs["_sip._tcp.example.com"] = [Srv(1, 1, 5070, "b.example.com"), Srv(0, 1, 5060, "a.example.com")]
    zone.srvs["_sip._udp.example.com"] = [Srv(0, 1, 5060, "a.example.com")]
    zone.hosts |= {"a.example.com": ["2001:db8::a", "192.0.2.1"], "b.example.com": ["192.0.2.2"]}
    zone.hosts |= {"s.example.com": ["192.0.2.3"], "example.com": ["192.0.2.9"]}
    return zone


def locator(zone: Zone, *transports: Transport) -> Locator:
    return Locator(zone, lambda _: 0, transports or (UDP, TCP, TLS))


async def places(locator: Locator, text: str) -> list[tuple[Transport, str, int]]:
    uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    return [(target.transport, target.host, target.port) for target in await locator.locate(uri)]


async def test_naptr_decides_on_transports_and_srv_on_servers(zone: Zone) -> None:
    assert await places(locator(zone), "sip:bob@example.com") == [
        (TLS, "192.0.2.3", 5061),
        (TCP, "2001:db8::a", 5060),
        (TCP, "192.0.2.1", 5060),
        (TCP, "192.0.2.2", 5070),
        (UDP, "2001:db8::a", 5060),
        (UDP, "192.0.2.1", 5060),
    ]
    assert await places(locator(zone, UDP), "sip:example.com") == [(UDP, "2001:db8::a", 5060), (UDP, "192.0.2.1", 5060)]
    assert await places(locator(zone), "sips:example.com") == [(TLS, "192.0.2.3", 5061)]


@pytest.mark.parametrize(
    ("uri", "found", "asked"),
    [
        ("sip:192.0.2.7", [(UDP, "192.0.2.7", 5060)], []),
        ("sips:bob@[2001:db8::7]", [(TLS, "2001:db8::7", 5061)], []),
        ("sips:192.0.2.7:99;transport=tcp", [(TLS, "192.0.2.7", 99)], []),
        ("sip:192.0.2.7;transport=TCP", [(TCP, "192.0.2.7", 5060)], []),
        ("sip:example.com:5080", [(UDP, "192.0.2.9", 5080)], ["A example.com"]),
        ("sip:other.test;maddr=192.0.2.8", [(UDP, "192.0.2.8", 5060)], []),
        (
            "sip:example.com;transport=tcp",
            [(TCP, "2001:db8::a", 5060), (TCP, "192.0.2.1", 5060), (TCP, "192.0.2.2", 5070)],
            ["SRV _sip._tcp.example.com", "A a.example.com", "A b.example.com"],
        ),
        (
            "sip:b.example.com;transport=tls",
            [(TLS, "192.0.2.2", 5061)],
            ["SRV _sips._tcp.b.example.com", "A b.example.com"],
        ),
    ],
)
async def test_what_the_uri_says_is_not_asked_for(
    zone: Zone, uri: str, found: list[tuple[Transport, str, int]], asked: list[str]
) -> None:
    assert await places(locator(zone), uri) == found
    assert zone.asked == asked


async def test_without_naptr_srv_is_tried_for_each_transport_and_then_the_name_itself(zone: Zone) -> None:
    del zone.naptrs["example.com"]
    assert [place[0] for place in await places(locator(zone), "sip:example.com")] == [UDP, UDP, TCP, TCP, TCP, TLS]
    assert await places(locator(zone), "sip:b.example.com") == [(UDP, "192.0.2.2", 5060)]
    assert await places(locator(zone, TCP), "sip:b.example.com") == [(TCP, "192.0.2.2", 5060)]


async def test_certificates_are_to_be_for_the_name_that_was_asked_for(zone: Zone) -> None:
    uri = parse_uri("sips:example.com")
    assert isinstance(uri, SipUri)
    assert [target.name for target in await locator(zone).locate(uri)] == ["example.com"]


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("sip:nowhere.test", NotFoundReason.NO_ADDRESS),
        ("sip:refusing.test", NotFoundReason.NO_ADDRESS),
        ("sip:example.com;transport=sctp", NotFoundReason.NO_TRANSPORT),
        ("sips:example.com;transport=udp", NotFoundReason.NO_TRANSPORT),
        ("sip:secure.test", NotFoundReason.NO_TRANSPORT),
    ],
)
async def test_what_leads_nowhere_says_why(zone: Zone, uri: str, reason: NotFoundReason) -> None:
    zone.srvs["_sip._udp.refusing.test"] = [Srv(0, 0, 0, ".")]
    zone.naptrs["secure.test"] = [Naptr(1, 1, "s", "SIPS+D2T", "_sips._tcp.secure.test")]
    with pytest.raises(NotFoundError) as found:
        await places(locator(zone, UDP, TCP), uri)
    assert found.value.reason is reason
    assert not found.value.retryable


async def test_a_resolver_that_does_not_answer_is_another_matter(zone: Zone) -> None:
    zone.is_down = True
    with pytest.raises(NotFoundError) as found:
        await places(locator(zone), "sip:example.com")
    assert found.value.reason is NotFoundReason.NO_ANSWER
    assert found.value.retryable


def test_weights_are_kept_on_average() -> None:
    random_ = random.Random(3263)  # noqa: S311 - a test
    records = [Srv(1, 75, 1, "big"), Srv(1, 25, 1, "small"), Srv(1, 0, 1, "never"), Srv(0, 0, 1, "first")]
    orders = [in_order(records, random_.randrange) for _ in range(2_000)]
    assert all(order[0].target == "first" and len(order) == 4 for order in orders)
    hits = Counter(order[1].target for order in orders)
    assert 0.70 < hits["big"] / 2_000 < 0.80
    assert hits["never"] < 60


def test_long_requests_go_by_tcp_first() -> None:
    udp, tls = Target(UDP, "192.0.2.1", 5060, "a"), Target(TLS, "192.0.2.1", 5061, "a")
    tcp = udp._replace(transport=TCP)
    assert for_size([udp, tls], 1_300) == [udp, tls]
    assert for_size([udp, tls], 1_301) == [tcp, udp, tls]
    assert for_size([tcp, udp], 9_000) == [tcp, udp]
    assert for_size([udp], 9_000, above=None) == [udp]


def test_who_failed_lately_is_tried_last() -> None:
    first, second = Target(UDP, "192.0.2.1", 5060, "a"), Target(UDP, "192.0.2.2", 5060, "a")
    failed = FailedTargets(avoided_ms=1_000)
    failed.failed(first, 10)
    assert failed.sort([first, second], 500) == [second, first]
    assert failed.sort([first, second], 1_010) == [first, second]
    failed.failed(first, 2_000)
    failed.succeeded(first)
    assert failed.sort([first, second], 2_001) == [first, second]
    for number in range(5_000):
        failed.failed(first._replace(port=number), 0)
    assert len(failed._until) == 4_096


class NameServer(asyncio.DatagramProtocol):
    """Answers from a list of records; silent for names below ``silent``."""

    RECORDS = (
        ("example.test.", "NAPTR", '10 10 "s" "sip+d2u" "" _sip._udp.example.test.'),
        ("_sip._udp.example.test.", "SRV", "0 5 5062 host.example.test."),
        ("host.example.test.", "A", "192.0.2.44"),
        ("host.example.test.", "AAAA", "2001:db8::44"),
    )

    def __init__(self) -> None:
        self.questions = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.questions += 1
        query = dns.message.from_wire(data)
        question = query.question[0]
        if question.name.to_text().endswith("silent."):
            return
        answer = dns.message.make_response(query)
        names = {name for name, _, _ in self.RECORDS}
        for name, kind, text in self.RECORDS:
            if question.name.to_text() == name and question.rdtype.name == kind:
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, text))
        if question.name.to_text() not in names:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), addr)  # type: ignore[attr-defined]


async def test_dnspython_asks_a_real_server_and_remembers() -> None:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    try:
        system = SystemDns(has_ipv6=True, timeout_s=30, resolver=resolver)
        find = Locator(system, lambda _: 0)
        assert await places(find, "sip:example.test") == [(UDP, "2001:db8::44", 5062), (UDP, "192.0.2.44", 5062)]
        asked = server.questions
        assert len(await places(find, "sip:example.test")) == 2
        assert server.questions == asked
        with pytest.raises(NotFoundError) as found:
            await places(find, "sip:nowhere.test")
        assert found.value.reason is NotFoundReason.NO_ADDRESS
        hasty = SystemDns(has_ipv6=False, timeout_s=0.2, resolver=resolver)
        with pytest.raises(NotFoundError) as found:
            await places(Locator(hasty, lambda _: 0), "sip:a.silent:5060")
        assert found.value.reason is NotFoundReason.NO_ANSWER
    finally:
        transport.close()


async def test_a_machine_without_resolvers_says_so_when_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_here() -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.asyncresolver, "Resolver", none_here)
    system = SystemDns(has_ipv6=False)
    with pytest.raises(DnsError):
        await system.addresses("gate.test")
