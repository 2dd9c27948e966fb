"""Who may watch live streams by HLS, and who does: grants for the front door, viewers, and those that are sent away.

A token is checked once. What it gets is a grant: it opens one stream until it expires, and the front door checks it
alone by the key that both have since the start. Limits: `MAX_HOLDERS` grants are remembered by whom they were given to,
the oldest go; `MAX_KICKED` tokens are kept away, and nobody more can be.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import secrets
import struct
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from roomtone.control.live.values import LiveError, LiveRefusal
from roomtone.control.policy import (
    Ability,
    AccessDenial,
    AccessError,
    AccessToken,
    Grant,
    KeyTable,
    require,
    require_ability,
)
from roomtone.media.front import KickRefusal, KickRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.media.front import FrontHeld, FrontViewer

PURPOSE = b"roomtone live grant"
MAC_BYTES = 16
MAX_HOLDERS = 65_536
MAX_KICKED = 16_384


class Audience(Protocol):
    """The front door, which sees who asks for playlists."""

    def viewers(self, name: str) -> list[FrontViewer]:
        """Give who watches a stream now."""
        ...

    def audience(self) -> dict[str, int]:
        """Give how many watch each stream that is watched."""
        ...

    def kick(self, name: str, viewer: int) -> FrontViewer:
        """Send a viewer away; raise `KickRefusedError`."""
        ...


class LiveShelf(Protocol):
    """The front door, which holds what is watched."""

    def keyframe(self, name: str) -> bytes | None:
        """Give the last keyframe of a stream as a file (MP4) of one picture."""
        ...

    def held(self, name: str) -> FrontHeld | None:
        """Give what is in memory of a stream."""
        ...


@dataclass(frozen=True, slots=True)
class WatchRules:
    """Who may watch without a token: everybody where ``public``, with ``open_to_loopback`` programs of this machine.

    ``grant_s`` is how long a grant is good.
    """

    public: bool = False
    open_to_loopback: bool = False
    grant_s: int = 14_400


@dataclass(frozen=True, slots=True)
class WatchGrant:
    """A grant as it stands in a path, and how long it is good."""

    text: str
    lifetime_s: int


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a grant was given to; ``digest`` of the token, empty where none was needed."""

    identity: str
    digest: str
    until: float


@dataclass(frozen=True, slots=True)
class LiveViewer:
    """One who watches, with the identity in the token where it showed one."""

    seen: FrontViewer
    identity: str | None


@dataclass(slots=True)
class LiveAccess:
    """Gives grants and knows whom."""

    keys: KeyTable
    rules: WatchRules = field(default_factory=WatchRules)
    clock: Callable[[], float] = time.time
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """What grants are signed with; that of the front door too."""
    door: Audience | None = None
    """None before it is open: nobody watches then."""
    granted: int = 0
    refused: Counter[AccessDenial] = field(default_factory=Counter)
    kicked: int = 0
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _holders: OrderedDict[int, Holder] = field(default_factory=OrderedDict)
    _away: dict[tuple[str, str], float] = field(default_factory=dict)

    def is_open_to(self, *, loopback: bool) -> bool:
        """Whether somebody may watch any stream without a grant."""
        return self.rules.public or (self.rules.open_to_loopback and loopback)

    def admit(self, name: str, token: str | None, *, public: bool = False) -> WatchGrant:
        """Give a grant for a stream, without a token only where the stream is ``public``; raise `AccessError`."""
        try:
            identity, digest = self._check(name, token, public=public)
        except AccessError as error:
            self.refused[error.denial] += 1
            raise
        now = self.clock()
        number, until = next(self._numbers), int(now) + self.rules.grant_s
        while len(self._holders) >= MAX_HOLDERS:
            self._holders.popitem(last=False)
        self._holders[number] = Holder(identity, digest, until)
        self.granted += 1
        return WatchGrant(sign_grant(self.key, name, number, until), self.rules.grant_s)

    def viewers(self, name: str) -> list[LiveViewer]:
        """Give who watches a stream."""
        found = [] if self.door is None else self.door.viewers(name)
        return [LiveViewer(one, self._identity(one)) for one in found]

    def audience(self) -> dict[str, int]:
        """Give how many watch each stream that is watched."""
        return {} if self.door is None else self.door.audience()

    def kick(self, name: str, viewer: int) -> None:
        """Send a viewer away: its grant is good no more, nor is its token for this stream; raise `LiveError`.

        Who watches without a grant is known by address and agent, and kept away for ten minutes.
        """
        self._forget_kicked()
        if len(self._away) >= MAX_KICKED:
            raise LiveError(LiveRefusal.TOO_MANY_KICKED, "too many viewers are kept away already")
        if self.door is None:
            raise LiveError(LiveRefusal.NO_SUCH_VIEWER, "there is no such viewer of this stream")
        try:
            gone = self.door.kick(name, viewer)
        except KickRefusedError as error:
            match error.refusal:
                case KickRefusal.UNKNOWN:
                    raise LiveError(LiveRefusal.NO_SUCH_VIEWER, str(error)) from error
                case KickRefusal.FULL:
                    raise LiveError(LiveRefusal.TOO_MANY_KICKED, str(error)) from error
        self.kicked += 1
        holder = None if gone.grant is None else self._holders.get(gone.grant)
        if holder is not None and holder.digest:
            self._away[name, holder.digest] = holder.until

    def check_token(self, name: str, token: str) -> Holder:
        """Say who a token lets watch a stream in other ways than by a grant; raise `AccessError`."""
        identity, digest = self._check(name, token, public=False)
        return Holder(identity, digest, self.clock() + self.rules.grant_s)

    def keep_away(self, name: str, holder: Holder) -> None:
        """Let a token open a stream no more, for as long as a grant is good; raise `LiveError`."""
        self._forget_kicked()
        if len(self._away) >= MAX_KICKED:
            raise LiveError(LiveRefusal.TOO_MANY_KICKED, "too many viewers are kept away already")
        self._away[name, holder.digest] = self.clock() + self.rules.grant_s

    def _check(self, name: str, token: str | None, *, public: bool) -> tuple[str, str]:
        """Give identity and digest of who may watch."""
        if token is None:
            if public or self.rules.public:
                return "", ""
            raise AccessError(AccessDenial.MISSING, "this stream is not public: show a token, ?token= or as a bearer")
        read = self.keys.verify(token, self.clock())
        _require_watching(read, name)
        digest = hashlib.sha256(token.encode()).hexdigest()
        until = self._away.get((name, digest))
        if until is not None and until > self.clock():
            raise AccessError(AccessDenial.SENT_AWAY, "you were sent away from this stream")
        return read.identity, digest

    def _identity(self, viewer: FrontViewer) -> str | None:
        holder = None if viewer.grant is None else self._holders.get(viewer.grant)
        return (holder.identity or None) if holder is not None else None

    def _forget_kicked(self) -> None:
        now = self.clock()
        self._away = {key: until for key, until in self._away.items() if until > now}


def _require_watching(token: AccessToken, name: str) -> None:
    """Let accounts in that may join rooms, and tokens of the room of this name that may subscribe."""
    if token.role is None:
        require(token, name, Grant.SUBSCRIBE)
    else:
        require_ability(token.role, Ability.JOIN_ROOMS)


def sign_grant(key: bytes, name: str, number: int, until: int) -> str:
    """Write a grant as `crates/front` reads it."""
    signed = struct.pack(">QI", number, until)
    mac = hmac.digest(key, PURPOSE + name.encode() + b"\0" + signed, "sha256")[:MAC_BYTES]
    return base64.urlsafe_b64encode(signed + mac).rstrip(b"=").decode()
