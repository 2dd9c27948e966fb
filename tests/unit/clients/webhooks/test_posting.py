"""Where webhooks may go, how they are signed, what counts as arrived; over a network that is only played."""

# ruff: noqa: ASYNC109 - the library's interface

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpcore
import pytest
from livekit import api

from roomtone.clients.webhooks.addresses import GuardedBackend, is_public
from roomtone.clients.webhooks.posting import MAX_REDIRECTS, WebhookPoster
from roomtone.control.policy import KeyTable

SECRET = "s" * 32
PUBLIC, PRIVATE = "93.184.216.34", "10.0.0.7"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answer(status: int, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{lines}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()


class Stream(httpcore.AsyncNetworkStream):
    """A connection that answers each request with the next answer."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._left = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        if not self._left and self._network.silent:
            await asyncio.Event().wait()
        if not self._left and self._network.answers:
            self._left = self._network.answers.pop(0)
        data, self._left = self._left[:max_bytes], self._left[max_bytes:]
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._network.written += buffer

    async def aclose(self) -> None:
        pass

    async def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: Any = None) -> Any:
        del ssl_context, timeout
        self._network.tls_names.append(server_hostname)
        return self

    def get_extra_info(self, info: str) -> Any:
        del info
        return None


@dataclass
class Network(httpcore.AsyncNetworkBackend):
    """Names, addresses and what is answered."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    answers: list[bytes] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    connected: list[tuple[str, int]] = field(default_factory=list)
    tls_names: list[str | None] = field(default_factory=list)
    written: bytes = b""
    silent: bool = False

    async def look_up(self, host: str, port: int) -> list[str]:
        del port
        found = self.names.get(host)
        if found is None:
            raise OSError("no such name")
        return found.pop(0) if len(found) > 1 else found[0]

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: Any = None,
        local_address: Any = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        del timeout, local_address, socket_options
        self.connected.append((host, port))
        if host in self.down:
            raise httpcore.ConnectError("refused")
        return Stream(self)

    def poster(self, *, allow_private: bool = False, key: str | None = "key", **more: Any) -> WebhookPoster:
        backend = GuardedBackend(allow_private=allow_private, resolver=self.look_up, backend=self)
        keys = KeyTable({"key": SECRET})
        return WebhookPoster(keys, lambda: key, backend=backend, clock=lambda: 4_000_000_000.0, **more)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fd12::1",
        "ff02::1", "fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1",
        "2002:7f00:1::1", "2001:db8::1", "2001::1", "name", "",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", [PUBLIC, "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


async def test_a_webhook_is_signed_as_livekits_receivers_check_it() -> None:
    network = Network({"hook.example": [[PUBLIC]]}, [OK])
    body = '{"event":"room_started","id":"EV_1","room":{"name":"dä"}}'
    attempt = await network.poster().post("http://hook.example:8081/in?x=1", body.encode())
    assert (attempt.error, network.connected) == ("", [(PUBLIC, 8081)])
    head, _, sent = network.written.partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert head.startswith(b"POST /in?x=1 HTTP/1.1")
    assert (lines["Host"], lines["Content-Type"]) == ("hook.example:8081", "application/webhook+json")
    assert sent.decode() == body
    claims = api.TokenVerifier("key", SECRET).verify(lines["Authorization"], verify_signature=False)
    assert claims.sha256
    receiver = api.WebhookReceiver(_Verifier())
    event = receiver.receive(sent.decode(), lines["Authorization"])
    assert (event.event, event.room.name) == ("room_started", "dä")
    with pytest.raises(Exception, match="hash mismatch"):
        receiver.receive(sent.decode() + " ", lines["Authorization"])


class _Verifier(api.TokenVerifier):
    """The signature is checked in the interoperability tests, where clocks agree."""

    def __init__(self) -> None:
        super().__init__("key", SECRET)

    def verify(self, token: str, *, verify_signature: bool = True) -> Any:
        del verify_signature
        return super().verify(token, verify_signature=False)


@pytest.mark.parametrize("name", ["localhost", "intern.example", "rebound.example"])
async def test_a_name_of_a_private_address_is_refused_for_good_and_nothing_is_connected(name: str) -> None:
    names = {
        "localhost": [["::1", "127.0.0.1"]],
        "intern.example": [[PRIVATE]],
        "rebound.example": [["::ffff:169.254.169.254"], [PUBLIC]],
    }
    network = Network(names, [OK])
    attempt = await network.poster().post(f"http://{name}/", b"{}")
    assert attempt.final
    assert "allow_private" in attempt.error
    assert network.connected == []


async def test_private_addresses_are_taken_where_a_setting_allows_them() -> None:
    network = Network({"intern.example": [[PRIVATE]]}, [OK])
    assert not (await network.poster(allow_private=True).post("http://intern.example/", b"{}")).error
    assert network.connected == [(PRIVATE, 80)]


async def test_the_connection_goes_to_the_address_that_was_checked_whatever_the_name_says_next() -> None:
    network = Network({"hook.example": [[PUBLIC], ["127.0.0.1"]]}, [OK])
    poster = network.poster()
    assert not (await poster.post("https://hook.example/", b"{}")).error
    assert (network.connected, network.tls_names) == ([(PUBLIC, 443)], ["hook.example"])
    await poster.close()
    network.answers.append(OK)
    assert (await network.poster().post("https://hook.example/", b"{}")).final  # looked up and checked anew
    assert network.connected == [(PUBLIC, 443)]


async def test_of_several_addresses_only_public_ones_are_tried_and_one_that_is_down_is_passed_over() -> None:
    network = Network({"hook.example": [[PRIVATE, PUBLIC, "8.8.8.8"]]}, [OK], down={PUBLIC})
    assert not (await network.poster().post("http://hook.example/", b"{}")).error
    assert network.connected == [(PUBLIC, 80), ("8.8.8.8", 80)]


async def test_a_redirect_is_followed_to_public_addresses_only() -> None:
    network = Network(
        {"hook.example": [[PUBLIC]], "intern.example": [["127.0.0.1"]], "new.example": [["8.8.8.8"]]},
        [answer(307, Location="http://new.example/b"), OK, answer(308, Location="http://intern.example/")],
    )
    poster = network.poster()
    assert not (await poster.post("http://hook.example/a", b"{}")).error
    assert network.written.count(b"POST ") == 2
    attempt = await poster.post("http://hook.example/a", b"{}")
    assert attempt.final
    assert ("127.0.0.1", 80) not in network.connected


@pytest.mark.parametrize(
    ("url", "answers", "error"),
    [
        ("http://hook.example/", [answer(302, Location="/b")], "status 302"),
        ("http://hook.example/", [answer(307)], "without a location"),
        ("https://hook.example/", [answer(307, Location="http://hook.example/")], "from https"),
        ("http://hook.example/", [answer(307, Location="/")] * (MAX_REDIRECTS + 1), "redirects"),
        ("http://hook.example/", [answer(307, Location="gopher://hook.example/")], "cannot be sent"),
        ("http://hook.example/", [answer(503, Retry_After="7")], "status 503"),
        ("http://hook.example/", [answer(404)], "status 404"),
        ("http://hook.example/", [b"nonsense\r\n\r\n"], "ProtocolError"),
        ("http://hook.example/", [], "Protocol"),
        ("http://nowhere.example/", [], "no such name"),
        ("http://dark.example/", [], "refused"),
        ("http://empty.example/", [], "no address"),
    ],
)
async def test_what_has_not_arrived_says_why(url: str, answers: list[bytes], error: str) -> None:
    network = Network(
        {"hook.example": [[PUBLIC]], "dark.example": [["8.8.4.4"]], "empty.example": [[]]},
        list(answers),
        down={"8.8.4.4"},
    )
    attempt = await network.poster().post(url, b"{}")
    assert error in attempt.error
    assert attempt.retry_after_s == (7 if "503" in error else 0)
    assert attempt.final == ("cannot be sent" in error)


async def test_a_target_that_says_nothing_costs_its_time_and_no_more() -> None:
    network = Network({"hook.example": [[PUBLIC]]}, silent=True)
    attempt = await network.poster(timeout_s=0.01).post("http://hook.example/", b"{}")
    assert attempt.error == "no answer within 0.01 s"


@pytest.mark.parametrize(("key", "error"), [(None, "there is no key"), ("gone", "there is no key 'gone'")])
async def test_without_its_key_nothing_is_sent(key: str | None, error: str) -> None:
    network = Network({"hook.example": [[PUBLIC]]}, [OK])
    attempt = await network.poster(key=key).post("http://hook.example/", b"{}")
    assert attempt.error.startswith(error)
    assert not attempt.final
    assert network.connected == []


async def test_unix_sockets_are_no_targets() -> None:
    with pytest.raises(Exception, match="Unix"):
        await GuardedBackend(allow_private=True).connect_unix_socket("/run/x")
