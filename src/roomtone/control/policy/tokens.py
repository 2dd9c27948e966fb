"""Access tokens: signed JWTs in LiveKit's grant form, checked against a table of keys.

``iss`` is the key's name, ``sub`` the participant's identity, ``video`` the grants. Only HS256 is taken.
Time is an argument in seconds since the epoch.

Two names of keys are the server's own: `ACCOUNT_ISSUER` signs what an account gets when it logs in, `ROOM_ISSUER` the
room tokens given to accounts. Only such tokens speak for an account.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, assert_never

import jwt
from jwt.exceptions import InvalidSignatureError, PyJWTError
from jwt.warnings import InsecureKeyLengthWarning

from roomtone.control.policy.denials import AccessDenial, AccessError
from roomtone.control.policy.grants import Grant, VideoGrants, read_grants
from roomtone.control.policy.roles import Role, server_grants

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEV_KEY = "devkey"
DEV_SECRET = "secret"  # noqa: S105 (the well-known pair of development servers; refused outside of --dev by configuration)
ACCOUNT_ISSUER = "@account"
ROOM_ISSUER = "@server"
_OWN_ISSUERS = frozenset({ACCOUNT_ISSUER, ROOM_ISSUER})
LEEWAY_S = 10
MAX_TOKEN_LENGTH = 8192
DEFAULT_LIFETIME_S = 6 * 3600
DEFAULT_MAX_LIFETIME_S = 31_536_000


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
    kind: str = ""
    """LiveKit's kind of participant: standard, ingress, egress, sip, agent; empty is standard."""
    sha256: str = ""
    """Of the body that this token signs, as LiveKit's webhooks have it; base64."""
    sip: Mapping[str, Any] | None = None
    """The ``sip`` grants as they came."""
    room_config: Mapping[str, Any] | None = None
    """The ``roomConfig`` claim as it came."""
    account_id: str | None = None
    """The account this server gave the token to."""
    role: Role | None = None
    """That account's role; only in what it got when it logged in."""
    family: str = ""
    """The log-in that the token comes from."""
    issued_at: float = 0.0
    """When the account was given it; only of an account's."""

    @property
    def administers_sip(self) -> bool:
        """Whether it has LiveKit's grant ``sip.admin``."""
        return self.sip is not None and self.sip.get("admin") is True

    @property
    def calls_by_sip(self) -> bool:
        """Whether it has LiveKit's grant ``sip.call``."""
        return self.sip is not None and self.sip.get("call") is True


class AccountGate(Protocol):
    """Knows whose tokens were withdrawn before they expired."""

    def refuses(self, account_id: str, family: str, issued_at: float) -> bool:
        """Whether a token of this account and log-in, issued then, is good no more."""
        ...


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """The server's own two secrets, and the gate that tokens signed with them must pass."""

    account_secret: str = field(repr=False)
    room_secret: str = field(repr=False)
    gate: AccountGate

    def secret_of(self, issuer: str) -> str | None:
        """Give the secret behind one of the server's own names."""
        return {ACCOUNT_ISSUER: self.account_secret, ROOM_ISSUER: self.room_secret}.get(issuer)


