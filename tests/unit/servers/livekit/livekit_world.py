"""LiveKit's endpoints over the engine in memory, spoken to over ASGI by a client that has no media."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import pytest
from livekit.protocol import models, rtc
from starlette.applications import Starlette

from roomtone.config.models import LiveKitSettings
from roomtone.control.policy import JoinLimiter, KeyTable, VideoGrants
from roomtone.control.rooms import RoomLimits, Rooms
from roomtone.media import Engine
from roomtone.media.fake import FakeLink
from roomtone.media.values import Candidate, ChannelMessage, ChannelOpened, Fingerprint, MediaKind
from roomtone.protocols.sdp import (
    Direction,
    LocalPeer,
    OfferedData,
    OfferedMedia,
    Sending,
    write_offer,
)
from roomtone.protocols.sdp.repertoire import OPUS, VIDEO_CODECS, offered_extensions
from roomtone.servers.livekit import LiveKitContext, livekit_routes, twirp_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

NOW = 1_000_000.0
LOCAL = LocalPeer(
    "remote",
    "p" * 22,
    (Fingerprint(algorithm="sha-256", value=":".join(["CD"] * 32)),),
    (Candidate(foundation="1", component=1, protocol="udp", priority=1, ip="192.0.2.9", port=5000, kind="host"),),
    ice_lite=False,
)
Keys = KeyTable({"devkey": "secret"})


class Client:
    """One WebSocket; what the server says is in `messages`."""

    def __init__(self, world: LiveKitWorld, path: str, query: dict[str, str], headers: dict[str, str]) -> None:
        self.status: int | None = None
        self.body = b""
        self.accepted = False
        self.closed: tuple[int, str] | None = None
        self.messages: deque[rtc.SignalResponse] = deque()
        self.texts: list[str] = []
        self.stalled = asyncio.Event()
        self.stalled.set()
        self._world = world
        self._inbound: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._inbound.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": urlencode(query).encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.9", 50000),
            "server": ("test", 80),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
            "state": {},
        }
        self.task = asyncio.ensure_future(world.app(scope, self._inbound.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "websocket.accept":
                self.accepted = True
            case "websocket.http.response.start":
                self.status = message["status"]
            case "websocket.http.response.body":
                self.body += message["body"]
            case "websocket.close":
                self.closed = (message.get("code", 1000), message.get("reason", ""))
            case "websocket.send":
                await self.stalled.wait()
                if message.get("text") is not None:
                    self.texts.append(message["text"])
                else:
                    response = rtc.SignalResponse()
                    response.ParseFromString(message["bytes"])
                    self.messages.append(response)

    async def send(self, **request: Any) -> None:
        """Send one request and let it be handled."""
        await self.send_frame(rtc.SignalRequest(**request).SerializeToString())

    async def send_frame(self, frame: bytes | str) -> None:
        """Send a frame as it is."""
        key = "bytes" if isinstance(frame, bytes) else "text"
        self._inbound.put_nowait({"type": "websocket.receive", key: frame})
        await self._world.settle()

    async def drop(self) -> None:
        """Let the socket go away."""
        self._inbound.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await self._world.settle()

    def all(self, kind: str) -> list[Any]:
        """Take all messages of a kind."""
        found = [getattr(message, kind) for message in self.messages if message.WhichOneof("message") == kind]
        self.messages = deque(message for message in self.messages if message.WhichOneof("message") != kind)
        return found

    def last(self, kind: str) -> Any:
        """Take all messages of a kind and give the newest."""
        found = self.all(kind)
        assert found, f"no {kind} among {[message.WhichOneof('message') for message in self.messages]}"
        return found[-1]

    def kinds(self) -> list[str | None]:
        """What kinds of messages wait."""
        return [message.WhichOneof("message") for message in self.messages]

    # --- what a client with media does ---

    async def answer(self, offer: rtc.SessionDescription | None = None, **changes: str) -> None:
        """Answer the server's newest offer, taking everything."""
        offered = offer or self.last("offer")
        text = offered.sdp.replace("a=setup:actpass", "a=setup:active").replace("a=sendonly", "a=recvonly")
        text = text.replace("a=ice-lite\r\n", "").replace("a=ssrc", "a=x-ssrc")
        for old, new in changes.items():
            text = text.replace(old, new)
        await self.send(answer=rtc.SessionDescription(type="answer", sdp=text, id=offered.id))

    async def announce(self, cid: str = "cam", kind: str = "VIDEO", **more: Any) -> str:
        """Announce a track; gives its id."""
        source = "CAMERA" if kind == "VIDEO" else "MICROPHONE"
        request = {"cid": cid, "name": cid, "type": kind, "source": source} | more
        await self.send(add_track=rtc.AddTrackRequest(**request))
        return self.last("track_published").track.sid

    async def offer(self, *sections: OfferedMedia | OfferedData, id_: int = 1) -> None:
        """Offer what the client sends."""
        text = client_offer(*sections)
        await self.send(offer=rtc.SessionDescription(type="offer", sdp=text, id=id_))


def client_offer(*sections: OfferedMedia | OfferedData) -> str:
    """Write an offer as a client does."""
    return write_offer(sections, LOCAL, (1, 1)).serialize()


def camera(mid: str = "1", cid: str = "cam", direction: Direction = Direction.SENDONLY) -> OfferedMedia:
    """Describe a section that sends VP8."""
    sending = Sending(5001, 5002, "us", "-", cid)
    return OfferedMedia(
        mid, MediaKind.VIDEO, (VIDEO_CODECS[0],), direction, offered_extensions(MediaKind.VIDEO), sending
    )


