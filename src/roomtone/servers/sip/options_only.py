"""A user agent that is there, says what it can do, and takes no calls: what listens before anybody routes calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent import AgentSettings, Requested, UserAgent

if TYPE_CHECKING:
    from roomtone.protocols.sip.transaction import TransactionLayer

METHODS = frozenset({"OPTIONS"})
_ACCEPT = b"Accept: application/sdp\r\n"


class OptionsOnly:
    """Answers OPTIONS with 200; everything else is refused with 405 by the user agent, which names OPTIONS in Allow."""

    def __init__(self, layer: TransactionLayer, product: str = "") -> None:
        self.agent = UserAgent(layer, AgentSettings(methods=METHODS, extensions=frozenset(), product=product))
        self.answered = 0

    def after_input(self, now: int) -> None:
        """Answer what there is."""
        agent = self.agent
        while (event := agent.poll_event()) is not None:
            if isinstance(event, Requested):
                self.answered += 1
                agent.answer(event.transaction, 200, now, _ACCEPT + agent.allow_block)
