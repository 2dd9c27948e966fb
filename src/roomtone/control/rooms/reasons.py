"""Why something in a room ended, and why something was refused: closed sets, mapped once for each boundary."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.media.values import EngineCloseReason, ErrorCode

if TYPE_CHECKING:
    from roomtone.media import EngineCommandError


class CloseReason(StrEnum):
    """Why a participant, a viewer or a room ended."""

    LEFT = "left"
    DUPLICATE_IDENTITY = "duplicate_identity"
    REMOVED = "removed"
    ROOM_CLOSED = "room_closed"
    ROOM_EMPTY = "room_empty"
    SERVER_SHUTDOWN = "server_shutdown"
    NEVER_CONNECTED = "never_connected"
    CONNECTION_LOST = "connection_lost"
    PEER_CLOSED = "peer_closed"
    HANDSHAKE_FAILED = "handshake_failed"
    CERTIFICATE_UNSUPPORTED = "certificate_unsupported"
    CERTIFICATE_MISMATCH = "certificate_mismatch"
    MEDIA_FAILED = "media_failed"
    NOT_PERMITTED = "not_permitted"
    """What it did is no longer allowed to it."""
    MOVED = "moved"
    """It was sent to another room."""
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a reason, no secret
    SIGNAL_TIMEOUT = "signal_timeout"
    """Its signalling connection was lost and did not come back."""
    SLOW_CLIENT = "slow_client"
    """It did not take what it was told fast enough."""
    BAD_SIGNAL = "bad_signal"
    """What it said was no message of its protocol."""
    CALLEE_UNAVAILABLE = "callee_unavailable"
    """A phone that was called from the room did not answer."""
    CALLEE_REJECTED = "callee_rejected"
    """A phone that was called from the room was busy, or declined."""
    CALL_FAILED = "call_failed"
    """A phone call came to nothing, or broke."""
    UNPUBLISHED = "unpublished"
    """Of a subscription: its track is gone."""


_OF_ENGINE = {
    EngineCloseReason.REQUESTED: CloseReason.LEFT,
    EngineCloseReason.ICE_TIMEOUT: CloseReason.NEVER_CONNECTED,
    EngineCloseReason.CONSENT_EXPIRED: CloseReason.CONNECTION_LOST,
    EngineCloseReason.DTLS_FAILED: CloseReason.HANDSHAKE_FAILED,
    EngineCloseReason.DTLS_CLOSED: CloseReason.PEER_CLOSED,
    EngineCloseReason.DTLS_RSA_UNSUPPORTED: CloseReason.CERTIFICATE_UNSUPPORTED,
    EngineCloseReason.FINGERPRINT_MISMATCH: CloseReason.CERTIFICATE_MISMATCH,
    EngineCloseReason.PEER_PANICKED: CloseReason.MEDIA_FAILED,
    EngineCloseReason.PARENT_CLOSED: CloseReason.ROOM_CLOSED,
    EngineCloseReason.ENGINE_CLOSED: CloseReason.SERVER_SHUTDOWN,
}


def of_engine(reason: EngineCloseReason) -> CloseReason:
    """Say for a room what the engine said of a transport."""
    return _OF_ENGINE.get(reason, CloseReason.MEDIA_FAILED)


class Refusal(StrEnum):
    """Why a request about a room was not done; nothing of it remains."""

    BAD_NAME = "bad_name"
    BAD_IDENTITY = "bad_identity"
    NO_SUCH_ROOM = "no_such_room"
    NO_SUCH_PARTICIPANT = "no_such_participant"
    NO_SUCH_TRACK = "no_such_track"
    NOT_LIVE = "not_live"
    NO_COMMON_CODEC = "no_common_codec"
    NO_SUCH_LAYER = "no_such_layer"
    TOO_MANY_ROOMS = "too_many_rooms"
    TOO_MANY_PARTICIPANTS = "too_many_participants"
    TOO_MANY_VIEWERS = "too_many_viewers"
    TOO_MANY_TRACKS = "too_many_tracks"
    ROUTER_LOST = "router_lost"
    ENGINE_BUSY = "engine_busy"
    ENGINE_REFUSED = "engine_refused"
    ENGINE_FAILED = "engine_failed"
    NOT_PERMITTED = "not_permitted"
    ROOM_LOCKED = "room_locked"
    MUST_ASK = "must_ask"
    """The room has a lobby, and this identity has not been admitted."""
    LOBBY_FULL = "lobby_full"
    NO_SUCH_KNOCK = "no_such_knock"
    CODEC_NOT_ALLOWED = "codec_not_allowed"
    UNKNOWN_CODEC = "unknown_codec"
    ROOM_IS_ENCRYPTED = "room_is_encrypted"
    """The server would have to see or hear what only the ends can."""
    NOT_MOVABLE = "not_movable"
    """What the participant came by has no way to tell it to go elsewhere."""
    SAME_ROOM = "same_room"
    IDENTITY_TAKEN = "identity_taken"
    """Somebody of that identity is in the room, and is not to make way."""
    IS_FORWARDED = "is_forwarded"
    """The participant is in this room only as forwarded from its own: that is where it can be asked for."""
    MUTED_BY_PUBLISHER = "muted_by_publisher"
    """Only its publisher can unmute the track."""
    TOO_MANY_FORWARDINGS = "too_many_forwardings"
    TOO_LARGE = "too_large"
    TOO_FAST = "too_fast"
    NO_SUCH_MESSAGE = "no_such_message"
    MESSAGE_EXISTS = "message_exists"
    EMPTY_MESSAGE = "empty_message"
    STORE_FAILED = "store_failed"
    """What must be kept could not be."""
    CLOSED = "closed"
    SHUTTING_DOWN = "shutting_down"


_BUSY = frozenset({ErrorCode.QUEUE_FULL, ErrorCode.LIMIT, ErrorCode.NO_PORT})
_RETRYABLE = frozenset(
    {
        Refusal.NOT_LIVE,
        Refusal.TOO_MANY_ROOMS,
        Refusal.TOO_MANY_PARTICIPANTS,
        Refusal.TOO_MANY_VIEWERS,
        Refusal.LOBBY_FULL,
        Refusal.TOO_FAST,
        Refusal.STORE_FAILED,
        Refusal.ROUTER_LOST,
        Refusal.ENGINE_BUSY,
        Refusal.SHUTTING_DOWN,
    }
)


class RoomError(Exception):
    """A request about a room was refused; it had no effect."""

    def __init__(self, refusal: Refusal, message: str, *, closed: CloseReason | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message
        self.closed = closed

    @property
    def retryable(self) -> bool:
        """The same request may succeed later."""
        return self.refusal in _RETRYABLE


def of_command(error: EngineCommandError, *, on_transport: bool = False) -> RoomError:
    """Say for a room why the engine refused a command.

    A limit of one transport (``on_transport``) is no matter of time: the same request would meet it again.
    """
    match error.code:
        case ErrorCode.LIMIT if on_transport:
            return RoomError(Refusal.ENGINE_REFUSED, f"too much for one connection: {error.message}")
        case code if code in _BUSY:
            return RoomError(Refusal.ENGINE_BUSY, f"the media engine has no place: {error.message}")
        case ErrorCode.INVALID | ErrorCode.UNSUPPORTED:
            return RoomError(Refusal.ENGINE_REFUSED, f"the media engine cannot do that: {error.message}")
        case ErrorCode.NOT_FOUND | ErrorCode.WRONG_STATE:
            return RoomError(Refusal.CLOSED, f"it ended meanwhile: {error.message}", closed=CloseReason.MEDIA_FAILED)
        case ErrorCode.ENGINE_CLOSED:
            return RoomError(Refusal.SHUTTING_DOWN, "the media engine is closed")
        case _:
            return RoomError(Refusal.ENGINE_FAILED, f"the media engine failed: {error.message}")
