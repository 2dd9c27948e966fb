"""SIP over WebSocket on the front door: what clients call us, and clients that are lost."""

from __future__ import annotations

import asyncio

import pytest
from sip_peers import (
    PATIENCE_S,
    recording,
    until,
)

from roomtone.protocols.sip.flow import Transmit, Transport
from roomtone.servers.sip import (
    ConnectionEnd,
    SendFailure,
    TransportOptions,
    WebSocketEntrance,
)
from roomtone.servers.sip.websocket import WebSocketConnection


@pytest.mark.parametrize(
    ("named", "scheme", "host", "port"),
    [
        (b"Phones.example.org:8443", "wss", "phones.example.org", 8443),
        (b"phones.example.org", "wss", "phones.example.org", 443),
        (b"127.0.0.1:8080", "ws", "127.0.0.1", 8080),
        (b"[2001:db8::1]", "ws", "2001:db8::1", 80),
        (b"no host>", "ws", "192.0.2.7", 80),
    ],
)
async def test_a_websocket_client_says_what_we_are_called(named: bytes, scheme: str, host: str, port: int) -> None:
    async def send(_: object) -> None:
        pass

    async with recording(TransportOptions()) as (endpoint, _):
        scope = {"type": "websocket", "scheme": scheme, "client": ("192.0.2.7", 9), "headers": [(b"host", named)]}
        flow = WebSocketConnection(endpoint, scope, send).flow
        assert (flow.transport, flow.local_host, flow.local_port) == (Transport(scheme), host, port)


async def test_a_websocket_client_that_takes_nothing_or_says_nothing_loses_its_connection() -> None:
    for why in (ConnectionEnd.SLOW_PEER, ConnectionEnd.IDLE, ConnectionEnd.SHUTDOWN):
        stuck = asyncio.Event()
        told: list[dict[str, object]] = []
        incoming: asyncio.Queue[dict[str, object]] = asyncio.Queue()

        async def send(message: dict[str, object], stuck: asyncio.Event = stuck, told: list = told) -> None:  # type: ignore[type-arg]
            told.append(message)
            if message["type"] == "websocket.send":
                await stuck.wait()

        async with recording(TransportOptions()) as (endpoint, core):
            scope = {
                "type": "websocket",
                "scheme": "ws",
                "subprotocols": ["sip"],
                "client": ("192.0.2.7", 9),
                "server": None,
            }
            incoming.put_nowait({"type": "websocket.connect"})
            serving = asyncio.create_task(WebSocketEntrance(endpoint)(scope, incoming.get, send))  # type: ignore[arg-type]
            await until(lambda: len(endpoint.pool) == 1)
            flow = next(iter(endpoint.pool)).flow
            assert flow[:3] == (Transport.WS, "192.0.2.7", 9)
            match why:
                case ConnectionEnd.SLOW_PEER:
                    while not core.errors:
                        core.waiting.append(Transmit(flow, b"x"))
                        endpoint.drain()
                    assert endpoint.counters.unsent[SendFailure.NO_CONNECTION] == 1
                case ConnectionEnd.IDLE:
                    endpoint.look_at_flows(asyncio.get_running_loop().time() + 601)
                case _:
                    endpoint.pool.end_all()
            await asyncio.wait_for(serving, PATIENCE_S)
            assert endpoint.counters.ended == {why: 1}
            assert told[-1]["type"] == "websocket.close"
            assert not len(endpoint.pool)
