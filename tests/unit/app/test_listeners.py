from __future__ import annotations

import pytest

from roomtone.app.engine_config import engine_config
from roomtone.app.errors import StartError
from roomtone.app.listeners import listeners
from roomtone.app.run import page_url
from roomtone.config import Settings


def made(sections: dict[str, object], *, has_ipv6: bool = True) -> list[tuple[str, str, bool]]:
    settings = Settings.model_validate(sections)
    return [(one.name, str(one.address), one.optional) for one in listeners(settings, has_ipv6=has_ipv6)]


def test_defaults_listen_on_every_address_of_both_families_and_metrics_on_loopback() -> None:
    assert made({}) == [
        ("http", "0.0.0.0:8080", False),
        ("http", "[::]:8080", False),
        ("https", "0.0.0.0:8443", False),
        ("https", "[::]:8443", False),
        ("metrics", "127.0.0.1:9091", False),
    ]


def test_dev_listens_on_loopback_only_and_may_do_without_a_default_port() -> None:
    assert made({"server": {"dev": True}}) == [
        ("http", "127.0.0.1:8080", True),
        ("http", "[::1]:8080", True),
        ("https", "127.0.0.1:8443", True),
        ("https", "[::1]:8443", True),
        ("metrics", "127.0.0.1:9091", True),
    ]


def test_dev_keeps_even_a_configured_address_on_loopback_and_insists_on_it() -> None:
    sections = {"server": {"dev": True}, "http": {"listen": ["192.0.2.1:80", "0.0.0.0:80"], "tls_listen": []}}
    assert made(sections)[:-1] == [("http", "127.0.0.1:80", False)]


def test_a_machine_without_ipv6_does_without_the_default_ipv6_addresses() -> None:
    assert all("[" not in address for _, address, _ in made({}, has_ipv6=False))


def test_the_metrics_listener_serves_metrics_only_and_the_https_one_speaks_tls() -> None:
    binds = [one.to_bind() for one in listeners(Settings(), has_ipv6=False)]
    assert [(bind.name, bind.tls, bind.only) for bind in binds] == [
        ("http", False, []),
        ("https", True, []),
        ("metrics", False, ["/metrics"]),
    ]


@pytest.mark.parametrize("wanted", [True, False])
def test_http3_is_spoken_beside_https_unless_it_is_switched_off(wanted: bool) -> None:
    settings = Settings.model_validate({"http": {"http3": wanted}})
    binds = [one.to_bind() for one in listeners(settings, has_ipv6=False)]
    assert [(bind.name, bind.http3) for bind in binds] == [("http", False), ("https", wanted), ("metrics", False)]


def test_the_engine_listens_on_loopback_with_dev() -> None:
    dev = Settings.model_validate({"server": {"dev": True}})
    assert engine_config(dev, has_ipv6=True).listen_ips == ["127.0.0.1", "::1"]
    assert engine_config(dev, has_ipv6=False).listen_ips == ["127.0.0.1"]
    assert engine_config(Settings(), has_ipv6=True).listen_ips == []


def test_an_announced_address_goes_before_what_a_stun_server_says() -> None:
    settings = Settings.model_validate(
        {"webrtc": {"announced_ips": ["203.0.113.5", "10.0.0.1=203.0.113.6", "2001:db8::5"]}}
    )
    told = engine_config(settings, has_ipv6=True, public_address="198.51.100.1")
    assert told.announced_ips == [("0.0.0.0", "203.0.113.5"), ("10.0.0.1", "203.0.113.6"), ("::", "2001:db8::5")]


def test_a_public_address_from_a_stun_server_is_announced_for_every_address_of_its_family() -> None:
    assert engine_config(Settings(), has_ipv6=True, public_address="198.51.100.1").announced_ips == [
        ("0.0.0.0", "198.51.100.1")
    ]
    assert engine_config(Settings(), has_ipv6=True).announced_ips == []


def test_an_engine_without_any_protocol_is_refused() -> None:
    with pytest.raises(StartError, match="switch one on"):
        engine_config(Settings.model_validate({"webrtc": {"udp": False, "tcp": False}}), has_ipv6=True)


@pytest.mark.parametrize(
    ("addresses", "url"),
    [
        ({"http": ["127.0.0.1:8080", "[::1]:8080"], "https": ["127.0.0.1:8443"]}, "http://localhost:8080"),
        ({"https": ["0.0.0.0:8443"]}, "https://localhost:8443"),
        ({"http": ["192.0.2.7:80"]}, "http://192.0.2.7:80"),
    ],
)
def test_the_address_of_the_pages_is_one_a_browser_can_open(addresses: dict[str, list[str]], url: str) -> None:
    assert page_url(addresses) == url


def test_the_sfu_has_a_port_of_its_own_only_where_it_is_given_one() -> None:
    assert "sfu" not in {name for name, _, _ in made({})}
    assert made({"sfu_api": {"listen": "127.0.0.1:3000"}})[-1] == ("sfu", "127.0.0.1:3000", False)
    assert made({"server": {"dev": True}, "sfu_api": {"listen": "0.0.0.0:3000"}})[-1] == (
        "sfu",
        "127.0.0.1:3000",
        False,
    )
