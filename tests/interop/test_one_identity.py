"""Ten thousand joins of one identity over real sockets: each older one is told, and the others in the room go on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest
import socketio
from conftest import PATIENCE_S, Server, start_server, stop_server, token
from livekit import rtc as sdk
from livekit.protocol import models, rtc
from websockets.asyncio.client import ClientConnection, connect

pytestmark = pytest.mark.timeout(900)
FRAME_S = 1 / 15
"""A picture keeps its time: that is what a camera does."""
RAISED = {
    "ROOMTONE_LIMITS__JOINS_PER_SECOND": "100000",
    "ROOMTONE_LIMITS__SESSIONS_PER_ADDRESS": "100000",
    "ROOMTONE_HTTP__LIMITS__MAX_CONNECTIONS_PER_ADDRESS": "100000",
}


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("roomy"), **RAISED)
    yield running
    stop_server(running)


async def join_by_livekit(server: Server, room: str) -> ClientConnection:
    """Join, and wait until it says so."""
    url = f"{server.http.replace('http', 'ws', 1)}/rtc?access_token={token(room, 'twin')}&protocol=15&auto_subscribe=0"
    socket = await connect(url)
    answer = rtc.SignalResponse.FromString(await socket.recv(decode=False))
    assert answer.WhichOneof("message") == "join"
    return socket


async def farewell(socket: ClientConnection) -> models.DisconnectReason.ValueType:
    """Why it was told to go."""
    async with asyncio.timeout(PATIENCE_S):
        async for data in socket:
            assert isinstance(data, bytes)
            answer = rtc.SignalResponse.FromString(data)
            if answer.WhichOneof("message") == "leave":
                await socket.close()
                return answer.leave.reason
    pytest.fail("it was closed without a word")


async def go_on(server: Server, room: str, publisher: sdk.Room, viewer: sdk.Room) -> tuple[asyncio.Task[None], Counter]:
    """Two others who publish and see; how many pictures were seen."""
    seen: Counter[str] = Counter()
    base = server.http.replace("http", "ws", 1)
    came: asyncio.Queue[sdk.Track] = asyncio.Queue()
    viewer.on("track_subscribed", lambda track, *_: came.put_nowait(track))
    await viewer.connect(base, token(room, "viewer"))
    await publisher.connect(base, token(room, "publisher"))
    source = sdk.VideoSource(320, 180)
    options = sdk.TrackPublishOptions(source=sdk.TrackSource.SOURCE_CAMERA, simulcast=False)
    await publisher.local_participant.publish_track(sdk.LocalVideoTrack.create_video_track("picture", source), options)
    picture = sdk.VideoFrame(320, 180, sdk.VideoBufferType.RGBA, bytes([0, 128, 0, 255]) * 320 * 180)

    async def play() -> None:
        while True:
            source.capture_frame(picture)
            await asyncio.sleep(FRAME_S)

    async def watch() -> None:
        async for _ in sdk.VideoStream(await came.get()):
            seen["pictures"] += 1

    async def both() -> None:
        await asyncio.gather(play(), watch())

    return asyncio.ensure_future(both()), seen


@pytest.mark.parametrize("joins", [200, pytest.param(10_000, marks=pytest.mark.long)])
async def test_by_livekit_each_older_one_is_told_and_the_others_go_on(roomy: Server, joins: int) -> None:
    room = f"twins-{joins}"
    publisher, viewer = sdk.Room(), sdk.Room()
    media, seen = await go_on(roomy, room, publisher, viewer)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not seen["pictures"]:  # noqa: ASYNC110 - frames tell nobody
                await asyncio.sleep(0.05)
        told: Counter[int] = Counter()
        current = await join_by_livekit(roomy, room)
        for _ in range(joins - 1):
            older, current = current, await join_by_livekit(roomy, room)
            told[await farewell(older)] += 1
        assert told == {models.DUPLICATE_IDENTITY: joins - 1}
        assert sorted(roomy.identities(room)) == ["publisher", "twin", "viewer"]
        before = seen["pictures"]
        async with asyncio.timeout(PATIENCE_S):
            while seen["pictures"] < before + 15:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.05)
        await current.close()
    finally:
        media.cancel()
        await asyncio.gather(media, return_exceptions=True)
        await viewer.disconnect()
        await publisher.disconnect()
    assert roomy.metrics()["roomtone_ended_total"] >= joins - 1


@pytest.mark.parametrize("joins", [50, pytest.param(1_000, marks=pytest.mark.long)])
async def test_by_socket_io_each_older_one_is_told_and_the_newest_stays(roomy: Server, joins: int) -> None:
    room = f"socket-twins-{joins}"
    told: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    clients: list[socketio.AsyncClient] = []
    for number in range(joins):
        client = socketio.AsyncClient(reconnection=False)
        client.on("left-room", told.put)
        await client.connect(roomy.http, auth={"token": token(room, "twin")}, transports=["websocket"])
        answer = await client.call("join-room", {"roomId": room}, timeout=PATIENCE_S)
        assert answer["success"], answer
        clients.append(client)
        if number:
            async with asyncio.timeout(PATIENCE_S):
                left = await told.get()
            assert (left["peerId"], left["reason"]) == ("twin", "duplicate_identity")
            await clients.pop(0).disconnect()
    assert told.empty()
    assert roomy.identities(room) == ["twin"]
    await clients.pop().disconnect()