@dataclass(frozen=True, slots=True)
class KeyTable:
    """Names and secrets of the keys that sign tokens.

    ``secrets`` may change under it: what leaves it opens nothing from then on.
    """

    secrets: Mapping[str, str] = field(repr=False)
    max_lifetime_s: float = DEFAULT_MAX_LIFETIME_S
    own: OwnKeys | None = None

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
        # How long the server's own tokens live is a setting of its own.
        own = self.own is not None and claims["iss"] in _OWN_ISSUERS
        if not own and expires - max(begins or now, now) > self.max_lifetime_s:
            raise AccessError(AccessDenial.LIVES_TOO_LONG, "the token lives longer than this server allows")
        attributes = claims.get("attributes")
        pairs = attributes.items() if isinstance(attributes, dict) else ()
        read = AccessToken(
            key=str(claims["iss"]),
            identity=_text(claims, "sub"),
            grants=read_grants(claims.get("video")),
            name=_text(claims, "name"),
            metadata=_text(claims, "metadata"),
            attributes=tuple((str(key), str(value)) for key, value in pairs),
            expires_at=expires,
            kind=_text(claims, "kind"),
            sha256=_text(claims, "sha256"),
            sip=_object(claims, "sip"),
            room_config=_object(claims, "roomConfig"),
        )
        return self._of_account(read, claims) if own else read

    def sign(
        self,
        key: str,
        identity: str,
        grants: VideoGrants,
        now: float,
        lifetime_s: float = DEFAULT_LIFETIME_S,
        **more: Any,
    ) -> str:
        """Make a token, ``more`` being further claims; raise `KeyError` for an unknown key."""
        secret = self._secret(key)
        if secret is None:
            raise KeyError(key)
        begin = int(now)
        claims: dict[str, Any] = {
            "iss": key,
            "sub": identity,
            "nbf": begin,
            "exp": begin + int(lifetime_s),
            "video": grants.to_claim(),
            **more,
        }
        with _short_secret_allowed(key):
            return _codec().encode(claims, secret, algorithm="HS256")

    def renew(
        self, token: AccessToken, identity: str, grants: VideoGrants, now: float, lifetime_s: float, **more: Any
    ) -> str:
        """Sign a room token anew; raise `KeyError` when its key is gone, or its account's tokens were withdrawn.

        An account's stays as old as the first was, so that it can be withdrawn like that. What an account got when it
        logged in makes a room token of its account.
        """
        key = token.key
        if key in _OWN_ISSUERS and self.own is not None and token.account_id is not None:
            if self.own.gate.refuses(token.account_id, token.family, token.issued_at):
                raise KeyError(key)
            key = ROOM_ISSUER
            more |= {"account": token.account_id, "family": token.family, "iat": token.issued_at}
        return self.sign(key, identity, grants, now, lifetime_s, **more)

    def _of_account(self, read: AccessToken, claims: dict[str, Any]) -> AccessToken:
        account, family, issued = _text(claims, "account"), _text(claims, "family"), _time(claims, "iat")
        if self.own is None or not account or issued is None:
            raise AccessError(AccessDenial.MALFORMED, "the token names no account")
        if self.own.gate.refuses(account, family, issued):
            raise AccessError(AccessDenial.WITHDRAWN, "the token was withdrawn: log in again")
        if read.key == ROOM_ISSUER:
            return replace(read, account_id=account, family=family, issued_at=issued)
        try:
            role = Role(_text(claims, "role"))
        except ValueError as error:
            raise AccessError(AccessDenial.MALFORMED, "the token's role is none of this server's") from error
        return replace(read, account_id=account, family=family, issued_at=issued, role=role, grants=server_grants(role))

    def _secret(self, key: str) -> str | None:
        own = None if self.own is None else self.own.secret_of(key)
        return own or self.secrets.get(key)

    def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_LENGTH:
            raise AccessError(AccessDenial.MALFORMED, "the token is too long")
        try:
            issuer = _codec().decode(token, options={"verify_signature": False}).get("iss")
        except (PyJWTError, ValueError) as error:
            raise AccessError(AccessDenial.MALFORMED, "the token is no JWT") from error
        secret = self._secret(issuer) if isinstance(issuer, str) else None
        if secret is None:
            raise AccessError(AccessDenial.UNKNOWN_KEY, "the token names no known key")
        try:
            with _short_secret_allowed(str(issuer)):
                return _codec().decode(token, secret, algorithms=["HS256"])
        except InvalidSignatureError as error:
            raise AccessError(AccessDenial.BAD_SIGNATURE, "the token's signature is wrong") from error
        except (PyJWTError, ValueError) as error:
            raise AccessError(AccessDenial.MALFORMED, "the token is no HS256 JWT with known claims") from error


def require(token: AccessToken, room: str, grant: Grant) -> None:
    """Check that a token covers a request about a room; raise `AccessError`."""
    grants = token.grants
    match grant:
        case Grant.LIST:
            granted = grants.room_list or (grants.room_admin and not grants.room)
        case Grant.CREATE:
            granted = grants.room_create
        case Grant.RECORD:
            granted = grants.room_record
        case Grant.INGEST:
            granted = grants.ingress_admin
        case Grant.ADMINISTER:
            if token.role is None:
                _require_room(grants, room)
            granted = grants.room_admin
        case Grant.JOIN | Grant.PUBLISH | Grant.SUBSCRIBE:
            if not grants.room_join:
                raise AccessError(AccessDenial.NOT_GRANTED, "the token does not grant roomJoin")
            _require_room(grants, room)
            granted = grant is Grant.JOIN or (grants.can_publish if grant is Grant.PUBLISH else grants.can_subscribe)
        case _:
            assert_never(grant)
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
def _short_secret_allowed(key: str) -> Iterator[None]:
    # The well-known development secret is shorter than RFC 7518 asks for; no other key is excused.
    if key != DEV_KEY:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        yield


def _object(claims: dict[str, Any], name: str) -> Mapping[str, Any] | None:
    value = claims.get(name)
    if value is not None and not isinstance(value, dict):
        raise AccessError(AccessDenial.MALFORMED, f"the token's {name} is no object")
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
