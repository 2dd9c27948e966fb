"""What clients ask for, as values: one class an event, one reader a class.

The same payloads come by Socket.IO and by HTTP; there the room and what is acted on may stand in the path, and are put
into the payload before it is read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from roomtone.media.values import MediaKind
from roomtone.protocols.mediasoup.capabilities import ClientCapabilities, read_capabilities
from roomtone.protocols.mediasoup.errors import PayloadCode, PayloadError
from roomtone.protocols.mediasoup.payload import Payload
from roomtone.protocols.mediasoup.transports import StreamParameters, read_dtls, read_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.protocols.sdp import RemotePeer

MAX_ROOM = 64
MAX_PEER = 256
MAX_NAME = 256
MAX_ID = 64
MAX_APP_DATA = 4096
"""Bytes of an ``appData`` as JSON."""
MAX_LAYER = 7
MAX_LABEL = 256
MAX_DESTINATIONS = 256
MAX_CHAT = 16_384
MAX_TOKEN = 8192


class Event(StrEnum):
    """What clients send."""

    JOIN_ROOM = "join-room"
    LEAVE_ROOM = "leave-room"
    GET_PARTICIPANTS = "get-participants"
    GET_ROOM_INFO = "get-room-info"
    CREATE_TRANSPORT = "create-transport"
    CONNECT_TRANSPORT = "connect-transport"
    CLOSE_TRANSPORT = "close-transport"
    RESTART_ICE = "restart-ice"
    PRODUCE = "produce"
    CLOSE_PRODUCER = "close-producer"
    PAUSE_PRODUCER = "pause-producer"
    RESUME_PRODUCER = "resume-producer"
    CONSUME = "consume"
    CLOSE_CONSUMER = "close-consumer"
    PAUSE_CONSUMER = "pause-consumer"
    RESUME_CONSUMER = "resume-consumer"
    SET_PREFERRED_LAYERS = "set-preferred-layers"
    PRODUCE_DATA = "produce-data"
    CONSUME_DATA = "consume-data"
    CHAT_MESSAGE = "chat-message"
    ADMIT_KNOCK = "admit-knock"
    REFUSE_KNOCK = "refuse-knock"
    WEBRTC_OFFER = "webrtc-offer"
    WEBRTC_ANSWER = "webrtc-answer"
    ICE_CANDIDATE = "ice-candidate"


ANSWERS = {
    Event.JOIN_ROOM: "joined-room",
    Event.LEAVE_ROOM: "left-room",
    Event.GET_PARTICIPANTS: "participants-list",
    Event.GET_ROOM_INFO: "room-info",
    Event.CREATE_TRANSPORT: "transport-created",
    Event.CONNECT_TRANSPORT: "transport-connected",
    Event.CLOSE_TRANSPORT: "transport-closed",
    Event.RESTART_ICE: "ice-restarted",
    Event.PRODUCE: "producer-created",
    Event.CLOSE_PRODUCER: "producer-closed",
    Event.PAUSE_PRODUCER: "producer-paused",
    Event.RESUME_PRODUCER: "producer-resumed",
    Event.CONSUME: "consumer-created",
    Event.CLOSE_CONSUMER: "consumer-closed",
    Event.PAUSE_CONSUMER: "consumer-paused",
    Event.RESUME_CONSUMER: "consumer-resumed",
    Event.SET_PREFERRED_LAYERS: "preferred-layers-set",
    Event.PRODUCE_DATA: "data-producer-created",
    Event.CONSUME_DATA: "data-consumer-created",
    Event.CHAT_MESSAGE: "chat-message-sent",
    Event.ADMIT_KNOCK: "knock-answered",
    Event.REFUSE_KNOCK: "knock-answered",
    Event.WEBRTC_OFFER: "webrtc-offer-sent",
    Event.WEBRTC_ANSWER: "webrtc-answer-sent",
    Event.ICE_CANDIDATE: "ice-candidate-sent",
}
"""The event that answers each, for clients that take no acknowledgements."""


class Direction(StrEnum):
    """Which way a transport carries media, as its client sees it."""

    SEND = "send"
    RECV = "recv"


@dataclass(frozen=True, slots=True)
class InRoom:
    """Something about a room; ``get-participants``, ``get-room-info`` and ``leave-room`` say no more."""

    room: str


@dataclass(frozen=True, slots=True)
class Join(InRoom):
    """``join-room``; without a peer id the token's ``sub`` is it, without a token that of the connection counts."""

    peer: str | None = None
    name: str | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CreateTransport(InRoom):
    """``create-transport``."""

    direction: Direction


