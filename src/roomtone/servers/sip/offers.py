"""Offers in the middle of a call (RFC 3261 section 14, RFC 3311): those of a peer, and ours."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from roomtone.control.calls import sip_status
from roomtone.protocols.sip.agent import WrongStateError
from roomtone.protocols.sip.transaction import TooManyTransactionsError

if TYPE_CHECKING:
    from typing import Any

    from roomtone.control.calls import CallEnd
    from roomtone.protocols.sip.agent import Leg, UserAgent
    from roomtone.protocols.sip.flow import Flow
    from roomtone.servers.sip.lamps import Lamps

_OK, _PENDING = 200, 491


class SignalDriver(Protocol):
    """What a leg needs of who drives the user agent."""

    agent: UserAgent
    lamps: Lamps

    def now(self) -> int:
        """Give the user agent's time."""

    def drain(self) -> None:
        """Send what came of a command."""

    def bound_ip(self, flow: Flow) -> str:
        """Give the address of ours by which a peer is reached, as this machine has it."""


class OfferingSignal:
    """A leg that takes offers and makes them."""

    def __init__(self, driver: SignalDriver) -> None:
        self.agent = driver.agent
        self.leg: Leg | None = None
        self._driver = driver

    def answer_offer(self, offer: Any, sdp: str) -> None:
        """Accept a re-INVITE or UPDATE; too late for it is no harm."""
        with suppress(WrongStateError):
            self.agent.respond(offer, _OK, self._driver.now(), body=sdp.encode())
        self._driver.drain()

    def refuse_offer(self, offer: Any, end: CallEnd) -> None:
        """Refuse a re-INVITE or UPDATE."""
        self._refuse(offer, sip_status(end)[0])

    def postpone_offer(self, offer: Any) -> None:
        """Have the peer make it again after a while (RFC 3261 section 14.1)."""
        self._refuse(offer, _PENDING)

    def _refuse(self, offer: Any, status: int) -> None:
        with suppress(WrongStateError):
            self.agent.respond(offer, status, self._driver.now())
        self._driver.drain()

    def awaits(self, offer: Any) -> bool:
        """Whether a re-INVITE or UPDATE is still without its answer: it may have been cancelled."""
        return self.leg is not None and not self.leg.is_over and offer.request is not None

    def reoffer(self, sdp: str) -> bool:
        """Send a re-INVITE; False while another offer is under way, and once the leg is over.

        Where it crosses one of the peer's (491) the user agent sends it again. It is a re-INVITE and no UPDATE, since
        people may have to be asked whether they want to be seen (RFC 3311 section 5.1).
        """
        if self.leg is None:
            return False
        try:
            sent = self.agent.reoffer(self.leg, self._driver.now(), body=sdp.encode())
        except (WrongStateError, TooManyTransactionsError):
            return False
        sent.owner = self
        self._driver.drain()
        return True
