"""The public library by WebSocket: registered at a server as browsers are, called, and back after a lost connection."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from phone_peers import Exchange, exchange
from sip_peers import until
from sip_programs import Peer, engine, hears
from test_sip_sound import Greeter

from roomtone.protocols.sip.flow import Transport
from roomtone.servers.sip import ConnectionEnd, WebSocketEntrance
from roomtone.sip import Account, PeerError, SipCode, SipError

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]


@asynccontextmanager
async def entrance(here: Exchange) -> AsyncIterator[str]:
    """The server's entrance for WebSockets, by HTTP; its URL."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        WebSocketEntrance(here.endpoint), lifespan="off", log_level="critical", ws="websockets-sansio"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    await until(lambda: server.started)
    try:
        yield f"ws://127.0.0.1:{sock.getsockname()[1]}/sip"
    finally:
        server.should_exit = True
        await serving


async def test_a_program_by_websocket_is_called_by_a_plain_phone_and_heard(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path, "ada", "bob") as here,
        entrance(here) as url,
        engine() as media,
        Greeter(media) as program,
        Peer() as phone,
    ):
        await program.register(Account("ada", "adaada", "127.0.0.1", proxy=url))
        (binding,) = here.book.registrar.bindings("ada", time.time())
        assert binding.flow.transport is Transport.WS
        assert ".invalid" in binding.contact
        bob = Account("bob", "bobbob", f"127.0.0.1:{here.port}")
        call = await phone.call(f"sip:ada@127.0.0.1:{here.port}", account=bob, sdp=phone.sdp)
        await call.wait_answered()
        inbound = await program.taken.get()
        assert "UDP/TLS/RTP/SAVP" in inbound.local_sdp
        phone.listen_to(call)
        await inbound.play_tone(440)
        await hears(phone.rtp, 440)
        await inbound.hang_up()
        await call.wait_ended()
        await here.becomes_empty()


async def test_a_lost_connection_is_made_again_and_registered_by(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada") as here, entrance(here) as url, Peer() as program:
        account = Account("ada", "adaada", "127.0.0.1", proxy=url)
        await program.register(account)
        (before,) = here.book.registrar.bindings("ada", time.time())
        for connection in here.endpoint.pool:
            connection.end(ConnectionEnd.IDLE)

        def is_back() -> bool:
            held = here.book.registrar.bindings("ada", time.time())
            return len(held) == 1 and held[0].flow != before.flow

        await until(is_back)
        with pytest.raises(PeerError) as unknown:
            await program.message("sip:nobody@127.0.0.1", "hello", account=account)
        assert unknown.value.status == 404


async def test_what_speaks_no_sip_is_not_connected_to() -> None:
    async with Peer() as program:
        nobody = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = nobody.sockets[0].getsockname()[1]
        nobody.close()
        with pytest.raises(SipError) as error:
            await program.register(Account("ada", "x", "127.0.0.1", proxy=f"ws://127.0.0.1:{port}/sip"))
        assert error.value.code is SipCode.UNREACHABLE
