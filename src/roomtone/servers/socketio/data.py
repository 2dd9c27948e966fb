"""Data producers and consumers: messages of one peer's data channel, passed on to those of others.

Limits: ``MAX_DATA_STREAMS`` of each sort a peer; a consumer whose channel is full loses the message, and a counter says
so. Streams are agreed by signalling, so that a channel is there before its first message.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from roomtone.media import EngineCommandError
from roomtone.protocols.mediasoup import Direction, StreamParameters, write_stream
from roomtone.servers.socketio.describe import describe_data_producer
from roomtone.servers.socketio.peers import DataConsumer, DataProducer, SfuPeer, SfuTransport, new_id
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
        producer = self._peer.receiving.get(channel)
        if producer is None:
            self._sfu.context.counters.messages_unknown += 1
            return
        self._sfu.context.counters.messages += 1
        message = data.decode(errors="replace") if text else data
        for consumer in tuple(producer.consumers.values()):
            self._sfu.rooms.spawn(_send(self._sfu, consumer, message))

    def channel_closed(self, channel: ChannelId) -> None:
        """End the producer or consumer of a channel."""
        producer = self._peer.receiving.get(channel)
        if producer is not None:
            forget_data_producer(self._sfu, producer)
        for consumer in [c for c in self._peer.data_consumers.values() if c.channel.id == channel]:
            forget_data_consumer(consumer)
            self._peer.send("data-consumer-closed", _consumer_closed(consumer))


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
        new_id("DP"), peer, transport, request.stream, channel, request.label, request.protocol, request.app_data
    )
    peer.data_producers[producer.id] = producer
    peer.receiving[channel.id] = producer
    room = peer.participant.room.name
    for other in sfu.peers_in(room):
        if other is not peer:
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
    peers = sfu.peers_in(peer.participant.room.name)
    producer = next((p.data_producers[request.producer] for p in peers if request.producer in p.data_producers), None)
    if producer is None:
        raise no_such("data producer", request.producer)
    number = next(number for number in range(MAX_DATA_STREAMS + 1) if number not in transport.streams)
    stream = StreamParameters(
        number, producer.stream.ordered, producer.stream.max_lifetime_ms, producer.stream.max_retransmits
    )
    channel = await _open(sfu, transport, stream, producer.label, producer.protocol)
    consumer = DataConsumer(new_id("DC"), peer, producer, transport, stream, channel)
    peer.data_consumers[consumer.id] = consumer
    producer.consumers[consumer.id] = consumer
    return {
        "id": consumer.id,
        "dataProducerId": producer.id,
        "sctpStreamParameters": write_stream(stream),
        "label": producer.label,
        "protocol": producer.protocol,
    }


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
    for consumer in tuple(producer.consumers.values()):
        forget_data_consumer(consumer)
        consumer.peer.send("data-consumer-closed", _consumer_closed(consumer))
        sfu.rooms.spawn(_close(consumer.channel))
    room = peer.participant.room.name
    for other in sfu.peers_in(room):
        other.send("data-producer-closed", {"roomId": room, "dataProducerId": producer.id, "peerId": peer.id})


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