@dataclass(frozen=True, slots=True)
class OnTransport(InRoom):
    """``restart-ice`` and ``close-transport``."""

    transport: str


@dataclass(frozen=True, slots=True)
class ConnectTransport(OnTransport):
    """``connect-transport``."""

    remote: RemotePeer


@dataclass(frozen=True, slots=True)
class Produce(OnTransport):
    """``produce``; the parameters are read when it is known what is supported."""

    kind: MediaKind
    parameters: Payload
    app_data: dict[str, Any] = field(default_factory=dict)
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Consume(OnTransport):
    """``consume``; paused until resumed unless it says otherwise."""

    producer: str
    capabilities: ClientCapabilities
    paused: bool = True


@dataclass(frozen=True, slots=True)
class OnProducer(InRoom):
    """``close-producer``, ``pause-producer``, ``resume-producer``."""

    producer: str


@dataclass(frozen=True, slots=True)
class OnConsumer(InRoom):
    """``close-consumer``, ``pause-consumer``, ``resume-consumer``."""

    consumer: str


@dataclass(frozen=True, slots=True)
class PreferLayers(OnConsumer):
    """``set-preferred-layers``; None leaves it to the server."""

    spatial: int | None = None
    temporal: int | None = None


@dataclass(frozen=True, slots=True)
class ProduceData(OnTransport):
    """``produce-data``."""

    stream: StreamParameters
    label: str = ""
    protocol: str = ""
    app_data: dict[str, Any] = field(default_factory=dict)
    destinations: tuple[str, ...] = ()
    """Peers it is for; empty: everybody else."""


@dataclass(frozen=True, slots=True)
class ConsumeData(OnTransport):
    """``consume-data``."""

    producer: str
    paused: bool = False
    """Messages wait until it is resumed, so that none comes before its client listens."""


@dataclass(frozen=True, slots=True)
class Chat(InRoom):
    """``chat-message``."""

    text: str


@dataclass(frozen=True, slots=True)
class OnKnock(InRoom):
    """``admit-knock``, ``refuse-knock``."""

    knock: str


@dataclass(frozen=True, slots=True)
class Relay(InRoom):
    """``webrtc-offer``, ``webrtc-answer``, ``ice-candidate``: passed on to another peer as it is."""

    to: str
    content: dict[str, Any]


Request = InRoom


def read_app_data(payload: Payload) -> dict[str, Any]:
    """Read what an application says of a producer: an object, handed on as it is."""
    value = payload.raw("appData")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise payload.bad("appData", "is no object")
    return _bounded(payload, "appData", value, MAX_APP_DATA)


def _bounded(payload: Payload, name: str, value: dict[str, Any], limit: int) -> dict[str, Any]:
    try:
        size = len(json.dumps(value))
    except (TypeError, ValueError, RecursionError):
        raise payload.bad(name, "is no JSON") from None
    if size > limit:
        raise PayloadError(PayloadCode.TOO_LARGE, f"{payload.path(name)} is larger than {limit} bytes")
    return value


def _room(payload: Payload) -> str:
    return payload.text("roomId", MAX_ROOM)


def _join(payload: Payload) -> Join:
    return Join(
        _room(payload),
        payload.optional_text("peerId", MAX_PEER) or None,
        payload.optional_text("fullName", MAX_NAME),
        payload.optional_text("token", MAX_TOKEN) or None,
    )


def _on_transport(payload: Payload) -> tuple[str, str]:
    return _room(payload), payload.text("transportId", MAX_ID)


def _produce(payload: Payload) -> Produce:
    return Produce(
        *_on_transport(payload),
        kind=payload.choice("kind", MediaKind),
        parameters=payload.part("rtpParameters"),
        app_data=read_app_data(payload),
        paused=payload.flag("paused"),
    )


def _consume(payload: Payload) -> Consume:
    return Consume(
        *_on_transport(payload),
        producer=payload.text("producerId", MAX_ID),
        capabilities=read_capabilities(payload.part("rtpCapabilities")),
        paused=payload.flag("paused", default=True),
    )


