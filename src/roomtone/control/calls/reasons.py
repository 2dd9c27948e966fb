"""Why calls and legs end: one closed enum, and the one place where it meets SIP statuses."""

from __future__ import annotations

from enum import StrEnum


class CallEnd(StrEnum):
    """Why a call, or one leg of it, came to its end."""

    COMPLETED = "completed"
    """Somebody hung up after it was answered."""
    CANCELLED = "cancelled"
    """The caller gave up before it was answered."""
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    """Of a leg: another one answered."""
    TRANSFERRED = "transferred"
    """Its other side talks to somebody else now, in this call or another."""
    BUSY = "busy"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    """Nobody answered in time."""
    NOT_REGISTERED = "not_registered"
    """The account exists, and no phone of it is reachable."""
    NOT_FOUND = "not_found"
    """Nothing answers to the number."""
    FORBIDDEN = "forbidden"
    BAD_REQUEST = "bad_request"
    """A peer's description cannot be read."""
    MEDIA_INCOMPATIBLE = "media_incompatible"
    """No codec, address or security that both sides have."""
    ROOM_IS_ENCRYPTED = "room_is_encrypted"
    """A phone is heard in the clear, and the room's media is encrypted end to end; rooms refuse by the same code."""
    UNREACHABLE = "unreachable"
    """A peer does not answer at all, or cannot be sent to."""
    UNSUPPORTED = "unsupported"
    REFUSED = "refused"
    """By a peer, with a status of no other reason."""
    OVERLOADED = "overloaded"
    ENGINE_FAILED = "engine_failed"
    MEDIA_LOST = "media_lost"
    """What carried the media broke while the call went on."""
    LEG_LOST = "leg_lost"
    """A peer no longer knows the call, or did not refresh it in time."""
    WRONG_PIN = "wrong_pin"
    """No right PIN was entered in the tries and the time there are."""
    PIN_REFUSED = "pin_refused"
    """Its caller entered too many wrong PINs before."""
    TOO_MANY_HOPS = "too_many_hops"
    """It has come by as many servers as it may: mostly a circle of them."""
    TOO_LONG = "too_long"
    """It lasted as long as it was allowed to."""
    REMOVED = "removed"
    """An operator ended it."""
    SERVER_SHUTDOWN = "server_shutdown"
    FAILED = "failed"
    """A defect of this program."""


_STATUS = {
    CallEnd.COMPLETED: (200, "OK"),
    CallEnd.CANCELLED: (487, "Request Terminated"),
    CallEnd.ANSWERED_ELSEWHERE: (487, "Call completed elsewhere"),
    CallEnd.TRANSFERRED: (487, "Transferred"),
    CallEnd.BUSY: (486, "Busy Here"),
    CallEnd.DECLINED: (603, "Decline"),
    CallEnd.NO_ANSWER: (480, "No answer"),
    CallEnd.NOT_REGISTERED: (480, "Not registered"),
    CallEnd.NOT_FOUND: (404, "Not Found"),
    CallEnd.FORBIDDEN: (403, "Forbidden"),
    CallEnd.BAD_REQUEST: (400, "Bad Request"),
    CallEnd.MEDIA_INCOMPATIBLE: (488, "Not Acceptable Here"),
    CallEnd.ROOM_IS_ENCRYPTED: (488, "room_is_encrypted"),
    CallEnd.UNREACHABLE: (480, "Unreachable"),
    CallEnd.UNSUPPORTED: (501, "Not Implemented"),
    CallEnd.REFUSED: (480, "Temporarily Unavailable"),
    CallEnd.OVERLOADED: (503, "Service Unavailable"),
    CallEnd.ENGINE_FAILED: (500, "Media engine failed"),
    CallEnd.MEDIA_LOST: (500, "Media lost"),
    CallEnd.LEG_LOST: (481, "Call Does Not Exist"),
    CallEnd.WRONG_PIN: (403, "Wrong PIN"),
    CallEnd.PIN_REFUSED: (403, "Too many wrong PINs"),
    CallEnd.TOO_MANY_HOPS: (483, "Too Many Hops"),
    CallEnd.TOO_LONG: (480, "Time is up"),
    CallEnd.REMOVED: (480, "Ended by the operator"),
    CallEnd.SERVER_SHUTDOWN: (503, "Shutting down"),
    CallEnd.FAILED: (500, "Server Internal Error"),
}

_BY_STATUS = {
    400: CallEnd.REFUSED,
    403: CallEnd.FORBIDDEN,
    404: CallEnd.NOT_FOUND,
    408: CallEnd.UNREACHABLE,
    430: CallEnd.UNREACHABLE,
    480: CallEnd.NO_ANSWER,
    481: CallEnd.LEG_LOST,
    483: CallEnd.TOO_MANY_HOPS,
    486: CallEnd.BUSY,
    487: CallEnd.CANCELLED,
    488: CallEnd.MEDIA_INCOMPATIBLE,
    500: CallEnd.REFUSED,
    501: CallEnd.UNSUPPORTED,
    503: CallEnd.UNREACHABLE,
    600: CallEnd.BUSY,
    603: CallEnd.DECLINED,
    604: CallEnd.NOT_FOUND,
    606: CallEnd.MEDIA_INCOMPATIBLE,
}

# Of several refusals of a forked call the caller is told the one that says most (RFC 3261 section 16.7, 6).
_TELLING = (
    CallEnd.DECLINED,
    CallEnd.BUSY,
    CallEnd.MEDIA_INCOMPATIBLE,
    CallEnd.FORBIDDEN,
    CallEnd.NO_ANSWER,
    CallEnd.NOT_FOUND,
    CallEnd.REFUSED,
    CallEnd.UNSUPPORTED,
)


def sip_status(end: CallEnd) -> tuple[int, str]:
    """Give the status and phrase a peer is refused with."""
    return _STATUS[end]


def end_of_status(status: int) -> CallEnd:
    """Give the reason for a peer's final refusal."""
    return _BY_STATUS.get(status, CallEnd.REFUSED)


def most_telling(ends: list[CallEnd]) -> CallEnd:
    """Choose among the ends of all legs what the caller is told."""
    return next((end for end in _TELLING if end in ends), ends[0] if ends else CallEnd.NOT_REGISTERED)
