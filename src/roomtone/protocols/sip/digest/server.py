"""Challenging and believing: the server's side of digest, without memory of the challenges it gave.

A nonce carries its time under a key; only the counts of nonces in use are remembered, so that a request heard on the
way cannot be sent again.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2s, sha256
from typing import TYPE_CHECKING

from roomtone.protocols.sip.digest.values import (
    STRONGEST_FIRST,
    Algorithm,
    Challenge,
    Credentials,
    Qop,
    digest,
    parse_credentials,
    secret_hash,
)
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.uri import SipUri, parse_uri, same_uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.protocols.sip.message import Request

_WINDOW = 64
_TIME_BYTES, _MAC_BYTES = 8, 16
_NONCE_LENGTH = 4 * (_TIME_BYTES + 4 + _MAC_BYTES + 2) // 3


class Verdict(StrEnum):
    """What credentials are worth; a closed set, used as a metric label."""

    ACCEPTED = "accepted"
    NO_CREDENTIALS = "no_credentials"
    MALFORMED = "malformed"
    BAD_NONCE = "bad_nonce"
    """Not ours, or changed."""
    STALE = "stale"
    """Ours and too old, or its counts are forgotten: the same password will do with a new one."""
    REPLAYED = "replayed"
    """This count was used before."""
    OTHER_URI = "other_uri"
    ALGORITHM_REFUSED = "algorithm_refused"
    WRONG = "wrong"
    """Password or user; which of the two is not told."""

    @property
    def asks_again(self) -> bool:
        """Whether the challenge that follows says ``stale=true``: the client need not ask its user."""
        return self in {Verdict.STALE, Verdict.REPLAYED}

    @property
    def is_failure(self) -> bool:
        """Whether it counts as a failed attempt of whoever sent it."""
        return self in {Verdict.WRONG, Verdict.BAD_NONCE, Verdict.OTHER_URI, Verdict.MALFORMED}


@dataclass(frozen=True, slots=True)
class Secret:
    """What a server knows of an account: its password, or H(A1) for each algorithm it may use."""

    password: str | None = None
    hashes: dict[Algorithm, str] = field(default_factory=dict)
    algorithms: tuple[Algorithm, ...] = STRONGEST_FIRST
    """Algorithms the account may use; one, where its phone is confused by others."""

    def hash(self, algorithm: Algorithm, username: str, realm: str) -> str | None:
        """H(A1); None when the account may not use the algorithm or has no hash for it."""
        if algorithm not in self.algorithms:
            return None
        if self.password is not None:
            return secret_hash(algorithm, username, realm, self.password)
        return self.hashes.get(algorithm)


@dataclass(frozen=True, slots=True)
class DigestPolicy:
    """How a realm challenges."""

    realm: str
    order: tuple[Algorithm, ...] = STRONGEST_FIRST
    """Algorithms offered, and in which order (RFC 8760, 2.4: the first is preferred)."""
    qop: tuple[Qop, ...] = (Qop.AUTH,)
    nonce_life_ms: int = 300_000
    counted_nonces: int = 65_536
    """Nonces whose counts are remembered. Beyond it the oldest is forgotten, and with it all older ones are stale."""


@dataclass(slots=True)
class _Used:
    issued: int
    highest: int = 0
    window: int = 0  # bit n: the count `highest - n` was used

    def take(self, count: int) -> bool:
        if count > self.highest:
            shift = count - self.highest
            self.window = ((self.window << shift) | 1) & ((1 << _WINDOW) - 1) if shift < _WINDOW else 1
            self.highest = count
            return True
        behind = self.highest - count
        if behind >= _WINDOW or self.window >> behind & 1:
            return False
        self.window |= 1 << behind
        return True


class DigestServer:
    """Challenges requests and verifies credentials for one realm.

    Inputs: `verify` with a request and the account's secret; times in milliseconds. Outputs: `challenges` for a 401 or
    407, a `Verdict`. Order: any. Limits: ``counted_nonces``. ``key`` is secret and random; servers that share it and
    the clock accept each other's nonces.
    """

    def __init__(self, policy: DigestPolicy, key: bytes) -> None:
        self.policy = policy
        self._key = key
        self._mac_key = sha256(key).digest()
        self._realm = policy.realm.encode()
        self._used: dict[str, _Used] = {}
        self._floor = -1  # nonces issued up to here are believed only while their counts are remembered
        self._count = 0
        self.forgotten = 0
        """Nonces forgotten because there were too many."""

    def challenges(
        self, now: int, *, stale: bool = False, algorithms: tuple[Algorithm, ...] | None = None
    ) -> list[Challenge]:
        """Give the challenges of one refusal, in the order in which they are to be written, one header each.

        ``algorithms`` limits them for an account that is confused by others.
        """
        policy = self.policy
        nonce = self._nonce(now)
        offered = policy.order if algorithms is None else [one for one in policy.order if one in algorithms]
        return [Challenge(policy.realm, nonce, one, qop=policy.qop, stale=stale) for one in offered or policy.order]

    def credentials(self, request: Request, header: str = "Authorization") -> Credentials | Verdict:
        """Read a request's credentials for this realm, or say that there are none (that can be read)."""
        try:
            found = parse_credentials(request.headers, header, self.policy.realm)
        except SipSyntaxError:
            return Verdict.MALFORMED
        return Verdict.NO_CREDENTIALS if found is None else found

    def verify(
        self,
        credentials: Credentials,
        request: Request,
        secret: Secret | None,
        now: int,
        is_ours: Callable[[SipUri], bool] = lambda _: False,
    ) -> Verdict:
        """Say whether credentials are right for a request; ``secret`` is None for an account that does not exist.

        That takes as long and says the same as a wrong password. ``is_ours`` says whether a URI without user names
        this server: some peers sign ``sip:HOST:PORT`` of where they send to instead of the Request-URI.
        """
        issued = self._issued(credentials.nonce)
        if issued is None:
            return Verdict.BAD_NONCE
        if not 0 <= now - issued <= self.policy.nonce_life_ms:
            return Verdict.STALE
        if not _uri_fits(credentials.uri, request, is_ours):
            return Verdict.OTHER_URI
        algorithm = credentials.algorithm
        if algorithm not in self.policy.order or (
            credentials.qop is not None and credentials.qop not in self.policy.qop
        ):
            return Verdict.ALGORITHM_REFUSED
        known = None if secret is None else secret.hash(algorithm, credentials.username, self.policy.realm)
        expected = credentials.expected(known or digest(algorithm, self._key), request.method, request.body)
        if not hmac.compare_digest(expected, credentials.response) or known is None:
            return Verdict.WRONG
        return self._take(credentials, issued, now)

    def _take(self, credentials: Credentials, issued: int, now: int) -> Verdict:
        nonce = credentials.nonce
        used = self._used.get(nonce)
        if used is None:
            if issued <= self._floor:
                return Verdict.STALE
            self._make_room(now)
            used = self._used[nonce] = _Used(issued)
        # without qop there is no count: such a nonce is good for one request
        return Verdict.ACCEPTED if used.take(credentials.count or 1) else Verdict.REPLAYED

    def _make_room(self, now: int) -> None:
        used = self._used
        while used:
            oldest = next(iter(used))
            issued = used[oldest].issued
            if now - issued > self.policy.nonce_life_ms:
                del used[oldest]
            elif len(used) >= self.policy.counted_nonces:
                del used[oldest]
                self._floor = max(self._floor, issued)
                self.forgotten += 1
            else:
                return

    def _nonce(self, now: int) -> str:
        self._count = (self._count + 1) & 0xFFFFFFFF
        head = now.to_bytes(_TIME_BYTES, "big") + self._count.to_bytes(4, "big")
        return urlsafe_b64encode(head + self._mac(head)).decode().rstrip("=")

    def _issued(self, nonce: str) -> int | None:
        if len(nonce) > _NONCE_LENGTH:
            return None
        try:
            raw = urlsafe_b64decode(nonce + "=" * (-len(nonce) % 4))
        except (ValueError, Base64Error):
            return None
        head, mac = raw[: _TIME_BYTES + 4], raw[_TIME_BYTES + 4 :]
        # One nonce has one spelling: others would be counted apart.
        if len(head) < _TIME_BYTES + 4 or urlsafe_b64encode(raw).decode().rstrip("=") != nonce:
            return None
        return int.from_bytes(head[:_TIME_BYTES], "big") if hmac.compare_digest(mac, self._mac(head)) else None

    def _mac(self, head: bytes) -> bytes:
        # Keyed BLAKE2 (RFC 7693) is a MAC by itself, and costs a tenth of an HMAC through OpenSSL.
        return blake2s(head + self._realm, key=self._mac_key, digest_size=_MAC_BYTES).digest()


def _uri_fits(signed: str, request: Request, is_ours: Callable[[SipUri], bool]) -> bool:
    if signed == request.uri_text:
        return True
    try:
        uri, asked = parse_uri(signed), request.uri
    except SipSyntaxError:
        return False
    if same_uri(uri, asked):
        return True
    if not isinstance(uri, SipUri) or uri.user is not None:
        return False
    same_host = isinstance(asked, SipUri) and asked.address == uri.address
    return same_host or is_ours(uri)
