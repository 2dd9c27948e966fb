"""What comes of our own requests, and how legs end: each becomes a step of its call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.calls import Acknowledged, CallEnd, PickedUp, Rang, Reanswered, Redirected, end_of_status
from roomtone.control.calls import Ended as LegEnded
from roomtone.protocols.sip.agent import (
    Answered,
    Confirmed,
    Ended,
    EndReason,
    Pracked,
    Progressed,
    Refused,
    Responded,
    UserAgent,
)
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.headers import Wildcard, contact_quality
from roomtone.servers.sip.bodies import NoDescriptionError, description_of
from roomtone.servers.sip.referring import Referring
from roomtone.servers.sip.signals import OutboundSignal, PhoneSignal
from roomtone.servers.sip.trunking import TrunkRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.calls import Binding, Trunks
    from roomtone.servers.sip.domains import Domains
    from roomtone.servers.sip.lamps import Lamps
    from roomtone.servers.sip.ways import Ways

_FLOW_FAILED = 430
"""An edge proxy says that the flow behind it is gone (RFC 5626 section 11.5)."""
_NOT_HERE, _TIMEOUT, _UNAVAILABLE = 488, 408, 503
_ACCEPTED = range(200, 300)
_REDIRECTS = frozenset({300, 301, 302})
"""305 and 380 ask for something else than another number."""
MAX_CONTACTS = 10
"""Of one redirection; further ones are not looked at."""
_ENDS = {
    EndReason.REMOTE: CallEnd.COMPLETED,
    EndReason.CANCELLED: CallEnd.CANCELLED,
    EndReason.TRANSPORT_ERROR: CallEnd.UNREACHABLE,
    EndReason.TIMEOUT: CallEnd.UNREACHABLE,
    EndReason.EXPIRED: CallEnd.LEG_LOST,
}


class Outcomes:
    """Takes responses and ends; ``ways`` and ``trunks`` are told who was reached."""

    def __init__(self, agent: UserAgent, lamps: Lamps, domains: Domains) -> None:
        self.ways: Ways | None = None
        self.trunks: Trunks | None = None
        self.flow_failed: Callable[[Binding], None] = lambda _: None
        self._agent = agent
        self._lamps = lamps
        self._domains = domains

    def on_outgoing(self, event: Progressed | Answered | Refused) -> None:
        """Take how an INVITE of ours fares."""
        signal = event.call.owner
        if not isinstance(signal, OutboundSignal):
            return
        match event:
            case Progressed():
                self._lamps.note(signal, "early", None if event.leg is None else event.leg.dialog)
                self._post(signal, Rang(event.response.status, _text(event.response)))
            case Answered():
                signal.leg, event.leg.owner = event.leg, signal
                self._lamps.note(signal, "confirmed")
                self._note(signal, reached=True)
                self._post(signal, PickedUp(_text(event.response)))
            case Refused():
                self._on_refused(signal, event)

    def _on_refused(self, signal: OutboundSignal, event: Refused) -> None:
        if event.reason is EndReason.TRANSPORT_ERROR and signal.invite_by_datagram():
            return
        self._lamps.end(signal)
        binding = signal.target.binding
        is_dead = event.reason is EndReason.TRANSPORT_ERROR or (
            event.response is not None and event.response.status == _FLOW_FAILED
        )
        if binding is not None and binding.is_flow and is_dead:
            self.flow_failed(binding)
        status = None if event.response is None else event.response.status
        if event.reason is not EndReason.CANCELLED:
            self._note(signal, reached=status not in {None, _UNAVAILABLE})
        numbers = () if status not in _REDIRECTS else self._redirected_to(event)
        if numbers:
            self._post(signal, Redirected(numbers))
        else:
            self._post(signal, LegEnded(CallEnd.UNREACHABLE if status is None else end_of_status(status)))

    def _redirected_to(self, event: Refused) -> tuple[str, ...]:
        """Give the numbers of ours that a phone says to call instead; others are not called for it."""
        response = event.response
        if response is None:
            return ()
        try:
            contacts = response.contacts
            if isinstance(contacts, Wildcard):
                return ()
            ranked = sorted(contacts[:MAX_CONTACTS], key=lambda one: -contact_quality(one))
            flow = event.call.dialog.flow
            found = [self._domains.number(one.uri, flow) for one in ranked]
        except SipSyntaxError:
            return ()
        return tuple(dict.fromkeys(number for number in found if number))

    def _note(self, signal: OutboundSignal, *, reached: bool) -> None:
        if self.ways is not None:
            self.ways.note(signal.target, reached=reached)
        if signal.trunk is not None and self.trunks is not None and (reached or signal.target.is_last):
            self.trunks.note_call(signal.trunk.name, reached=reached)

    def on_outcome(self, event: Confirmed | Pracked | Responded | Ended, now: int) -> None:
        """Take what ends something that was asked or answered."""
        match event:
            case Confirmed():
                self._post(event.leg.owner, Acknowledged(_text(event.ack)))
            case Pracked():
                if event.transaction is not None:
                    self._agent.respond(event.transaction, _NOT_HERE, now)
            case Responded():
                self._on_responded(event)
            case Ended():
                if isinstance(event.leg.owner, PhoneSignal):
                    self._lamps.end(event.leg.owner)
                if event.reason is not EndReason.LOCAL:
                    self._post(event.leg.owner, LegEnded(_ENDS.get(event.reason, CallEnd.LEG_LOST)))

    def _on_responded(self, event: Responded) -> None:
        owner, response = event.outgoing.owner, event.response
        if isinstance(owner, TrunkRequest | Referring):
            owner.done(response)
        elif isinstance(owner, PhoneSignal):
            self._on_reanswered(owner, event)
        elif callable(owner):
            owner(_TIMEOUT if response is None else response.status)

    def _on_reanswered(self, signal: PhoneSignal, event: Responded) -> None:
        """Take what came of a re-INVITE of ours; a 2xx without a description is no answer to it."""
        response = event.response
        if response is None or response.status not in _ACCEPTED:
            self._post(signal, Reanswered(None, _TIMEOUT if response is None else response.status))
        else:
            self._post(signal, Reanswered(_text(response), response.status))

    @staticmethod
    def _post(signal: object, event: Rang | PickedUp | LegEnded | Acknowledged | Reanswered | Redirected) -> None:
        if isinstance(signal, PhoneSignal) and signal.owner is not None:
            signal.owner.post(signal, event)


def _text(message: object) -> str | None:
    """Give the description in a response or an ACK; None where there is none."""
    try:
        return description_of(message)  # type: ignore[arg-type]
    except (NoDescriptionError, SipSyntaxError):
        return None
