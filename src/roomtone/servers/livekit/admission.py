"""Who may connect: the token checked, the texts those LiveKit's server answers with, so that its clients know them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from roomtone.control.policy import AccessDenial, AccessError, AccessToken, RateError, kind_of, permissions_of
from roomtone.control.rooms import (
    JoinRequest,
    Protocol,
    Refusal,
    RoomError,
    is_room_name,
)
from roomtone.protocols.livekit import Join, JoinError, read_join

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from roomtone.servers.livekit.context import LiveKitContext

_PREFIX = "Bearer "
DENIALS = {
    AccessDenial.MISSING: "no permissions to access the room",
    AccessDenial.UNKNOWN_KEY: "invalid API key",
    AccessDenial.EXPIRED: "invalid authorization token: token is expired",
    AccessDenial.NOT_YET_VALID: "invalid authorization token: token is not valid yet",
    AccessDenial.BAD_SIGNATURE: "invalid authorization token: signature is invalid",
}
_STATUS = {
    Refusal.BAD_NAME: HTTPStatus.BAD_REQUEST,
    Refusal.BAD_IDENTITY: HTTPStatus.BAD_REQUEST,
    Refusal.TOO_LARGE: HTTPStatus.BAD_REQUEST,
    Refusal.NO_SUCH_ROOM: HTTPStatus.NOT_FOUND,
    Refusal.NOT_PERMITTED: HTTPStatus.FORBIDDEN,
    Refusal.ROOM_LOCKED: HTTPStatus.FORBIDDEN,
    Refusal.MUST_ASK: HTTPStatus.FORBIDDEN,
}


class RefusedError(Exception):
    """A connection is refused before it is one."""

    def __init__(self, status: HTTPStatus, text: str, retry_after_s: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.retry_after_s = retry_after_s


def read_token(context: LiveKitContext, connection: HTTPConnection) -> AccessToken:
    """Check the token of a connection; raise `RefusedError`."""
    header = connection.headers.get("authorization")
    if header is not None and not header.startswith(_PREFIX):
        raise RefusedError(HTTPStatus.UNAUTHORIZED, "invalid authorization header. Must start with Bearer ")
    text = connection.query_params.get("access_token", "") if header is None else header.removeprefix(_PREFIX)
    try:
        token = context.keys.verify(text.strip(), context.wall_clock())
    except AccessError as error:
        raise RefusedError(HTTPStatus.UNAUTHORIZED, DENIALS.get(error.denial, "invalid authorization token")) from error
    if not token.grants.room_join:
        raise RefusedError(HTTPStatus.UNAUTHORIZED, "permissions denied")
    if not token.identity:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "identity cannot be empty")
    if not token.grants.room:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "no room name")
    if not is_room_name(token.grants.room):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "a room's name is 1 to 64 letters, digits, '.', '_' or '-'")
    return token


def read_parameters(token: AccessToken, connection: HTTPConnection, *, single: bool) -> Join:
    """Read what a client asks for, as far as its token allows it; raise `RefusedError`."""
    try:
        join = read_join(connection.query_params, needs_request=single)
    except JoinError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
    if (join.metadata or join.attributes) and not token.grants.can_update_own_metadata:
        raise RefusedError(HTTPStatus.UNAUTHORIZED, "permissions denied")
    return join


def check_room(context: LiveKitContext, token: AccessToken, join: Join, address: str) -> None:
    """Refuse what joining would refuse now: a room that is full, locked or not there, an address over its limit."""
    try:
        context.rooms.check_join(token.grants.room, join_request(token, join))
        context.limiter.check(address, context.clock())
    except RoomError as error:
        raise refused_by_room(error, token.grants.room) from error
    except RateError as error:
        raise refused_by_rate(error) from error


def join_request(token: AccessToken, join: Join) -> JoinRequest:
    """Say who joins, and what it may do."""
    attributes = dict(token.attributes) | {key: value for key, value in join.attributes.items() if value}
    return JoinRequest(
        identity=token.identity,
        name=token.name,
        metadata=join.metadata or token.metadata,
        attributes=tuple(attributes.items()),
        kind=kind_of(token),
        permissions=permissions_of(token),
        protocol=Protocol.LIVEKIT,
        account_id=token.account_id,
        movable=True,
    )


def refused_by_room(error: RoomError, room: str) -> RefusedError:
    """Say to a client that is not connected yet what a room refused."""
    if error.refusal is Refusal.MUST_ASK:
        # The protocol has no waiting: a client gives up on a join that takes long.
        return RefusedError(HTTPStatus.FORBIDDEN, f"{error.message}: ask by POST /api/v1/rooms/{room}/knock, then join")
    if error.refusal is Refusal.NO_SUCH_ROOM:
        return RefusedError(HTTPStatus.NOT_FOUND, "requested room does not exist")
    status = _STATUS.get(error.refusal)
    if status is None:
        status = HTTPStatus.SERVICE_UNAVAILABLE if error.retryable else HTTPStatus.INTERNAL_SERVER_ERROR
    return RefusedError(status, error.message, 5 if error.retryable else None)


def refused_by_rate(error: RateError) -> RefusedError:
    """Say to a client that its address connects too often."""
    return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, str(error), error.retry_after_s)
