"""Producers and consumers of peers, which are publications and subscriptions of the room."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from roomtone.control.rooms import LayerWish, SubscriptionOffer, TrackOffer, TrackSource
from roomtone.media.values import MediaKind
from roomtone.protocols.mediasoup import (
    ConsumerType,
    Direction,
    Sending,
    choose_received_media,
    consumer_type,
    read_sent_media,
    write_received_media,
    write_sent_media,
)
from roomtone.servers.socketio.peers import SfuConsumer, SfuPeer, new_id
from roomtone.servers.socketio.problems import no_such, wrong_state
from roomtone.servers.socketio.transports import need_direction

if TYPE_CHECKING:
    from roomtone.control.rooms import CloseReason, Publication
    from roomtone.protocols.mediasoup.requests import Consume, OnConsumer, OnProducer, PreferLayers, Produce
    from roomtone.servers.socketio.sfu import Sfu

_SOURCES = {
    "camera": TrackSource.CAMERA,
    "webcam": TrackSource.CAMERA,
    "video": TrackSource.CAMERA,
    "microphone": TrackSource.MICROPHONE,
    "mic": TrackSource.MICROPHONE,
    "audio": TrackSource.MICROPHONE,
    "screen": TrackSource.SCREEN_SHARE,
    "screen_share": TrackSource.SCREEN_SHARE,
    "share": TrackSource.SCREEN_SHARE,
    "display": TrackSource.SCREEN_SHARE,
    "screen_share_audio": TrackSource.SCREEN_SHARE_AUDIO,
}
_BY_DEFAULT = {MediaKind.AUDIO: TrackSource.MICROPHONE, MediaKind.VIDEO: TrackSource.CAMERA}


async def produce(sfu: Sfu, peer: SfuPeer, request: Produce) -> dict[str, Any]:
    """Publish what a client sends over a transport."""
    transport = peer.transport(request.transport)
    need_direction(transport, Direction.SEND)
    media = read_sent_media(request.parameters, request.kind, sfu.context.support)
    id_ = sfu.rooms.new_track_id()
    offer = TrackOffer(
        kind=media.kind,
        codecs=media.codecs,
        mid=media.mid,
        encodings=media.encodings,
        extensions=media.extensions,
        source=source_of(request.kind, request.app_data),
        name=_text(request.app_data, "name"),
        muted=request.paused,
        id=id_,
        dtx=media.dtx,
        stereo=media.stereo,
    )
    peer.app_data[id_], peer.sent[id_] = request.app_data, media
    try:
        publication = await sfu.rooms.publish(peer.participant, transport.connection, offer)
    except BaseException:
        peer.app_data.pop(id_, None)
        peer.sent.pop(id_, None)
        raise
    return {"id": publication.id, "kind": media.kind.value, "rtpParameters": write_sent_media(media)}


def source_of(kind: MediaKind, app_data: dict[str, Any]) -> TrackSource:
    """Say what a track shows, by what its application says of it."""
    for name in ("source", "mediaTag", "mediaType", "type"):
        word = _text(app_data, name).lower().replace("-", "_")
        if word in _SOURCES:
            found = _SOURCES[word]
            shared = found in {TrackSource.SCREEN_SHARE, TrackSource.SCREEN_SHARE_AUDIO}
            if shared:
                return TrackSource.SCREEN_SHARE_AUDIO if kind is MediaKind.AUDIO else TrackSource.SCREEN_SHARE
            if found is _BY_DEFAULT[kind]:
                return found
    return _BY_DEFAULT[kind]


def _text(app_data: dict[str, Any], name: str) -> str:
    value = app_data.get(name)
    return value if isinstance(value, str) else ""


async def close_producer(sfu: Sfu, peer: SfuPeer, request: OnProducer) -> dict[str, Any]:
    """Withdraw a producer; data producers are closed by their own id."""
    await sfu.rooms.unpublish(peer.producer(request.producer))
    return {"producerId": request.producer, "closed": True}


async def pause_producer(sfu: Sfu, peer: SfuPeer, request: OnProducer) -> dict[str, Any]:
    """Stop forwarding a producer."""
    return await _mute(sfu, peer, request, muted=True)


async def resume_producer(sfu: Sfu, peer: SfuPeer, request: OnProducer) -> dict[str, Any]:
    """Go on forwarding a producer, unless the server has muted it."""
    return await _mute(sfu, peer, request, muted=False)


async def _mute(sfu: Sfu, peer: SfuPeer, request: OnProducer, *, muted: bool) -> dict[str, Any]:
    publication = peer.producer(request.producer)
    await sfu.rooms.mute(publication, muted=muted, by_server=False)
    return {"producerId": request.producer, "paused": publication.muted}


async def consume(sfu: Sfu, peer: SfuPeer, request: Consume) -> dict[str, Any]:
    """Send a track of the room to a client, however its publisher came."""
    transport = peer.transport(request.transport)
    need_direction(transport, Direction.RECV)
    room = peer.participant.room
    publication = room.publication(request.producer)
    if publication is None:
        raise no_such("producer", request.producer)
    received = choose_received_media(
        publication.offer.codecs, publication.offer.kind, request.capabilities, sfu.context.support
    )
    offer = SubscriptionOffer(
        kind=publication.offer.kind,
        codecs=received.codecs,
        mid=transport.take_mid(),
        extensions=received.extensions,
        paused=request.paused,
    )
    subscription = await sfu.rooms.subscribe(peer.participant, transport.connection, offer, publication)
    consumer = SfuConsumer(new_id("CO"), publication.id, transport, subscription)
    peer.consumers[consumer.id] = consumer
    subscription.on_close = lambda reason: _on_consumer_closed(peer, consumer, reason)
    scalability, encodings = _layers_of(sfu, publication)
    sent = subscription.consumer
    stream = _stream_of(publication)
    sending = Sending(offer.mid or "", sent.ssrc, sent.rtx_ssrc, stream, encodings, scalability)
    return {
        "id": consumer.id,
        "producerId": publication.id,
        "kind": offer.kind.value,
        "rtpParameters": write_received_media(received, sending),
        "type": _type_of(publication, scalability, encodings).value,
        "producerPaused": publication.muted,
        "paused": request.paused,
    }


def _layers_of(sfu: Sfu, publication: Publication) -> tuple[str | None, int]:
    participant = publication.participant
    peer = sfu.find_peer(participant.room.name, participant.identity)
    media = None if peer is None else peer.sent.get(publication.id)
    return (None if media is None else media.scalability), max(1, len(publication.offer.encodings))


def _stream_of(publication: Publication) -> str:
    """Name what is played in step: clients make a stream of the tracks of one name, and synchronise what is in it."""
    shared = publication.source in {TrackSource.SCREEN_SHARE, TrackSource.SCREEN_SHARE_AUDIO}
    return publication.offer.stream or f"{publication.participant.id}{'-screen' if shared else ''}"


def _type_of(publication: Publication, scalability: str | None, encodings: int) -> ConsumerType:
    if publication.offer.kind is MediaKind.AUDIO:
        return ConsumerType.SIMPLE
    return consumer_type(encodings, scalability, publication.offer.codecs[0].name)


def _on_consumer_closed(peer: SfuPeer, consumer: SfuConsumer, reason: CloseReason) -> None:
    if peer.consumers.pop(consumer.id, None) is not None:
        content = {"consumerId": consumer.id, "producerId": consumer.producer, "reason": reason.value}
        peer.send("consumer-closed", {"roomId": peer.participant.room.name, **content})


async def close_consumer(sfu: Sfu, peer: SfuPeer, request: OnConsumer) -> dict[str, Any]:
    """Stop sending a track to a client."""
    consumer = peer.consumer(request.consumer)
    del peer.consumers[consumer.id]
    await sfu.rooms.unsubscribe(consumer.subscription)
    return {"consumerId": consumer.id, "closed": True}


async def pause_consumer(sfu: Sfu, peer: SfuPeer, request: OnConsumer) -> dict[str, Any]:
    """Send nothing of a track until resumed."""
    return await _pause(sfu, peer, request, paused=True)


async def resume_consumer(sfu: Sfu, peer: SfuPeer, request: OnConsumer) -> dict[str, Any]:
    """Send a track; video starts at a keyframe."""
    return await _pause(sfu, peer, request, paused=False)


async def _pause(sfu: Sfu, peer: SfuPeer, request: OnConsumer, *, paused: bool) -> dict[str, Any]:
    subscription = peer.consumer(request.consumer).subscription
    await sfu.rooms.choose_layer(subscription, replace(subscription.layer, paused=paused))
    return {"consumerId": request.consumer, "paused": paused}


async def prefer_layers(sfu: Sfu, peer: SfuPeer, request: PreferLayers) -> dict[str, Any]:
    """Choose the most a client gets of a track; without layers the server chooses what the line carries."""
    consumer = peer.consumer(request.consumer)
    subscription, source = consumer.subscription, consumer.subscription.source
    if subscription.offer.kind is not MediaKind.VIDEO or source is None:
        raise wrong_state("no_layers", "only video has layers")
    wish = LayerWish(spatial=request.spatial, temporal=request.temporal, paused=subscription.layer.paused)
    await sfu.rooms.choose_layer(subscription, wish)
    return {
        "consumerId": consumer.id,
        "preferredLayers": {"spatialLayer": request.spatial, "temporalLayer": request.temporal},
    }
