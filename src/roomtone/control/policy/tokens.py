"""Access tokens: signed JWTs in LiveKit's grant form, checked against a table of keys.

``iss`` is the key's name, ``sub`` the participant's identity, ``video`` the grants. Only HS256 is taken.
Time is an argument in seconds since the epoch.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import jwt
from jwt.exceptions import InvalidSignatureError, PyJWTError
from jwt.warnings import InsecureKeyLengthWarning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEV_KEY = "devkey"
DEV_SECRET = "secret"  # noqa: S105 (the well-known pair of development servers; refused outside of --dev by configuration)
LEEWAY_S = 10
MAX_TOKEN_LENGTH = 8192
DEFAULT_LIFETIME_S = 6 * 3600
DEFAULT_MAX_LIFETIME_S = 31_536_000


class AccessDenial(StrEnum):
    """Why a token does not open a door."""

    MISSING = "token_missing"
    MALFORMED = "token_malformed"
    UNKNOWN_KEY = "token_unknown_key"
    BAD_SIGNATURE = "token_bad_signature"
    EXPIRED = "token_expired"
    NOT_YET_VALID = "token_not_yet_valid"
    LIVES_TOO_LONG = "token_lives_too_long"
    NO_IDENTITY = "token_no_identity"
    OTHER_ROOM = "other_room"
    NOT_GRANTED = "not_granted"

    @property
    def is_forbidden(self) -> bool:
        """The token is good but does not cover the request; otherwise it is no valid token at all."""
        return self in {AccessDenial.OTHER_ROOM, AccessDenial.NOT_GRANTED}


class AccessError(Exception):
    """A request is not allowed."""

    def __init__(self, denial: AccessDenial, message: str) -> None:
        super().__init__(message)
        self.denial = denial
        self.message = message


class Grant(StrEnum):
    """What a request needs, beside the room."""

    PUBLISH = "canPublish"
    SUBSCRIBE = "canSubscribe"
    ADMINISTER = "roomAdmin"
    LIST = "roomList"


@dataclass(frozen=True, slots=True)
class VideoGrants:
    """The ``video`` grant; what is absent in a token has the default here."""

    room: str = ""
    room_join: bool = False
    can_publish: bool = True
    can_subscribe: bool = True
    room_admin: bool = False
    room_list: bool = False

    def to_claim(self) -> dict[str, str | bool]:
        """Write the claim, defaults left out."""
        pairs: list[tuple[str, str | bool, str | bool]] = [
            ("room", self.room, ""),
            ("roomJoin", self.room_join, False),
            ("canPublish", self.can_publish, True),
            ("canSubscribe", self.can_subscribe, True),
            ("roomAdmin", self.room_admin, False),
            ("roomList", self.room_list, False),
        ]
        return {name: value for name, value, default in pairs if value != default}


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A verified token."""

    key: str
    identity: str
    grants: VideoGrants
    name: str = ""
    metadata: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class KeyTable:
    """Names and secrets of the keys that sign tokens."""

    secrets: Mapping[str, str] = field(repr=False)
    max_lifetime_s: float = DEFAULT_MAX_LIFETIME_S

    def verify(self, token: str | None, now: float) -> AccessToken:
        """Check a token; raise `AccessError`."""
        if not token:
            raise AccessError(AccessDenial.MISSING, "the request has no bearer token")
        claims = self._claims(token)
        expires, begins = _time(claims, "exp"), _time(claims, "nbf")
        if expires is None:
            raise AccessError(AccessDenial.MALFORMED, "the token has no expiry")
        if now >= expires + LEEWAY_S:
            raise AccessError(AccessDenial.EXPIRED, "the token has expired")
        if begins is not None and now < begins - LEEWAY_S:
            raise AccessError(AccessDenial.NOT_YET_VALID, "the token is not valid yet")
        if expires - max(begins or now, now) > self.max_lifetime_s:
            raise AccessError(AccessDenial.LIVES_TOO_LONG, "the token lives longer than this server allows")
        attributes = claims.get("attributes")
        pairs = attributes.items() if isinstance(attributes, dict) else ()
        return AccessToken(
            key=str(claims["iss"]),
            identity=_text(claims, "sub"),
            grants=_grants(claims.get("video")),
            name=_text(claims, "name"),
            metadata=_text(claims, "metadata"),
            attributes=tuple((str(key), str(value)) for key, value in pairs),
            expires_at=expires,
        )

    def sign(
        self, key: str, identity: str, grants: VideoGrants, now: float, lifetime_s: float = DEFAULT_LIFETIME_S
    ) -> str:
        """Make a token; raise `KeyError` for an unknown key."""
        begin = int(now)
        claims: dict[str, Any] = {
            "iss": key,
            "sub": identity,
            "nbf": begin,
            "exp": begin + int(lifetime_s),
            "video": grants.to_claim(),
        }
        with _short_secrets_allowed():
            return _codec().encode(claims, self.secrets[key], algorithm="HS256")

    def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_LENGTH:
            raise AccessError(AccessDenial.MALFORMED, "the token is too long")
        try:
            issuer = _codec().decode(token, options={"verify_signature": False}).get("iss")
        except (PyJWTError, ValueError) as error:
            raise AccessError(AccessDenial.MALFORMED, "the token is no JWT") from error
        secret = self.secrets.get(issuer) if isinstance(issuer, str) else None
        if secret is None:
            raise AccessError(AccessDenial.UNKNOWN_KEY, "the token names no known key")
        try:
            with _short_secrets_allowed():
                return _codec().decode(token, secret, algorithms=["HS256"])
        except InvalidSignatureError as error:
            raise AccessError(AccessDenial.BAD_SIGNATURE, "the token's signature is wrong") from error
        except (PyJWTError, ValueError) as error:
            raise AccessError(AccessDenial.MALFORMED, "the token is no HS256 JWT with known claims") from error


