"""Streams that are fetched from other servers, by the API: by SRT, by RTMP, and HLS by a process of its own.

A pull lasts until somebody closes it. Each attempt looks the name up anew and checks the addresses that it leads to;
between attempts there are pauses that double.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs, urlsplit

from roomtone.control.live.listing import Listings
from roomtone.control.live.values import LiveTerms
from roomtone.media import EngineCommandError, IngestListener, MailboxClosed, MailboxOverflow
from roomtone.media.values import IngestPullEnded, IngestStarted, RtmpPull, SrtPull

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomtone.control.live.ingests import Ingests, IngestStream
    from roomtone.control.live.listing import TermsWish
    from roomtone.media import Engine, Mailbox
    from roomtone.media.values import IngestPull

_log = logging.getLogger(__name__)
MAX_PULLS = 100
"""Pulls at a time; one more is refused."""
FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 60.0
STEADY_S = 30.0
"""A stream that came for so long was no failure: the next pause is the first again."""
_RTMP_PORT = 1935
_HTTP_PORTS = {"http": 80, "https": 443}
_MAX_PASSPHRASE = range(10, 81)


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


class PullState(StrEnum):
    """What a pull does."""

    CONNECTING = "connecting"
    PUBLISHING = "publishing"
    WAITING = "waiting"
    """For its next attempt."""


class Fetchers(Protocol):
    """Processes that fetch what the engine cannot, and publish it here as encoders do."""

    def why_not(self) -> str:
        """Say why nothing can be fetched so; empty where it can."""
        ...

    async def fetch(self, name: str, url: str, secret: str) -> str:
        """Fetch one attempt, published under a name with a secret; give why it is over. Ended by being cancelled."""
        ...


class PullTargets(Protocol):
    """Finds where a pull may go."""

    async def find(self, host: str, port: int) -> list[str]:
        """Give the addresses of a host that may be connected to; raise `PullRefusedError` or ``OSError``."""


@dataclass(slots=True)
class Pull:
    """A stream that is fetched; ``last_error`` says why the newest attempt is over."""

    name: str
    url: str
    opened_at: float
    terms: LiveTerms = field(default_factory=LiveTerms)
    state: PullState = PullState.CONNECTING
    attempts: int = 0
    last_error: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)
    listener: IngestListener | None = field(default=None, repr=False)
    secret: str = field(default="", repr=False)
    """By which a process publishes it."""

    @property
    def is_relayed(self) -> bool:
        """Whether a process fetches it."""
        return urlsplit(self.url).scheme in _HTTP_PORTS

    @property
    def shown_url(self) -> str:
        """The URL without its query and login, in which secrets are."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = "" if parts.port is None else f":{parts.port}"
        return f"{parts.scheme}://{host}{port}{parts.path}"


@dataclass(frozen=True, slots=True)
class _Target:
    host: str
    port: int
    to: Callable[[str], IngestPull] | None
    """None: a process fetches it."""


