"""States that we publish (RFC 3903), as an event publication agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomtone.protocols.sip.agent.events import EndReason, PublicationEnded, Responded
from roomtone.protocols.sip.agent.outgoing import FINAL, Outgoing
from roomtone.protocols.sip.agent.settings import TooManyError, WrongStateError
from roomtone.protocols.sip.headers.valued import parse_seconds

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.agent import UserAgent
    from roomtone.protocols.sip.dialog import Dialog
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.headers.address import Address
    from roomtone.protocols.sip.message import Response
    from roomtone.protocols.sip.wheel import Timer

_REDIRECT, _UNKNOWN_STATE, _TOO_BRIEF = 300, 412, 423


class Publication:
    """A state of ours at an event state compositor; made by `Publications.publish`."""

    __slots__ = ("_sending", "_timer", "_waiting", "agent", "block", "body", "dialog", "etag", "expires_s", "flow",
                 "is_over", "owner", "package")  # fmt: skip

    def __init__(self, agent: UserAgent, dialog: Dialog, flow: Flow, package: str, expires_s: int) -> None:
        self.agent = agent
        self.dialog = dialog
        """What its requests are written with: they share a Call-ID."""
        self.flow = flow
        self.package = package
        self.expires_s = expires_s
        self.block = b""
        self.body = b""
        self.etag: bytes | None = None
        """The compositor's word for what it has; None before it has anything."""
        self.is_over = False
        self.owner: Any = None
        self._sending: _Publish | None = None
        self._waiting: bool | None = None
        self._timer: Timer | None = None

    def send(self, now: int, *, with_body: bool, expires_s: int | None = None) -> None:
        """Send a PUBLISH; while one is on its way (section 4.2) the newest state waits."""
        if self._sending is not None:
            self._waiting = expires_s != 0
            return
        seconds = self.expires_s if expires_s is None else expires_s
        block = b"Event: %b\r\nExpires: %d\r\n" % (self.package.encode(), seconds)
        if self.etag is not None:
            block += b"SIP-If-Match: %b\r\n" % self.etag
        body = self.body if with_body or self.etag is None else b""
        if not seconds:
            body = b""
        self._sending = _Publish(self, block + (self.block if body else b""), body, is_last=not seconds)
        self._sending.send(now)

    def on_outcome(self, sent: _Publish, response: Response | None, reason: EndReason | None, now: int) -> None:
        """Take what came of a PUBLISH."""
        self._sending = None
        if response is None:
            self.end(reason or EndReason.TIMEOUT, None)
        elif FINAL <= response.status < _REDIRECT:
            self._on_accepted(sent, response, now)
        elif response.status == _UNKNOWN_STATE and self.etag is not None and not sent.is_last:
            self.etag = None  # it was forgotten there: once more, and whole (section 4.4)
            self.send(now, with_body=True)
        elif response.status == _TOO_BRIEF and not sent.is_last and self._takes_longer(response):
            self.send(now, with_body=sent.has_body)
        else:
            self.end(EndReason.LOCAL if sent.is_last else EndReason.REFUSED, response)

    def _takes_longer(self, response: Response) -> bool:
        least = parse_seconds(response.headers.text("min-expires"), "Min-Expires")
        if least is None or least <= self.expires_s:
            return False
        self.expires_s = least
        return True

    def _on_accepted(self, sent: _Publish, response: Response, now: int) -> None:
        self.etag = response.headers.get("sip-etag") or self.etag
        if sent.is_last:
            self.end(EndReason.LOCAL, response)
            return
        granted = parse_seconds(response.headers.text("expires"), "Expires")
        seconds = self.expires_s if granted is None else min(granted, self.expires_s)
        self._rest()
        self._timer = self.agent.layer.wheel.arm(now + int(max(seconds / 2, seconds - 30) * 1_000), self._on_timer)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self.send(now, with_body=True, expires_s=None if waiting else 0)

    def _on_timer(self, now: int) -> None:
        self._timer = None
        self.send(now, with_body=False)

    def _rest(self) -> None:
        if self._timer is not None:
            self.agent.layer.wheel.cancel(self._timer)
            self._timer = None

    def end(self, reason: EndReason, response: Response | None) -> None:
        """Be over."""
        if not self.is_over:
            self.is_over = True
            self._rest()
            self.agent.publications.count -= 1
            self.agent.tell(PublicationEnded(self, reason, response))


class _Publish(Outgoing):
    """One PUBLISH."""

    __slots__ = ("is_last", "publication")

    def __init__(self, publication: Publication, block: bytes, body: bytes, *, is_last: bool) -> None:
        super().__init__(publication.agent, publication.dialog, "PUBLISH", block, body, publication.flow)
        self.publication = publication
        self.is_last = is_last
        self.owner = publication.owner

    def finish(self, response: Response | None, reason: EndReason | None, now: int) -> None:
        """Take the outcome."""
        self.agent.tell(Responded(self, response, reason))
        if not self.publication.is_over:
            self.publication.on_outcome(self, response, reason, now)


class Publications:
    """States that one user agent publishes."""

    __slots__ = ("_agent", "count")

    def __init__(self, agent: UserAgent) -> None:
        self._agent = agent
        self.count = 0

    def publish(
        self,
        uri: str,
        flow: Flow,
        now: int,
        *,
        package: str,
        from_: Address,
        body: bytes,
        block: bytes,
        to: Address | None = None,
        expires_s: int = 3_600,
    ) -> Publication:
        """Publish a state of ``uri``; ``block`` has its Content-Type. Refreshes go out by themselves.

        `Responded` tells of each PUBLISH, `PublicationEnded` of the end. Raises `TooManyError`,
        `TooManyTransactionsError`.
        """
        if self.count >= self._agent.limits.publications:
            self._agent.counters.refused += 1
            raise TooManyError(f"{self.count} publications")
        self._agent.layer.check_room()
        dialog = self._agent.new_dialog(uri, flow, from_=from_, to=to or from_)
        publication = Publication(self._agent, dialog, flow, package, expires_s)
        publication.body, publication.block = body, block
        publication.send(now, with_body=True)
        self.count += 1
        return publication

    @staticmethod
    def change(publication: Publication, now: int, *, body: bytes, block: bytes) -> None:
        """Publish another state in the place of the one before."""
        if publication.is_over:
            raise WrongStateError("the publication is over")
        publication.body, publication.block = body, block
        publication.send(now, with_body=True)

    @staticmethod
    def remove(publication: Publication, now: int) -> None:
        """Take a state back: `PublicationEnded` follows."""
        if publication.is_over:
            raise WrongStateError("the publication is over")
        publication.send(now, with_body=False, expires_s=0)