def microphone(mid: str = "2", cid: str = "mic", direction: Direction = Direction.SENDONLY) -> OfferedMedia:
    """Describe a section that sends Opus."""
    sending = Sending(5003, None, "us", "-", cid)
    return OfferedMedia(mid, MediaKind.AUDIO, (OPUS,), direction, offered_extensions(MediaKind.AUDIO), sending)


def receiving(mid: str, kind: MediaKind) -> OfferedMedia:
    """Describe a section in which the client receives."""
    made = microphone(mid) if kind is MediaKind.AUDIO else camera(mid)
    return OfferedMedia(mid, kind, made.codecs, Direction.RECVONLY, made.extensions)


@dataclass
class LiveKitWorld:
    """A server in memory and clients of it."""

    link: FakeLink
    engine: Engine
    rooms: Rooms
    context: LiveKitContext
    app: Any
    clients: list[Client] = field(default_factory=list)

    def token(self, identity: str = "alice", room: str = "demo", age: float = 0, **grants: Any) -> str:
        """Sign a token."""
        given = VideoGrants(room=room, room_join=grants.pop("room_join", True), **grants)
        return Keys.sign("devkey", identity, given, NOW - age, 3600, name=identity.title())

    async def connect(
        self, identity: str = "alice", path: str = "/rtc", token: str | None = None, **query: str
    ) -> Client:
        """Connect a client and let its join be handled."""
        given = {"access_token": self.token(identity) if token is None else token, "protocol": "16"} | query
        client = Client(self, path, given, {})
        self.clients.append(client)
        await self.settle()
        return client

    async def connect_single(self, identity: str = "alice", **request: Any) -> Client:
        """Connect a client with one peer connection."""
        settings = rtc.ConnectionSettings(auto_subscribe=True)
        join = rtc.JoinRequest(**({"connection_settings": settings} | request))
        wrapped = rtc.WrappedJoinRequest(join_request=join.SerializeToString())
        text = base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
        return await self.connect(identity, "/rtc/v1", join_request=text)

    async def publisher(self, identity: str = "alice") -> tuple[Client, str]:
        """Connect a client that publishes a camera; gives its track's id."""
        client = await self.connect(identity, auto_subscribe="0")
        await client.answer()
        sid = await client.announce()
        await client.offer(camera(), OfferedData("0"))
        return client, sid

    async def settle(self) -> None:
        """Let everything that has begun come to its end."""
        for _ in range(300):
            await asyncio.sleep(0)

    async def until(self, look: Callable[[], Any]) -> Any:
        """Let the server work until there is something to see, also what it lets wait."""
        async with asyncio.timeout(20):
            while not (seen := look()):  # noqa: ASYNC110 - what is looked for has no event
                await asyncio.sleep(0.001)
        return seen

    async def data_from(self, client_identity: str, packet: models.DataPacket, label: str = "_reliable") -> None:
        """Let a client send a data packet on a channel that it opened."""
        session = next(s for s in self.context.sessions if s.participant.identity == client_identity)
        connection = session.publisher.connection
        assert connection is not None
        channel = self.link.objects and 900_000 + connection.transport.id * 2 + (label == "_lossy")
        if channel not in self.rooms.channels:
            self.link.emit(ChannelOpened(transport=connection.transport.id, channel=channel, label=label, protocol=""))
        self.link.emit(ChannelMessage(channel=channel, data=packet.SerializeToString(), text=False))
        await self.settle()

    def sent_data(self) -> list[models.DataPacket]:
        """All packets that were sent on data channels."""
        packets = []
        for held in self.link.objects.values():
            for data in getattr(held, "sent", ()):
                packet = models.DataPacket()
                packet.ParseFromString(data)
                packets.append(packet)
        return packets


@pytest.fixture
async def make_livekit() -> AsyncIterator[Callable[..., Awaitable[LiveKitWorld]]]:
    opened: list[LiveKitWorld] = []

    async def make(limits: RoomLimits | None = None, **settings: Any) -> LiveKitWorld:
        link = FakeLink()
        engine = Engine(link)
        await engine.start()
        rooms = Rooms(engine, limits, clock=lambda: NOW)
        rooms.start()
        context = LiveKitContext(
            settings=LiveKitSettings(**settings),
            rooms=rooms,
            keys=Keys,
            limiter=JoinLimiter(100, 100),
            wall_clock=lambda: NOW,
            clock=lambda: NOW,
        )
        world = LiveKitWorld(
            link, engine, rooms, context, Starlette(routes=[*livekit_routes(context), *twirp_routes(context)])
        )
        opened.append(world)
        return world

    yield make
    for world in opened:
        await world.rooms.close()
        await world.settle()
        for client in world.clients:
            client.stalled.set()
            client.task.cancel()
        await asyncio.gather(*(client.task for client in world.clients), return_exceptions=True)
        await world.engine.close()


@pytest.fixture
async def livekit(make_livekit: Callable[..., Awaitable[LiveKitWorld]]) -> LiveKitWorld:
    return await make_livekit()


def validate(world: LiveKitWorld, path: str, **query: str) -> Awaitable[httpx.Response]:
    """Ask why a connection is refused."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=world.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            return await http.get(path, params=query)

    return ask()
