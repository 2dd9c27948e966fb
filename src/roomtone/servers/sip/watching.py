"""SUBSCRIBE and PUBLISH of accounts (RFC 6665, RFC 3903): who is told of whom, and told again when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from roomtone.protocols.sip.agent import StateKind, WrongStateError
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.headers import parse_event
from roomtone.protocols.sip.message import header_line
from roomtone.protocols.sip.packages import EventPackage
from roomtone.protocols.sip.uri import SipUri, make_sip_uri, parse_uri
from roomtone.servers.sip.offers import SignalDriver
from roomtone.servers.sip.states import (
    PACKAGES,
    PRIVATE,
    dialogs_of,
    presence_of,
    registrations_of,
    summary_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.control.calls import BindingChange, PhoneAccount, Registrar
    from roomtone.protocols.sip.agent import StateChange, Subscription
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.packages import DialogEntry
    from roomtone.protocols.sip.transaction import ServerTransaction
    from roomtone.servers.sip.domains import Domains
    from roomtone.servers.sip.guard import PhoneGuard

MAX_WATCHED = 200
"""Subscriptions of one account, as subscriber; a further one is refused with 503."""
_NOT_FOUND, _FORBIDDEN, _BAD_EVENT, _NOT_ACCEPTABLE, _TOO_MANY = 404, 403, 489, 406, 503
ALLOW_EVENTS = header_line("Allow-Events", ", ".join(PACKAGES)) + b"\r\n"


class WatchDesk(SignalDriver, Protocol):
    """What is needed of who drives the user agent."""

    guard: PhoneGuard
    domains: Domains
    registrar: Registrar | None
    wall_clock: Callable[[], float]


class Watcher:
    """One subscription: what it is of, and how often it was told."""

    __slots__ = ("account", "aor", "package", "subscriber", "subscription", "version")

    def __init__(self, subscription: Subscription, package: str, account: str, subscriber: str, aor: str) -> None:
        self.subscription = subscription
        self.package = package
        self.account = account
        self.subscriber = subscriber
        self.aor = aor
        self.version = 0


class Watching:
    """All subscriptions to accounts, and what was published of them.

    Limits: ``MAX_WATCHED``, and those of the user agent. ``notified`` counts NOTIFYs.
    """

    def __init__(self, desk: WatchDesk) -> None:
        self.notified = 0
        self._desk = desk
        self._watchers: dict[tuple[str, str], dict[Subscription, Watcher]] = {}
        self._subscribers: dict[str, int] = {}
        self._published: dict[tuple[str, str], dict[str, bytes]] = {}
        """Bodies by package and account, each by its publication."""

    def __len__(self) -> int:
        return sum(map(len, self._watchers.values()))

    def watched(self, package: str, account: str) -> int:
        """Count who is told of an account."""
        return len(self._watchers.get((package, account), ()))

    def on_subscribe(
        self, transaction: ServerTransaction, request: Request, subscriber: PhoneAccount, now: int
    ) -> None:
        """Accept a SUBSCRIBE and tell the state, or refuse it. Raises `SipSyntaxError`."""
        agent = self._desk.agent
        package = parse_event(request.headers.text("event") or "").package
        number = self._desk.domains.number(request.uri, transaction.flow)
        refusal = self._refusal(package, number, subscriber.username, request)
        if refusal or number is None:
            agent.answer(transaction, refusal or _NOT_FOUND, now, ALLOW_EVENTS if refusal == _BAD_EVENT else b"")
            return
        subscription = agent.subscriptions.accept(transaction, now)
        if subscription is None:
            return
        domain = self._desk.domains.named(transaction.flow)
        aor = make_sip_uri(domain, user=number).serialize()
        watcher = Watcher(subscription, package, number, subscriber.username, aor)
        subscription.owner = watcher
        self._watchers.setdefault((package, number), {})[subscription] = watcher
        self._subscribers[subscriber.username] = self._subscribers.get(subscriber.username, 0) + 1
        self._tell(watcher, now)

    def _refusal(self, package: str, number: str | None, subscriber: str, request: Request) -> int:
        if package not in PACKAGES:
            return _BAD_EVENT
        if number is None or not self._desk.guard.knows(number):
            return _NOT_FOUND
        if package in PRIVATE and number != subscriber:
            return _FORBIDDEN
        accepted = request.headers.text("accept")
        wanted = EventPackage(package).content_type
        if accepted is not None and wanted not in accepted.lower() and "*/*" not in accepted:
            return _NOT_ACCEPTABLE
        return _TOO_MANY if self._subscribers.get(subscriber, 0) >= MAX_WATCHED else 0

    def on_ended(self, subscription: Subscription) -> None:
        """Forget a subscription that is over."""
        watcher = subscription.owner
        if not isinstance(watcher, Watcher):
            return
        held = self._watchers.get((watcher.package, watcher.account), {})
        if held.pop(subscription, None) is None:
            return
        if not held:
            del self._watchers[watcher.package, watcher.account]
        left = self._subscribers.get(watcher.subscriber, 1) - 1
        if left:
            self._subscribers[watcher.subscriber] = left
        else:
            self._subscribers.pop(watcher.subscriber, None)

    # what changes

    def on_published(self, change: StateChange, now: int) -> None:
        """Take a state that was published, changed, or is no more."""
        try:
            uri = parse_uri(change.resource)
        except SipSyntaxError:
            return
        if not isinstance(uri, SipUri):
            return
        key = change.package, uri.username
        states = self._published.setdefault(key, {})
        states.pop(change.publication, None)
        if change.kind in {StateKind.PUBLISHED, StateKind.CHANGED}:
            states[change.publication] = change.body
        if not states:
            del self._published[key]
        self._tell_all(change.package, uri.username, now)

    def on_bindings(self, account: str, changes: Sequence[BindingChange]) -> None:
        """Take what has changed about where an account is registered."""
        if not self._watchers:  # as with most registrations: nothing is to be told
            return
        now = self._desk.now()
        self._tell_all(EventPackage.REG, account, now, changes=changes)
        if any(change.event != "refreshed" for change in changes):
            self._tell_all(EventPackage.PRESENCE, account, now)
        self._desk.drain()

    def on_dialogs(self, account: str, ended: tuple[DialogEntry, ...]) -> None:
        """Take what has changed about the calls of an account."""
        if not self._watchers:  # as with most calls: nothing is to be told
            return
        self._tell_all(EventPackage.DIALOG, account, self._desk.now(), ended=ended)

    def _tell_all(
        self,
        package: str,
        account: str,
        now: int,
        *,
        changes: Sequence[BindingChange] = (),
        ended: tuple[DialogEntry, ...] = (),
    ) -> None:
        for watcher in tuple(self._watchers.get((package, account), {}).values()):
            self._tell(watcher, now, changes=changes, ended=ended)

    def _tell(
        self,
        watcher: Watcher,
        now: int,
        *,
        changes: Sequence[BindingChange] = (),
        ended: tuple[DialogEntry, ...] = (),
    ) -> None:
        body = self._body(watcher, changes, ended)
        block = header_line("Content-Type", EventPackage(watcher.package).content_type) + b"\r\n"
        try:
            self._desk.agent.subscriptions.notify(watcher.subscription, now, body=body, block=block)
        except WrongStateError:
            self.on_ended(watcher.subscription)
            return
        watcher.version += 1
        self.notified += 1

    def _body(self, watcher: Watcher, changes: Sequence[BindingChange], ended: tuple[DialogEntry, ...]) -> bytes:
        desk, account = self._desk, watcher.account
        clock = desk.wall_clock()
        held = [] if desk.registrar is None else desk.registrar.bindings(account, clock)
        published = list(self._published.get((watcher.package, account), {}).values())
        match EventPackage(watcher.package):
            case EventPackage.PRESENCE:
                return presence_of(watcher.aor, published, registered=bool(held))
            case EventPackage.MESSAGE_SUMMARY:
                return summary_of(watcher.aor, published)
            case EventPackage.DIALOG:
                return dialogs_of(watcher.aor, watcher.version, (*desk.lamps.of(account), *ended))
            case _:
                return registrations_of(watcher.aor, watcher.version, held, changes, clock)
