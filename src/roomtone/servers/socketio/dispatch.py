"""From an event to what does it: the same table for Socket.IO and HTTP."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from roomtone.protocols.mediasoup import Event
from roomtone.protocols.mediasoup import requests as ask
from roomtone.servers.socketio import data, media, transports
from roomtone.servers.socketio.describe import describe_message
from roomtone.servers.socketio.problems import SfuError, no_such

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomtone.protocols.mediasoup import Request
    from roomtone.servers.socketio.peers import SfuPeer
    from roomtone.servers.socketio.sfu import Sfu


async def act(sfu: Sfu, peer: SfuPeer, event: Event, request: Request) -> dict[str, Any]:
    """Do what a peer asks; raise what `problem_of` knows."""
    return await _ACTIONS[event](sfu, peer, request)


async def _close_any_producer(sfu: Sfu, peer: SfuPeer, request: ask.OnProducer) -> dict[str, Any]:
    if request.producer in peer.data_producers:
        return await data.close_data_producer(sfu, peer, request)
    return await media.close_producer(sfu, peer, request)


async def _close_any_consumer(sfu: Sfu, peer: SfuPeer, request: ask.OnConsumer) -> dict[str, Any]:
    if request.consumer in peer.data_consumers:
        return await data.close_data_consumer(peer, request)
    return await media.close_consumer(sfu, peer, request)


async def _pause_any_consumer(sfu: Sfu, peer: SfuPeer, request: ask.OnConsumer) -> dict[str, Any]:
    if request.consumer in peer.data_consumers:
        return data.pause_data_consumer(sfu, peer, request, paused=True)
    return await media.pause_consumer(sfu, peer, request)


async def _resume_any_consumer(sfu: Sfu, peer: SfuPeer, request: ask.OnConsumer) -> dict[str, Any]:
    if request.consumer in peer.data_consumers:
        return data.pause_data_consumer(sfu, peer, request, paused=False)
    return await media.resume_consumer(sfu, peer, request)


async def _leave(sfu: Sfu, peer: SfuPeer, request: ask.InRoom) -> dict[str, Any]:
    await sfu.leave(peer)
    return {"success": True, "roomId": request.room}


async def _participants(sfu: Sfu, peer: SfuPeer, request: ask.InRoom) -> dict[str, Any]:
    moderator = peer.participant.permissions.moderator
    participants = sfu.describe_peers(peer.participant.room, None, to_moderator=moderator)
    return {"roomId": request.room, "participants": participants}


async def _room_info(sfu: Sfu, peer: SfuPeer, request: ask.InRoom) -> dict[str, Any]:
    del request
    return sfu.room_info(peer)


async def _chat(sfu: Sfu, peer: SfuPeer, request: ask.Chat) -> dict[str, Any]:
    message = await sfu.rooms.post_message(peer.participant, request.text)
    return describe_message(message)


async def _answer_knock(sfu: Sfu, peer: SfuPeer, request: ask.OnKnock, *, admit: bool) -> dict[str, Any]:
    if not peer.participant.permissions.moderator:
        raise SfuError(HTTPStatus.FORBIDDEN, "not_permitted", "only moderators answer who asks to enter")
    answer = sfu.rooms.admit if admit else sfu.rooms.deny
    knock = answer(peer.participant.room, request.knock)
    return {"roomId": request.room, "knockId": knock.id, "admitted": admit}


async def _relay(sfu: Sfu, peer: SfuPeer, event: Event, request: ask.Relay) -> dict[str, Any]:
    to = sfu.find_peer(request.room, request.to)
    if to is None or to.tell is None:
        raise no_such("peer", request.to)
    to.send(event.value, {"roomId": request.room, "from": peer.id, "peerId": peer.id, **request.content})
    return {"success": True, "to": to.id}


def _relay_of(event: Event) -> Callable[[Sfu, SfuPeer, Any], Awaitable[dict[str, Any]]]:
    return lambda sfu, peer, request: _relay(sfu, peer, event, request)


_ACTIONS: dict[Event, Callable[[Sfu, SfuPeer, Any], Awaitable[dict[str, Any]]]] = {
    Event.LEAVE_ROOM: _leave,
    Event.GET_PARTICIPANTS: _participants,
    Event.GET_ROOM_INFO: _room_info,
    Event.CREATE_TRANSPORT: transports.create_transport,
    Event.CONNECT_TRANSPORT: transports.connect_transport,
    Event.CLOSE_TRANSPORT: transports.close_transport,
    Event.RESTART_ICE: transports.restart_ice,
    Event.PRODUCE: media.produce,
    Event.CLOSE_PRODUCER: _close_any_producer,
    Event.PAUSE_PRODUCER: media.pause_producer,
    Event.RESUME_PRODUCER: media.resume_producer,
    Event.CONSUME: media.consume,
    Event.CLOSE_CONSUMER: _close_any_consumer,
    Event.PAUSE_CONSUMER: _pause_any_consumer,
    Event.RESUME_CONSUMER: _resume_any_consumer,
    Event.SET_PREFERRED_LAYERS: media.prefer_layers,
    Event.PRODUCE_DATA: data.produce_data,
    Event.CONSUME_DATA: data.consume_data,
    Event.CHAT_MESSAGE: _chat,
    Event.ADMIT_KNOCK: lambda sfu, peer, request: _answer_knock(sfu, peer, request, admit=True),
    Event.REFUSE_KNOCK: lambda sfu, peer, request: _answer_knock(sfu, peer, request, admit=False),
    Event.WEBRTC_OFFER: _relay_of(Event.WEBRTC_OFFER),
    Event.WEBRTC_ANSWER: _relay_of(Event.WEBRTC_ANSWER),
    Event.ICE_CANDIDATE: _relay_of(Event.ICE_CANDIDATE),
}
