"""What the end of a call is to its participant, what the end of a participant is to its call, and a room's refusals."""

from __future__ import annotations

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.rooms import CloseReason, Refusal, RoomError

ENDS = {
    CloseReason.REMOVED: CallEnd.REMOVED,
    CloseReason.ROOM_CLOSED: CallEnd.COMPLETED,
    CloseReason.MEDIA_FAILED: CallEnd.MEDIA_LOST,
    CloseReason.SERVER_SHUTDOWN: CallEnd.SERVER_SHUTDOWN,
}
"""What the end of a participant is to its call; any other: it was removed."""
_REFUSALS = {
    Refusal.BAD_NAME: CallEnd.BAD_REQUEST,
    Refusal.BAD_IDENTITY: CallEnd.BAD_REQUEST,
    Refusal.TOO_LARGE: CallEnd.BAD_REQUEST,
    Refusal.ROOM_LOCKED: CallEnd.FORBIDDEN,
    Refusal.MUST_ASK: CallEnd.FORBIDDEN,
    Refusal.NOT_PERMITTED: CallEnd.FORBIDDEN,
    Refusal.CODEC_NOT_ALLOWED: CallEnd.MEDIA_INCOMPATIBLE,
    Refusal.ROOM_IS_ENCRYPTED: CallEnd.ROOM_IS_ENCRYPTED,
    Refusal.TOO_MANY_PARTICIPANTS: CallEnd.OVERLOADED,
    Refusal.TOO_MANY_TRACKS: CallEnd.OVERLOADED,
    Refusal.TOO_MANY_ROOMS: CallEnd.OVERLOADED,
}
"""What a room's refusal is to a call; any other is a failure of the engine's."""
FAREWELLS = {
    CallEnd.BUSY: CloseReason.CALLEE_REJECTED,
    CallEnd.DECLINED: CloseReason.CALLEE_REJECTED,
    CallEnd.NO_ANSWER: CloseReason.CALLEE_UNAVAILABLE,
    CallEnd.NOT_REGISTERED: CloseReason.CALLEE_UNAVAILABLE,
    CallEnd.COMPLETED: CloseReason.LEFT,
    CallEnd.TRANSFERRED: CloseReason.LEFT,
    CallEnd.REMOVED: CloseReason.REMOVED,
    CallEnd.SERVER_SHUTDOWN: CloseReason.SERVER_SHUTDOWN,
    CallEnd.LEG_LOST: CloseReason.CONNECTION_LOST,
    CallEnd.MEDIA_LOST: CloseReason.MEDIA_FAILED,
}
"""What the end of a call is to its participant; any other: the call failed."""


def call_refusal(error: RoomError) -> CallError:
    """Say for a call what a room refused."""
    return CallError(_REFUSALS.get(error.refusal, CallEnd.ENGINE_FAILED), error.message)
