"""One request after the other becomes an exchange: the only place that talks to an origin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from roomtone.checks.hls.seen import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATIENCE_S = 60.0
MAX_BODY = 256 << 20
MAX_CONNECTIONS = 256


def make_client(*, http2: bool = True, verify: bool = True) -> httpx.AsyncClient:
    """Make the client of a check."""
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS)
    return httpx.AsyncClient(
        http2=http2, verify=verify, follow_redirects=True, timeout=PATIENCE_S, limits=limits, trust_env=False
    )


class Requests:
    """Makes requests and keeps all exchanges; nothing raises: what fails is an exchange of status 0."""

    def __init__(self, client: httpx.AsyncClient, clock: Callable[[], float]) -> None:
        self.made: list[Exchange] = []
        self._client = client
        self._clock = clock

    async def fetch(self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Exchange:
        """Make a request and read its answer to the end."""
        asked_at = self._clock()
        try:
            async with self._client.stream(method, url, headers=dict(headers or {})) as response:
                answered_at = self._clock()
                body = bytearray()
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > MAX_BODY:
                        raise httpx.ReadError(f"the body is over {MAX_BODY} bytes")
            exchange = Exchange(
                url=str(response.url),
                asked_at=asked_at,
                answered_at=answered_at,
                ended_at=self._clock(),
                status=response.status_code,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=bytes(body),
                http_version=response.http_version,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            now = self._clock()
            why = f"{type(error).__name__}: {error}".encode()
            exchange = Exchange(url, asked_at, now, now, 0, {}, why)
        self.made.append(exchange)
        return exchange
