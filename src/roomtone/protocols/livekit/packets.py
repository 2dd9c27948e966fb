"""Data packets on their way from one participant to others: who sent them is said here, not by the sender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from livekit.protocol import models

if TYPE_CHECKING:
    from collections.abc import Sequence

RELIABLE_CHANNEL = "_reliable"
LOSSY_CHANNEL = "_lossy"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends; a hidden participant is not named."""

    identity: str
    sid: str
    hidden: bool = False
    agent: bool = False


def sign(packet: models.DataPacket, sender: Sender, *, reliable: bool) -> tuple[str, ...]:
    """Write the sender into a packet, and its kind, which is that of its channel; gives the identities it is for.

    Empty means everybody. An agent may speak for another participant in chat and text streams, as transcribers do.
    """
    packet.kind = models.DataPacket.RELIABLE if reliable else models.DataPacket.LOSSY
    packet.participant_sid = sender.sid
    if packet.HasField("user"):
        _sign_user(packet, sender)
    if not _speaks_for_another(packet, sender):
        packet.participant_identity = "" if sender.hidden else sender.identity
    return tuple(dict.fromkeys(packet.destination_identities))


def write_user(
    message: bytes, topic: str, sender: Sender | None, destinations: Sequence[str], *, reliable: bool
) -> models.DataPacket:
    """Write what a program says that came otherwise than by LiveKit's protocol; None: the server says it."""
    user = models.UserPacket(payload=message, topic=topic or None)
    packet = models.DataPacket(user=user, destination_identities=destinations)
    if sender is None:
        packet.kind = models.DataPacket.RELIABLE if reliable else models.DataPacket.LOSSY
    else:
        sign(packet, sender, reliable=reliable)
    return packet


def topic_of(packet: models.DataPacket) -> str:
    """Topic of a user's packet or of the beginning of a stream."""
    if packet.HasField("user"):
        return packet.user.topic
    return packet.stream_header.topic if packet.HasField("stream_header") else ""


def _sign_user(packet: models.DataPacket, sender: Sender) -> None:
    user = packet.user
    user.participant_sid = "" if sender.hidden else sender.sid
    user.participant_identity = "" if sender.hidden else sender.identity
    if packet.destination_identities:
        del user.destination_identities[:]
        user.destination_identities.extend(packet.destination_identities)
    else:
        packet.destination_identities.extend(user.destination_identities)


def _speaks_for_another(packet: models.DataPacket, sender: Sender) -> bool:
    named = packet.participant_identity
    if not sender.agent or not named or named == sender.identity:
        return False
    if packet.HasField("chat_message"):
        packet.chat_message.generated = True
        return True
    if packet.HasField("stream_header") and packet.stream_header.HasField("text_header"):
        packet.stream_header.text_header.generated = True
        return True
    return packet.HasField("transcription")
