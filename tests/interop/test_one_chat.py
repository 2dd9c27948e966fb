"""One chat of a room: LiveKit's Python SDK, a client of Socket.IO and HTTP say, hear and read the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import socketio
from conftest import PATIENCE_S, Server, token
from livekit import rtc
from livekit_peer import LiveKitPeer

pytestmark = pytest.mark.timeout(180)
ROOM = "one-chat"


@dataclass
class Heard:
    """What one that takes part has heard, in order."""

    messages: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)

    async def next(self) -> Any:
        return await asyncio.wait_for(self.messages.get(), PATIENCE_S)


def listen(peer: LiveKitPeer) -> Heard:
    """Keep who said what on LiveKit's topic of chat."""
    heard, reading = Heard(), set[asyncio.Task[None]]()

    async def read(reader: rtc.TextStreamReader, identity: str) -> None:
        text = await reader.read_all()
        heard.messages.put_nowait((identity, reader.info.stream_id, text))

    def on_stream(reader: rtc.TextStreamReader, identity: str) -> None:
        task = asyncio.ensure_future(read(reader, identity))
        reading.add(task)
        task.add_done_callback(reading.discard)

    peer.room.register_text_stream_handler("lk.chat", on_stream)
    return heard


@pytest.fixture
async def web(server: Server) -> AsyncIterator[tuple[socketio.AsyncClient, Heard]]:
    client, heard, joined = socketio.AsyncClient(), Heard(), asyncio.Event()
    for event in ("chat-message", "chat-edited", "chat-deleted"):
        client.on(event, lambda message, event=event: heard.messages.put_nowait((event, message)))
    client.on("joined-room", lambda _: joined.set())
    await client.connect(server.http, auth={"token": token(ROOM, "sio")}, transports=["websocket"])
    await client.emit("join-room", {"roomId": ROOM})
    await asyncio.wait_for(joined.wait(), PATIENCE_S)
    yield client, heard
    await client.disconnect()


async def test_livekit_socketio_and_http_are_one_chat(server: Server, web: tuple[socketio.AsyncClient, Heard]) -> None:
    sio, sio_heard = web
    url = f"{server.http}/api/v1/rooms/{ROOM}/chat"
    headers = {"Authorization": f"Bearer {token(ROOM, 'ada')}"}
    ada, bob = LiveKitPeer(), LiveKitPeer()
    ada_heard, bob_heard = listen(ada), listen(bob)
    async with httpx.AsyncClient(headers=headers, timeout=PATIENCE_S) as http, ada, bob:
        await ada.connect(server.http, token(ROOM, "ada"))
        await bob.connect(server.http, token(ROOM, "bob"), single=True)

        long = "grüß euch " * 300
        sent = await ada.room.local_participant.send_text(long, topic="lk.chat")
        event, message = await sio_heard.next()
        assert (event, message["peerId"], message["message"], message["id"]) == (
            "chat-message",
            "ada",
            long,
            sent.stream_id,
        )
        assert await bob_heard.next() == ("ada", sent.stream_id, long)

        answer = await sio.call("chat-message", {"roomId": ROOM, "message": "hello Ada"})
        for heard in (ada_heard, bob_heard):
            assert await heard.next() == ("sio", answer["id"], "hello Ada")
        assert (await sio_heard.next())[1]["message"] == "hello Ada"

        posted = (await http.post(url, json={"text": "by HTTP"})).json()
        for heard in (ada_heard, bob_heard):
            assert await heard.next() == ("ada", posted["id"], "by HTTP")
        assert (await sio_heard.next())[1]["message"] == "by HTTP"

        await http.patch(f"{url}/{sent.stream_id}", json={"text": "shorter"})
        for heard in (ada_heard, bob_heard):
            assert await heard.next() == ("ada", sent.stream_id, "shorter")
        assert (await sio_heard.next())[0] == "chat-edited"

        await http.delete(f"{url}/{posted['id']}")
        for heard in (ada_heard, bob_heard):
            assert await heard.next() == ("ada", posted["id"], "")
        assert (await sio_heard.next())[0] == "chat-deleted"

        kept = (await http.get(url)).json()
        assert [(one["sender"], one["text"], one["deleted_by"]) for one in kept] == [
            ("ada", "shorter", None),
            ("sio", "hello Ada", None),
            ("ada", "", "ada"),
        ]

        await bob.room.local_participant.send_text("for Ada alone", topic="lk.chat", destination_identities=["ada"])
        assert (await ada_heard.next())[2] == "for Ada alone"
        await bob.room.local_participant.send_text("x" * 4_001, topic="lk.chat")
        await bob.room.local_participant.send_text("for all", topic="lk.chat")
        assert (await ada_heard.next())[2] == "for all"
        assert (await sio_heard.next())[1]["message"] == "for all"
        assert len((await http.get(url)).json()) == len(kept) + 1
    assert all(heard.messages.empty() for heard in (ada_heard, bob_heard, sio_heard))
