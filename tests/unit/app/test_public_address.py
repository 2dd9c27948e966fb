from __future__ import annotations

import asyncio
import random
import struct

import pytest

from roomtone.app.public_address import HEADER, MAGIC_COOKIE, ask_public_address, binding_request, mapped_address

# RFC 5769 sections 2.2 and 2.3: sample IPv4 and IPv6 responses, the XOR-MAPPED-ADDRESS attributes.
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
IPV4_ATTRIBUTE = bytes.fromhex("002000080001a147e112a643")
IPV6_ATTRIBUTE = bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9")
SOFTWARE = bytes.fromhex("8022000b7465737420766563746f7220")


def response(body: bytes, kind: int = 0x0101, transaction: bytes = TRANSACTION) -> bytes:
    return HEADER.pack(kind, len(body), MAGIC_COOKIE, transaction) + body


def test_the_rfc_s_sample_responses_are_read() -> None:
    assert mapped_address(response(SOFTWARE + IPV4_ATTRIBUTE), TRANSACTION) == "192.0.2.1"
    assert mapped_address(response(IPV6_ATTRIBUTE), TRANSACTION) == "2001:db8:1234:5678:11:2233:4455:6677"


def test_answers_to_others_errors_and_garbage_are_no_address() -> None:
    good = response(IPV4_ATTRIBUTE)
    assert mapped_address(response(IPV4_ATTRIBUTE, transaction=bytes(12)), TRANSACTION) is None
    assert mapped_address(response(IPV4_ATTRIBUTE, kind=0x0111), TRANSACTION) is None
    for length in range(len(good)):
        assert mapped_address(good[:length], TRANSACTION) is None
    rng = random.Random(5)  # noqa: S311 - repeatable garbage
    for _ in range(200):
        mapped_address(response(rng.randbytes(rng.randrange(40))), TRANSACTION)


class StunServer(asyncio.DatagramProtocol):
    def __init__(self, deaf_to: int) -> None:
        self.deaf_to = deaf_to
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.deaf_to:
            self.deaf_to -= 1
            return
        transaction = data[8:20]
        assert data == binding_request(transaction)
        mask = struct.pack("!I", MAGIC_COOKIE)
        masked = bytes(a ^ b for a, b in zip(bytes([203, 0, 113, 9]), mask, strict=True))
        assert self.transport is not None
        self.transport.sendto(response(b"\x00\x20\x00\x08\x00\x01\x00\x00" + masked, transaction=transaction), addr)


@pytest.mark.parametrize("deaf_to", [0, 1])
async def test_a_server_is_asked_again_until_it_answers(deaf_to: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roomtone.app.public_address.RETRIES_S", (0.05, 30.0))
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: StunServer(deaf_to), local_addr=("127.0.0.1", 0)
    )
    host, port = transport.get_extra_info("sockname")[:2]
    assert await ask_public_address(f"{host}:{port}") == "203.0.113.9"
    transport.close()


async def test_silence_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roomtone.app.public_address.RETRIES_S", (0.001,))
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: StunServer(99), local_addr=("127.0.0.1", 0)
    )
    host, port = transport.get_extra_info("sockname")[:2]
    assert await ask_public_address(f"{host}:{port}") is None
    transport.close()
