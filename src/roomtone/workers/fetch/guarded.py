"""HTTP for whoever fetches what strangers name: each address is checked before it is connected to, on redirects too.

Nothing is looked up a second time between the check and the connection, so a name cannot change its address there.
Limits: `MAX_REDIRECTS`, `MAX_BYTES` of an answer, `MAX_PLAYLIST` of a playlist, `TIMEOUT_S` for whatever is waited for.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from roomtone.clients.webhooks.addresses import is_public
from roomtone.workers.fetch.asked import Asked, Decrypted
from roomtone.workers.fetch.playlists import MAX_PLAYLIST, Text, made_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from roomtone.workers.fetch.asked import Body

MAX_REDIRECTS = 5
MAX_BYTES = 256 << 20
TIMEOUT_S = 10.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"User-Agent": "Roomtone", "Accept-Encoding": "identity"}
_OK, _PARTIAL = 200, 206


class FetchError(OSError):
    """Something is not fetched."""


def resolve(host: str, port: int) -> list[str]:
    """Give the addresses of a host; raise ``OSError``."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))


class Answer:
    """The body of an answer, read from the beginning to the end."""

    def __init__(self, url: str, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        self._url = url
        self._connection = connection
        self._answer = answer
        self._left = MAX_BYTES

    @property
    def is_playlist(self) -> bool:
        """Whether it is one, by what the server says or by its name."""
        said = self._answer.headers.get("Content-Type", "").lower()
        return "mpegurl" in said or urlsplit(self._url).path.lower().endswith((".m3u8", ".m3u"))

    def playlist(self) -> Text:
        """Read it to its end; raise `FetchError` where it is too long, ``ValueError`` where nobody could play it."""
        text = b""
        while part := self.read(1 << 16):
            text += part
            if len(text) > MAX_PLAYLIST:
                message = f"a playlist is over {MAX_PLAYLIST} bytes"
                raise FetchError(message)
        self.close()
        return Text(made_ready(text, self._url))

    def read(self, size: int) -> bytes:
        """Give what comes next; nothing at the end. Raise `FetchError` where it does not end."""
        part = self._answer.read(size)
        self._left -= len(part)
        if self._left < 0:
            message = f"an answer is over {MAX_BYTES} bytes"
            raise FetchError(message)
        return part

    def close(self) -> None:
        """Let it go."""
        self._connection.close()


class Guard:
    """Fetches from public addresses, and from others where ``allow_private``."""

    def __init__(self, *, allow_private: bool, resolver: Callable[[str, int], list[str]] = resolve) -> None:
        self.last_error = ""
        """Why something was not fetched last."""
        self._allow_private = allow_private
        self._resolver = resolver
        self._tls = ssl.create_default_context()

    def open(self, url: str, _flags: int = 0, options: Mapping[str, object] | None = None) -> Body:
        """Ask for what a demuxer asks for, by redirects too, and decrypt it where it says so; raise `FetchError`."""
        try:
            asked = Asked.read(url, options or {})
            answer = self._open(asked)
            if asked.key is not None:
                return Decrypted(answer, asked.key, asked.iv)
            return answer.playlist() if answer.is_playlist else answer
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.last_error = str(error) or type(error).__name__
            raise FetchError(self.last_error) from error

    def connect(self, host: str, port: int) -> socket.socket:
        """Connect to the first checked address that answers; raise ``OSError``."""
        found = self._resolver(host, port)
        allowed = [address for address in found if self._allow_private or is_public(address)]
        if not allowed:
            where = f"{host} is {', '.join(found)}" if found else f"{host} has no address"
            message = f"{where}: streams come from public addresses only (pull.allow_private)"
            raise FetchError(message)
        for address in allowed[:-1]:
            try:
                return socket.create_connection((address, port), TIMEOUT_S)
            except OSError:
                continue
        return socket.create_connection((allowed[-1], port), TIMEOUT_S)

    def _open(self, asked: Asked) -> Answer:
        url = asked.url
        for _ in range(MAX_REDIRECTS + 1):
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                message = f"{parts.scheme or 'nothing'} is not fetched: http and https are"
                raise FetchError(message)
            connection = self._connection(parts.scheme, parts.hostname, parts.port)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers=_HEADERS | asked.headers)
            answer = connection.getresponse()
            if answer.status == (_OK if asked.piece is None else _PARTIAL):
                return Answer(url, connection, answer)
            place = answer.headers.get("Location")
            connection.close()
            if answer.status not in _REDIRECTS or not place:
                message = f"{parts.hostname} answers {answer.status} for {parts.path}"
                raise FetchError(message)
            url = urljoin(url, place)
        message = f"more than {MAX_REDIRECTS} redirects"
        raise FetchError(message)

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "https":
            secure = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=self._tls)
            secure.sock = self._tls.wrap_socket(self.connect(host, secure.port), server_hostname=host)
            return secure
        plain = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        plain.sock = self.connect(host, plain.port)
        return plain
