"""What joining and staying costs: steps of a mediasoup client, joins of LiveKit clients, crowds that only listen.

`python benches/signalling.py [--quick]` prints one JSON line. The server is a process of its own; times are wall time
as a client sees them (the client shares the machine), costs are the server's CPU time and resident memory.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import os
import statistics
import sys
import time
import warnings
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
from livekit.protocol import models, rtc
from measure import resident_bytes
from targets import BenchError, Target, release_tree, roomtone
from websockets.asyncio.client import ClientConnection, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOM_OF = 10
"""Participants of a room."""
PATIENCE_S = 60
CAPABILITIES = {
    "codecs": [
        {"kind": "audio", "mimeType": "audio/opus", "clockRate": 48_000, "channels": 2, "preferredPayloadType": 111}
    ],
    "headerExtensions": [],
}
MICROPHONE = {
    "codecs": [{"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48_000, "channels": 2}],
    "encodings": [{"ssrc": 1}],
    "rtcp": {"cname": "bench"},
}


def token(room: str, identity: str) -> str:
    """Sign a room token with the key of development servers."""
    claims = {
        "iss": "devkey", "sub": identity, "exp": int(time.time()) + 3600,
        "video": {"roomJoin": True, "room": room},
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the published secret is short
        return jwt.encode(claims, "secret", algorithm="HS256")


def cpu_s(pid: int) -> float:
    """CPU time of a process and the children it waited for, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(value) for value in fields[11:15]) / os.sysconf("SC_CLK_TCK")


