"""One attempt to hand a webhook over: signed, to a checked address, through few redirects, within its time."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import httpcore

from roomtone.clients.webhooks.addresses import AddressRefusedError, GuardedBackend
from roomtone.clients.webhooks.values import Attempt
from roomtone.control.policy import VideoGrants

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.policy import KeyTable

MEDIA_TYPE = "application/webhook+json"
TOKEN_LIFETIME_S = 300
MAX_REDIRECTS = 3
MAX_ANSWER_BYTES = 65_536
"""Of an answer that much is read, to use its connection again; a longer one costs the connection."""
_SAME_METHOD = frozenset({307, 308})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class WebhookPoster:
    """Makes attempts over HTTP. ``sign_as`` gives the name of the key that signs, or none when there is none."""

    def __init__(
        self,
        keys: KeyTable,
        sign_as: Callable[[], str | None],
        *,
        backend: GuardedBackend,
        clock: Callable[[], float],
        connect_timeout_s: float = 5.0,
        timeout_s: float = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._keys = keys
        self._sign_as = sign_as
        self._clock = clock
        self._timeout_s = timeout_s
        self._timeouts = {"connect": connect_timeout_s, "read": timeout_s, "write": timeout_s, "pool": timeout_s}
        self._tls = tls
        self._backend = backend
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.aclose()

    async def post(self, url: str, body: bytes) -> Attempt:
        """Hand a webhook over, through redirects that keep method and body (RFC 9110 section 15.4)."""
        key = self._sign_as()
        try:
            token = self._token(key, body)
        except KeyError:
            return Attempt(f"there is no key {key!r} to sign with" if key else "there is no key to sign with")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._follow(url, body, token)
        except TimeoutError:
            return Attempt(f"no answer within {self._timeout_s:g} s")
        except AddressRefusedError as error:
            return Attempt(str(error), final=True)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            return Attempt(f"{type(error).__name__}: {error}")
        except (httpcore.UnsupportedProtocol, ValueError) as error:
            return Attempt(f"it cannot be sent there: {error}", final=True)

    def _connections(self) -> httpcore.AsyncConnectionPool:
        """Give the pool; made when it is first needed, since reading the certificates takes a while."""
        if self._pool is None:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=self._tls or ssl.create_default_context(),
                max_connections=None,  # attempts are limited already
                keepalive_expiry=30.0,
                network_backend=self._backend,
            )
        return self._pool

    def _token(self, key: str | None, body: bytes) -> str:
        if key is None:
            raise KeyError(key)
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        return self._keys.sign(key, "", VideoGrants(), self._clock(), TOKEN_LIFETIME_S, sha256=digest)

    async def _follow(self, url: str, body: bytes, token: str) -> Attempt:
        at = url
        for _ in range(MAX_REDIRECTS + 1):
            status, location, retry_after = await self._exchange(at, body, token)
            if status not in _REDIRECTS:
                return _of_status(status, retry_after)
            if status not in _SAME_METHOD:
                return Attempt(f"status {status}: a redirect that keeps no body is not followed")
            if not location:
                return Attempt(f"status {status} without a location")
            following = urljoin(at, location)
            if urlsplit(at).scheme == "https" and urlsplit(following).scheme != "https":
                return Attempt("a redirect from https to something else is not followed")
            at = following
        return Attempt(f"more than {MAX_REDIRECTS} redirects")

    async def _exchange(self, url: str, body: bytes, token: str) -> tuple[int, str, str]:
        headers = [
            ("Host", urlsplit(url).netloc.rpartition("@")[2]),
            ("Authorization", token),
            ("Content-Type", MEDIA_TYPE),
            ("Content-Length", str(len(body))),
            ("User-Agent", "roomtone"),
        ]
        asked = self._connections().stream(
            "POST", url, headers=headers, content=body, extensions={"timeout": dict(self._timeouts)}
        )
        async with asked as response:
            told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            read = 0
            async for chunk in response.aiter_stream():
                read += len(chunk)
                if read > MAX_ANSWER_BYTES:
                    break
            return response.status, told.get("location", ""), told.get("retry-after", "")


def _of_status(status: int, retry_after: str) -> Attempt:
    if 200 <= status < 300:  # noqa: PLR2004 - 2xx
        return Attempt()
    wish = float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 6 else 0.0  # noqa: PLR2004
    return Attempt(f"status {status}", retry_after_s=wish)
