"""A re-INVITE or UPDATE of ours (RFC 3261 section 14.1, RFC 3311)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent.events import EndReason, Responded
from roomtone.protocols.sip.agent.outgoing import FINAL, Outgoing
from roomtone.protocols.sip.agent.session import agree, ask

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.leg import Leg
    from roomtone.protocols.sip.message import Response
    from roomtone.protocols.sip.transaction import ClientTransaction
    from roomtone.protocols.sip.wheel import Timer

_REDIRECT, _PENDING = 300, 491


class Reoffer(Outgoing):
    """A request of ours that changes or refreshes a leg; made by `UserAgent.reoffer`.

    When it crosses one of the peer's (491) it is sent again after a while, sooner by the side that did not make the
    Call-ID (section 14.1).
    """

    __slots__ = ("_crossed", "_timer", "is_refresh", "leg")

    def __init__(self, leg: Leg, method: str, block: bytes, body: bytes) -> None:
        super().__init__(leg.agent, leg.dialog, method, block, body)
        self.leg = leg
        self.is_refresh = False
        """Whether it is the session timer's, and its user need not hear of it."""
        self._timer: Timer | None = None
        self._crossed: Response | None = None
        """The last 491; who crosses it too often has refused it, and the call goes on."""

    def send(self, now: int) -> None:
        """Send it."""
        agent = self.agent
        mine = self.block
        session = self.leg.session
        refresher = "" if session is None else ";refresher=uac" if session.we_refresh else ";refresher=uas"
        asked = ask(agent.settings, 0, refresher)
        self.block = b"".join((self.leg.contact, agent.invite_block, asked, mine))
        try:
            super().send(now)
        finally:
            self.block = mine

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for its turn, after it crossed one of the peer's."""
        return self._timer is not None

    def stop(self) -> None:
        """Do not send it again."""
        if self._timer is not None:
            self.agent.layer.wheel.cancel(self._timer)
            self._timer = None

    def on_response(self, transaction: ClientTransaction, response: Response, now: int) -> None:
        """Take a response of its transaction."""
        leg = self.leg
        if transaction is not self.transaction:
            return
        if response.status < FINAL:
            is_reliable = self.method == "INVITE" and "rseq" in response.headers
            if is_reliable and not leg.is_over and leg.takes_provisional(response):
                leg.prack(response, b"", b"", now)
            return
        if leg.reoffer is not self:
            if self.method == "INVITE" and response.status < _REDIRECT:
                leg.acknowledge_again(self.cseq)
            return
        if response.status == _PENDING and not leg.is_over:
            self._crossed = response
            self._wait_for_turn(now)
            return
        super().on_response(transaction, response, now)

    def finish(self, response: Response | None, reason: EndReason | None, now: int) -> None:
        """Take the outcome: the target and the session timer; the ACK, if the offer was in the INVITE."""
        leg = self.leg
        if leg.reoffer is not self:
            return
        leg.reoffer = None
        leg.rseq_in = None
        if response is None or response.status >= _REDIRECT:
            leg.local_offer = False
            if self.is_refresh:
                self.is_quiet = True
            super().finish(response, reason, now)
            return
        if self.method == "INVITE":
            leg.confirm(response, self.cseq, self._credentials, now)
            if self.has_body:
                leg.last_body = self._body
                leg.acknowledge(b"", b"", now)
            else:
                leg.remote_offer = True
        else:
            leg.local_offer = False
            leg.dialog.refresh_target(response)
            leg.on_refreshed(agree(response), now)
            leg.last_body = self._body or leg.last_body
        if not self.is_refresh:
            self.agent.tell(Responded(self, response, None))

    def _wait_for_turn(self, now: int) -> None:
        agent = self.agent
        agent.counters.glares += 1
        steps = 210 + agent.random_below(191) if self.leg.is_caller else agent.random_below(201)
        self.leg.local_offer = False
        self._timer = agent.layer.wheel.arm(now + 10 * steps, self._on_turn)

    def _on_turn(self, now: int) -> None:
        self._timer = None
        leg = self.leg
        if leg.is_over:
            return
        if leg.remote_offer or (leg.incoming is not None and not leg.incoming.is_final):
            self._wait_for_turn(now)
        elif self._tries >= self.agent.limits.tries:
            self.finish(self._crossed, EndReason.REFUSED, now)
        else:
            leg.local_offer = self.has_body
            self.send(now)
