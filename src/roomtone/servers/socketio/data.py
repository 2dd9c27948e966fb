"""Data producers and consumers: messages of one peer's data channel, passed on to those of others.

They go to participants of other protocols too, with the label as their topic; what those send comes by `ForeignData`.

Limits: ``MAX_DATA_STREAMS`` of each sort a peer; a consumer whose channel is full loses the message, and a counter says
so. Streams are agreed by signalling, so that a channel is there before its first message.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from roomtone.control.rooms import DataKind, DataPacket, RoomError
from roomtone.media import EngineCommandError
from roomtone.protocols.mediasoup import Direction, StreamParameters, write_stream
from roomtone.servers.socketio.describe import describe_data_producer
from roomtone.servers.socketio.peers import (
    Backlog,
    DataConsumer,
    DataProducer,
    DataSource,
    SfuPeer,
    SfuTransport,
    new_id,
)
from roomtone.servers.socketio.problems import SfuError, no_such, wrong_state

if TYPE_CHECKING:
    from roomtone.control.rooms import Connection
    from roomtone.media import DataChannel
    from roomtone.media.values import ChannelId
    from roomtone.protocols.mediasoup.requests import ConsumeData, OnConsumer, OnProducer, ProduceData
    from roomtone.servers.socketio.sfu import Sfu

MAX_DATA_STREAMS = 64


class PeerChannels:
    """Hears of the data channels of one peer."""

    def __init__(self, sfu: Sfu, peer: SfuPeer) -> None:
        self._sfu = sfu
        self._peer = peer

    def channel_opened(self, connection: Connection, channel: DataChannel) -> None:
        """Nothing to do: streams are agreed by signalling, and one that a peer opens by itself has no producer."""
        del connection, channel

    def channel_message(self, channel: ChannelId, data: bytes, *, text: bool) -> None:
        """Pass a message on to who consumes it."""
        producer, counters = self._peer.receiving.get(channel), self._sfu.context.counters
        if producer is None:
            counters.messages_unknown += 1
            return
        if not self._peer.participant.permissions.can_publish_data:
            counters.messages_refused += 1
            return
        counters.messages += 1
        message = data.decode(errors="replace") if text else data
        for consumer in tuple(producer.consumers.values()):
            pass_on(self._sfu, consumer, message)
        self._pass_to_others(producer, data)

    def _pass_to_others(self, producer: DataProducer, data: bytes) -> None:
        stream = producer.stream
        may_be_lost = stream.max_retransmits is not None or stream.max_lifetime_ms is not None
        packet = DataPacket(
            kind=DataKind.LOSSY if may_be_lost else DataKind.RELIABLE,
            topic=producer.label,
            sender=self._peer.id,
            destinations=producer.destinations,
            message=data,
        )
        try:
            self._sfu.rooms.send_data(self._peer.participant.room, packet)
        except RoomError:
            self._sfu.context.counters.messages_refused += 1

    def channel_closed(self, channel: ChannelId) -> None:
        """End the producer or consumer of a channel."""
        producer = self._peer.receiving.get(channel)
        if producer is not None:
            forget_data_producer(self._sfu, producer)
        for consumer in [c for c in self._peer.data_consumers.values() if c.channel.id == channel]:
            forget_data_consumer(consumer)
            self._peer.send("data-consumer-closed", _consumer_closed(consumer))


class PeerSink:
    """Takes data packets of participants of other protocols for one peer."""

    def __init__(self, sfu: Sfu, peer: SfuPeer) -> None:
        self._sfu = sfu
        self._peer = peer

    def deliver(self, packet: DataPacket) -> bool:
        """Take a packet; see `control.rooms.DataSink`."""
        return self._sfu.foreign.deliver(self._peer, packet)


def pass_on(sfu: Sfu, consumer: DataConsumer, message: bytes | str) -> None:
    """Send a message to a consumer; one that is paused keeps it or does without, see `DataConsumer`."""
    if not consumer.paused:
        sfu.rooms.spawn(_send(sfu, consumer, message))
    elif consumer.backlog is not None:
        sfu.context.counters.messages_dropped += consumer.backlog.add(message)


async def _send(sfu: Sfu, consumer: DataConsumer, message: bytes | str) -> None:
    try:
        await consumer.channel.send(message)
    except EngineCommandError:
        sfu.context.counters.messages_dropped += 1


async def produce_data(sfu: Sfu, peer: SfuPeer, request: ProduceData) -> dict[str, Any]:
    """Take messages of a client's data channel."""
    transport = peer.transport(request.transport)
    if transport.direction is not Direction.SEND:
        raise wrong_state("wrong_direction", "data is produced on a transport of direction send")
    if not peer.participant.permissions.can_publish_data:
        raise SfuError(HTTPStatus.FORBIDDEN, "not_permitted", "it may not send data")
    if len(peer.data_producers) >= MAX_DATA_STREAMS:
        raise wrong_state("too_many_data_producers", f"a peer has at most {MAX_DATA_STREAMS} data producers")
    channel = await _open(sfu, transport, request.stream, request.label, request.protocol)
    producer = DataProducer(
        id=new_id("DP"),
        stream=request.stream,
        label=request.label,
        protocol=request.protocol,
        app_data=request.app_data,
        peer=peer,
        transport=transport,
        channel=channel,
        destinations=request.destinations,
    )
    peer.data_producers[producer.id] = producer
    peer.receiving[channel.id] = producer
    room = peer.participant.room.name
    for other in sfu.peers_in(room):
        if other is not peer and producer.is_for(other):
            other.send("newDataProducer", {"roomId": room, **describe_data_producer(producer)})
    return {"id": producer.id, "label": producer.label, "protocol": producer.protocol}


