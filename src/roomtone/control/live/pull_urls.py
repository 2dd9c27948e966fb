"""From where streams are fetched, as URLs say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from roomtone.media.values import RtmpPull, RtspPull, SrtPull, TrustAuthorities, TrustFingerprint, TrustUnchecked

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.media.values import IngestPull, IngestTrust

_PORTS = {"rtmp": 1935, "rtmps": 443}
_RTSP_PORTS = {"rtsp": 554, "rtsps": 322}
HTTP_PORTS = {"http": 80, "https": 443}
"""Of what a process fetches."""
_MAX_PASSPHRASE = range(10, 81)
_SHA256_BYTES = 32


class PullRefusal(StrEnum):
    """Why a stream is not fetched."""

    EXISTS = "pull_exists"
    TOO_MANY = "too_many_pulls"
    UNSUPPORTED = "unsupported_scheme"
    BAD_URL = "bad_url"
    PRIVATE = "private_address"


class PullRefusedError(Exception):
    """A stream is not fetched."""

    def __init__(self, refusal: PullRefusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class PullWay:
    """How a stream is fetched, beside what its URL says."""

    datagrams: bool = False
    """Of RTSP: its packets come by UDP, else in the connection."""
    certificate: str = "check"
    """Behind TLS: ``check`` by the authorities that this machine trusts, ``any``, or ``sha256:HEX`` of the only one."""

    @property
    def trust(self) -> IngestTrust:
        """How the certificate of a server is checked; raise `PullRefusedError`."""
        if self.certificate == "check":
            return TrustAuthorities()
        if self.certificate == "any":
            return TrustUnchecked()
        algorithm, _, digits = self.certificate.partition(":")
        try:
            digest = bytes.fromhex(digits)
        except ValueError:
            digest = b""
        if algorithm != "sha256" or len(digest) != _SHA256_BYTES:
            raise PullRefusedError(PullRefusal.BAD_URL, "certificate is check, any, or sha256: and 64 digits")
        return TrustFingerprint(sha256=digest)


BY_ITSELF = PullWay()
"""As streams are fetched unless somebody wishes otherwise."""


@dataclass(frozen=True, slots=True)
class PullTarget:
    """Where a stream is to be fetched from; ``to`` says how from one of its addresses, None: a process does it."""

    host: str
    port: int
    to: Callable[[str], IngestPull] | None
    scheme: str = ""


def read_url(url: str, way: PullWay = BY_ITSELF) -> PullTarget:
    """Read from where a stream is to be fetched; raise `PullRefusedError`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise PullRefusedError(PullRefusal.BAD_URL, str(error)) from error
    if parts.scheme not in {"srt", *_PORTS, *_RTSP_PORTS, *HTTP_PORTS}:
        message = "streams are fetched by srt://, rtmp://, rtmps://, rtsp://, rtsps://, and HLS by http:// and https://"
        raise PullRefusedError(PullRefusal.UNSUPPORTED, message)
    if not parts.hostname:
        raise PullRefusedError(PullRefusal.BAD_URL, "the URL has no host")
    if parts.scheme == "srt":
        return _read_srt(parts.hostname, port, parts.query)
    if parts.scheme in HTTP_PORTS:
        return PullTarget(parts.hostname, port or HTTP_PORTS[parts.scheme], None)
    if parts.scheme in _RTSP_PORTS:
        return _read_rtsp(url, parts.scheme, parts.hostname, port or _RTSP_PORTS[parts.scheme], way)
    if parts.path.strip("/").count("/") < 1:
        raise PullRefusedError(PullRefusal.BAD_URL, "the URL is not rtmp://HOST/APP/NAME")
    trust = way.trust
    return PullTarget(
        parts.hostname,
        port or _PORTS[parts.scheme],
        lambda address: RtmpPull(address=address, url=url, trust=trust),
    )


def _read_rtsp(url: str, scheme: str, host: str, port: int, way: PullWay) -> PullTarget:
    if not all(" " < one <= "~" for one in url):
        raise PullRefusedError(PullRefusal.BAD_URL, "what is not ASCII stands in a URL as %XX")
    if scheme == "rtsps" and way.datagrams:
        # They would not be encrypted.
        raise PullRefusedError(PullRefusal.BAD_URL, "packets of rtsps:// come in its connection: rtsp_transport is tcp")
    trust = way.trust

    def to(address: str) -> IngestPull:
        return RtspPull(address=address, url=url, datagrams=way.datagrams, trust=trust)

    return PullTarget(host, port, to, scheme=scheme)


def _read_srt(host: str, port: int | None, query: str) -> PullTarget:
    given = {key: values[-1] for key, values in parse_qs(query).items()}
    if port is None:
        raise PullRefusedError(PullRefusal.BAD_URL, "an SRT URL says its port")
    if given.pop("mode", "caller") != "caller":
        raise PullRefusedError(PullRefusal.BAD_URL, "mode is caller: who listens or meets is not called")
    passphrase = given.get("passphrase")
    if passphrase is not None and len(passphrase) not in _MAX_PASSPHRASE:
        raise PullRefusedError(PullRefusal.BAD_URL, "a passphrase has 10 to 80 characters")
    latency = given.get("latency_ms", "120")
    if not latency.isdecimal():
        raise PullRefusedError(PullRefusal.BAD_URL, "latency_ms is no number")

    def to(address: str) -> IngestPull:
        return SrtPull(
            address=address, stream_id=given.get("streamid", ""), passphrase=passphrase, latency_ms=int(latency)
        )

    return PullTarget(host, port, to)


def redirected(url: str, location: str, way: PullWay = BY_ITSELF) -> tuple[str, PullTarget]:
    """Read where a server of RTSP sends to; the login of before goes along only to the same host and port.

    Raise `PullRefusedError`, for other schemes too, and where TLS is left.
    """
    before, after = read_url(url, way), read_url(location, way)
    if after.scheme not in _RTSP_PORTS:
        raise PullRefusedError(PullRefusal.UNSUPPORTED, f"{before.host} sends to what is no rtsp://")
    if before.scheme == "rtsps" and after.scheme != before.scheme:
        raise PullRefusedError(PullRefusal.UNSUPPORTED, f"{before.host} sends to where there is no TLS")
    login, has_login, _ = urlsplit(url).netloc.rpartition("@")
    is_same = (before.host, before.port) == (after.host, after.port)
    if has_login and is_same and "@" not in urlsplit(location).netloc:
        location = urlsplit(location)._replace(netloc=f"{login}@{urlsplit(location).netloc}").geturl()
        after = read_url(location, way)
    return location, after
