"""Rooms, participants, viewers, tracks and events as bodies of `/api/v1`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from roomtone.servers.api.room_schemas import (
    ChatMessageBody,
    EndedBody,
    EndedEntryBody,
    EventBody,
    KnockBody,
    RoomBody,
    RoomOptionsBody,
    SpeakerBody,
)
from roomtone.servers.api.schemas import (
    CodecBody,
    LayerBody,
    LayersBody,
    ParticipantBody,
    PermissionsBody,
    SubscriptionBody,
    TrackBody,
    ViewerBody,
)

if TYPE_CHECKING:
    from roomtone.control.rooms import (
        ChatMessage,
        Ended,
        EndedEntry,
        Knock,
        Participant,
        Permissions,
        Publication,
        Room,
        RoomEvent,
        RoomOptions,
        Speaker,
        Subscription,
        Viewer,
    )
    from roomtone.protocols.sdp import Codec


def room_body(room: Room) -> RoomBody:
    """Describe a room."""
    return RoomBody(
        id=room.id,
        name=room.name,
        created_at=room.created_at,
        participants=len(room.participants),
        publishers=sum(bool(participant.publications) for participant in room.participants.values()),
        viewers=len(room.viewers),
        tracks=room.publication_count,
        waiting=len(room.lobby),
        on_air=room.on_air,
        options=options_body(room.options),
    )


def options_body(options: RoomOptions) -> RoomOptionsBody:
    """Describe a room's options."""
    return RoomOptionsBody(**(asdict(options) | {"codecs": sorted(options.codecs)}))


def participant_body(participant: Participant) -> ParticipantBody:
    """Describe a participant."""
    return ParticipantBody(
        id=participant.id,
        identity=participant.identity,
        name=participant.name,
        metadata=participant.metadata,
        attributes=participant.attributes,
        kind=participant.kind,
        protocol=participant.protocol,
        state=participant.state,
        permissions=permissions_body(participant.permissions),
        movable=participant.movable or participant.mover is not None,
        forwarded_from=None if participant.origin is None else participant.origin.room.name,
        forwarded_to=sorted(participant.room.forwards.get(participant.identity, ())),
        connected=participant.connected,
        joined_at=participant.joined_at,
        quality=participant.quality,
        tracks=[track_body(track) for track in participant.publications.values()],
        subscriptions=[subscription_body(subscription) for subscription in participant.subscriptions.values()],
    )


def permissions_body(permissions: Permissions) -> PermissionsBody:
    """Describe what a participant may do."""
    return PermissionsBody(**(asdict(permissions) | {"publish_sources": sorted(permissions.publish_sources)}))


def viewer_body(viewer: Viewer) -> ViewerBody:
    """Describe a viewer."""
    source = viewer.source()
    return ViewerBody(
        id=viewer.id,
        follows=viewer.follows,
        source=None if source is None else source.identity,
        connected=viewer.connected,
        joined_at=viewer.joined_at,
        quality=viewer.quality,
        subscriptions=[subscription_body(subscription) for subscription in viewer.subscriptions.values()],
    )


def subscription_body(subscription: Subscription) -> SubscriptionBody:
    """Describe what a viewer gets."""
    return SubscriptionBody(
        id=subscription.id,
        kind=subscription.offer.kind,
        track=None if subscription.source is None else subscription.source.id,
        wanted=LayersBody(**asdict(subscription.layer)),
        target=LayerBody(spatial=subscription.target.spatial, temporal=subscription.target.temporal),
        current=LayerBody(spatial=subscription.current.spatial, temporal=subscription.current.temporal),
        starved=subscription.starved,
    )


def track_body(track: Publication) -> TrackBody:
    """Describe a track."""
    return TrackBody(
        id=track.id,
        participant=track.participant.identity,
        kind=track.offer.kind,
        source=track.offer.source,
        name=track.offer.name,
        muted=track.muted,
        muted_by_server=track.server_muted,
        mime=track.mime,
        encryption=track.offer.encryption,
        codecs=[codec_body(codec) for codec in track.offer.codecs],
        rids=list(track.rids),
        active_encodings=sorted(track.started_encodings),
        wanted_encodings=None if track.wanted is None else list(track.wanted),
        quality=track.quality,
    )


def codec_body(codec: Codec) -> CodecBody:
    """Describe a codec."""
    return CodecBody(
        name=codec.name,
        payload_type=codec.payload_type,
        clock_rate=codec.clock_rate,
        channels=codec.channels,
        parameters={name: value or "" for name, value in codec.parameters},
        rtx_payload_type=codec.rtx_payload_type,
    )


def event_body(event: RoomEvent) -> EventBody:
    """Describe an event."""
    return EventBody(
        seq=event.seq,
        at=event.at,
        kind=event.kind,
        room=event.room,
        participant=event.participant,
        track=event.track,
        viewer=event.viewer,
        reason=event.reason,
        encoding=event.encoding,
        temporal=event.temporal,
        wanted=None if event.wanted is None else list(event.wanted),
        quality=event.quality,
        score=event.score,
        degradation=event.degradation,
        direction=event.direction,
        congestion=event.congestion,
        hidden=event.hidden,
        subscription=event.subscription,
        to_room=event.to_room,
        speakers=None if event.speakers is None else [speaker_body(speaker) for speaker in event.speakers],
        knock=event.knock,
        decision=event.decision,
        message=None if event.message is None else message_body(event.message),
    )


def speaker_body(speaker: Speaker) -> SpeakerBody:
    """Describe who speaks."""
    return SpeakerBody(identity=speaker.identity, level=speaker.level, active=speaker.active)


def ended_body(ended: Ended) -> EndedBody:
    """Describe an end."""
    return EndedBody(
        participant=ended.identity, viewer=ended.viewer, reason=ended.reason, joined_at=ended.joined_at, at=ended.at
    )


def ended_entry_body(entry: EndedEntry) -> EndedEntryBody:
    """Describe an end in the log of all rooms."""
    return EndedEntryBody(
        number=entry.number,
        kind=entry.kind,
        room=entry.room,
        room_id=entry.room_id,
        participant=entry.identity,
        name=entry.name,
        viewer=entry.viewer,
        reason=entry.reason,
        began_at=entry.began_at,
        at=entry.at,
    )


def knock_body(knock: Knock) -> KnockBody:
    """Describe who asks to enter."""
    request = knock.request
    return KnockBody(
        id=knock.id,
        identity=request.identity,
        name=request.name,
        metadata=request.metadata,
        asked_at=knock.asked_at,
    )


def message_body(message: ChatMessage) -> ChatMessageBody:
    """Describe a chat message."""
    return ChatMessageBody(
        id=message.id,
        sender=message.sender,
        sender_name=message.sender_name,
        text=message.text,
        at=message.at,
        edited_at=message.edited_at,
        deleted_at=message.deleted_at,
        deleted_by=message.deleted_by,
        reply_to=message.reply_to,
    )
