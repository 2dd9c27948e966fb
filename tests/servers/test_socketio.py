"""Socket.IO on real sockets: clients connect, join and leave nothing behind; those that misbehave are dropped."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import engineio
import pytest
import socketio
import uvicorn
import websockets

from roomtone.config import Settings
from roomtone.config.models import ServerSettings
from roomtone.control.policy import JoinLimiter, KeyTable, VideoGrants
from roomtone.control.rooms import Rooms
from roomtone.media import Engine
from roomtone.media.fake import FakeLink
from roomtone.servers.socketio import Sfu, SfuContext, SocketServer, bounded

PATIENCE_S = 20


@dataclass
class Listening:
    """A server on a port of its own, the engine in memory."""

    port: int
    rooms: Rooms
    sfu: Sfu
    sockets: SocketServer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, identity: str) -> str:
        grants = VideoGrants(room="demo", room_join=True)
        return KeyTable({"devkey": "secret"}).sign("devkey", identity, grants, time.time(), 3600)

    async def until(self, look: Callable[[], Any]) -> Any:
        """Let the server work until there is something to see."""
        async with asyncio.timeout(PATIENCE_S):
            while not (seen := look()):  # noqa: ASYNC110 - what is looked for has no event
                await asyncio.sleep(0.01)
        return seen


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    engine = Engine(FakeLink())
    await engine.start()
    settings = Settings(server=ServerSettings(dev=True))
    rooms = Rooms(engine)
    rooms.start()
    sfu = Sfu(SfuContext(settings, rooms, KeyTable(settings.api_keys), JoinLimiter(100, 1000)))
    sockets = SocketServer(sfu)
    http = uvicorn.Server(uvicorn.Config(sockets.app, port=0, log_config=None, lifespan="off"))
    serving = asyncio.ensure_future(http.serve())
    while not http.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = http.servers[0].sockets[0].getsockname()[1]
    yield Listening(port, rooms, sfu, sockets)
    await sockets.close()
    await rooms.close()
    await sfu.close()
    http.should_exit = True
    await serving
    await engine.close()


@pytest.fixture
async def connect(listening: Listening) -> AsyncIterator[Callable[..., Awaitable[socketio.AsyncClient]]]:
    opened: list[socketio.AsyncClient] = []

    async def open_(auth: Any, **more: Any) -> socketio.AsyncClient:
        client = socketio.AsyncClient(reconnection=False)
        opened.append(client)
        await client.connect(listening.url, auth=auth, **more)
        return client

    yield open_
    for client in opened:
        await client.disconnect()
        with suppress(AttributeError):
            await client.http.close()


@pytest.mark.parametrize("transports", [["websocket"], ["polling"]])
async def test_a_client_joins_hears_of_others_and_leaves_nothing(
    listening: Listening, connect: Callable[..., Awaitable[socketio.AsyncClient]], transports: list[str]
) -> None:
    alice = await connect({"token": listening.token("alice")}, transports=transports)
    told: list[dict[str, Any]] = []
    alice.on("participant-joined", told.append)
    answer = await alice.call("join-room", {"roomId": "demo"}, timeout=PATIENCE_S)
    assert answer["success"]
    bob = await connect({"token": listening.token("bob")}, transports=["websocket"])
    await bob.call("join-room", {"roomId": "demo"}, timeout=PATIENCE_S)
    await listening.until(lambda: told)
    assert told[0]["peerId"] == "bob"
    made = await alice.call("create-transport", {"roomId": "demo", "direction": "send"}, timeout=PATIENCE_S)
    assert made["iceCandidates"]
    await asyncio.wait_for(alice.disconnect(), PATIENCE_S)
    await listening.until(lambda: list(listening.rooms.by_name["demo"].participants) == ["bob"])
    assert len(listening.rooms.connections) == 0


async def test_without_a_good_token_nobody_connects(
    listening: Listening, connect: Callable[..., Awaitable[socketio.AsyncClient]]
) -> None:
    for auth in (None, {"token": "nonsense"}):
        with pytest.raises(socketio.exceptions.ConnectionError):
            await connect(auth, transports=["websocket"], wait_timeout=PATIENCE_S)
    assert len(listening.sockets) == 0


async def test_an_unknown_event_is_answered_and_counted(
    listening: Listening, connect: Callable[..., Awaitable[socketio.AsyncClient]]
) -> None:
    alice = await connect({"token": listening.token("alice")}, transports=["websocket"])
    answer = await alice.call("make-coffee", {}, timeout=PATIENCE_S)
    assert answer["error"]["code"] == "unknown_event"
    assert listening.sfu.context.counters.errors["unknown_event"] == 1


async def raw(listening: Listening, identity: str) -> websockets.ClientConnection:
    """A WebSocket that has opened Engine.IO and connected to the default namespace by hand."""
    url = f"ws://127.0.0.1:{listening.port}/socket.io/?EIO=4&transport=websocket"
    socket = await websockets.connect(url, max_queue=1)
    await socket.recv()
    await socket.send(f'40{{"token":"{listening.token(identity)}"}}')
    assert str(await socket.recv()).startswith("40")
    return socket


@pytest.mark.parametrize("packet", ["42", "4", "42{", "42[]", "4" + "[" * 5000, "4999"])
async def test_what_is_no_packet_ends_the_connection_and_is_counted(listening: Listening, packet: str) -> None:
    socket = await raw(listening, "alice")
    await socket.send(packet)
    await listening.until(lambda: len(listening.sockets) == 0)
    assert listening.sfu.context.counters.dropped["malformed_packet"] == 1
    await socket.close()


async def test_a_message_over_its_limit_ends_the_connection(listening: Listening) -> None:
    socket = await raw(listening, "alice")
    await socket.send("42" + '["join-room",{"roomId":"' + "x" * 70_000 + '"}]')
    await listening.until(lambda: len(listening.sockets) == 0)
    await socket.close()


async def test_a_client_that_takes_nothing_is_dropped(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MAX_WAITING", 8)
    socket = await raw(listening, "slow")
    await socket.send('42["join-room",{"roomId":"demo"}]')
    await listening.until(lambda: listening.sfu.peers_in("demo"))
    (peer,) = listening.sfu.peers_in("demo")
    large = {"text": random.Random(1).randbytes(50_000).hex()}  # noqa: S311 - what compression makes nothing of
    for _ in range(500):
        peer.send("flood", large)
        await asyncio.sleep(0)
        if peer.tell is None:
            break
    await listening.until(lambda: len(listening.sockets) == 0)
    assert listening.sfu.context.counters.dropped["slow_client"] >= 1
    assert "demo" not in listening.rooms.by_name or not listening.rooms.by_name["demo"].participants
    socket.transport.abort()
    await socket.wait_closed()


async def test_a_client_whose_packets_are_few_but_large_is_dropped_by_their_bytes(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MAX_WAITING_BYTES", 300_000)
    socket = await raw(listening, "slow")
    await socket.send('42["join-room",{"roomId":"demo"}]')
    await listening.until(lambda: listening.sfu.peers_in("demo"))
    (peer,) = listening.sfu.peers_in("demo")
    large = {"text": random.Random(1).randbytes(50_000).hex()}  # noqa: S311 - what compression makes nothing of
    for _ in range(500):
        peer.send("flood", large)
        await asyncio.sleep(0)
        if peer.tell is None:
            break
    await listening.until(lambda: len(listening.sockets) == 0)
    assert listening.sfu.context.counters.dropped["slow_client"] >= 1
    socket.transport.abort()
    await socket.wait_closed()


async def test_what_waits_is_weighed_as_it_comes_and_goes() -> None:
    queue = bounded.WeighedQueue()
    for data in ("text", b"bytes", None):
        queue.put_nowait(engineio.packet.Packet(engineio.packet.MESSAGE, data))
    queue.put_nowait(None)
    assert queue.weight == 9
    assert queue.get_nowait().data == "text"
    assert queue.weight == 5


async def test_a_flooder_is_refused_and_read_slowly_and_others_are_answered(
    listening: Listening, connect: Callable[..., Awaitable[socketio.AsyncClient]]
) -> None:
    limits = listening.sfu.context.settings.limits
    listening.sfu.context.settings = listening.sfu.context.settings.model_copy(
        update={"limits": limits.model_copy(update={"signals_per_second": 50, "signal_burst": 20})}
    )
    flooder = await raw(listening, "flooder")
    bob = await connect({"token": listening.token("bob")}, transports=["websocket"])
    await bob.call("join-room", {"roomId": "demo"})
    errors, events = listening.sfu.context.counters.errors, listening.sfu.context.counters.events
    flood = asyncio.ensure_future(_flood(flooder, 5_000))
    await listening.until(lambda: errors["too_many_requests"])
    for _ in range(10):
        assert "error" not in await bob.call("get-room-info", {"roomId": "demo"})
    assert events["get-participants"] < 5_000
    assert len(listening.sockets) == 2
    flood.cancel()
    await asyncio.gather(flood, return_exceptions=True)
    flooder.transport.abort()
    await flooder.wait_closed()


async def _flood(socket: Any, count: int) -> None:
    for number in range(count):
        await socket.send(f'42{number}["get-participants",{{"roomId":"demo"}}]')
