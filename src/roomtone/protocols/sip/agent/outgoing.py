"""Requests of ours: sent, sent again with credentials, and what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomtone.protocols.sip.agent.events import EndReason, Responded
from roomtone.protocols.sip.dialog import new_branch
from roomtone.protocols.sip.message import Request, parse_message
from roomtone.protocols.sip.transaction import TransactionFailure

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.agent import UserAgent
    from roomtone.protocols.sip.dialog import Dialog
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Response
    from roomtone.protocols.sip.transaction import ClientTransaction

FAILURES = {
    TransactionFailure.TIMEOUT: EndReason.TIMEOUT,
    TransactionFailure.TRANSPORT_ERROR: EndReason.TRANSPORT_ERROR,
    TransactionFailure.ABANDONED: EndReason.ABANDONED,
}
_CHALLENGES = frozenset({401, 407})
_GONE = frozenset({408, 481})
FINAL = 200


class Outgoing:
    """A request of ours other than an initial INVITE, ACK and CANCEL; made by `UserAgent`."""

    __slots__ = (
        "_body",
        "_credentials",
        "_flow",
        "_tries",
        "agent",
        "block",
        "cseq",
        "dialog",
        "is_quiet",
        "method",
        "owner",
        "transaction",
    )

    def __init__(  # noqa: PLR0917 - what every request has
        self, agent: UserAgent, dialog: Dialog, method: str, block: bytes, body: bytes, flow: Flow | None = None
    ) -> None:
        self.agent = agent
        self.dialog = dialog
        self.method = method
        self.block = block
        """Header lines beside those every request has, each with its end."""
        self.owner: Any = None
        self.cseq = 0
        self.is_quiet = False
        """Whether nobody is told what came of it."""
        self.transaction: ClientTransaction | None = None
        self._body = body
        self._flow = flow
        self._credentials = b""
        self._tries = 0

    @property
    def has_body(self) -> bool:
        """Whether it carries anything: an offer, mostly."""
        return bool(self._body)

    def send(self, now: int) -> None:
        """Send it with the next number of its dialog; whoever begins something looks for room before."""
        dialog = self.dialog
        layer = self.agent.layer
        flow = self._flow or dialog.next_flow()
        branch = new_branch(layer.tokens.next())
        self.cseq = cseq = dialog.next_cseq()
        self._tries += 1
        data = dialog.write(self.method, cseq, branch, flow, self._credentials + self.block, self._body)
        transaction = layer.send_request(self.method, branch, data, flow, now, always=True)
        transaction.owner = self
        self.transaction = transaction

    def on_response(self, transaction: ClientTransaction, response: Response, now: int) -> None:
        """Take a response of its transaction."""
        if transaction is not self.transaction or response.status < FINAL:
            return
        if response.status in _CHALLENGES and self.try_credentials(response, now):
            return
        self.finish(response, None, now)

    def on_failure(self, transaction: ClientTransaction, failure: TransactionFailure, now: int) -> None:
        """Take the end of its transaction."""
        if transaction is not self.transaction:
            return
        is_lost = failure is TransactionFailure.TRANSPORT_ERROR and self._flow is None
        if is_lost and self.dialog.reconnect() and self.try_again(now):
            return
        self.finish(None, FAILURES[failure], now)

    def try_credentials(self, response: Response, now: int) -> bool:
        """Send it again with credentials, if there are any (RFC 3261 section 22.2)."""
        authenticator = self.agent.authenticator
        if authenticator is None or self._tries >= self.agent.limits.tries:
            return False
        credentials = authenticator.answer(self._sent(), response, self.owner)
        if credentials is None:
            return False
        self.agent.counters.challenges += 1
        self._credentials = credentials
        return self.try_again(now)

    def _sent(self) -> Request:
        """Write what was sent last once more: its transaction has let go of it."""
        flow = self._flow or self.dialog.next_flow()
        block = self._credentials + self.block
        sent = parse_message(self.dialog.write(self.method, self.cseq, "sent", flow, block, self._body))
        assert isinstance(sent, Request)  # noqa: S101 - it is one of ours
        return sent

    def try_again(self, now: int) -> bool:
        """Send it once more, changed; False when that has been done too often."""
        if self._tries >= self.agent.limits.tries:
            return False
        self.send(now)
        return True

    def finish(self, response: Response | None, reason: EndReason | None, now: int) -> None:
        """Tell what came of it; a dialog that is gone ends (RFC 3261 section 12.2.1.2)."""
        if not self.is_quiet:
            self.agent.tell(Responded(self, response, reason))
        leg = self.dialog.leg
        if leg is not None and (response is None or response.status in _GONE):
            leg.give_up(EndReason.GONE if response is not None else reason, response, now)