def _on_producer(payload: Payload) -> OnProducer:
    return OnProducer(_room(payload), payload.text("producerId", MAX_ID))


def _on_consumer(payload: Payload) -> OnConsumer:
    return OnConsumer(_room(payload), payload.text("consumerId", MAX_ID))


def _prefer_layers(payload: Payload) -> PreferLayers:
    return PreferLayers(
        _room(payload),
        payload.text("consumerId", MAX_ID),
        payload.optional_integer("spatialLayer", 0, MAX_LAYER),
        payload.optional_integer("temporalLayer", 0, MAX_LAYER),
    )


def _produce_data(payload: Payload) -> ProduceData:
    return ProduceData(
        *_on_transport(payload),
        stream=read_stream(payload.part("sctpStreamParameters")),
        label=payload.optional_text("label", MAX_LABEL) or "",
        protocol=payload.optional_text("protocol", MAX_LABEL) or "",
        app_data=read_app_data(payload),
        destinations=payload.texts("destinationIdentities", MAX_DESTINATIONS, MAX_PEER),
    )


def _consume_data(payload: Payload) -> ConsumeData:
    return ConsumeData(
        *_on_transport(payload), producer=payload.text("dataProducerId", MAX_ID), paused=payload.flag("paused")
    )


def _chat(payload: Payload) -> Chat:
    named = next((name for name in ("message", "text", "content") if payload.raw(name) is not None), "message")
    return Chat(_room(payload), payload.text(named, MAX_CHAT))


def _on_knock(payload: Payload) -> OnKnock:
    return OnKnock(_room(payload), payload.text("knockId", MAX_ID))


def _relay(content: str) -> Callable[[Payload], Relay]:
    def read(payload: Payload) -> Relay:
        named = next((name for name in ("to", "targetPeerId", "peerId") if payload.raw(name) is not None), "to")
        payload.needed(content)
        value = {
            name: payload.raw(name)
            for name in ("offer", "answer", "sdp", "type", "candidate", "sdpMid", "sdpMLineIndex", "usernameFragment")
            if payload.raw(name) is not None
        }
        return Relay(_room(payload), payload.text(named, MAX_PEER), _bounded(payload, content, value, 65_536))

    return read


READERS: dict[Event, Callable[[Payload], Request]] = {
    Event.JOIN_ROOM: _join,
    Event.LEAVE_ROOM: lambda payload: InRoom(_room(payload)),
    Event.GET_PARTICIPANTS: lambda payload: InRoom(_room(payload)),
    Event.GET_ROOM_INFO: lambda payload: InRoom(_room(payload)),
    Event.CREATE_TRANSPORT: lambda payload: CreateTransport(_room(payload), payload.choice("direction", Direction)),
    Event.CONNECT_TRANSPORT: lambda payload: ConnectTransport(
        *_on_transport(payload), remote=read_dtls(payload.part("dtlsParameters"))
    ),
    Event.CLOSE_TRANSPORT: lambda payload: OnTransport(*_on_transport(payload)),
    Event.RESTART_ICE: lambda payload: OnTransport(*_on_transport(payload)),
    Event.PRODUCE: _produce,
    Event.CLOSE_PRODUCER: _on_producer,
    Event.PAUSE_PRODUCER: _on_producer,
    Event.RESUME_PRODUCER: _on_producer,
    Event.CONSUME: _consume,
    Event.CLOSE_CONSUMER: _on_consumer,
    Event.PAUSE_CONSUMER: _on_consumer,
    Event.RESUME_CONSUMER: _on_consumer,
    Event.SET_PREFERRED_LAYERS: _prefer_layers,
    Event.PRODUCE_DATA: _produce_data,
    Event.CONSUME_DATA: _consume_data,
    Event.CHAT_MESSAGE: _chat,
    Event.ADMIT_KNOCK: _on_knock,
    Event.REFUSE_KNOCK: _on_knock,
    Event.WEBRTC_OFFER: _relay("offer"),
    Event.WEBRTC_ANSWER: _relay("answer"),
    Event.ICE_CANDIDATE: _relay("candidate"),
}


def read_request(event: Event, payload: object) -> Request:
    """Read the payload of an event; raise `PayloadError`."""
    return READERS[event](Payload(payload))
