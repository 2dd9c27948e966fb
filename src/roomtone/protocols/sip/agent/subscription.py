"""One subscription, as its subscriber or as its notifier (RFC 6665); a REFER makes one of its own (RFC 3515)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomtone.protocols.sip.agent.events import EndReason, Responded, SubscriptionEnded
from roomtone.protocols.sip.agent.outgoing import FINAL, Outgoing
from roomtone.protocols.sip.agent.settings import WrongStateError
from roomtone.protocols.sip.dialog import Dialog, DialogState
from roomtone.protocols.sip.headers.valued import parse_seconds

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.agent import UserAgent
    from roomtone.protocols.sip.message import Request, Response
    from roomtone.protocols.sip.wheel import Timer

_REDIRECT = 300
REFER = "refer"


class Subscription:
    """A subscription; made by `Subscriptions`."""

    __slots__ = (
        "_timer",
        "_waiting",
        "agent",
        "block",
        "contact",
        "dialog",
        "expires_s",
        "id",
        "is_ending",
        "is_ours",
        "is_over",
        "last",
        "notifying",
        "owner",
        "package",
    )

    def __init__(
        self, agent: UserAgent, dialog: Dialog, package: str, id_: str, contact: bytes, *, is_ours: bool
    ) -> None:
        self.agent = agent
        self.dialog = dialog
        self.package = package
        self.id = id_
        """The id of its Event; of a REFER its CSeq. Empty: none."""
        self.contact = contact
        self.is_ours = is_ours
        """Whether we are the subscriber."""
        self.owner: Any = None
        self.expires_s = 0
        self.block = b""
        """Header lines of each SUBSCRIBE of ours (Accept), each with its end."""
        self.is_over = False
        self.is_ending = False
        """Whether the last NOTIFY is on its way, in either direction."""
        self.last: tuple[bytes, bytes] | None = None
        """Header lines and body of what was notified last."""
        self.notifying: Notification | None = None
        self._waiting: tuple[bytes, bytes, bytes] | None = None
        self._timer: Timer | None = None

    @property
    def event(self) -> bytes:
        """The Event line, with its end."""
        id_ = f";id={self.id}" if self.id else ""
        return f"Event: {self.package}{id_}\r\n".encode()

    def wait(self, seconds: float, now: int) -> None:
        """Have `_on_timer` come after a while."""
        self.rest()
        self._timer = self.agent.layer.wheel.arm(now + int(seconds * 1_000), self._on_timer)

    def rest(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self.agent.layer.wheel.cancel(self._timer)
            self._timer = None

    def end(self, reason: EndReason, message: Request | Response | None = None) -> None:
        """Be over."""
        if self.is_over:
            return
        self.is_over = True
        self.rest()
        self.agent.subscriptions.forget(self)
        self.agent.tell(SubscriptionEnded(self, reason, message))

    def _on_timer(self, now: int) -> None:
        self._timer = None
        if self.is_ours:
            if self.is_ending or self.package == REFER:
                self.end(EndReason.LOCAL if self.is_ending else EndReason.TIMEOUT)
            else:
                self.subscribe(self.expires_s, now)
        elif not self.is_ending:
            self.finish("timeout", now)

    # as subscriber

    def subscribe(self, expires_s: int, now: int) -> Outgoing:
        """Send a SUBSCRIBE: the first, one that refreshes, or the last one (0)."""
        block = b"".join((self.contact, self.event, b"Expires: %d\r\n" % expires_s, self.block))
        outgoing = SubscribeRequest(self, "SUBSCRIBE", block, b"")
        outgoing.owner = self.owner
        outgoing.send(now)
        return outgoing

    def on_accepted(self, response: Response, outgoing: Outgoing, now: int) -> None:
        """Take the 2xx: the dialog, if no NOTIFY was faster, and how long it lasts."""
        if self.dialog.state is DialogState.INITIAL:
            self.agent.subscriptions.join_dialog(self, self.dialog.answered(response))
        granted = parse_seconds(response.headers.text("expires"), "Expires")
        if self.package != REFER:
            self.expires_s = self.expires_s if granted is None else min(granted, self.expires_s)
        if self.is_ending or outgoing.method == "REFER" or not self.expires_s:
            self.wait(self.agent.layer.timings.give_up_ms / 1_000, now)  # timer N (RFC 6665 section 4.1.2)
        else:
            self.wait_for_refresh(self.expires_s, now)

    def wait_for_refresh(self, expires_s: int, now: int) -> None:
        """Refresh when most of the time is over."""
        self.wait(max(expires_s / 2, expires_s - 30), now)

    # as notifier

    def notify(self, state: bytes, block: bytes, body: bytes, now: int) -> None:
        """Send a NOTIFY; while one is on its way the newest waits, and what it replaces is not sent."""
        if self.notifying is not None:
            self._waiting = state, block, body
            return
        lines = b"".join((self.contact, self.event, b"Subscription-State: ", state, b"\r\n", block))
        self.notifying = Notification(self, lines, body)
        self.notifying.send(now)

    def on_notified(self, response: Response | None, reason: EndReason | None, now: int) -> None:
        """Take the answer to a NOTIFY; a subscriber that does not know it or is not there has none any more."""
        self.notifying = None
        if response is None or response.status >= _REDIRECT:
            self.end(EndReason.GONE if response is not None else reason or EndReason.GONE, response)
        elif self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self.notify(*waiting, now)
        elif self.is_ending:
            self.end(EndReason.EXPIRED)

    def finish(self, reason: str, now: int, block: bytes = b"", body: bytes = b"") -> None:
        """Send the last NOTIFY. Raises `WrongStateError` when it was sent before."""
        if self.is_over or self.is_ending:
            raise WrongStateError("the subscription is over")
        self.is_ending = True
        self.rest()
        if not body and self.last is not None and self.package != REFER:
            block, body = self.last
        self.notify(b"terminated;reason=" + reason.encode(), block, body, now)


class SubscribeRequest(Outgoing):
    """A SUBSCRIBE or REFER of ours."""

    __slots__ = ("subscription",)

    def __init__(self, subscription: Subscription, method: str, block: bytes, body: bytes) -> None:
        super().__init__(subscription.agent, subscription.dialog, method, block, body)
        self.subscription = subscription

    def finish(self, response: Response | None, reason: EndReason | None, now: int) -> None:
        """Take the outcome."""
        subscription = self.subscription
        if not subscription.is_over:
            if response is not None and FINAL <= response.status < _REDIRECT:
                subscription.on_accepted(response, self, now)
            elif response is None:
                subscription.end(reason or EndReason.TIMEOUT)
            else:
                subscription.end(EndReason.REFUSED, response)
        self.agent.tell(Responded(self, response, reason))


class Notification(Outgoing):
    """A NOTIFY of ours."""

    __slots__ = ("subscription",)

    def __init__(self, subscription: Subscription, block: bytes, body: bytes) -> None:
        super().__init__(subscription.agent, subscription.dialog, "NOTIFY", block, body)
        self.subscription = subscription

    def finish(self, response: Response | None, reason: EndReason | None, now: int) -> None:
        """Take the outcome."""
        if not self.subscription.is_over:
            self.subscription.on_notified(response, reason, now)
