"""The transaction layer: messages in, messages out, and each request of a peer handed up once."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.flow import Flow, Transmit
from roomtone.protocols.sip.message import Request, Response, parse_message, respond
from roomtone.protocols.sip.message.check import can_be_answered, check_message, refusal_of
from roomtone.protocols.sip.overload import Overload, OverloadCause
from roomtone.protocols.sip.transaction.client import ClientTransaction, InviteClientTransaction
from roomtone.protocols.sip.transaction.counters import TransactionCounters
from roomtone.protocols.sip.transaction.events import AckReceived, CancelReceived, RequestReceived, TransactionEvent
from roomtone.protocols.sip.transaction.matching import Key, client_key, server_key
from roomtone.protocols.sip.transaction.server import InviteServerTransaction, ServerTransaction, signal_of
from roomtone.protocols.sip.transaction.states import Signal, State, TooManyTransactionsError
from roomtone.protocols.sip.transaction.timings import Timings, TransactionLimits
from roomtone.protocols.sip.wheel import TimerWheel

if TYPE_CHECKING:
    from roomtone.protocols.sip.tokens import Tokens

_UNAVAILABLE = 503


class TransactionLayer:
    """All transactions of one endpoint (RFC 3261 section 17, RFC 6026).

    Inputs: `handle_data` or `handle_message` with what came in, `handle_transport_error` with what could not go out,
    `handle_timeout`; `send_request`, `respond`, `send` (an ACK of a 2xx, a repeated 2xx). Times are milliseconds of one
    clock that never goes back.
    Outputs: `poll_event` and `poll_transmit` until they are None; `next_timeout`.
    Order: events and transmits come out in the order of what caused them.
    Limits: `TransactionLimits`. Whatever its user does, each transaction ends by a timer of its own. While ``overload``
    has a cause, requests outside of dialogs are refused with 503; those in dialogs, and CANCEL, go on.
    """

    def __init__(
        self,
        tokens: Tokens,
        timings: Timings | None = None,
        limits: TransactionLimits | None = None,
        wheel: TimerWheel | None = None,
        overload: Overload | None = None,
    ) -> None:
        self.tokens = tokens
        self.timings = timings or Timings()
        self.limits = limits or TransactionLimits()
        self.wheel = wheel or TimerWheel()
        """Timers of all layers: values are called with the time."""
        self.counters = TransactionCounters()
        self.gauges = [0] * len(State)
        """Transactions there are, by state."""
        self.overload = overload or Overload()
        self.events: deque[TransactionEvent] = deque()
        self.transmits: deque[Transmit] = deque()
        self.clients: dict[Key, ClientTransaction] = {}
        self.servers: dict[Key, ServerTransaction] = {}

    def __len__(self) -> int:
        return len(self.clients) + len(self.servers)

    # what comes in

    def handle_data(self, data: bytes, flow: Flow, now: int) -> None:
        """Take the bytes of one message; a request that cannot be read is answered where that is possible."""
        try:
            message = parse_message(data)
        except SipSyntaxError as error:
            self.counters.malformed[error.fault] += 1
            if error.headers is not None:
                self._refuse_malformed(Request("UNKNOWN", "", error.headers), error, flow)
            return
        try:
            self.handle_message(message, flow, now)
        except SipSyntaxError as error:
            self.counters.malformed[error.fault] += 1
            if isinstance(message, Request) and message.method != "ACK":
                self._refuse_malformed(message, error, flow)

    def handle_message(self, message: Request | Response, flow: Flow, now: int) -> None:
        """Take a message. Raises `SipSyntaxError` when a header that transactions match by cannot be read."""
        if isinstance(message, Response):
            self._handle_response(message, now)
        else:
            self._handle_request(message, flow, now)

    def handle_transport_error(self, transmit: Transmit, now: int) -> None:
        """Take back what could not be sent."""
        transaction = transmit.source
        if transaction is not None:
            transaction.step(Signal.TRANSPORT_ERROR, now)

    def handle_timeout(self, now: int) -> None:
        """Do what is due."""
        poll = self.wheel.poll
        while (due := poll(now)) is not None:
            due(now)

    def next_timeout(self) -> int | None:
        """When `handle_timeout` is to be called, at the latest."""
        return self.wheel.next_timeout()

    def poll_event(self) -> TransactionEvent | None:
        """Take the next event."""
        return self.events.popleft() if self.events else None

    def poll_transmit(self) -> Transmit | None:
        """Take the next message to be sent."""
        return self.transmits.popleft() if self.transmits else None

    # what goes out

    def check_room(self) -> None:
        """Raise `TooManyTransactionsError` when as many client transactions are there as may be."""
        if len(self.clients) >= self.limits.client:
            self.counters.refused_own += 1
            raise TooManyTransactionsError(f"{len(self.clients)} client transactions")

    def send_request(
        self, method: str, branch: str, data: bytes, flow: Flow, now: int, *, always: bool = False
    ) -> ClientTransaction:
        """Send a request other than ACK; ``branch`` is that of its topmost Via, and never used twice.

        Raises `TooManyTransactionsError`, but for one that is to go out ``always``: it ends something, or belongs to
        what is there already.
        """
        if not always:
            self.check_room()
        key = (branch.encode(), method)
        kind = InviteClientTransaction if method == "INVITE" else ClientTransaction
        transaction = self.clients[key] = kind(self, key, flow, data, now)
        return transaction

    def send_cancel(self, data: bytes, invite: InviteClientTransaction, now: int) -> None:
        """Send the CANCEL of an INVITE; nothing is told of it."""
        key = (invite.key[0], "CANCEL")
        transaction = self.clients[key] = ClientTransaction(self, key, invite.flow, data, now)
        transaction.is_quiet = True

    def respond(self, transaction: ServerTransaction, status: int, data: bytes, now: int) -> bool:
        """Send a response; False when it is too late for it, and it was not sent."""
        return transaction.step(signal_of(status), now, data)

    def send(self, flow: Flow, data: bytes) -> None:
        """Send what belongs to no transaction: the ACK of a 2xx."""
        self.transmits.append(Transmit(flow, data))

    def transmit(self, flow: Flow, data: bytes, source: Any) -> None:
        """Send for a transaction."""
        self.transmits.append(Transmit(flow, data, source))

    def write(self, transaction: ServerTransaction, status: int, block: bytes = b"", body: bytes = b"") -> bytes:
        """Write a response with what `Answers` knows; it gets a tag if its user gave it none."""
        answers = transaction.answers
        if not answers.tag and not answers.has_tag:
            answers.tag = self.tokens.next().encode()
        return answers.write(status, block, body)

    # matching

    def _handle_response(self, response: Response, now: int) -> None:
        transaction = self.clients.get(client_key(response))
        if transaction is None:
            self.counters.stray_responses += 1
            return
        transaction.step(signal_of(response.status), now, response)

    def _handle_request(self, request: Request, flow: Flow, now: int) -> None:
        method = request.method
        if method == "ACK":
            self._handle_ack(request, flow, now)
            return
        key, _ = server_key(request, method)
        transaction = self.servers.get(key)
        if transaction is not None:
            transaction.step(Signal.REQUEST, now)
            return
        if request.to_tag is None:  # in a dialog, what is read is what the dialog needs
            check_message(request)
        if request.cseq.method != method:
            raise SipSyntaxError(Fault.CSEQ_METHOD, 0, "not the method of the request", header="CSeq")
        back = self.answer_flow(request, flow)
        cause = self._too_much_for(request)
        if cause is not None:
            self._refuse(request, back, cause)
            return
        kind = InviteServerTransaction if method == "INVITE" else ServerTransaction
        transaction = self.servers[key] = kind(self, key, back, request, now)
        if flow.is_reliable:
            transaction.fallback_port = request.via.sent_by[1]
        if method == "CANCEL":
            self._handle_cancel(transaction, request, now)
        else:
            self.events.append(RequestReceived(transaction, request))

    def _handle_ack(self, ack: Request, flow: Flow, now: int) -> None:
        key, is_old = server_key(ack, "INVITE")
        transaction = self.servers.get(key)
        if transaction is None or (is_old and not transaction.has_tag(ack.to_tag)):
            self.events.append(AckReceived(ack, flow))
        else:
            transaction.step(Signal.ACK, now, ack)

    def _handle_cancel(self, transaction: ServerTransaction, cancel: Request, now: int) -> None:
        invite = self.servers.get((*transaction.key[:-1], "INVITE"))
        if invite is None:
            self.counters.stray_cancels += 1
            self.respond(transaction, 481, self.write(transaction, 481), now)
            return
        if (answers := invite.answers if invite.request is not None else None) is not None:
            transaction.answers.tag = answers.tag  # 9.2: the same as in the response to the INVITE
        self.respond(transaction, 200, self.write(transaction, 200), now)
        if invite.state is State.INVITE_SERVER_PROCEEDING:
            self.events.append(CancelReceived(invite, cancel))

    def answer_flow(self, request: Request, flow: Flow) -> Flow:
        """Write where a request came from into its Via, and find where responses go (18.2.1, 18.2.2).

        Back by the connection; by UDP to the port of sent-by, or by rport.

        ``maddr`` is not followed: a stranger could have our responses sent to a third party.
        """
        if request.stamp_source(flow.remote_host, flow.remote_port) or flow.is_reliable:
            return flow
        port = request.via.sent_by[1]
        return flow if port == flow.remote_port else flow._replace(remote_port=port)

    def _too_much_for(self, request: Request) -> OverloadCause | None:
        """Say why a request is to be refused unseen; what belongs to a dialog or a request there is may still come."""
        if len(self.servers) >= self.limits.server:
            return OverloadCause.TRANSACTIONS
        cause = self.overload.cause
        return None if cause is None or request.to_tag is not None or request.method == "CANCEL" else cause

    def _refuse(self, request: Request, flow: Flow, cause: OverloadCause) -> None:
        self.counters.refused += 1
        self.overload.refused[cause] += 1
        tag = self.tokens.stable(f"{request.via.branch} {request.call_id}")
        retry = [("Retry-After", str(self.limits.retry_after_s))]
        refusal = respond(request, _UNAVAILABLE, to_tag=tag, headers=retry)
        self.send(flow, refusal.serialize())

    def _refuse_malformed(self, request: Request, error: SipSyntaxError, flow: Flow) -> None:
        if not can_be_answered(request.headers):
            self.counters.dropped += 1
            return
        refusal = refusal_of(error)
        try:
            answer_flow = self.answer_flow(request, flow)
        except SipSyntaxError:
            answer_flow = flow  # its Via cannot be read: to where it came from
        tag = self.tokens.stable(str(request.headers.text("call-id")))
        self.send(answer_flow, respond(request, refusal.status, refusal.reason, to_tag=tag).serialize())