def require(token: AccessToken, room: str, grant: Grant) -> None:
    """Check that a token covers a request about a room; raise `AccessError`."""
    grants = token.grants
    if grant is Grant.LIST:
        if not (grants.room_list or (grants.room_admin and not grants.room)):
            raise AccessError(AccessDenial.NOT_GRANTED, "the token does not grant roomList")
        return
    if grant is Grant.ADMINISTER:
        _require_room(grants, room)
        if not grants.room_admin:
            raise AccessError(AccessDenial.NOT_GRANTED, "the token does not grant roomAdmin")
        return
    if not grants.room_join:
        raise AccessError(AccessDenial.NOT_GRANTED, "the token does not grant roomJoin")
    _require_room(grants, room)
    granted = grants.can_publish if grant is Grant.PUBLISH else grants.can_subscribe
    if not granted:
        raise AccessError(AccessDenial.NOT_GRANTED, f"the token does not grant {grant.value}")


def _require_room(grants: VideoGrants, room: str) -> None:
    if grants.room != room:
        raise AccessError(AccessDenial.OTHER_ROOM, "the token is for another room")


def _codec() -> jwt.PyJWT:
    # Times are checked here against the given clock, with a reason of their own.
    return jwt.PyJWT(
        options={
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
            "verify_aud": False,
            "verify_sub": False,
        }
    )


@contextmanager
def _short_secrets_allowed() -> Iterator[None]:
    # The well-known development secret is shorter than RFC 7518 asks for; configuration refuses such ones elsewhere.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        yield


def _grants(claim: object) -> VideoGrants:
    if claim is None:
        return VideoGrants()
    if not isinstance(claim, dict):
        raise AccessError(AccessDenial.MALFORMED, "the token's video grant is no object")
    room = claim.get("room", "")
    if not isinstance(room, str):
        raise AccessError(AccessDenial.MALFORMED, "the token's room is no text")
    return VideoGrants(
        room=room,
        room_join=_flag(claim, "roomJoin", default=False),
        can_publish=_flag(claim, "canPublish", default=True),
        can_subscribe=_flag(claim, "canSubscribe", default=True),
        room_admin=_flag(claim, "roomAdmin", default=False),
        room_list=_flag(claim, "roomList", default=False),
    )


def _flag(claim: dict[str, Any], name: str, *, default: bool) -> bool:
    value = claim.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise AccessError(AccessDenial.MALFORMED, f"the token's {name} is neither true nor false")
    return value


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise AccessError(AccessDenial.MALFORMED, f"the token's {name} is no text")
    return value


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise AccessError(AccessDenial.MALFORMED, f"the token's {name} is no time")
    return float(value)
