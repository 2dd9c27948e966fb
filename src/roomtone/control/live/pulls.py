"""Streams that are fetched from other servers, by the API: by SRT, RTMP, RTSP, and HLS by a process of its own.

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
from urllib.parse import urlsplit

from roomtone.control.live.listing import Listings
from roomtone.control.live.pull_urls import BY_ITSELF, HTTP_PORTS, PullRefusal, PullRefusedError, read_url, redirected
from roomtone.control.live.values import LiveTerms
from roomtone.media import EngineCommandError, IngestListener, MailboxClosed, MailboxOverflow
from roomtone.media.values import IngestPullEnded, IngestStarted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomtone.control.live.ingests import Ingests, IngestStream
    from roomtone.control.live.listing import TermsWish
    from roomtone.control.live.pull_urls import PullTarget, PullWay
    from roomtone.media import Engine, Mailbox

_log = logging.getLogger(__name__)
MAX_PULLS = 100
"""Pulls at a time; one more is refused."""
FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 60.0
STEADY_S = 30.0
"""A stream that came for so long was no failure: the next pause is the first again."""
MAX_REDIRECTS = 5
"""Times that a server of RTSP may send elsewhere within an attempt."""


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
    way: PullWay = BY_ITSELF
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
        return urlsplit(self.url).scheme in HTTP_PORTS

    @property
    def shown_url(self) -> str:
        """The URL without its query and login, in which secrets are."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = "" if parts.port is None else f":{parts.port}"
        return f"{parts.scheme}://{host}{port}{parts.path}"


@dataclass(frozen=True, slots=True)
class _Over:
    """How an attempt at one address went."""

    was_there: bool
    why: str
    redirect: str | None = None


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

    async def open(self, name: str, url: str, wish: TermsWish | None = None, way: PullWay = BY_ITSELF) -> Pull:
        """Fetch a stream from now on; raise `PullRefusedError`, for addresses that are private already here."""
        target = read_url(url, way)
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
        pull = self.by_name[name] = Pull(name, url, self._clock(), terms, way)
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

    async def _run(self, pull: Pull, target: PullTarget) -> None:
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

    async def _attempt(self, pull: Pull, target: PullTarget) -> str:
        """Fetch until it is over, wherever its server sends to; why it is."""
        if target.to is None:
            await self._targets.find(target.host, target.port)
            return await self._relay(pull)
        url = pull.url
        for _ in range(MAX_REDIRECTS + 1):
            over = await self._try(pull, target)
            if over.redirect is None:
                return over.why
            url, target = redirected(url, over.redirect, pull.way)
        return f"it was sent elsewhere {MAX_REDIRECTS} times"

    async def _try(self, pull: Pull, target: PullTarget) -> _Over:
        """Fetch from one address after the other until the stream was there; the addresses are judged anew."""
        over = _Over(was_there=False, why=f"{target.host} has no address")
        if target.to is None:
            return over
        for found in await self._targets.find(target.host, target.port):
            address = f"[{found}]:{target.port}" if ":" in found else f"{found}:{target.port}"
            pull.listener = await IngestListener.open_pull(
                self._engine,
                pull.name,
                target.to(address),
                **self._listings.of(self._listings.current(pull.name)).for_engine(),
            )
            self._ingests.adopt(pull.listener)
            over = await self._follow(pull, self._engine.subscribe(pull.listener.id))
            self._ingests.forget(pull.listener)
            pull.listener = None
            if over.was_there or over.redirect is not None:
                break
        return over

    async def _follow(self, pull: Pull, mailbox: Mailbox) -> _Over:
        """Wait for the end of an attempt."""
        was_there = False
        with mailbox:
            try:
                while True:
                    match await mailbox.get():
                        case IngestStarted():
                            was_there = True
                            self._turn(pull, PullState.PUBLISHING)
                        case IngestPullEnded(detail=detail, reason=reason, redirect=redirect):
                            return _Over(was_there, detail or reason.value, redirect)
                        case _:
                            pass
            except (MailboxOverflow, MailboxClosed):
                # It may go on: the next attempt would find its own name taken.
                if pull.listener is not None:
                    with suppress(EngineCommandError):
                        await pull.listener.close()
                return _Over(was_there, "what became of it is not known")