def read_url(url: str) -> _Target:
    """Read from where a stream is to be fetched; raise `PullRefusedError`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise PullRefusedError(PullRefusal.BAD_URL, str(error)) from error
    if parts.scheme not in {"srt", "rtmp", "http", "https"}:
        message = (
            "streams are fetched by srt://, rtmp://, and HLS by http:// and https://; RTMPS and RTSP are not built"
        )
        raise PullRefusedError(PullRefusal.UNSUPPORTED, message)
    if not parts.hostname:
        raise PullRefusedError(PullRefusal.BAD_URL, "the URL has no host")
    if parts.scheme == "srt":
        return _read_srt(parts.hostname, port, parts.query)
    if parts.scheme in _HTTP_PORTS:
        return _Target(parts.hostname, port or _HTTP_PORTS[parts.scheme], None)
    if parts.path.strip("/").count("/") < 1:
        raise PullRefusedError(PullRefusal.BAD_URL, "the URL is not rtmp://HOST/APP/NAME")
    return _Target(parts.hostname, port or _RTMP_PORT, lambda address: RtmpPull(address=address, url=url))


def _read_srt(host: str, port: int | None, query: str) -> _Target:
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

    return _Target(host, port, to)


class Pulls:
    """All pulls of this node, by the names of their streams."""

    def __init__(
        self,
        engine: Engine,
        ingests: Ingests,
        targets: PullTargets,
        listings: Listings | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.by_name: dict[str, Pull] = {}
        self.attempts = 0
        self.when_changed: Callable[[Pull], None] = lambda _pull: None
        """Called when one does something else than before."""
        self.fetchers: Fetchers | None = None
        """Once there is something that encoders publish to."""
        ingests.when_started.append(self._on_started)
        self._engine = engine
        self._ingests = ingests
        self._targets = targets
        self._listings = listings or Listings()
        self._clock = clock
        self._sleep = sleep

    async def open(self, name: str, url: str, wish: TermsWish | None = None) -> Pull:
        """Fetch a stream from now on; raise `PullRefusedError`, for addresses that are private already here."""
        target = read_url(url)
        if target.to is None and (why := "not yet" if self.fetchers is None else self.fetchers.why_not()):
            raise PullRefusedError(PullRefusal.UNSUPPORTED, f"HLS cannot be fetched: {why}")
        with suppress(OSError):  # it may be there later
            await self._targets.find(target.host, target.port)
        if name in self.by_name:
            raise PullRefusedError(PullRefusal.EXISTS, f"{name} is fetched already")
        if len(self.by_name) >= MAX_PULLS:
            raise PullRefusedError(PullRefusal.TOO_MANY, f"{MAX_PULLS} streams are fetched")
        terms = self._listings.terms_of(name, wish)
        self._listings.give(name, terms)
        pull = self.by_name[name] = Pull(name, url, self._clock(), terms)
        pull.task = asyncio.ensure_future(self._run(pull, target))
        return pull

    async def close(self, name: str) -> None:
        """Fetch a stream no more and end it; `KeyError` where there is no such pull."""
        pull = self.by_name.pop(name)
        if pull.task is not None:
            pull.task.cancel()
            await asyncio.gather(pull.task, return_exceptions=True)
        if pull.listener is not None:
            await self._ingests.abandon(pull.listener)
        stream = self._ingests.by_name.get(name)
        if pull.is_relayed and stream is not None:
            await self._ingests.end(stream)
        self._listings.forget(name)

    async def close_all(self) -> None:
        """Fetch nothing any more."""
        for name in list(self.by_name):
            await self.close(name)

    async def _run(self, pull: Pull, target: _Target) -> None:
        pause = FIRST_PAUSE_S
        while True:
            pull.attempts += 1
            self.attempts += 1
            self._turn(pull, PullState.CONNECTING)
            begun = self._clock()
            try:
                pull.last_error = await self._attempt(pull, target)
            except (PullRefusedError, EngineCommandError, OSError) as error:
                pull.last_error = str(error)
            if self._clock() - begun >= STEADY_S:
                pause = FIRST_PAUSE_S
            self._turn(pull, PullState.WAITING)
            _log.info("%s is not fetched from %s: %s", pull.name, pull.shown_url, pull.last_error)
            await self._sleep(pause)
            pause = min(MAX_PAUSE_S, pause * 2)

    def _turn(self, pull: Pull, state: PullState) -> None:
        pull.state = state
        self.when_changed(pull)

    def secret_of(self, name: str) -> str:
        """Give by what alone something may be published under a name now; empty where no process publishes it."""
        pull = self.by_name.get(name)
        return "" if pull is None else pull.secret

    def _on_started(self, stream: IngestStream) -> None:
        pull = self.by_name.get(stream.name)
        if pull is not None and pull.secret:
            self._turn(pull, PullState.PUBLISHING)

    async def _relay(self, pull: Pull) -> str:
        if self.fetchers is None:
            return "the server is stopping"
        pull.secret = secrets.token_urlsafe(32)
        try:
            return await self.fetchers.fetch(pull.name, pull.url, pull.secret)
        finally:
            pull.secret = ""

    async def _attempt(self, pull: Pull, target: _Target) -> str:
        """Fetch until it is over; why it is."""
        if target.to is None:
            await self._targets.find(target.host, target.port)
            return await self._relay(pull)
        why = f"{target.host} has no address"
        for found in await self._targets.find(target.host, target.port):
            address = f"[{found}]:{target.port}" if ":" in found else f"{found}:{target.port}"
            pull.listener = await IngestListener.open_pull(
                self._engine,
                pull.name,
                target.to(address),
                **self._listings.of(pull.terms).for_engine(),
            )
            self._ingests.adopt(pull.listener)
            was_there, why = await self._follow(pull, self._engine.subscribe(pull.listener.id))
            self._ingests.forget(pull.listener)
            pull.listener = None
            if was_there:
                break
        return why

    async def _follow(self, pull: Pull, mailbox: Mailbox) -> tuple[bool, str]:
        """Wait for the end of an attempt; whether the stream was there, and why it is over."""
        was_there = False
        with mailbox:
            try:
                while True:
                    match await mailbox.get():
                        case IngestStarted():
                            was_there = True
                            self._turn(pull, PullState.PUBLISHING)
                        case IngestPullEnded(detail=detail, reason=reason):
                            return was_there, detail or reason.value
                        case _:
                            pass
            except (MailboxOverflow, MailboxClosed):
                # It may go on: the next attempt would find its own name taken.
                if pull.listener is not None:
                    with suppress(EngineCommandError):
                        await pull.listener.close()
                return was_there, "what became of it is not known"
