"""Signal messages made of what control says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from roomtone.servers.livekit.infos import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.control.rooms import CloseReason, Room, Speaker

_COME_BACK = frozenset({"server_shutdown", "connection_lost", "media_failed", "moved", "slow_client"})
"""Ends after which a client does well to connect again from the beginning."""


def update_of(infos: Iterable[models.ParticipantInfo]) -> rtc.SignalResponse:
    """Tell of participants."""
    return rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=infos))


def speakers_changed(room: Room, speakers: Iterable[Speaker]) -> rtc.SignalResponse:
    """Tell who speaks, and who has stopped."""
    infos = [
        models.SpeakerInfo(sid=found.id, level=speaker.level if speaker.active else 0.0, active=speaker.active)
        for speaker in speakers
        if (found := room.participants.get(speaker.identity)) is not None and not found.permissions.hidden
    ]
    return rtc.SignalResponse(speakers_changed=rtc.SpeakersChanged(speakers=infos))


def connection_quality(sid: str, quality: models.ConnectionQuality, score: float) -> rtc.SignalResponse:
    """Tell how good a participant's connection is; LiveKit's score goes to five."""
    info = rtc.ConnectionQualityInfo(participant_sid=sid, quality=quality, score=score * 5)
    return rtc.SignalResponse(connection_quality=rtc.ConnectionQualityUpdate(updates=[info]))


def stream_state(participant_sid: str, track_sid: str, *, paused: bool) -> rtc.SignalResponse:
    """Tell that the line does not carry a track, or carries it again."""
    state = rtc.StreamState.PAUSED if paused else rtc.StreamState.ACTIVE
    info = rtc.StreamStateInfo(participant_sid=participant_sid, track_sid=track_sid, state=state)
    return rtc.SignalResponse(stream_state_update=rtc.StreamStateUpdate(stream_states=[info]))


def leave_of(reason: CloseReason) -> rtc.SignalResponse:
    """Tell a client that its participant has ended, and whether to come back."""
    again = reason.value in _COME_BACK
    action = rtc.LeaveRequest.Action.RECONNECT if again else rtc.LeaveRequest.Action.DISCONNECT
    return rtc.SignalResponse(leave=rtc.LeaveRequest(reason=reason_of(reason), action=action, can_reconnect=again))


def leave_unknown() -> rtc.SignalResponse:
    """Tell a client that wants to resume that nobody knows it here: it joins anew."""
    return rtc.SignalResponse(
        leave=rtc.LeaveRequest(
            reason=models.DisconnectReason.STATE_MISMATCH,
            action=rtc.LeaveRequest.Action.RECONNECT,
            can_reconnect=True,
        )
    )
