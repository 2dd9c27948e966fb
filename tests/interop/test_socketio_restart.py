"""A restart of the server during a meeting: clients of Socket.IO come back by themselves and make media anew."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import socketio
from conftest import PATIENCE_S, start_server, stop_server, token, until

pytestmark = pytest.mark.timeout(180)
ROOM = "restart"


async def test_a_client_is_back_in_its_room_after_the_server_has_restarted(tmp_path: Path) -> None:
    first = await asyncio.to_thread(start_server, tmp_path / "data")
    address = first.ready["http"][0]
    client = socketio.AsyncClient(reconnection_delay=0.2, reconnection_delay_max=1)
    joined: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @client.event
    async def connect() -> None:
        await client.emit("join-room", {"roomId": ROOM})

    client.on("joined-room", joined.put_nowait)
    try:
        await client.connect(first.http, auth={"token": token(ROOM, "back")}, transports=["websocket"])
        assert (await asyncio.wait_for(joined.get(), PATIENCE_S))["success"]
        assert first.identities(ROOM) == ["back"]
    finally:
        await asyncio.to_thread(stop_server, first)
    second = await asyncio.to_thread(start_server, tmp_path / "data", ROOMTONE_HTTP__LISTEN=address)
    try:
        assert (await asyncio.wait_for(joined.get(), PATIENCE_S))["success"]
        await asyncio.to_thread(until, lambda: second.identities(ROOM) == ["back"], "the peer in its room")
        transport = await client.call("create-transport", {"roomId": ROOM, "direction": "send"})
        assert transport["iceCandidates"]
    finally:
        await client.disconnect()
        await asyncio.to_thread(stop_server, second)