async def consume_data(sfu: Sfu, peer: SfuPeer, request: ConsumeData) -> dict[str, Any]:
    """Send a data producer's messages to a client, over a stream the client is told."""
    transport = peer.transport(request.transport)
    if transport.direction is not Direction.RECV:
        raise wrong_state("wrong_direction", "data is consumed on a transport of direction recv")
    if not peer.participant.permissions.can_subscribe:
        raise SfuError(HTTPStatus.FORBIDDEN, "not_permitted", "it may not subscribe")
    if len(peer.data_consumers) >= MAX_DATA_STREAMS:
        raise wrong_state("too_many_data_consumers", f"a peer has at most {MAX_DATA_STREAMS} data consumers")
    producer = _find_producer(sfu, peer, request.producer)
    number = next(number for number in range(MAX_DATA_STREAMS + 1) if number not in transport.streams)
    stream = StreamParameters(
        number, producer.stream.ordered, producer.stream.max_lifetime_ms, producer.stream.max_retransmits
    )
    channel = await _open(sfu, transport, stream, producer.label, producer.protocol)
    consumer = DataConsumer(new_id("DC"), peer, producer, transport, stream, channel, paused=request.paused)
    consumer.backlog = Backlog() if request.paused else None
    peer.data_consumers[consumer.id] = consumer
    producer.consumers[consumer.id] = consumer
    for message in sfu.foreign.take_held(peer, producer):
        pass_on(sfu, consumer, message)
    return {
        "id": consumer.id,
        "dataProducerId": producer.id,
        "sctpStreamParameters": write_stream(stream),
        "label": producer.label,
        "protocol": producer.protocol,
        "paused": consumer.paused,
    }


def _find_producer(sfu: Sfu, peer: SfuPeer, id_: str) -> DataSource:
    peers = sfu.peers_in(peer.participant.room.name)
    found = next((other.data_producers[id_] for other in peers if id_ in other.data_producers), None)
    if found is not None and (found.peer is peer or found.is_for(peer)):
        return found
    foreign = sfu.foreign.find(peer, id_)
    if foreign is None:
        raise no_such("data producer", id_)
    return foreign


