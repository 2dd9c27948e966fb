"""The SFU's HTTP interface as a typed client: eleven calls, time-outs, and retries of those that change nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

import httpx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TIMEOUT_S = 10.0
ATTEMPTS = 3
BACKOFF_S = 0.2
MAX_BACKOFF_S = 5.0
Json = dict[str, Any]


class SfuRequestError(Exception):
    """The server refused a request, or none answered; ``code`` is the server's, or "unreachable".

    With ``peer_moved`` an operator has sent the peer to ``to_room``, where it may be added with ``to_token``.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int | None = None,
        *,
        to_room: str | None = None,
        to_token: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.to_room = to_room
        self.to_token = to_token

    @property
    def retryable(self) -> bool:
        """The same request may succeed later."""
        return self.status is None or self.status == HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class SfuHealth:
    """Whether media can be had, and how much there is."""

    status: str
    rooms: int
    peers: int


@dataclass(frozen=True, slots=True)
class SfuRoom:
    """A room; its capabilities and peers only where it was asked for alone."""

    id: str
    peers: int
    producers: int
    created_at: float
    rtp_capabilities: Json = field(default_factory=dict)
    peer_list: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class SfuJoined:
    """What a peer that was let in needs to know."""

    peer_id: str
    rtp_capabilities: Json
    peers: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class SfuTransportInfo:
    """What `mediasoup-client` makes a transport of."""

    id: str
    ice_parameters: Json
    ice_candidates: list[Json]
    ice_servers: list[Json]
    """As `RTCPeerConnection` takes them."""
    dtls_parameters: Json
    sctp_parameters: Json


@dataclass(frozen=True, slots=True)
class SfuProducerInfo:
    """A producer that was made."""

    id: str
    kind: str
    rtp_parameters: Json


@dataclass(frozen=True, slots=True)
class SfuConsumerInfo:
    """What `mediasoup-client` makes a consumer of."""

    id: str
    producer_id: str
    kind: str
    rtp_parameters: Json
    type: str
    producer_paused: bool


