"""An initial INVITE of ours (RFC 3261 section 13.2), with all the dialogs its forks make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent.events import Answered, EndReason, Progressed, Refused
from roomtone.protocols.sip.agent.leg import Leg
from roomtone.protocols.sip.agent.outgoing import FAILURES, FINAL, Outgoing
from roomtone.protocols.sip.agent.session import ask
from roomtone.protocols.sip.agent.settings import WrongStateError
from roomtone.protocols.sip.dialog import DialogState
from roomtone.protocols.sip.headers.dialogs import parse_min_se
from roomtone.protocols.sip.transaction import InviteClientTransaction

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.agent import UserAgent
    from roomtone.protocols.sip.dialog import Dialog
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Response
    from roomtone.protocols.sip.transaction import ClientTransaction, TransactionFailure

_TRYING, _REDIRECT, _TOO_SHORT = 100, 300, 422
_CHALLENGES = frozenset({401, 407})


class OutgoingInvite(Outgoing):
    """A call of ours until it is answered; made by `UserAgent.invite`.

    The first fork that answers wins. Later ones are acknowledged and ended at once, as long as the transaction lets
    them through (64 times T1 after the first 2xx).
    """

    __slots__ = ("answered", "contact", "forks", "is_cancelled", "is_over", "min_session_s")

    def __init__(  # noqa: PLR0917 - as of `Outgoing`
        self, agent: UserAgent, dialog: Dialog, contact: bytes, block: bytes, body: bytes, flow: Flow | None
    ) -> None:
        super().__init__(agent, dialog, "INVITE", block, body, flow)
        self.contact = contact
        self.forks: dict[str, Leg] = {}
        """Legs by the peer's tag."""
        self.answered: Leg | None = None
        self.is_cancelled = False
        self.is_over = False
        """Whether its user has been told how it went."""
        self.min_session_s = 0

    def send(self, now: int) -> None:
        """Send it."""
        mine = self.block
        self.block = b"".join(
            (self.contact, self.agent.invite_block, ask(self.agent.settings, self.min_session_s), mine)
        )
        try:
            super().send(now)
        finally:
            self.block = mine

    def cancel(self, now: int, block: bytes = b"") -> None:
        """Give up (9.1); `Refused` follows, also when an answer crosses. Raises `WrongStateError` once it is over."""
        transaction = self.transaction
        if self.is_over or not isinstance(transaction, InviteClientTransaction):
            raise WrongStateError("the INVITE has its final response")
        self.is_cancelled = True
        transaction.cancel(now, block.split(b"\r\n")[:-1])

    def on_response(self, transaction: ClientTransaction, response: Response, now: int) -> None:
        """Take a response of its transaction."""
        if transaction is not self.transaction:
            return
        status = response.status
        if status == _TRYING:
            return
        if status < FINAL:
            self._on_provisional(response, now)
        elif status < _REDIRECT:
            self._on_success(response, now)
        elif not self.is_over:
            self._on_refusal(response, now)

    def on_failure(self, transaction: ClientTransaction, failure: TransactionFailure, now: int) -> None:  # noqa: ARG002
        """Take the end of its transaction."""
        if transaction is self.transaction and not self.is_over:
            self._conclude(None, EndReason.CANCELLED if self.is_cancelled else FAILURES[failure])

    def _leg_of(self, response: Response, *, always: bool = False) -> Leg | None:
        tag = response.to_tag or ""
        leg = self.forks.get(tag)
        if leg is not None:
            return leg
        agent = self.agent
        if not always and len(self.forks) >= agent.limits.forks:
            agent.counters.forks_dropped += 1
            return None
        dialog = self.dialog.answered(response, None if self.transaction is None else self.transaction.flow)
        dialog.state = DialogState.EARLY
        leg = self.forks[tag] = Leg(agent, dialog, self.contact, is_caller=True)
        leg.owner = self.owner
        leg.call = self
        leg.local_offer = self.has_body
        agent.dialogs[dialog.key] = dialog
        return leg

    def _on_provisional(self, response: Response, now: int) -> None:
        if self.is_over or self.answered is not None:
            return
        if response.to_tag is None:
            self.agent.tell(Progressed(self, None, response, wants_answer=False))
            return
        leg = self._leg_of(response)
        if leg is None or not leg.takes_provisional(response):
            return
        wants_answer = False
        if leg.rseq_in is not None and "rseq" in response.headers:
            leg.dialog.refresh_target(response)
            wants_answer = not self.has_body and bool(response.body)
            if not wants_answer:
                leg.prack(response, b"", b"", now)
        if not self.is_cancelled:
            self.agent.tell(Progressed(self, leg, response, wants_answer))

    def _on_success(self, response: Response, now: int) -> None:
        tag = response.to_tag or ""
        known = self.forks.get(tag)
        if known is not None and known.is_over and not known.was_confirmed:
            del self.forks[tag]  # let go when another fork was answered, and now it answers as well
        leg = self._leg_of(response, always=True)
        assert leg is not None  # noqa: S101 - it was asked for
        if leg.dialog.state is not DialogState.EARLY:
            leg.acknowledge_again(self.cseq)
            return
        leg.confirm(response, self.cseq, self._credentials, now)
        if self.answered is not None or self.is_cancelled:
            self.agent.counters.forks_ended += 1
            leg.acknowledge(b"", b"", now)
            leg.bye(now, reason=EndReason.FORKED, is_told=False)
            if not self.is_over:
                self._conclude(response, EndReason.CANCELLED)
            return
        self.answered = leg
        self.is_over = True
        self.agent.calls.discard(self)
        for other in self.forks.values():
            if other is not leg:
                other.drop()
        if self.has_body:
            leg.acknowledge(b"", b"", now)
        leg.last_body = self._body
        self._body = self.block = b""
        self.agent.counters.started += 1
        self.agent.tell(Answered(self, leg, response))

    def _on_refusal(self, response: Response, now: int) -> None:
        if not self.is_cancelled:
            if response.status in _CHALLENGES and self.try_credentials(response, now):
                return
            if response.status == _TOO_SHORT and self._try_longer(response, now):
                return
        self._conclude(response, EndReason.CANCELLED if self.is_cancelled else EndReason.REFUSED)

    def _try_longer(self, response: Response, now: int) -> bool:
        least = response.headers.text("min-se")
        if least is None:
            return False
        self.min_session_s = parse_min_se(least)
        return self.try_again(now)

    def try_again(self, now: int) -> bool:
        """Send it once more, changed; forks of the attempt before are no more."""
        if self._tries >= self.agent.limits.tries:
            return False
        self._drop_forks()
        self.send(now)
        return True

    def _conclude(self, response: Response | None, reason: EndReason) -> None:
        self.is_over = True
        self.agent.calls.discard(self)
        self._drop_forks()
        self.agent.tell(Refused(self, response, reason))

    def _drop_forks(self) -> None:
        for leg in self.forks.values():
            if leg.dialog.state is DialogState.EARLY:
                leg.drop()
