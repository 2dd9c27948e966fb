"""Reading requests: bearer token, client address, media type, bounded body."""

from __future__ import annotations

from http import HTTPStatus
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, TypeVar

import msgspec

from roomtone.control.policy import AccessDenial, AccessError, AccessToken, Grant, permissions_of, require
from roomtone.control.rooms import JoinRequest, ParticipantKind, Protocol
from roomtone.servers.api.status import HttpProblem

if TYPE_CHECKING:
    from starlette.requests import Request

    from roomtone.servers.api.context import ApiContext

_T = TypeVar("_T")


def context_of(request: Request) -> ApiContext:
    """Give the context the application was created with."""
    context: ApiContext = request.app.state.context
    return context


def bearer(request: Request) -> str | None:
    """Give the bearer token (RFC 6750 section 2.1)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def authorize(request: Request, room: str, grant: Grant) -> AccessToken:
    """Check the token of a request about a room; raise `AccessError`."""
    context = context_of(request)
    token = context.keys.verify(bearer(request), context.wall_clock())
    require(token, room, grant)
    if grant in {Grant.PUBLISH, Grant.JOIN} and not token.identity:
        raise AccessError(AccessDenial.NO_IDENTITY, "the token names no participant (sub)")
    return token


def authorize_destination(request: Request, room: str) -> None:
    """Check that a token sends participants to a room: by ``destinationRoom``, or since it administers that one too."""
    context = context_of(request)
    token = context.keys.verify(bearer(request), context.wall_clock())
    if token.grants.destination_room != room:
        require(token, room, Grant.ADMINISTER)


def join_request(
    token: AccessToken, kind: ParticipantKind = ParticipantKind.STANDARD, protocol: Protocol | None = None
) -> JoinRequest:
    """Say who a token's participant is and what it may do."""
    return JoinRequest(
        identity=token.identity,
        name=token.name,
        metadata=token.metadata,
        attributes=token.attributes,
        kind=kind,
        permissions=permissions_of(token),
        protocol=protocol,
        account_id=token.account_id,
    )


def client_address(request: Request) -> str:
    """Give the address limits count by: that of the client as the front door told it, an IPv6 one by its /64."""
    host = request.client.host if request.client is not None else "local"
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv4Address):
        return host
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else ":".join(address.exploded.split(":")[:4]) + "::/64"


def is_loopback(request: Request) -> bool:
    """Whether the client is on this machine; a client without an address came by a Unix socket."""
    if request.client is None:
        return True
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def require_media_type(request: Request, wanted: str, accept_header: str) -> None:
    """Refuse a body of another media type with 415."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != wanted:
        detail = f"the body must be {wanted}" + (f", not {given}" if given else "")
        raise HttpProblem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail, {accept_header: wanted})


async def read_body(request: Request, limit: int) -> bytes:
    """Read a body; refuse one over the limit with 413, without reading it to its end."""
    too_large = HttpProblem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", f"the body is over {limit} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


def decode_json(body: bytes, type_: type[_T]) -> _T:
    """Read a body's JSON; 400 says what is wrong with it."""
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.MsgspecError as error:
        raise HttpProblem(HTTPStatus.BAD_REQUEST, "malformed_json", str(error)) from error
