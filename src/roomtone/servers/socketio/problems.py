"""The one place where errors of control and protocols become the codes and statuses of this interface."""

from __future__ import annotations

from http import HTTPStatus

from roomtone.control.policy import AccessError, RateError
from roomtone.control.rooms import CloseReason, Refusal, RoomError
from roomtone.protocols.mediasoup import PayloadCode, PayloadError

_OF_REFUSAL = {
    Refusal.BAD_NAME: HTTPStatus.BAD_REQUEST,
    Refusal.BAD_IDENTITY: HTTPStatus.BAD_REQUEST,
    Refusal.TOO_LARGE: HTTPStatus.BAD_REQUEST,
    Refusal.NO_SUCH_ROOM: HTTPStatus.NOT_FOUND,
    Refusal.NO_SUCH_PARTICIPANT: HTTPStatus.NOT_FOUND,
    Refusal.NO_SUCH_TRACK: HTTPStatus.NOT_FOUND,
    Refusal.NO_SUCH_KNOCK: HTTPStatus.NOT_FOUND,
    Refusal.NO_SUCH_MESSAGE: HTTPStatus.NOT_FOUND,
    Refusal.NOT_PERMITTED: HTTPStatus.FORBIDDEN,
    Refusal.ROOM_LOCKED: HTTPStatus.FORBIDDEN,
    Refusal.MUST_ASK: HTTPStatus.FORBIDDEN,
    Refusal.ENGINE_FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_RETRYABLE = frozenset(
    {
        Refusal.TOO_MANY_ROOMS,
        Refusal.TOO_MANY_PARTICIPANTS,
        Refusal.TOO_MANY_VIEWERS,
        Refusal.LOBBY_FULL,
        Refusal.ROUTER_LOST,
        Refusal.ENGINE_BUSY,
        Refusal.SHUTTING_DOWN,
    }
)


class SfuError(Exception):
    """A request was refused; it had no effect. ``code`` is stable for programs, ``message`` is for people."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def body(self) -> dict[str, object]:
        """Give what clients are answered."""
        return {"error": {"code": self.code, "message": self.message}}


def no_such(what: str, id_: str) -> SfuError:
    """Make the error of a thing that is not there."""
    return SfuError(HTTPStatus.NOT_FOUND, f"no_such_{what.replace(' ', '_')}", f"there is no {what} {id_!r} here")


def wrong_state(code: str, message: str) -> SfuError:
    """Make the error of a request that comes at the wrong time."""
    return SfuError(HTTPStatus.CONFLICT, code, message)


def too_fast() -> SfuError:
    """Make the error of a request that is one too many."""
    return SfuError(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", "too many requests: it was not done")


def problem_of(error: Exception) -> SfuError:
    """Say what an error means here; one that is none of ours is raised again."""
    match error:
        case SfuError():
            return error
        case PayloadError():
            status = HTTPStatus.BAD_REQUEST
            if error.code is PayloadCode.NO_COMMON_CODEC:
                status = HTTPStatus.CONFLICT
            return SfuError(status, error.code.value, error.message)
        case AccessError():
            status = HTTPStatus.FORBIDDEN if error.denial.is_forbidden else HTTPStatus.UNAUTHORIZED
            return SfuError(status, error.denial.value, error.message)
        case RateError():
            return SfuError(HTTPStatus.SERVICE_UNAVAILABLE, error.reason.value, str(error))
        case RoomError():
            return _of_room(error)
        case _:
            raise error


def _of_room(error: RoomError) -> SfuError:
    if error.refusal in _RETRYABLE or error.closed is CloseReason.SERVER_SHUTDOWN:
        return SfuError(HTTPStatus.SERVICE_UNAVAILABLE, error.refusal.value, error.message)
    status = _OF_REFUSAL.get(error.refusal, HTTPStatus.CONFLICT)
    return SfuError(status, error.refusal.value, error.message)