class SfuClient:
    """A client of the SFU at ``url``: the server's public URL with ``/sfu``, or its port of ``sfu_api.listen``.

    ``token`` is sent with each request; a function is asked for one each time, so that it may be renewed. Calls that
    only read are tried ``attempts`` times while nobody answers or the server is overloaded; the others once, since it
    is not known what they did.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        *,
        timeout_s: float = TIMEOUT_S,
        attempts: int = ATTEMPTS,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._token = token
        self._attempts = attempts
        self._sleep = sleep
        self._http = httpx.AsyncClient(base_url=url.rstrip("/"), timeout=timeout_s, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def health(self) -> SfuHealth:
        """Ask whether media can be had; a server whose engine is down raises `SfuRequestError`."""
        given = await self._read("/health")
        return SfuHealth(given["status"], given["rooms"], given["peers"])

    async def rooms(self) -> list[SfuRoom]:
        """List all rooms."""
        return [_room(one) for one in (await self._read("/rooms"))["rooms"]]

    async def room(self, room: str) -> SfuRoom:
        """Read a room with its capabilities and peers."""
        return _room(await self._read(f"/rooms/{_part(room)}"))

    async def add_peer(self, room: str, peer_id: str, *, full_name: str | None = None) -> SfuJoined:
        """Let a peer into a room, made if it is not there."""
        given = await self._change(f"/rooms/{_part(room)}/peers", {"peerId": peer_id, "fullName": full_name})
        return SfuJoined(given["peerId"], given["rtpCapabilities"], tuple(given["peers"]))

    async def leave(self, room: str, peer_id: str) -> None:
        """End a peer with all it has."""
        await self._change(f"/rooms/{_part(room)}/peers/{_part(peer_id)}/leave", {})

    async def create_transport(self, room: str, peer_id: str, direction: Literal["send", "recv"]) -> SfuTransportInfo:
        """Make a transport for one direction."""
        given = await self._change(f"/rooms/{_part(room)}/transports", {"peerId": peer_id, "direction": direction})
        return SfuTransportInfo(
            given["id"],
            given["iceParameters"],
            given["iceCandidates"],
            given["iceServers"],
            given["dtlsParameters"],
            given["sctpParameters"],
        )

    async def connect_transport(self, room: str, peer_id: str, transport_id: str, dtls_parameters: Json) -> None:
        """Hand in the client's DTLS parameters."""
        path = f"/rooms/{_part(room)}/transports/{_part(transport_id)}/connect"
        await self._change(path, {"peerId": peer_id, "dtlsParameters": dtls_parameters})

    async def produce(
        self,
        room: str,
        peer_id: str,
        transport_id: str,
        kind: Literal["audio", "video"],
        rtp_parameters: Json,
        *,
        app_data: Json | None = None,
        paused: bool = False,
    ) -> SfuProducerInfo:
        """Publish what a client sends."""
        body = {
            "peerId": peer_id,
            "transportId": transport_id,
            "kind": kind,
            "rtpParameters": rtp_parameters,
            "appData": app_data or {},
            "paused": paused,
        }
        given = await self._change(f"/rooms/{_part(room)}/producers", body)
        return SfuProducerInfo(given["id"], given["kind"], given["rtpParameters"])

    async def close_producer(self, room: str, peer_id: str, producer_id: str) -> None:
        """Withdraw a producer."""
        await self._change(f"/rooms/{_part(room)}/producers/{_part(producer_id)}/close", {"peerId": peer_id})

    async def consume(
        self,
        room: str,
        peer_id: str,
        transport_id: str,
        producer_id: str,
        rtp_capabilities: Json,
        *,
        paused: bool = True,
    ) -> SfuConsumerInfo:
        """Send a track to a client, paused until resumed unless told otherwise."""
        body = {
            "peerId": peer_id,
            "transportId": transport_id,
            "producerId": producer_id,
            "rtpCapabilities": rtp_capabilities,
            "paused": paused,
        }
        given = await self._change(f"/rooms/{_part(room)}/consumers", body)
        return SfuConsumerInfo(
            given["id"],
            given["producerId"],
            given["kind"],
            given["rtpParameters"],
            given["type"],
            given["producerPaused"],
        )

    async def close_consumer(self, room: str, peer_id: str, consumer_id: str) -> None:
        """Stop sending a track."""
        await self._change(f"/rooms/{_part(room)}/consumers/{_part(consumer_id)}/close", {"peerId": peer_id})

    async def _read(self, path: str) -> Json:
        for attempt in range(1, self._attempts + 1):
            try:
                return await self._send("GET", path, None)
            except SfuRequestError as error:
                if attempt == self._attempts or not error.retryable:
                    raise
                await self._sleep(min(BACKOFF_S * 2**attempt, MAX_BACKOFF_S))
        raise SfuRequestError("unreachable", "no attempt was made")

    async def _change(self, path: str, body: Json) -> Json:
        return await self._send("POST", path, {name: value for name, value in body.items() if value is not None})

    async def _send(self, method: str, path: str, body: Json | None) -> Json:
        token = self._token if isinstance(self._token, str) else self._token()
        try:
            answer = await self._http.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
        except httpx.HTTPError as error:
            raise SfuRequestError("unreachable", f"{type(error).__name__}: {error}") from error
        try:
            content = answer.json()
        except ValueError:
            content = None
        if answer.is_success and isinstance(content, dict):
            return content
        given = content.get("error") if isinstance(content, dict) else None
        if isinstance(given, dict):
            raise SfuRequestError(
                str(given.get("code")),
                str(given.get("message")),
                answer.status_code,
                to_room=given.get("toRoomId"),
                to_token=given.get("token"),
            )
        raise SfuRequestError("bad_answer", f"{method} {path}: {answer.text[:200]}", answer.status_code)


def _part(text: str) -> str:
    return quote(text, safe="")


def _room(given: Json) -> SfuRoom:
    peers = given["peers"]
    listed = tuple(peers) if isinstance(peers, list) else ()
    return SfuRoom(
        id=given["roomId"],
        peers=len(listed) if isinstance(peers, list) else peers,
        producers=given["producers"],
        created_at=given["createdAt"],
        rtp_capabilities=given.get("rtpCapabilities", {}),
        peer_list=listed,
    )
