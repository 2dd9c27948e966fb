"""Data packets from participant to participant: opaque here, delivered to whom they are for, whatever they came by.

Limits: ``MAX_RELIABLE_BYTES`` and ``MAX_LOSSY_BYTES``; more is refused. Queues are the receiving server's.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from roomtone.control.rooms.mixing import RoomMixes
from roomtone.control.rooms.reasons import Refusal

if TYPE_CHECKING:
    from collections import Counter

    from roomtone.control.rooms.model import Participant, Room

_log = logging.getLogger(__name__)
MAX_RELIABLE_BYTES = 65_536
MAX_LOSSY_BYTES = 65_536


class DataKind(StrEnum):
    """Whether a packet may be lost on its way."""

    RELIABLE = "reliable"
    LOSSY = "lossy"


@dataclass(frozen=True, slots=True)
class DataPacket:
    """A packet for participants of a room."""

    kind: DataKind
    payload: bytes = b""
    """LiveKit's `DataPacket`, its sender filled in; empty where it came otherwise, and `message` is all there is."""
    topic: str = ""
    sender: str | None = None
    """Identity of who sends; None: the server, or somebody outside."""
    destinations: tuple[str, ...] = ()
    """Identities it is for; empty: everybody else."""
    message: bytes | None = None
    """What the sender's program said, for whatever the receiver came by; None: only LiveKit's clients understand it."""

    @property
    def size(self) -> int:
        """Bytes of it."""
        return max(len(self.payload), len(self.message or b""))


class DataSink(Protocol):
    """Takes packets for a participant; set by the server that holds its peer."""

    def deliver(self, packet: DataPacket) -> bool:
        """Queue a packet; must not block. False: it has no use for it, see `DataOutcome.NOT_TAKEN`."""


class DataOutcome(StrEnum):
    """What became of a packet for one participant."""

    DELIVERED = "delivered"
    NO_SINK = "no_sink"
    """What it came by carries no data."""
    NOBODY = "nobody"
    """No participant of that identity is there."""
    NOT_TAKEN = "not_taken"
    """It has no words for such a packet, may not have it, or has it otherwise."""
    FAILED = "failed"
    """Its sink broke."""


class RoomData(RoomMixes):
    """Rooms with data packets; ``data_outcomes`` counts what became of them, by receiver."""

    data_outcomes: Counter[DataOutcome]

    def send_data(self, room: Room, packet: DataPacket) -> int:
        """Deliver a packet; gives how many participants' queues took it. Raise `RoomError` when it may not be sent."""
        limit = MAX_RELIABLE_BYTES if packet.kind is DataKind.RELIABLE else MAX_LOSSY_BYTES
        if packet.size > limit:
            raise self.refuse(Refusal.TOO_LARGE, f"a {packet.kind.value} data packet is at most {limit} bytes")
        sender = None if packet.sender is None else self.find_participant(room, packet.sender)
        if sender is not None and not sender.permissions.can_publish_data:
            raise self.refuse(Refusal.NOT_PERMITTED, "it may not send data")
        if packet.destinations:
            wanted = [room.participants.get(identity) for identity in dict.fromkeys(packet.destinations)]
        else:
            wanted = [other for other in room.participants.values() if other is not sender]
        outcomes = [_deliver(receiver, packet) for receiver in wanted]
        self.data_outcomes.update(outcomes)
        return outcomes.count(DataOutcome.DELIVERED)


def _deliver(receiver: Participant | None, packet: DataPacket) -> DataOutcome:
    if receiver is None:
        return DataOutcome.NOBODY
    if receiver.data_sink is None:
        return DataOutcome.NO_SINK
    try:
        taken = receiver.data_sink.deliver(packet)
    except Exception:  # noqa: BLE001 - one broken peer must not keep a packet from the others
        _log.exception("handing data to a participant of room %s failed", receiver.room.name)
        return DataOutcome.FAILED
    return DataOutcome.DELIVERED if taken else DataOutcome.NOT_TAKEN
