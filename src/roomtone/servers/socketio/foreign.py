"""Data that participants of other protocols send, as data producers for the peers of this interface.

A producer stands for one sender, kind and topic; its label is the topic. A peer is told of it with the first message
that is for that peer, and what comes until it consumes is kept for it.

Limits: ``MAX_TOPICS`` producers a sender, beyond which the one that was silent longest ends; a `Backlog` for a peer and
producer, for ``HOLD_S``; what makes way in it is counted.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.control.rooms import DataKind
from roomtone.protocols.mediasoup import StreamParameters
from roomtone.protocols.mediasoup.requests import MAX_LABEL
from roomtone.servers.socketio.data import end_consumers, pass_on
from roomtone.servers.socketio.describe import describe_data_producer
from roomtone.servers.socketio.peers import Backlog, DataSource, new_id

if TYPE_CHECKING:
    from roomtone.control.rooms import DataPacket, Participant, ParticipantId, Room, RoomId
    from roomtone.servers.socketio.peers import SfuPeer
    from roomtone.servers.socketio.sfu import Sfu

MAX_TOPICS = 32
HOLD_S = 10.0
LOSSY = StreamParameters(0, ordered=False, max_retransmits=0)
RELIABLE = StreamParameters(0)


@dataclass(eq=False, slots=True)
class Offer:
    """A producer as one peer knows it, and what is kept until it consumes."""

    peer: SfuPeer
    backlog: Backlog = field(default_factory=Backlog)
    timer: asyncio.TimerHandle | None = None
    """Runs while messages are kept."""

    def take(self) -> list[bytes | str]:
        """Give what was kept; nothing is kept from now on."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        return self.backlog.take()


@dataclass(eq=False, slots=True)
class ForeignProducer(DataSource):
    """What one participant of another protocol sends on one topic."""

    identity: str | None = None
    offers: dict[ParticipantId, Offer] = field(default_factory=dict)

    @property
    def owner(self) -> str | None:
        """Who sends; None: the server, or somebody hidden."""
        return self.identity


Topics = OrderedDict[tuple[DataKind, str], ForeignProducer]


class ForeignData:
    """All such producers, by room and sender; they end with their sender, or when the room has no peers."""

    def __init__(self, sfu: Sfu) -> None:
        self._sfu = sfu
        self._rooms: dict[RoomId, dict[ParticipantId | None, Topics]] = {}

    def find(self, peer: SfuPeer, id_: str) -> ForeignProducer | None:
        """Find a producer that a peer was told of."""
        senders = self._rooms.get(peer.participant.room.id, {})
        found = (p for topics in senders.values() for p in topics.values() if p.id == id_)
        return next((p for p in found if peer.participant.id in p.offers), None)

    def deliver(self, peer: SfuPeer, packet: DataPacket) -> bool:
        """Give a packet to a peer; false when it cannot have it."""
        room = peer.participant.room
        may = peer.participant.permissions.can_subscribe
        if packet.message is None or not may or len(packet.topic) > MAX_LABEL:
            return False
        sender = None if packet.sender is None else room.participants.get(packet.sender)
        if sender is not None and self._sfu.find_peer(room.name, sender.identity) is not None:
            return False  # it has a producer of its own
        producer = self._producer(room, sender, packet)
        offer = producer.offers.get(peer.participant.id)
        if offer is None:
            offer = self._offer(producer, peer)
        if offer.timer is not None:
            self._sfu.context.counters.messages_dropped += offer.backlog.add(packet.message)
        for consumer in [consumer for consumer in producer.consumers.values() if consumer.peer is peer]:
            pass_on(self._sfu, consumer, packet.message)
        return True

    def take_held(self, peer: SfuPeer, producer: DataSource) -> list[bytes | str]:
        """Give what was kept for a peer that consumes from now on."""
        offer = producer.offers.get(peer.participant.id) if isinstance(producer, ForeignProducer) else None
        return [] if offer is None else offer.take()

    def forget_sender(self, sender: Participant) -> None:
        """End what a participant sends."""
        topics = self._rooms.get(sender.room.id, {}).pop(sender.id, None)
        for producer in tuple((topics or {}).values()):
            self._end(producer, sender.room)

    def forget_peer(self, peer: SfuPeer) -> None:
        """Keep nothing for a peer that is gone; with the last of a room, nothing of the room."""
        room = peer.participant.room
        senders = self._rooms.get(room.id, {})
        for producer in [p for topics in senders.values() for p in topics.values()]:
            offer = producer.offers.pop(peer.participant.id, None)
            if offer is not None:
                offer.take()
        if not self._sfu.peers_in(room.name):
            self._rooms.pop(room.id, None)

    def _producer(self, room: Room, sender: Participant | None, packet: DataPacket) -> ForeignProducer:
        senders = self._rooms.setdefault(room.id, {})
        whose = None if sender is None else sender.id
        if whose not in senders:
            senders[whose] = OrderedDict()
            if sender is not None:
                sender.when_closed(lambda _reason: self.forget_sender(sender))
        topics = senders[whose]
        key = (packet.kind, packet.topic)
        found = topics.get(key)
        if found is None:
            if len(topics) >= MAX_TOPICS:
                self._end(topics.popitem(last=False)[1], room)
            found = topics[key] = _made(sender, packet)
        topics.move_to_end(key)
        return found

    def _offer(self, producer: ForeignProducer, peer: SfuPeer) -> Offer:
        offer = producer.offers[peer.participant.id] = Offer(peer)
        offer.timer = asyncio.get_running_loop().call_later(HOLD_S, offer.take)
        peer.send("newDataProducer", {"roomId": peer.participant.room.name, **describe_data_producer(producer)})
        return offer

    def _end(self, producer: ForeignProducer, room: Room) -> None:
        end_consumers(self._sfu, producer)
        offers, producer.offers = producer.offers, {}
        for offer in offers.values():
            offer.take()
            content = {"roomId": room.name, "dataProducerId": producer.id, "peerId": producer.owner}
            offer.peer.send("data-producer-closed", content)


def _made(sender: Participant | None, packet: DataPacket) -> ForeignProducer:
    shown = sender is not None and not sender.permissions.hidden
    return ForeignProducer(
        id=new_id("DP"),
        stream=RELIABLE if packet.kind is DataKind.RELIABLE else LOSSY,
        label=packet.topic,
        protocol="",
        app_data={"topic": packet.topic, "kind": packet.kind.value},
        identity=sender.identity if sender is not None and shown else None,
    )
