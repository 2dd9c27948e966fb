"""Sources that do not ask, RTP and MPEG-TS in datagrams: who sends them is agreed on beforehand, by the API.

An input is open until somebody closes it; its stream comes and goes with its source, and is one of `Ingests`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING

from roomtone.control.live.listing import Listings
from roomtone.media import EngineCommandError, IngestListener
from roomtone.media.values import ErrorCode, IngestProtocol, IngestRtpTrack, MpegTsInput, RtpInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.live.ingests import Ingests
    from roomtone.control.live.listing import TermsWish
    from roomtone.media import Engine

MAX_INPUTS = 100
"""Inputs at a time; one more is refused."""


class InputRefusal(StrEnum):
    """Why an input cannot be opened."""

    EXISTS = "input_exists"
    TOO_MANY = "too_many_inputs"
    NO_SHARED_PORT = "no_shared_port"
    PORT_TAKEN = "port_taken"
    INVALID = "invalid_input"


class InputRefusedError(Exception):
    """An input cannot be opened."""

    def __init__(self, refusal: InputRefusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class InputRequest:
    """What is to be opened: RTP of these tracks, MPEG-TS where there are none.

    ``listen`` is an ``IP:PORT`` of its own; None: the port that all share. ``source`` is an ``IP`` or ``IP:PORT``;
    None: whoever sends first.
    """

    name: str
    tracks: tuple[IngestRtpTrack, ...] = ()
    listen: str | None = None
    source: str | None = None
    terms: TermsWish | None = None


@dataclass(frozen=True, slots=True)
class LiveInput:
    """An input; ``port`` is where its source sends to."""

    request: InputRequest
    listener: IngestListener
    opened_at: float

    @property
    def name(self) -> str:
        """Of its stream."""
        return self.request.name

    @property
    def port(self) -> int:
        """Of RTP or MPEG-TS; RTCP goes to the one above."""
        return self.listener.port


class Inputs:
    """All inputs of this node, by the names of their streams."""

    def __init__(
        self,
        engine: Engine,
        ingests: Ingests,
        listings: Listings | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.by_name: dict[str, LiveInput] = {}
        self._engine = engine
        self._ingests = ingests
        self._listings = listings or Listings()
        self._clock = clock
        self._opening: set[str] = set()

    async def open(self, request: InputRequest) -> LiveInput:
        """Open an input; raise `InputRefusedError`."""
        name = request.name
        if name in self.by_name or name in self._opening:
            raise InputRefusedError(InputRefusal.EXISTS, f"{name} has an input already")
        if len(self.by_name) + len(self._opening) >= MAX_INPUTS:
            raise InputRefusedError(InputRefusal.TOO_MANY, f"{MAX_INPUTS} inputs are open")
        self._opening.add(name)
        try:
            return await self._open(request)
        finally:
            self._opening.discard(name)

    async def _open(self, request: InputRequest) -> LiveInput:
        shared = None if request.listen else self._shared(request.source)
        where = {
            "listener": shared.id if shared is not None else None,
            "address": request.listen,
            "remote": request.source,
        }
        terms = self._listings.terms_of(request.name, request.terms)
        listing = self._listings.of(terms)
        tracks = list(request.tracks)
        source = RtpInput(tracks=tracks, **where) if tracks else MpegTsInput(**where)  # type: ignore[arg-type]
        try:
            listener = await IngestListener.open_input(self._engine, request.name, source, **listing.for_engine())
        except EngineCommandError as error:
            code = InputRefusal.PORT_TAKEN if error.code is ErrorCode.NO_PORT else InputRefusal.INVALID
            raise InputRefusedError(code, str(error)) from error
        self._listings.give(request.name, terms)
        self._ingests.adopt(listener)
        opened = LiveInput(request, listener, self._clock())
        self.by_name[request.name] = opened
        return opened

    async def close(self, name: str) -> None:
        """Close an input and end what it publishes; `KeyError` where there is none."""
        opened = self.by_name.pop(name)
        await self._ingests.abandon(opened.listener)
        self._listings.forget(name)

    def _shared(self, source: str | None) -> IngestListener:
        """Give the port that inputs share, of the family of the source where there are several."""
        ports = [one for one in self._ingests.listeners if one.protocol is IngestProtocol.RTP and one.shared]
        if not ports:
            message = "no port is shared: say where to listen, or set rtp_ingest.listen"
            raise InputRefusedError(InputRefusal.NO_SHARED_PORT, message)
        wants_ipv6 = source is not None and _is_ipv6(source)
        return next((port for port in ports if port.ipv6 == wants_ipv6), ports[0])


def _is_ipv6(source: str) -> bool:
    with suppress(ValueError):
        return ip_address(source).version == 6  # noqa: PLR2004
    return source.startswith("[")