def pause_data_consumer(sfu: Sfu, peer: SfuPeer, request: OnConsumer, *, paused: bool) -> dict[str, Any]:
    """Pass on no messages for a while, or from now on again."""
    consumer = peer.data_consumers[request.consumer]
    consumer.paused = paused
    if not paused and consumer.backlog is not None:
        waiting, consumer.backlog = consumer.backlog.take(), None
        for message in waiting:
            pass_on(sfu, consumer, message)
    return {"consumerId": consumer.id, "paused": paused}


async def close_data_producer(sfu: Sfu, peer: SfuPeer, request: OnProducer) -> dict[str, Any]:
    """Take no more messages."""
    producer = peer.data_producers[request.producer]
    forget_data_producer(sfu, producer)
    await producer.channel.close()
    return {"producerId": producer.id, "closed": True}


async def close_data_consumer(peer: SfuPeer, request: OnConsumer) -> dict[str, Any]:
    """Send no more messages."""
    consumer = peer.data_consumers[request.consumer]
    forget_data_consumer(consumer)
    await consumer.channel.close()
    return {"consumerId": consumer.id, "closed": True}


def forget_data_producer(sfu: Sfu, producer: DataProducer) -> None:
    """Take a data producer out of all tables; its consumers' clients are told."""
    peer = producer.peer
    if peer.data_producers.pop(producer.id, None) is None:
        return
    peer.receiving.pop(producer.channel.id, None)
    producer.transport.streams.discard(producer.stream.stream)
    end_consumers(sfu, producer)
    room = peer.participant.room.name
    for other in sfu.peers_in(room):
        if other is peer or producer.is_for(other):
            other.send("data-producer-closed", {"roomId": room, "dataProducerId": producer.id, "peerId": peer.id})


def end_consumers(sfu: Sfu, producer: DataSource) -> None:
    """End the consumers of a data producer; their clients are told."""
    for consumer in tuple(producer.consumers.values()):
        forget_data_consumer(consumer)
        consumer.peer.send("data-consumer-closed", _consumer_closed(consumer))
        sfu.rooms.spawn(_close(consumer.channel))


def apply_permissions(sfu: Sfu, peer: SfuPeer) -> None:
    """End what a peer no longer may: its data producers, its data consumers."""
    permissions = peer.participant.permissions
    if not permissions.can_publish_data:
        for producer in tuple(peer.data_producers.values()):
            forget_data_producer(sfu, producer)
            sfu.rooms.spawn(_close(producer.channel))
    if not permissions.can_subscribe:
        for consumer in tuple(peer.data_consumers.values()):
            forget_data_consumer(consumer)
            peer.send("data-consumer-closed", _consumer_closed(consumer))
            sfu.rooms.spawn(_close(consumer.channel))


def forget_data_consumer(consumer: DataConsumer) -> None:
    """Take a data consumer out of all tables."""
    consumer.peer.data_consumers.pop(consumer.id, None)
    consumer.producer.consumers.pop(consumer.id, None)
    consumer.transport.streams.discard(consumer.stream.stream)


async def _open(sfu: Sfu, transport: SfuTransport, stream: StreamParameters, label: str, protocol: str) -> DataChannel:
    if stream.stream in transport.streams:
        raise wrong_state("stream_in_use", f"stream {stream.stream} of the transport is in use")
    transport.streams.add(stream.stream)
    try:
        with sfu.rooms.commands(on_transport=True):
            return await transport.connection.transport.open_channel(
                label,
                protocol=protocol,
                ordered=stream.ordered,
                max_retransmits=stream.max_retransmits,
                max_lifetime_ms=stream.max_lifetime_ms,
                stream=stream.stream,
            )
    except BaseException:
        transport.streams.discard(stream.stream)
        raise


async def _close(channel: DataChannel) -> None:
    try:
        await channel.close()
    except EngineCommandError:
        return  # its transport went meanwhile


def _consumer_closed(consumer: DataConsumer) -> dict[str, Any]:
    room = consumer.peer.participant.room.name
    return {"roomId": room, "dataConsumerId": consumer.id, "dataProducerId": consumer.producer.id}