@dataclass
class SocketIo:
    """A Socket.IO client, as small as can be: events are asked for and awaited one at a time."""

    socket: ClientConnection
    room: str
    identity: str
    steps: dict[str, list[float]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def ask(self, event: str, **payload: Any) -> dict[str, Any]:
        """Emit an event, await its acknowledgement, note how long that took."""
        number = next(self._numbers)
        began = time.perf_counter()
        await self.socket.send(f"42{number}{json.dumps([event, {'roomId': self.room, **payload}])}")
        prefix = f"43{number}["
        while not (text := await self.hear()).startswith(prefix):
            pass
        self.steps.setdefault(event, []).append(time.perf_counter() - began)
        answer: dict[str, Any] = json.loads(text[len(prefix) - 1 :])[0]
        if "error" in answer:
            raise BenchError(f"{event}: {answer['error']}")
        return answer

    async def hear(self) -> str:
        """Give the next packet; pings are answered meanwhile."""
        while True:
            # Not `wait_for`, which keeps a cancellation to itself when a message comes at the same moment.
            async with asyncio.timeout(PATIENCE_S):
                text = await self.socket.recv(decode=True)
            if text != "2":
                return str(text)
            await self.socket.send("3")


@asynccontextmanager
async def socket_io(target: Target, room: str, identity: str) -> AsyncIterator[SocketIo]:
    """Connect, not joined yet."""
    url = target.base.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    async with connect(url, max_size=None, max_queue=None, open_timeout=PATIENCE_S, ping_interval=None) as socket:
        client = SocketIo(socket, room, identity)
        await client.hear()
        await socket.send(f"40{json.dumps({'token': token(room, identity)})}")
        if not (text := await client.hear()).startswith("40{"):
            raise BenchError(f"Socket.IO refused: {text}")
        yield client


@asynccontextmanager
async def livekit(target: Target, room: str, identity: str) -> AsyncIterator[ClientConnection]:
    """Join by LiveKit's signalling, over one peer connection that is not offered yet."""
    request = rtc.JoinRequest(client_info=models.ClientInfo(protocol=16, sdk=models.ClientInfo.SDK.GO))
    wrapped = rtc.WrappedJoinRequest(join_request=request.SerializeToString()).SerializeToString()
    words = base64.urlsafe_b64encode(wrapped).decode()
    url = f"{target.base.replace('http', 'ws', 1)}/rtc/v1?access_token={token(room, identity)}&join_request={words}"
    async with connect(url, max_size=None, max_queue=None, open_timeout=PATIENCE_S, ping_interval=None) as socket:
        response = rtc.SignalResponse.FromString(await asyncio.wait_for(socket.recv(decode=False), PATIENCE_S))
        if response.WhichOneof("message") != "join":
            raise BenchError(f"LiveKit's first answer was {response.WhichOneof('message')}")
        yield socket


async def steps(target: Target, peers: int) -> dict[str, dict[str, float]]:
    """Each step of mediasoup clients that come one after the other into rooms of ten, all of them staying."""
    taken: dict[str, list[float]] = {}
    producer = ""
    async with AsyncExitStack() as stack:
        for number in range(peers):
            room = f"steps-{number // ROOM_OF}"
            client = await stack.enter_async_context(socket_io(target, room, f"peer-{number}"))
            await client.ask("join-room")
            send = await client.ask("create-transport", direction="send")
            receive = await client.ask("create-transport", direction="recv")
            if number % ROOM_OF == 0:
                producer = ""
            if producer:
                await client.ask(
                    "consume", transportId=receive["id"], producerId=producer, rtpCapabilities=CAPABILITIES
                )
            made = await client.ask("produce", transportId=send["id"], kind="audio", rtpParameters=MICROPHONE)
            producer = made["id"]
            for event, times in client.steps.items():
                taken.setdefault(event, []).extend(times)
    return {event: quantiles_ms(times) for event, times in taken.items()}


async def first_pictures(target: Target, joins: int) -> dict[str, float]:
    """From a LiveKit client's ``connect`` to its first decoded picture of somebody who was there."""
    from livekit import rtc as sdk  # noqa: PLC0415 - a whole libwebrtc, which crowds do not need

    http = target.base.replace("http", "ws", 1)
    publisher = sdk.Room()
    await publisher.connect(http, token("first", "publisher"))
    source = sdk.VideoSource(320, 180)
    options = sdk.TrackPublishOptions(source=sdk.TrackSource.SOURCE_CAMERA, simulcast=False)
    await publisher.local_participant.publish_track(sdk.LocalVideoTrack.create_video_track("picture", source), options)
    picture = sdk.VideoFrame(320, 180, sdk.VideoBufferType.RGBA, bytes([0, 128, 0, 255]) * 320 * 180)

    async def draw() -> None:
        while True:
            source.capture_frame(picture)
            await asyncio.sleep(1 / 30)

    drawing = asyncio.ensure_future(draw())
    await asyncio.sleep(2)
    times = []
    try:
        for number in range(joins):
            room = sdk.Room()
            came: asyncio.Queue[sdk.Track] = asyncio.Queue()
            room.on("track_subscribed", lambda track, *_, came=came: came.put_nowait(track))
            began = time.perf_counter()
            await room.connect(http, token("first", f"viewer-{number}"))
            stream = sdk.VideoStream(await asyncio.wait_for(came.get(), PATIENCE_S))
            await asyncio.wait_for(anext(stream), PATIENCE_S)
            times.append(time.perf_counter() - began)
            await stream.aclose()
            await room.disconnect()
    finally:
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)
        await publisher.disconnect()
    return quantiles_ms(times)


