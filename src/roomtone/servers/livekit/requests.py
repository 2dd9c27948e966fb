"""What a client may ask by signal messages, and who does it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from livekit.protocol import models, rtc

from roomtone.control.rooms import CloseReason, Connection, RoomError, SubscriptionRules
from roomtone.protocols.sdp import IceCandidate
from roomtone.servers.livekit.context import Trouble
from roomtone.servers.livekit.publisher import refusal_reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomtone.servers.livekit.session import Session

_UNSUPPORTED = rtc.RequestResponse.Reason.UNSUPPORTED_TYPE
_LEAVES = {
    models.DisconnectReason.USER_UNAVAILABLE: CloseReason.LEFT,
    models.DisconnectReason.USER_REJECTED: CloseReason.LEFT,
}


async def _offer(session: Session, content: rtc.SessionDescription) -> None:
    await session.publisher.on_offer(content)


async def _answer(session: Session, content: rtc.SessionDescription) -> None:
    await session.subscriber.on_answer(content)


async def _trickle(session: Session, content: rtc.TrickleRequest) -> None:
    of_publisher = content.target == rtc.SignalTarget.PUBLISHER
    connection = session.publisher.connection if of_publisher else session.subscriber.connection
    if not isinstance(connection, Connection):
        return  # it precedes its offer, which names it again or has no need of it: we answer, others call
    try:
        line = str(json.loads(content.candidateInit).get("candidate", ""))
        candidate = IceCandidate.parse(line.removeprefix("candidate:")).to_candidate() if line else None
    except (ValueError, AttributeError, RecursionError):
        session.context.troubles[Trouble.MALFORMED] += 1
        reason = rtc.RequestResponse.Reason.INVALID_REQUEST
        session.refuse(reason, "the candidate is none", trickle=content)
        return
    if candidate is not None or not line:
        # An empty one says that no more will come.
        await session.context.rooms.trickle(connection, [candidate] if candidate else [], complete=not line)


async def _add_track(session: Session, content: rtc.AddTrackRequest) -> None:
    await session.publisher.announce(content)


async def _mute(session: Session, content: rtc.MuteTrackRequest) -> None:
    await session.publisher.mute(content)


async def _subscription(session: Session, content: rtc.UpdateSubscription) -> None:
    await session.subscriber.choose(content)


async def _track_setting(session: Session, content: rtc.UpdateTrackSettings) -> None:
    await session.subscriber.set_tracks(content)


async def _leave(session: Session, content: rtc.LeaveRequest) -> None:
    await session.leave(_LEAVES.get(content.reason, CloseReason.LEFT))


async def _update_layers(session: Session, content: rtc.UpdateVideoLayers) -> None:
    session.publisher.update_layers(content)


async def _subscription_permission(session: Session, content: rtc.SubscriptionPermission) -> None:
    participants = session.participant.room.participants
    identities = {participant.id: identity for identity, participant in participants.items()}
    allowed: dict[str, frozenset[str] | None] = {}
    for permission in content.track_permissions:
        sid = permission.participant_sid
        identity = permission.participant_identity or next((identities[id_] for id_ in identities if id_ == sid), "")
        if identity:
            allowed[identity] = None if permission.all_tracks else frozenset(permission.track_sids)
    rules = SubscriptionRules(all=content.all_participants, tracks=allowed)
    await session.context.rooms.set_subscription_permissions(session.participant, rules)


async def _sync_state(session: Session, content: rtc.SyncState) -> None:
    if any(not session.publisher.knows(track.track.sid) for track in content.publish_tracks):
        # The client publishes what is not known here: only a fresh start brings both together.
        await session.leave(CloseReason.CONNECTION_LOST)
        return
    for sid in content.track_sids_disabled:
        await session.subscriber.set_tracks(rtc.UpdateTrackSettings(track_sids=[sid], disabled=True))
    if content.HasField("subscription"):
        await session.subscriber.choose(content.subscription)


async def _simulate(session: Session, content: rtc.SimulateScenario) -> None:
    """Do what test suites of clients ask for, where the server is one for development."""
    if not session.context.dev:
        session.refuse(rtc.RequestResponse.Reason.NOT_ALLOWED, "scenarios are simulated by development servers only")
        return
    match content.WhichOneof("scenario"):
        case "server_leave":
            await session.leave(CloseReason.SERVER_SHUTDOWN)
        case "node_failure" | "leave_request_full_reconnect" | "migration":
            await session.leave(CloseReason.CONNECTION_LOST)
        case _:
            session.refuse(_UNSUPPORTED, "this scenario is not simulated here")


async def _ping(session: Session, content: int) -> None:
    del content
    session.send(rtc.SignalResponse(pong=session.context.now_ms()))


async def _ping_req(session: Session, content: rtc.Ping) -> None:
    now = session.context.now_ms()
    session.send(rtc.SignalResponse(pong_resp=rtc.Pong(last_ping_timestamp=content.timestamp, timestamp=now)))


async def _update_metadata(session: Session, content: rtc.UpdateParticipantMetadata) -> None:
    try:
        await session.context.rooms.update_own(
            session.participant,
            name=content.name or None,
            metadata=content.metadata or None,
            attributes=dict(content.attributes) or None,
        )
    except RoomError as error:
        session.refuse(refusal_reason(error.refusal), error.message, content.request_id, update_metadata=content)
        return
    ok = rtc.RequestResponse(
        request_id=content.request_id, reason=rtc.RequestResponse.Reason.OK, update_metadata=content
    )
    session.send(rtc.SignalResponse(request_response=ok))


async def _update_audio_track(session: Session, content: rtc.UpdateLocalAudioTrack) -> None:
    session.publisher.update_audio(content)


async def _update_video_track(session: Session, content: rtc.UpdateLocalVideoTrack) -> None:
    session.publisher.update_video(content)


async def _publish_data_track(session: Session, content: rtc.PublishDataTrackRequest) -> None:
    session.refuse(_UNSUPPORTED, "there are no data tracks here", publish_data_track=content)


async def _unpublish_data_track(session: Session, content: rtc.UnpublishDataTrackRequest) -> None:
    session.refuse(_UNSUPPORTED, "there are no data tracks here", unpublish_data_track=content)


async def _update_data_subscription(session: Session, content: rtc.UpdateDataSubscription) -> None:
    del content
    session.refuse(_UNSUPPORTED, "there are no data tracks here")


async def _store_data_blob(session: Session, content: rtc.StoreDataBlobRequest) -> None:
    session.refuse(_UNSUPPORTED, "data blobs are not stored here", content.request_id)


async def _get_data_blob(session: Session, content: rtc.GetDataBlobRequest) -> None:
    session.refuse(_UNSUPPORTED, "data blobs are not stored here", content.request_id)


REQUESTS: dict[str, Callable[[Session, Any], Awaitable[None]]] = {
    "offer": _offer,
    "answer": _answer,
    "trickle": _trickle,
    "add_track": _add_track,
    "mute": _mute,
    "subscription": _subscription,
    "track_setting": _track_setting,
    "leave": _leave,
    "update_layers": _update_layers,
    "subscription_permission": _subscription_permission,
    "sync_state": _sync_state,
    "simulate": _simulate,
    "ping": _ping,
    "ping_req": _ping_req,
    "update_metadata": _update_metadata,
    "update_audio_track": _update_audio_track,
    "update_video_track": _update_video_track,
    "publish_data_track_request": _publish_data_track,
    "unpublish_data_track_request": _unpublish_data_track,
    "update_data_subscription": _update_data_subscription,
    "store_data_blob_request": _store_data_blob,
    "get_data_blob_request": _get_data_blob,
}
"""By the name of the field in `SignalRequest`; a test holds that none is missing."""
