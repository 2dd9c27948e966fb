"""Rooms, participants and tracks in LiveKit's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from roomtone.control.policy import ice_servers
from roomtone.control.rooms import (
    CloseReason,
    Encryption,
    Participant,
    ParticipantKind,
    ParticipantState,
    Permissions,
    Publication,
    Room,
    TrackSource,
)
from roomtone.media.values import MediaKind, QualityLevel
from roomtone.protocols.livekit import PROTOCOL_VERSION, SERVER_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.protocols.sdp import Format
    from roomtone.servers.livekit.context import LiveKitContext

NODE = "node"
SEPARATOR = "|"
_STATES = {
    ParticipantState.JOINING: models.ParticipantInfo.State.JOINING,
    ParticipantState.JOINED: models.ParticipantInfo.State.JOINED,
    ParticipantState.ACTIVE: models.ParticipantInfo.State.ACTIVE,
    ParticipantState.DISCONNECTED: models.ParticipantInfo.State.DISCONNECTED,
}
_KINDS = {
    ParticipantKind.STANDARD: models.ParticipantInfo.Kind.STANDARD,
    ParticipantKind.INGEST: models.ParticipantInfo.Kind.INGRESS,
    ParticipantKind.EGRESS: models.ParticipantInfo.Kind.EGRESS,
    ParticipantKind.SIP: models.ParticipantInfo.Kind.SIP,
    ParticipantKind.AGENT: models.ParticipantInfo.Kind.AGENT,
}
SOURCES = {
    TrackSource.UNKNOWN: models.TrackSource.UNKNOWN,
    TrackSource.CAMERA: models.TrackSource.CAMERA,
    TrackSource.MICROPHONE: models.TrackSource.MICROPHONE,
    TrackSource.SCREEN_SHARE: models.TrackSource.SCREEN_SHARE,
    TrackSource.SCREEN_SHARE_AUDIO: models.TrackSource.SCREEN_SHARE_AUDIO,
}
SOURCE_OF = {number: source for source, number in SOURCES.items()}
_USUAL = {MediaKind.AUDIO: TrackSource.MICROPHONE, MediaKind.VIDEO: TrackSource.CAMERA}
_TYPES = {MediaKind.AUDIO: models.TrackType.AUDIO, MediaKind.VIDEO: models.TrackType.VIDEO}
ENCRYPTIONS = {
    Encryption.NONE: models.Encryption.Type.NONE,
    Encryption.GCM: models.Encryption.Type.GCM,
    Encryption.CUSTOM: models.Encryption.Type.CUSTOM,
}
ENCRYPTION_OF = {number: encryption for encryption, number in ENCRYPTIONS.items()}
_REASONS = {
    CloseReason.LEFT: models.DisconnectReason.CLIENT_INITIATED,
    CloseReason.DUPLICATE_IDENTITY: models.DisconnectReason.DUPLICATE_IDENTITY,
    CloseReason.REMOVED: models.DisconnectReason.PARTICIPANT_REMOVED,
    CloseReason.ROOM_CLOSED: models.DisconnectReason.ROOM_DELETED,
    CloseReason.ROOM_EMPTY: models.DisconnectReason.ROOM_CLOSED,
    CloseReason.SERVER_SHUTDOWN: models.DisconnectReason.SERVER_SHUTDOWN,
    CloseReason.NEVER_CONNECTED: models.DisconnectReason.JOIN_FAILURE,
    CloseReason.CONNECTION_LOST: models.DisconnectReason.CONNECTION_TIMEOUT,
    CloseReason.PEER_CLOSED: models.DisconnectReason.CLIENT_INITIATED,
    CloseReason.HANDSHAKE_FAILED: models.DisconnectReason.JOIN_FAILURE,
    CloseReason.CERTIFICATE_UNSUPPORTED: models.DisconnectReason.JOIN_FAILURE,
    CloseReason.CERTIFICATE_MISMATCH: models.DisconnectReason.JOIN_FAILURE,
    CloseReason.MEDIA_FAILED: models.DisconnectReason.MEDIA_FAILURE,
    CloseReason.MOVED: models.DisconnectReason.MIGRATION,
    CloseReason.SIGNAL_TIMEOUT: models.DisconnectReason.SIGNAL_CLOSE,
    CloseReason.SLOW_CLIENT: models.DisconnectReason.SIGNAL_CLOSE,
    CloseReason.BAD_SIGNAL: models.DisconnectReason.STATE_MISMATCH,
    CloseReason.CALLEE_UNAVAILABLE: models.DisconnectReason.USER_UNAVAILABLE,
    CloseReason.CALLEE_REJECTED: models.DisconnectReason.USER_REJECTED,
    CloseReason.CALL_FAILED: models.DisconnectReason.SIP_TRUNK_FAILURE,
}
QUALITIES = {
    QualityLevel.LOST: models.ConnectionQuality.LOST,
    QualityLevel.POOR: models.ConnectionQuality.POOR,
    QualityLevel.GOOD: models.ConnectionQuality.GOOD,
    QualityLevel.EXCELLENT: models.ConnectionQuality.EXCELLENT,
}


def reason_of(reason: CloseReason | None) -> models.DisconnectReason:
    """Say in LiveKit's words why a participant ended."""
    if reason is None:
        return models.DisconnectReason.UNKNOWN_REASON
    return _REASONS.get(reason, models.DisconnectReason.UNKNOWN_REASON)


