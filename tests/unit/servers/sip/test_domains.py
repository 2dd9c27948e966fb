"""Which hosts are ours: those of the settings, what a peer reaches us at, and all of loopback."""

from __future__ import annotations

import pytest

from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.uri import parse_uri
from roomtone.servers.sip.domains import Domains

LOOPBACK = Flow(Transport.UDP, "127.0.0.1", 5070, "127.0.0.1", 5060)
OUTSIDE = Flow(Transport.UDP, "203.0.113.9", 5070, "192.0.2.1", 5060)
OUTSIDE_6 = Flow(Transport.TCP, "2001:db8::9", 5070, "2001:db8::1", 5060)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "[::1]", "localhost"])
def test_all_of_loopback_is_one_host_for_who_comes_by_it(host: str) -> None:
    uri = parse_uri(f"sip:1001@{host}:5060")
    assert Domains().number(uri, LOOPBACK) == "1001"
    assert Domains().number(uri, OUTSIDE) is None


@pytest.mark.parametrize(("host", "flow"), [("192.0.2.1", OUTSIDE), ("[2001:db8::1]", OUTSIDE_6)])
def test_without_settings_the_address_that_was_reached_is_ours_and_no_other(host: str, flow: Flow) -> None:
    assert Domains().number(parse_uri(f"sip:ada@{host}"), flow) == "ada"
    assert Domains().number(parse_uri("sip:ada@198.51.100.7"), flow) is None
    assert Domains().number(parse_uri("sip:ada@phones.example.org"), flow) is None


def test_domains_of_the_settings_and_what_is_announced_are_ours_on_every_way() -> None:
    domains = Domains(["Phones.example.org"], announced_ip="198.51.100.7")
    for flow in (LOOPBACK, OUTSIDE, OUTSIDE_6):
        for host in ("phones.example.org", "PHONES.example.org", "198.51.100.7"):
            assert domains.number(parse_uri(f"sip:ada@{host}"), flow) == "ada", host
        assert domains.number(parse_uri("sip:ada@example.org"), flow) is None
    assert domains.named(OUTSIDE) == "phones.example.org"


def test_a_tel_uri_names_a_number_whoever_is_asked() -> None:
    assert Domains().number(parse_uri("tel:+1-201-555-0123"), OUTSIDE) == "+12015550123"
    assert Domains().number(parse_uri("urn:service:sos"), OUTSIDE) is None
    assert Domains().named(OUTSIDE_6) == "[2001:db8::1]"