async def idle(target: Target, clients: int, seconds: int) -> dict[str, float]:
    """Clients that joined and only listen, half of each protocol: what each holds, and what all cost a second."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(joined(target, "idle-warm", "warm-0", by_livekit=True))
        await stack.enter_async_context(joined(target, "idle-warm", "warm-1", by_livekit=False))
        await asyncio.sleep(2)
        before = resident_bytes(target.pid)
        for number in range(clients):
            room = f"idle-{number // ROOM_OF}"
            await stack.enter_async_context(joined(target, room, f"idle-{number}", by_livekit=number % 2 == 0))
        await asyncio.sleep(5)
        held, began, spent = resident_bytes(target.pid) - before, time.perf_counter(), cpu_s(target.pid)
        await asyncio.sleep(seconds)
        spent, passed = cpu_s(target.pid) - spent, time.perf_counter() - began
        return {
            "clients": clients,
            "kb_per_connection": held / 1024 / clients,
            "cpu_ms_a_second": spent / passed * 1e3,
            "cpu_us_a_second_per_connection": spent / passed / clients * 1e6,
        }


@asynccontextmanager
async def joined(target: Target, room: str, identity: str, *, by_livekit: bool) -> AsyncIterator[None]:
    """Be in a room, and take what comes."""
    async with AsyncExitStack() as stack:
        if by_livekit:
            socket = await stack.enter_async_context(livekit(target, room, identity))
            reading = asyncio.ensure_future(read_on(socket))
        else:
            client = await stack.enter_async_context(socket_io(target, room, identity))
            await client.ask("join-room")
            reading = asyncio.ensure_future(hear_on(client))
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def read_on(socket: ClientConnection) -> None:
    """Take what comes, as long as it comes."""
    async for _ in socket:
        pass


async def hear_on(client: SocketIo) -> None:
    """Take what comes, and answer pings."""
    while True:
        with contextlib.suppress(TimeoutError):
            await client.hear()


async def storm(target: Target, joins: int, seconds: float) -> dict[str, Any]:
    """Joins at a steady rate into rooms of ten, half of each protocol, all of them staying until the last is in."""
    gate = asyncio.Event()
    times: list[float] = []
    errors: list[str] = []

    async def one(number: int, at: float) -> None:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        began = time.perf_counter()
        try:
            room = f"storm-{number // ROOM_OF}"
            async with joined(target, room, f"storm-{number}", by_livekit=number % 2 == 0):
                times.append(time.perf_counter() - began)
                await gate.wait()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted and named
            errors.append(f"{type(error).__name__}: {error}")

    start, spent = time.perf_counter(), cpu_s(target.pid)
    tasks = [asyncio.ensure_future(one(number, start + number * seconds / joins)) for number in range(joins)]
    while len(times) + len(errors) < joins:  # noqa: ASYNC110 - nothing tells of the last one
        await asyncio.sleep(0.05)
    lasted, spent = time.perf_counter() - start, cpu_s(target.pid) - spent
    gate.set()
    await asyncio.gather(*tasks)
    return {
        "joins": joins,
        "seconds": lasted,
        "errors": len(errors),
        "first_errors": errors[:3],
        "server_cpu_ms_per_join": spent / joins * 1e3,
        **quantiles_ms(times),
    }


def quantiles_ms(times: list[float]) -> dict[str, float]:
    """Median and 95th percentile in milliseconds."""
    if len(times) < 2:
        raise BenchError("too few came through to say how long it took")
    return {
        "count": len(times),
        "p50_ms": statistics.median(times) * 1e3,
        "p95_ms": statistics.quantiles(times, n=20)[18] * 1e3,
    }


async def measure(target: Target, *, quick: bool) -> dict[str, Any]:
    """All of it against one server."""
    found: dict[str, Any] = {"load": os.getloadavg()[0]}
    for name, step in (
        ("steps", lambda: steps(target, 40 if quick else 200)),
        ("storm", lambda: storm(target, 100 if quick else 500, 2 if quick else 10)),
        ("idle", lambda: idle(target, 200 if quick else 2_000, 5 if quick else 20)),
        ("join_to_first_picture", lambda: first_pictures(target, 5 if quick else 20)),
    ):
        found[name] = await step()
        sys.stderr.write(f"# {name}: {json.dumps(found[name])}\n")
    return found


def figures(tree: Path, *, quick: bool = False) -> dict[str, Any]:
    """Measure with a server of its own."""
    settings = {"ROOMTONE_ROOMS__EMPTY_TIMEOUT_S": "1"}
    with roomtone(tree, settings=settings) as target:
        return asyncio.run(measure(target, quick=quick))


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    parser.add_argument("--tree", type=Path, help="Python sources with an engine in them")
    words = parser.parse_args()
    try:
        print(json.dumps(figures(words.tree or release_tree(build=True), quick=words.quick), indent=1))
    except BenchError as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
