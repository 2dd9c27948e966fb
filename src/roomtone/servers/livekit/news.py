"""What happens in a room, told to one client, and acted on for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import rtc

from roomtone.control.rooms import RoomEvent, RoomEventKind
from roomtone.servers.livekit.infos import QUALITIES, gone_info, participant_info, room_info
from roomtone.servers.livekit.messages import connection_quality, speakers_changed, stream_state, update_of

if TYPE_CHECKING:
    from livekit.protocol import models

    from roomtone.control.rooms import CloseReason, Participant, Publication
    from roomtone.servers.livekit.session import Session

_DESCRIBES = frozenset(
    {
        RoomEventKind.PARTICIPANT_JOINED,
        RoomEventKind.PARTICIPANT_CONNECTED,
        RoomEventKind.PARTICIPANT_UPDATED,
        RoomEventKind.PARTICIPANT_SHOWN,
        RoomEventKind.TRACK_PUBLISHED,
        RoomEventKind.TRACK_UNPUBLISHED,
        RoomEventKind.TRACK_UPDATED,
        RoomEventKind.TRACK_MUTED,
        RoomEventKind.TRACK_UNMUTED,
    }
)
_RECONCILES = frozenset(
    {
        RoomEventKind.PARTICIPANT_LEFT,
        RoomEventKind.PARTICIPANT_UPDATED,
        RoomEventKind.PARTICIPANT_HIDDEN,
        RoomEventKind.PARTICIPANT_SHOWN,
        RoomEventKind.SUBSCRIPTION_RULES_CHANGED,
    }
)


MAX_GONE = 200
"""How many that have left are remembered for a client that comes back, which may not have heard of it."""


class News:
    """Tells one client of the others."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, str] = {}
        """Participant ids by identity, of those the client has been told of."""
        self._gone: dict[str, tuple[str, CloseReason | None]] = {}
        """Likewise of those it has been told are gone; the oldest is forgotten beyond `MAX_GONE`."""

    def begin(self) -> list[models.ParticipantInfo]:
        """Describe everybody else to a client that is in this room from now on, and forget the room it was in."""
        self._gone.clear()
        return self.others()

    def others(self) -> list[models.ParticipantInfo]:
        """Describe everybody else to a client that comes, or comes back."""
        session = self._session
        infos = [
            participant_info(session.context, other)
            for other in session.participant.room.participants.values()
            if other is not session.participant and not other.permissions.hidden
        ]
        self._known = {info.identity: info.sid for info in infos}
        return infos

    def present(self) -> None:
        """Tell a client that has come back who is there, and who no longer is."""
        before = self._known
        infos = self.others()
        gone = [gone_info(sid, identity, None) for identity, sid in before.items() if self._known.get(identity) != sid]
        gone += [
            gone_info(sid, identity, reason)
            for identity, (sid, reason) in self._gone.items()
            if identity not in self._known
        ]
        session = self._session
        session.send(update_of([*gone, participant_info(session.context, session.participant), *infos]))

    async def handle(self, event: RoomEvent) -> None:
        """Tell of an event, and do what follows from it for this client."""
        session = self._session
        mine = event.participant == session.participant.identity
        if mine:
            await self._handle_mine(event)
        elif not event.hidden:
            self._tell_of_other(event)
        if event.kind is RoomEventKind.ROOM_UPDATED:
            room = room_info(session.participant.room)
            session.send(rtc.SignalResponse(room_update=rtc.RoomUpdate(room=room)))
        elif event.message is not None:
            session.chat.on_event(event)
        elif event.kind is RoomEventKind.SPEAKERS_CHANGED and event.speakers is not None:
            session.send(speakers_changed(session.participant.room, event.speakers))
        if event.kind in _RECONCILES and (not mine or event.kind is RoomEventKind.PARTICIPANT_UPDATED):
            await session.subscriber.reconcile()
        elif not mine and event.track is not None:
            await self._follow_track(event.kind, event.track)

    async def _follow_track(self, kind: RoomEventKind, sid: str) -> None:
        """Have a new track of somebody else sent to the client, or one that is gone no longer."""
        session = self._session
        if kind is RoomEventKind.TRACK_UNPUBLISHED:
            await session.subscriber.on_unpublished(sid)
        elif kind is RoomEventKind.TRACK_PUBLISHED:
            publication = session.participant.room.publication(sid)
            if publication is not None:
                await session.subscriber.on_published(publication)

    async def _handle_mine(self, event: RoomEvent) -> None:
        session = self._session
        publication = self._my_publication(event)
        match event.kind:
            case RoomEventKind.PARTICIPANT_UPDATED:
                session.send(update_of([participant_info(session.context, session.participant)]))
                session.refresh_token()
            case RoomEventKind.TRACK_UNPUBLISHED if event.track is not None:
                session.publisher.on_unpublished(event.track)
            case RoomEventKind.TRACK_MUTED | RoomEventKind.TRACK_UNMUTED | RoomEventKind.TRACK_UPDATED:
                if publication is not None:
                    session.publisher.on_muted(publication)
            case RoomEventKind.ENCODINGS_WANTED if publication is not None:
                session.publisher.on_wanted(publication)
            case RoomEventKind.SUBSCRIPTION_ENDED:
                await session.subscriber.on_subscription_ended(event.subscription)
            case RoomEventKind.SUBSCRIPTION_STARVED | RoomEventKind.SUBSCRIPTION_FED:
                self._tell_stream_state(event)
            case RoomEventKind.QUALITY_CHANGED if event.track is None:
                self._tell_quality(event, session.participant)
            case RoomEventKind.PARTICIPANT_MOVED if event.to_room is not None:
                session.on_sent_to(event.to_room)
            case _:
                pass

    def _tell_of_other(self, event: RoomEvent) -> None:
        session = self._session
        identity = event.participant
        if identity is None:
            return
        other = session.participant.room.participants.get(identity)
        if event.kind is RoomEventKind.PARTICIPANT_LEFT:
            if other is None or self._known.get(identity) != other.id:
                self._tell_gone(identity, event.reason)
        elif event.kind is RoomEventKind.PARTICIPANT_HIDDEN:
            self._tell_gone(identity, None)
        elif other is None or other.permissions.hidden:
            return
        elif event.kind in _DESCRIBES:
            if self._known.get(identity) not in {None, other.id}:
                self._tell_gone(identity, None)
            self._known[identity] = other.id
            session.send(update_of([participant_info(session.context, other)]))
        elif event.kind is RoomEventKind.QUALITY_CHANGED and event.track is None:
            self._tell_quality(event, other)

    def _tell_gone(self, identity: str, reason: CloseReason | None) -> None:
        sid = self._known.pop(identity, None)
        if sid is not None:
            self._gone.pop(identity, None)
            self._gone[identity] = (sid, reason)
            if len(self._gone) > MAX_GONE:
                del self._gone[next(iter(self._gone))]
            self._session.send(update_of([gone_info(sid, identity, reason)]))

    def _tell_quality(self, event: RoomEvent, participant: Participant) -> None:
        if event.quality is not None:
            self._session.send(connection_quality(participant.id, QUALITIES[event.quality], event.score or 0.0))

    def _tell_stream_state(self, event: RoomEvent) -> None:
        session = self._session
        publication = None if event.track is None else session.participant.room.publication(event.track)
        if publication is not None:
            paused = event.kind is RoomEventKind.SUBSCRIPTION_STARVED
            session.send(stream_state(publication.participant.id, publication.id, paused=paused))

    def _my_publication(self, event: RoomEvent) -> Publication | None:
        me = self._session.participant
        return next((held for sid, held in me.publications.items() if sid == event.track), None)
