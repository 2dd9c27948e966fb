"""States that others publish here (RFC 3903 section 6), as an event state compositor."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from roomtone.protocols.sip.agent.events import StateChanged
from roomtone.protocols.sip.headers.events import parse_event
from roomtone.protocols.sip.headers.valued import parse_seconds

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.agent import UserAgent
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction import ServerTransaction
    from roomtone.protocols.sip.wheel import Timer


class StateKind(StrEnum):
    """What happened to a published state."""

    PUBLISHED = "published"
    CHANGED = "changed"
    REMOVED = "removed"
    EXPIRED = "expired"


class StateChange(NamedTuple):
    """A state of somebody, as it is now (or was, when it is gone)."""

    kind: StateKind
    resource: str
    """Request-URI of the PUBLISH: whose state it is."""
    package: str
    etag: str
    """Of the publication; it changes with each request, and ``replaces`` is the one before."""
    replaces: str | None
    publication: str
    """Its first tag: the same through all changes."""
    content_type: str
    body: bytes


class _State:
    __slots__ = ("body", "content_type", "etag", "first", "package", "resource", "states", "timer")

    def __init__(self, states: PublishedStates, resource: str, package: str) -> None:
        self.states = states
        self.resource = resource
        self.package = package
        self.etag = self.first = ""
        self.content_type = ""
        self.body = b""
        self.timer: Timer | None = None

    def __call__(self, _now: int) -> None:
        """Expire: it is the value of its timer."""
        self.timer = None
        self.states.expire(self)


class PublishedStates:
    """States that are kept for those who published them, each for as long as it was granted.

    Limits: ``publications`` and ``state_bytes`` of `AgentLimits`; times are bounded as those of subscriptions are.
    """

    __slots__ = ("_agent", "_states")

    def __init__(self, agent: UserAgent) -> None:
        self._agent = agent
        self._states: dict[str, _State] = {}

    def __len__(self) -> int:
        return len(self._states)

    def receive(self, transaction: ServerTransaction, request: Request, now: int) -> None:
        """Answer a PUBLISH; `StateChanged` tells what it did, if anything."""
        agent = self._agent
        event = parse_event(request.headers.text("event") or "") if "event" in request.headers else None
        if event is None or event.package not in agent.settings.published_packages:
            known = ", ".join(sorted(agent.settings.published_packages))
            agent.answer(transaction, 489, now, f"Allow-Events: {known}\r\n".encode())
            return
        wanted = parse_seconds(request.headers.text("expires"), "Expires")
        if wanted is not None and 0 < wanted < agent.settings.min_subscription_s:
            agent.answer(transaction, 423, now, b"Min-Expires: %d\r\n" % agent.settings.min_subscription_s)
            return
        expires = (
            agent.settings.max_subscription_s if wanted is None else min(wanted, agent.settings.max_subscription_s)
        )
        if len(request.body) > agent.limits.state_bytes:
            agent.answer(transaction, 413, now)
            return
        match_ = request.headers.text("sip-if-match")
        if match_ is None:
            self._receive_new(transaction, request, event.package, expires, now)
            return
        state = self._states.get(match_)
        if state is None or state.resource != request.uri_text or state.package != event.package:
            agent.answer(transaction, 412, now)
            return
        self._receive_next(state, transaction, request, expires, now)

    def _receive_new(
        self, transaction: ServerTransaction, request: Request, package: str, expires_s: int, now: int
    ) -> None:
        agent = self._agent
        if not request.body or not expires_s:  # nothing to keep, or for no time
            agent.answer(transaction, 400, now, reason=b"Nothing To Publish")
            return
        if len(self._states) >= agent.limits.publications:
            agent.counters.refused += 1
            agent.answer(transaction, 503, now, b"Retry-After: 5\r\n")
            return
        state = _State(self, request.uri_text, package)
        state.body, state.content_type = request.body, request.content_type or ""
        self._keep(state, transaction, expires_s, now)
        self._tell(StateKind.PUBLISHED, state, None)

    def _receive_next(
        self, state: _State, transaction: ServerTransaction, request: Request, expires_s: int, now: int
    ) -> None:
        before = state.etag
        del self._states[before]
        if state.timer is not None:
            self._agent.layer.wheel.cancel(state.timer)
            state.timer = None
        if not expires_s:
            self._agent.answer(transaction, 200, now, b"SIP-ETag: %b\r\nExpires: 0\r\n" % before.encode())
            self._tell(StateKind.REMOVED, state, before)
            return
        if request.body:
            state.body, state.content_type = request.body, request.content_type or ""
        self._keep(state, transaction, expires_s, now)
        if request.body:
            self._tell(StateKind.CHANGED, state, before)

    def _keep(self, state: _State, transaction: ServerTransaction, expires_s: int, now: int) -> None:
        layer = self._agent.layer
        state.etag = layer.tokens.next()
        state.first = state.first or state.etag
        state.timer = layer.wheel.arm(now + 1_000 * expires_s, state)
        self._states[state.etag] = state
        self._agent.answer(transaction, 200, now, f"SIP-ETag: {state.etag}\r\nExpires: {expires_s}\r\n".encode())

    def expire(self, state: _State) -> None:
        """Let go of a state that nobody refreshed."""
        if self._states.pop(state.etag, None) is not None:
            self._tell(StateKind.EXPIRED, state, state.etag)

    def _tell(self, kind: StateKind, state: _State, replaces: str | None) -> None:
        change = StateChange(
            kind,
            state.resource,
            state.package,
            state.etag,
            replaces=replaces,
            publication=state.first,
            content_type=state.content_type,
            body=state.body,
        )
        self._agent.tell(StateChanged(change))
