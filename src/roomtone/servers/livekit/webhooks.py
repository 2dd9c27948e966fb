"""What happens in rooms, as LiveKit's webhooks tell it; whatever participants came by.

A participant is told as joined once a connection of it has come up, and its tracks after that; one that leaves before
is told as ``participant_connection_aborted``, and nothing else of it is told. Hidden participants are told of too.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToJson
from livekit.protocol import models, webhook

from roomtone.control.rooms import CloseReason, ParticipantState, PlainConnection, RoomEvent, RoomEventKind
from roomtone.control.webhooks import Webhook
from roomtone.servers.livekit.infos import participant_info, reason_of, room_info, track_info

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.rooms import Participant, Room
    from roomtone.control.webhooks import WebhookSender
    from roomtone.servers.livekit.context import LiveKitContext

_END_REASONS = {
    CloseReason.ROOM_CLOSED: models.RoomEndReason.ROOM_END_API_DELETE,
    CloseReason.ROOM_EMPTY: models.RoomEndReason.ROOM_END_IDLE_TIMEOUT,
    CloseReason.SERVER_SHUTDOWN: models.RoomEndReason.ROOM_END_SERVER_SHUTDOWN,
}


def random_event_id() -> str:
    """Make an id that no other event has."""
    return f"EV_{secrets.token_hex(8)}"


def report_rooms(context: LiveKitContext, sender: WebhookSender, new_id: Callable[[], str] = random_event_id) -> None:
    """Tell of all rooms from now on."""

    def follow(room: Room) -> None:
        room.events.listen(RoomReporter(context, sender, room, new_id).handle)

    context.rooms.when_opened.append(follow)


@dataclass(eq=False, slots=True)
class _Told:
    """A participant that is in the room, and what has been told of it."""

    participant: Participant
    joined: bool = False
    tracks: dict[str, models.TrackInfo] = field(default_factory=dict)


def _is_plain(participant: Participant) -> bool:
    """Whether it comes by plain RTP, which has no handshake: it is there once it may send."""
    return any(isinstance(connection, PlainConnection) for connection in participant.connections.values())


class RoomReporter:
    """Tells of one room, in the order of its events."""

    def __init__(
        self, context: LiveKitContext, sender: WebhookSender, room: Room, new_id: Callable[[], str] = random_event_id
    ) -> None:
        self._context = context
        self._sender = sender
        self._room = room
        self._new_id = new_id
        self._people: dict[str, _Told] = {}

    def handle(self, event: RoomEvent) -> None:
        """Tell of an event, if it is one to be told."""
        match event.kind:
            case RoomEventKind.ROOM_OPENED:
                self._tell(event, "room_started")
            case RoomEventKind.ROOM_CLOSED:
                reason = models.RoomEndReason.ROOM_END_UNKNOWN
                if event.reason is not None:
                    reason = _END_REASONS.get(event.reason, reason)
                self._tell(event, "room_finished", room_end_reason=reason)
            case RoomEventKind.PARTICIPANT_JOINED if event.participant is not None:
                participant = self._room.participants[event.participant]
                self._people[event.participant] = _Told(participant)
                if participant.state is ParticipantState.ACTIVE or _is_plain(participant):
                    self._joined(event, self._people[event.participant])
            case _:
                self._handle_known(event)

    def _handle_known(self, event: RoomEvent) -> None:
        told = self._people.get(event.participant or "")
        if told is None:
            return
        match event.kind:
            case RoomEventKind.PARTICIPANT_CONNECTED if not told.joined:
                self._joined(event, told)
            case RoomEventKind.PARTICIPANT_LEFT:
                self._left(event, told)
            case RoomEventKind.TRACK_PUBLISHED if told.joined and event.track is not None:
                self._published(event, told, event.track)
            case RoomEventKind.TRACK_UNPUBLISHED if event.track is not None:
                info = told.tracks.pop(event.track, None)
                if info is not None:
                    self._tell(event, "track_unpublished", participant=self._describe(told), track=info)
            case RoomEventKind.TRACK_UPDATED | RoomEventKind.TRACK_MUTED | RoomEventKind.TRACK_UNMUTED:
                publication = self._room.publication(event.track or "")
                if publication is not None and publication.id in told.tracks:
                    told.tracks[publication.id] = track_info(self._context, publication)
            case _:
                pass

    def _joined(self, event: RoomEvent, told: _Told) -> None:
        told.joined = True
        self._tell(event, "participant_joined", participant=self._describe(told))
        for track in tuple(told.participant.publications):
            self._published(event, told, track)

    def _published(self, event: RoomEvent, told: _Told, track: str) -> None:
        publication = self._room.publication(track)
        if publication is None or track in told.tracks:
            return
        told.tracks[track] = track_info(self._context, publication)
        self._tell(event, "track_published", participant=self._describe(told), track=told.tracks[track])

    def _left(self, event: RoomEvent, told: _Told) -> None:
        del self._people[told.participant.identity]
        info = self._describe(told)
        info.disconnect_reason = reason_of(event.reason)
        self._tell(event, "participant_left" if told.joined else "participant_connection_aborted", participant=info)

    def _describe(self, told: _Told) -> models.ParticipantInfo:
        return participant_info(self._context, told.participant)

    def _tell(
        self,
        event: RoomEvent,
        name: str,
        *,
        participant: models.ParticipantInfo | None = None,
        track: models.TrackInfo | None = None,
        room_end_reason: models.RoomEndReason | None = None,
    ) -> None:
        id_ = self._new_id()
        told = webhook.WebhookEvent(
            id=id_,
            event=name,
            created_at=int(event.at),
            room=room_info(self._room),
            participant=participant,
            track=track,
            room_end_reason=room_end_reason,
        )
        self._sender.send(Webhook(id_, name, self._room.name, MessageToJson(told, indent=None).encode(), event.at))