def stream_of(publication: Publication) -> str:
    """Name the media stream of a track for its subscribers: publisher and track, as clients take it apart."""
    return f"{publication.participant.id}{SEPARATOR}{publication.id}"


def room_info(room: Room) -> models.Room:
    """Describe a room."""
    options = room.options
    shown = [p for p in room.participants.values() if not p.permissions.hidden]
    return models.Room(
        sid=room.id,
        name=room.name,
        empty_timeout=int(options.empty_timeout_s or 0),
        departure_timeout=int(options.departure_timeout_s or 0),
        max_participants=options.max_participants,
        creation_time=int(room.created_at),
        creation_time_ms=int(room.created_at * 1000),
        metadata=options.metadata,
        num_participants=len(shown),
        num_publishers=sum(bool(p.publications) for p in shown),
        active_recording=room.on_air or any(p.permissions.recorder for p in room.participants.values()),
    )


def participant_info(context: LiveKitContext, participant: Participant) -> models.ParticipantInfo:
    """Describe a participant, however it came; once for each of its versions, however many are told."""
    known = context.described.get(participant)
    if known is None or known[0] != participant.version:
        known = context.described[participant] = (participant.version, _describe_participant(context, participant))
    return known[1]


def _describe_participant(context: LiveKitContext, participant: Participant) -> models.ParticipantInfo:
    session = context.sessions.of(participant)
    client = None if session is None else session.client
    return models.ParticipantInfo(
        sid=participant.id,
        identity=participant.identity,
        name=participant.name,
        metadata=participant.metadata,
        attributes=participant.attributes,
        state=_STATES[participant.state],
        kind=_KINDS[participant.kind],
        kind_details=[] if participant.origin is None else [models.ParticipantInfo.KindDetail.FORWARDED],
        joined_at=int(participant.joined_at),
        joined_at_ms=int(participant.joined_at * 1000),
        version=participant.version + 1,
        is_publisher=bool(participant.publications),
        permission=permission_info(participant.permissions),
        client_protocol=0 if client is None else client.client_protocol,
        capabilities=[] if client is None else client.capabilities,
        tracks=[track_info(context, publication) for publication in participant.publications.values()],
    )


def gone_info(sid: str, identity: str, reason: CloseReason | None) -> models.ParticipantInfo:
    """Describe a participant that is there no longer."""
    return models.ParticipantInfo(
        sid=sid,
        identity=identity,
        state=models.ParticipantInfo.State.DISCONNECTED,
        version=0xFFFF_FFFF,
        disconnect_reason=reason_of(reason),
    )


def permission_info(permissions: Permissions) -> models.ParticipantPermission:
    """Describe what a participant may do."""
    return models.ParticipantPermission(
        can_subscribe=permissions.can_subscribe,
        can_publish=permissions.can_publish,
        can_publish_data=permissions.can_publish_data,
        can_publish_sources=sorted(SOURCES[source] for source in permissions.publish_sources),
        hidden=permissions.hidden,
        recorder=permissions.recorder,
        agent=permissions.agent,
        can_update_metadata=permissions.can_update_own_metadata,
    )


def track_info(context: LiveKitContext, publication: Publication) -> models.TrackInfo:
    """Describe a track: as its publisher announced it, or as it was negotiated where that went without announcing."""
    origin = publication.origin or publication
    session = context.sessions.of(origin.participant)
    announced = None if session is None else session.publisher.info_of(origin.id)
    info = models.TrackInfo()
    if announced is not None:
        info.CopyFrom(announced)
        info.sid = publication.id
    else:
        _describe(info, publication)
    info.muted = publication.muted
    info.mime_type = publication.mime
    info.mid = publication.offer.mid or ""
    return info


def _describe(info: models.TrackInfo, publication: Publication) -> None:
    source = publication.source
    if source is TrackSource.UNKNOWN and publication.participant.kind is ParticipantKind.INGEST:
        source = _USUAL[publication.offer.kind]
    info.sid = publication.id
    info.type = _TYPES[publication.offer.kind]
    info.name = publication.name
    info.source = SOURCES[source]
    info.stream = publication.offer.stream or source.value
    info.encryption = ENCRYPTIONS[publication.offer.encryption]
    info.simulcast = len(publication.offer.encodings) > 1
    info.codecs.append(models.SimulcastCodecInfo(mime_type=publication.mime, mid=publication.offer.mid or ""))


def ice_server_infos(context: LiveKitContext, identity: str) -> list[rtc.ICEServer]:
    """Give the configured ICE servers to a client."""
    servers = ice_servers(context.ice_rules, identity, context.wall_clock())
    return [
        rtc.ICEServer(urls=[server.url], username=server.username or "", credential=server.credential or "")
        for server in servers
    ]


def server_info(context: LiveKitContext) -> models.ServerInfo:
    """Describe this server."""
    return models.ServerInfo(
        edition=models.ServerInfo.Edition.Standard,
        version=SERVER_VERSION,
        protocol=PROTOCOL_VERSION,
        node_id=NODE,
        debug_info=f"roomtone {context.version}" if context.dev else "",
    )


def codec_infos(formats: Iterable[Format], room: Room) -> list[models.Codec]:
    """Name the codecs that may be published in a room."""
    wanted = room.options.codecs
    return [
        models.Codec(mime=f"{known.kind.value}/{'opus' if known.name == 'OPUS' else known.name}")
        for known in formats
        if not wanted or known.name in wanted
    ]
