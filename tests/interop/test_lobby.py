"""A room with a lobby, as `livekit-client` in Chromium and a client of Socket.IO meet it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import socketio
from conftest import PATIENCE_S, Run, Server, sign, token, until
from livekit_page import LiveKitPage
from mediasoup_pages import OpenPage
from playwright.sync_api import Error

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def make_room(server: Server, room: str) -> None:
    """Make a room with a lobby."""
    headers = {"Authorization": f"Bearer {sign('test', {'roomCreate': True})}"}
    url = f"{server.http}/api/v1/rooms"
    answer = httpx.post(url, json={"name": room, "lobby": True}, headers=headers, timeout=PATIENCE_S)
    assert answer.is_success, answer.text


def waiting(server: Server, room: str) -> str:
    """Wait until somebody asks; gives the knock's id."""
    id_: str = until(lambda: server.room(room, "/lobby"), "somebody in the lobby")[0]["id"]
    return id_


async def knock(server: Server, room: str, identity: str) -> list[str]:
    """Ask by HTTP and wait; gives the events."""
    headers = {"Authorization": f"Bearer {token(room, identity)}"}
    url = f"{server.http}/api/v1/rooms/{room}/knock"
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        return (await http.post(url, headers=headers)).text.split("\n\n")


def test_livekit_client_is_told_to_knock_and_joins_once_admitted(
    server: Server, open_page: OpenPage, run: Run[Any]
) -> None:
    make_room(server, "lobby-livekit")
    page = open_page("/")
    with pytest.raises(Error, match="ask by POST /api/v1/rooms/lobby-livekit/knock") as caught:
        LiveKitPage(page, server, "lobby-livekit", "alice")
    assert "ConnectionError" in str(caught.value)

    async def ask_and_be_admitted() -> list[str]:
        asked = asyncio.ensure_future(knock(server, "lobby-livekit", "alice"))
        id_ = await asyncio.to_thread(waiting, server, "lobby-livekit")
        await asyncio.to_thread(server.room, "lobby-livekit", f"/lobby/{id_}/admit", "POST")
        return await asked

    events = run(ask_and_be_admitted())
    assert '"decision": "admitted"' in events[1]
    assert LiveKitPage(open_page("/"), server, "lobby-livekit", "alice").sid.startswith("PA_")
    assert server.identities("lobby-livekit") == ["alice"]


async def ask_by_socket(server: Server, room: str, identity: str, decide: str) -> list[tuple[str, dict[str, Any]]]:
    """Ask to enter by Socket.IO and be answered by HTTP; gives what was told."""
    client = socketio.AsyncClient()
    told: list[tuple[str, dict[str, Any]]] = []
    last = asyncio.Event()
    for event in ("knock-waiting", "knock-admitted", "knock-refused", "joined-room"):

        def hear(content: dict[str, Any], event: str = event) -> None:
            told.append((event, content))
            if event in {"joined-room", "knock-refused"}:
                last.set()

        client.on(event, hear)
    await client.connect(server.http, auth={"token": token(room, identity)}, transports=["websocket"])
    try:
        answer = await client.call("join-room", {"roomId": room})
        assert answer["waiting"] is True
        assert await asyncio.to_thread(waiting, server, room) == answer["knockId"]
        await asyncio.to_thread(server.room, room, f"/lobby/{answer['knockId']}/{decide}", "POST")
        await asyncio.wait_for(last.wait(), PATIENCE_S)
        if decide == "admit":
            listed = await client.call("get-participants", {"roomId": room})
            assert [one["peerId"] for one in listed["participants"]] == [identity]
        return told
    finally:
        await client.disconnect()


def test_a_client_of_socketio_waits_and_is_in_once_admitted(server: Server, run: Run[Any]) -> None:
    make_room(server, "lobby-sio")
    told = run(ask_by_socket(server, "lobby-sio", "bob", "admit"))
    assert [event for event, _ in told] == ["knock-waiting", "knock-admitted", "joined-room"]
    assert told[2][1]["mediasoup"]["rtpCapabilities"]["codecs"]
    told = run(ask_by_socket(server, "lobby-sio", "carol", "deny"))
    assert [(event, content.get("reason")) for event, content in told] == [
        ("knock-waiting", None),
        ("knock-refused", "denied"),
    ]
