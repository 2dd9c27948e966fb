"""What happens in rooms, told to the peers in them: one reader a room, as long as it has peers of this interface."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from roomtone.control.rooms import EventsLostError, Participant, RoomEventKind
from roomtone.servers.socketio.data import apply_permissions
from roomtone.servers.socketio.describe import describe_message, describe_peer, describe_producer

if TYPE_CHECKING:
    from roomtone.control.rooms import EventMailbox, Room, RoomEvent
    from roomtone.servers.socketio.sfu import Sfu

MAILBOX_LIMIT = 8192
_log = logging.getLogger(__name__)


class RoomNews:
    """Reads rooms' events and broadcasts them; ``lost`` counts readers that fell behind and began anew."""

    def __init__(self, sfu: Sfu) -> None:
        self.lost = 0
        self._sfu = sfu
        self._readers: dict[str, asyncio.Task[None]] = {}

    def follow(self, room: Room) -> None:
        """Read a room's events from now on, if nobody does yet."""
        if room.id not in self._readers:
            mailbox = room.events.open(MAILBOX_LIMIT)
            self._readers[room.id] = asyncio.ensure_future(self._read(room, mailbox))

    async def close(self) -> None:
        """Read no more."""
        readers = list(self._readers.values())
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

    async def _read(self, room: Room, mailbox: EventMailbox) -> None:
        try:
            while True:
                try:
                    event = await mailbox.get()
                except EventsLostError:
                    self.lost += 1
                    _log.warning("events of room %s were not told to its peers: too many at once", room.name)
                    mailbox = room.events.open(MAILBOX_LIMIT)
                    continue
                if event is None:
                    return
                self._tell(room, event)
                if not self._sfu.peers_in(room.name):
                    return
        finally:
            # In the step that found nobody left: who joins after it begins a new reader.
            self._readers.pop(room.id, None)
            mailbox.close()

    def _tell(self, room: Room, event: RoomEvent) -> None:
        if event.message is not None:
            # "chat_message" and the like: also of who is hidden, since it wants to be read.
            self._broadcast(room, event.kind.value.replace("_", "-"), describe_message(event.message))
            return
        if event.kind is RoomEventKind.PARTICIPANT_UPDATED:
            self._apply(room, event)
        elif event.knock is not None:
            self._tell_knock(room, event)
            return
        if not event.hidden:
            self._tell_of_visible(room, event)

    def _tell_knock(self, room: Room, event: RoomEvent) -> None:
        """Tell moderators who asks to enter, and when that was answered."""
        content = {"roomId": room.name, "knockId": event.knock, "peerId": event.participant}
        if event.kind is RoomEventKind.LOBBY_KNOCK:
            knock = next((knock for id_, knock in room.lobby.items() if id_ == event.knock), None)
            content["fullName"] = (None if knock is None else knock.request.name) or event.participant
            name = "lobby-knock"
        else:
            content["decision"] = None if event.decision is None else event.decision.value
            name = "lobby-decided"
        for peer in self._sfu.peers_in(room.name):
            if peer.participant.permissions.moderator:
                peer.send(name, content)

    def _apply(self, room: Room, event: RoomEvent) -> None:
        """End what somebody may no longer send or have."""
        peer = self._sfu.find_peer(room.name, event.participant or "")
        if peer is not None:
            apply_permissions(self._sfu, peer)

    def _tell_of_visible(self, room: Room, event: RoomEvent) -> None:
        participant = room.participants.get(event.participant or "")
        match event.kind:
            case RoomEventKind.PARTICIPANT_JOINED if participant is not None:
                self._tell_joined(room, participant)
            case RoomEventKind.PARTICIPANT_LEFT:
                content = {"peerId": event.participant, "reason": None if event.reason is None else event.reason.value}
                self._broadcast(room, "participant-left", content, but=event.participant)
            case RoomEventKind.PARTICIPANT_HIDDEN | RoomEventKind.PARTICIPANT_SHOWN if participant is not None:
                self._sfu.foreign.forget_sender(participant)  # its name is told no longer, or is from now on
                self._tell_shown(room, participant, shown=event.kind is RoomEventKind.PARTICIPANT_SHOWN)
            case RoomEventKind.SPEAKERS_CHANGED:
                self._tell_speakers(room, event)
            case _:
                self._tell_track(room, event, participant)

    def _tell_shown(self, room: Room, participant: Participant, *, shown: bool) -> None:
        """Tell of somebody who is hidden from now on, or no longer, as of one who leaves or joins."""
        tracks, identity = participant.publications.values(), participant.identity
        if shown:
            self._tell_joined(room, participant)
            for track in tracks:
                described = describe_producer(track, self._sfu.find_peer(room.name, identity))
                self._broadcast(room, "newProducer", described, but=identity)
            return
        for track in tracks:
            self._broadcast(room, "producer-closed", {"producerId": track.id, "peerId": identity}, but=identity)
        self._broadcast(room, "participant-left", {"peerId": identity, "reason": None}, but=identity)

    def _tell_joined(self, room: Room, participant: Participant) -> None:
        of = self._sfu.find_peer(room.name, participant.identity)
        for peer in self._sfu.peers_in(room.name):
            if peer.participant is not participant:
                moderator = peer.participant.permissions.moderator
                described = describe_peer(participant, of, to_moderator=moderator)
                peer.send("participant-joined", {"roomId": room.name, **described})

    def _tell_speakers(self, room: Room, event: RoomEvent) -> None:
        speakers = [
            {"peerId": speaker.identity, "level": speaker.level, "active": speaker.active}
            for speaker in event.speakers or ()
        ]
        self._broadcast(room, "active-speakers", {"speakers": speakers})

    def _tell_track(self, room: Room, event: RoomEvent, participant: Participant | None) -> None:
        content: dict[str, Any] = {"producerId": event.track, "peerId": event.participant}
        match event.kind:
            case RoomEventKind.TRACK_PUBLISHED if participant is not None:
                publication = room.publication(event.track or "")
                if publication is not None:
                    peer = self._sfu.find_peer(room.name, participant.identity)
                    described = describe_producer(publication, peer)
                    self._broadcast(room, "newProducer", described, but=participant.identity)
            case RoomEventKind.TRACK_UNPUBLISHED:
                peer = self._sfu.find_peer(room.name, event.participant or "")
                if peer is not None and event.track is not None:
                    peer.app_data.pop(event.track, None)
                    peer.sent.pop(event.track, None)
                self._broadcast(room, "producer-closed", content)
            case RoomEventKind.TRACK_MUTED:
                self._broadcast(room, "producer-paused", content)
            case RoomEventKind.TRACK_UNMUTED:
                self._broadcast(room, "producer-resumed", content)
            case _:
                pass

    def _broadcast(self, room: Room, event: str, content: dict[str, Any], *, but: str | None = None) -> None:
        for peer in self._sfu.peers_in(room.name):
            if peer.id != but:
                peer.send(event, {"roomId": room.name, **content})
