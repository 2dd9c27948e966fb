"""What the user agent tells, handed to whom it belongs."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, assert_never

from roomtone.protocols.sip.agent import (
    AgentEvent,
    Answered,
    Confirmed,
    Ended,
    Invited,
    Notified,
    Pracked,
    Progressed,
    PublicationEnded,
    Refused,
    Reoffered,
    Requested,
    Responded,
    Resubscribed,
    StateChanged,
    SubscriptionEnded,
)
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.sip.call import Call
from roomtone.sip.living import LivingCall
from roomtone.sip.pressed import KEYS

if TYPE_CHECKING:
    from roomtone.protocols.sip.message import Request
    from roomtone.sip.endpoint import Endpoint
    from roomtone.sip.wiring import Wiring

_UNAVAILABLE, _NOT_ALLOWED, _BAD_TYPE = 480, 405, 415
_ACCEPT = b"Accept: application/sdp\r\n"
_KEYS_BY_INFO = b"Accept: application/dtmf-relay, application/dtmf\r\n"
_SIGNAL = re.compile(r"signal\s*=\s*([0-9A-D*#])\s*$", re.IGNORECASE | re.MULTILINE).search
_log = logging.getLogger(__name__)


class Events:
    """Takes all events of one endpoint's user agent; `Inbound` of a server takes what peers begin."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.wiring: Wiring | None = None
        self._endpoint = endpoint

    def take_all(self, now: int) -> None:
        """Take what there is."""
        if self.wiring is None:
            return
        agent = self.wiring.agent
        while (event := agent.poll_event()) is not None:
            try:
                self._take(self.wiring, event, now)
            except SipSyntaxError as error:
                _log.info("a request could not be read: %s", error)
                if isinstance(event, Requested):
                    agent.answer(event.transaction, 400, now)
                elif isinstance(event, Invited):
                    agent.refuse(event.leg, 400, now)

    def _take(self, wiring: Wiring, event: AgentEvent, now: int) -> None:
        match event:
            case Invited():
                self._endpoint.on_invited(event)
            case Requested():
                self._on_requested(wiring, event, now)
            case Progressed() | Answered() | Refused() | Confirmed() | Pracked() | Ended() | Reoffered():
                owner = event.call.owner if isinstance(event, Progressed | Answered | Refused) else event.leg.owner
                if isinstance(owner, LivingCall):
                    owner.post(event)
            case Responded() | Notified() | SubscriptionEnded():
                _tell_owner(event)
            case Resubscribed() | StateChanged() | PublicationEnded():
                pass  # refreshes are answered by the agent; states are neither kept nor published here
            case _:
                assert_never(event)

    def _on_requested(self, wiring: Wiring, event: Requested, now: int) -> None:
        agent, request, transaction = wiring.agent, event.request, event.transaction
        call = None if event.leg is None else event.leg.owner
        match request.method:
            case "OPTIONS":
                agent.answer(transaction, 200, now, _ACCEPT + agent.allow_block)
            case "INFO" if isinstance(call, Call):
                key = _key(request)
                if key is None:
                    agent.answer(transaction, _BAD_TYPE, now, _KEYS_BY_INFO)
                else:
                    call.take_key(key)
                    agent.answer(transaction, 200, now)
            case _:
                self._endpoint.on_requested(event)


def _tell_owner(event: Responded | Notified | SubscriptionEnded) -> None:
    """Tell who waits for an answer or a NOTIFY; what nobody waits for is told to nobody."""
    owner = event.outgoing.owner if isinstance(event, Responded) else event.subscription.owner
    match event:
        case Responded() if hasattr(owner, "done"):
            owner.done(event.response)
        case Notified() if hasattr(owner, "notified"):
            owner.notified(event.request)
        case SubscriptionEnded() if hasattr(owner, "ended"):
            owner.ended(event.reason, event.message)


def _key(request: Request) -> str | None:
    """Read the key in an INFO; None where there is none: another type, or no key."""
    text = request.body.decode("latin-1")
    match request.content_type:
        case "application/dtmf-relay":
            found = _SIGNAL(text)
            return None if found is None else found[1].upper()
        case "application/dtmf":
            key = text.strip().upper()
            return key if key in KEYS else None
        case _:
            return None
