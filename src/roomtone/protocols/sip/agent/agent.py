"""The user agent core: above transactions, below those who know what a call is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent.inviting import OutgoingInvite
from roomtone.protocols.sip.agent.outgoing import FAILURES, Outgoing
from roomtone.protocols.sip.agent.parts import AgentParts
from roomtone.protocols.sip.agent.publications import Publications
from roomtone.protocols.sip.agent.published import PublishedStates
from roomtone.protocols.sip.agent.receiving import challenge, receive_ack, receive_request
from roomtone.protocols.sip.agent.settings import TooManyError, WrongStateError
from roomtone.protocols.sip.agent.subscriptions import Subscriptions
from roomtone.protocols.sip.dialog import Dialog, DialogState, contact_block
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.grammar import encode
from roomtone.protocols.sip.message import Request
from roomtone.protocols.sip.transaction import (
    AckReceived,
    CancelReceived,
    RequestReceived,
    ResponseReceived,
    ServerTransaction,
    TransactionEvent,
    TransactionFailed,
    TransactionLayer,
)

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.events import AgentEvent
    from roomtone.protocols.sip.agent.hooks import Authenticator, Guard
    from roomtone.protocols.sip.agent.leg import Leg
    from roomtone.protocols.sip.agent.reoffer import Reoffer
    from roomtone.protocols.sip.agent.settings import AgentLimits, AgentSettings
    from roomtone.protocols.sip.flow import Flow, Transmit
    from roomtone.protocols.sip.headers.address import Address
    from roomtone.protocols.sip.message import Response

_FINAL, _REDIRECT = 200, 300


class UserAgent(AgentParts):
    """One SIP endpoint: calls both ways, their dialogs, and all other requests.

    Inputs: those of `TransactionLayer`, which it owns, and the commands below. ``block`` are header lines, each with
    its end (`header_line` makes them); a body has its Content-Type in it, but for SDP (``application/sdp`` is assumed
    where none is given). Commands raise `WrongStateError` for what cannot be done now, and then send nothing.
    Outputs: `poll_event` and `poll_transmit` until they are None; `next_timeout`.
    Order: events come in the order of what caused them. A leg that was told (`Invited`, `Answered`) has exactly one
    `Ended`, a call of ours exactly one of `Answered` and `Refused`.
    Limits: `AgentLimits`, and those of the transactions.
    """

    def __init__(
        self,
        layer: TransactionLayer,
        settings: AgentSettings | None = None,
        limits: AgentLimits | None = None,
        *,
        authenticator: Authenticator | None = None,
        guard: Guard | None = None,
    ) -> None:
        super().__init__(layer, settings, limits, authenticator=authenticator, guard=guard)
        self.subscriptions = Subscriptions(self)
        self.publications = Publications(self)
        self.published = PublishedStates(self)

    # inputs and outputs

    def handle_data(self, data: bytes, flow: Flow, now: int) -> None:
        """Take the bytes of one message."""
        self.layer.handle_data(data, flow, now)
        if self.layer.events:
            self._work(now)

    def handle_message(self, message: Request | Response, flow: Flow, now: int) -> None:
        """Take a message. Raises `SipSyntaxError` when a header that transactions match by cannot be read."""
        if self.guard is not None and isinstance(message, Request) and challenge(self, self.guard, message, flow):
            return
        self.layer.handle_message(message, flow, now)
        self._work(now)

    def handle_transport_error(self, transmit: Transmit, now: int) -> None:
        """Take back what could not be sent."""
        self.layer.handle_transport_error(transmit, now)
        self._work(now)

    def handle_timeout(self, now: int) -> None:
        """Do what is due."""
        self.layer.handle_timeout(now)
        self._work(now)

    def next_timeout(self) -> int | None:
        """When `handle_timeout` is to be called, at the latest."""
        return self.layer.wheel.next_timeout()

    def poll_event(self) -> AgentEvent | None:
        """Take the next event."""
        return self.events.popleft() if self.events else None

    def poll_transmit(self) -> Transmit | None:
        """Take the next message to be sent."""
        return self.layer.poll_transmit()

    def _work(self, now: int) -> None:
        events = self.layer.events
        while events:
            event = events.popleft()
            try:
                self._on_event(event, now)
            except SipSyntaxError as error:
                self.counters.malformed += 1
                if isinstance(event, RequestReceived) and event.transaction.request is not None:
                    self.answer(event.transaction, 400, now, reason=encode(f"Bad {error.header or 'Request'}"))

    def _on_event(self, event: TransactionEvent, now: int) -> None:
        if isinstance(event, RequestReceived):
            receive_request(self, event.transaction, event.request, now)
        elif isinstance(event, ResponseReceived):
            owner = event.owner
            if owner is not None:
                owner.on_response(event.transaction, event.response, now)
        elif isinstance(event, AckReceived):
            receive_ack(self, event.request, now)
        elif isinstance(event, CancelReceived):
            owner = event.invite.owner
            if owner is not None:
                owner.on_cancel(event.cancel, now)
            else:
                self.answer(event.invite, 487, now)
        else:
            self._on_failure(event, now)

    def _on_failure(self, event: TransactionFailed, now: int) -> None:
        transaction = event.transaction
        owner = event.owner
        if owner is None:
            return
        if isinstance(transaction, ServerTransaction):
            owner.on_failure(FAILURES[event.failure], now)
        else:
            owner.on_failure(transaction, event.failure, now)

    # calls of ours

    def invite(
        self,
        uri: str,
        flow: Flow,
        now: int,
        *,
        from_: Address,
        to: Address,
        body: bytes = b"",
        block: bytes = b"",
        routes: tuple[str, ...] = (),
        user: str = "",
        call_id: str | None = None,
        max_forwards: int = 70,
    ) -> OutgoingInvite:
        """Call somebody: `Progressed`, then `Answered` or `Refused`.

        ``flow`` leads to the next hop; ``from_`` and ``to`` are without tags; ``routes`` are pre-loaded Route values;
        ``user`` is that of our Contact. Who bridges two calls passes ``max_forwards`` on, one less than it came with,
        so that circles of bridges end. Without a body the peer makes the offer, and `acknowledge` has the answer.
        Raises `TooManyError`, `TooManyTransactionsError`.
        """
        if self.legs >= self.limits.legs:
            self.counters.refused += 1
            raise TooManyError(f"{self.legs} legs")
        self.layer.check_room()
        dialog = self.new_dialog(uri, flow, from_=from_, to=to, routes=routes, call_id=call_id)
        dialog.max_forwards = max_forwards
        contact = contact_block(flow.transport, flow.local_host, flow.local_port, user, secure=dialog.secure)
        if body:
            block = self.body_block(body, block)
        call = OutgoingInvite(self, dialog, contact, block, body, flow)
        call.send(now)
        self.calls.add(call)
        return call

    @property
    def legs(self) -> int:
        """How many dialogs and unanswered calls there are."""
        return len(self.dialogs) + len(self.calls)

    def new_dialog(
        self,
        uri: str,
        flow: Flow,
        *,
        from_: Address,
        to: Address,
        routes: tuple[str, ...] = (),
        call_id: str | None = None,
    ) -> Dialog:
        """Make what a first request is written with."""
        tokens = self.layer.tokens
        tag = tokens.next()
        local = encode(f"{from_.serialize()};tag={tag}")
        dialog = Dialog(call_id or tokens.next() + tokens.next(), tag, local, encode(to.serialize()), uri, flow)
        dialog.routes = routes
        dialog.secure = uri[:5].lower() == "sips:"
        return dialog

    def acknowledge(self, leg: Leg, now: int, *, body: bytes = b"", block: bytes = b"") -> None:
        """Send the ACK with the answer to an offer that came in a 2xx."""
        if leg.is_over or not leg.waits_for_ack:
            raise WrongStateError("no 2xx waits for an ACK")
        leg.acknowledge(self.body_block(body, block), body, now)

    def acknowledge_progress(
        self, leg: Leg, response: Response, now: int, *, body: bytes, block: bytes = b""
    ) -> Outgoing:
        """Send the PRACK with the answer to an offer that came in a reliable provisional response."""
        if leg.is_over:
            raise WrongStateError("the leg is over")
        leg.remote_offer = False
        return leg.prack(response, self.body_block(body, block), body, now)

    # calls of peers

    def progress(
        self, leg: Leg, status: int, now: int, *, body: bytes = b"", block: bytes = b"", reliable: bool = False
    ) -> None:
        """Send a provisional response to the INVITE of a leg; ``reliable`` ones are repeated until their PRACK."""
        incoming = leg.incoming
        if incoming is None or leg.is_over:
            raise WrongStateError("there is no INVITE to answer")
        incoming.progress(status, self.body_block(body, block), body, now, reliable=reliable)

    def answer_invite(self, leg: Leg, now: int, *, body: bytes, block: bytes = b"", status: int = 200) -> None:
        """Accept the INVITE of a leg: `Confirmed` follows when it is acknowledged."""
        incoming = leg.incoming
        if incoming is None or leg.is_over:
            raise WrongStateError("there is no INVITE to answer")
        incoming.answer(status, self.body_block(body, block), body, now)

    def refuse(self, leg: Leg, status: int, now: int, *, body: bytes = b"", block: bytes = b"") -> None:
        """Refuse or redirect the INVITE of a leg; of the first one, the leg ends."""
        incoming = leg.incoming
        if incoming is None or leg.is_over:
            raise WrongStateError("there is no INVITE to answer")
        incoming.refuse(status, block, body, now)

    # legs

    def reoffer(self, leg: Leg, now: int, *, body: bytes = b"", block: bytes = b"", method: str = "INVITE") -> Reoffer:
        """Change a leg by re-INVITE or UPDATE: `Responded` follows; crossed ones are sent again by themselves."""
        self.layer.check_room()
        return leg.start_reoffer(method, self.body_block(body, block), body, now)

    def bye(self, leg: Leg, now: int, *, block: bytes = b"") -> None:
        """End a leg; `Ended` comes at once."""
        if leg.is_over:
            raise WrongStateError("the leg is over")
        if leg.dialog.state is not DialogState.CONFIRMED:
            raise WrongStateError("the INVITE has no answer: cancel or refuse it")
        leg.bye(now, block)

    def request(
        self, dialog: Dialog, method: str, now: int, *, body: bytes = b"", block: bytes = b"", contact: bytes = b""
    ) -> Outgoing:
        """Send any other request in a dialog, or the first of one that `new_dialog` made: `Responded` follows."""
        if dialog.state is DialogState.ENDED:
            raise WrongStateError("the dialog is over")
        self.layer.check_room()
        outgoing = Outgoing(self, dialog, method, contact + block, body)
        outgoing.send(now)
        return outgoing

    # requests of peers

    def respond(
        self, transaction: ServerTransaction, status: int, now: int, *, body: bytes = b"", block: bytes = b""
    ) -> None:
        """Answer a request that an event has handed up."""
        owner = transaction.owner
        if transaction.request is None:
            raise WrongStateError("the request has its final response")
        block = self.body_block(body, block)
        if owner is None:
            self.answer(transaction, status, now, block, body)
            return
        if hasattr(owner, "progress"):  # an INVITE
            if status < _FINAL:
                owner.progress(status, block, body, now, reliable=False)
            elif status < _REDIRECT:
                owner.answer(status, block, body, now)
            else:
                owner.refuse(status, block, body, now)
            return
        owner.on_respond(transaction, status, block, body, now)
