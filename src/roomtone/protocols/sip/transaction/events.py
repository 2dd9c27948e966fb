"""What the transaction layer tells its user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Request, Response
    from roomtone.protocols.sip.transaction.client import ClientTransaction
    from roomtone.protocols.sip.transaction.machine import Transaction
    from roomtone.protocols.sip.transaction.server import ServerTransaction
    from roomtone.protocols.sip.transaction.states import TransactionFailure


class RequestReceived(NamedTuple):
    """A new request, neither ACK nor CANCEL; to be answered by `TransactionLayer.respond`."""

    transaction: ServerTransaction
    request: Request


class AckReceived(NamedTuple):
    """The ACK of a 2xx. It belongs to a dialog, not to a transaction (RFC 3261 section 13.3.1.4)."""

    request: Request
    flow: Flow


class CancelReceived(NamedTuple):
    """An INVITE that has no final response is to be refused with 487; the CANCEL itself is answered already."""

    invite: ServerTransaction
    cancel: Request


class ResponseReceived(NamedTuple):
    """A response that its transaction lets through; of an INVITE also each repeated 2xx."""

    transaction: ClientTransaction
    response: Response
    owner: Any
    """Of the transaction; one that has ended knows it no more."""


class TransactionFailed(NamedTuple):
    """Nothing more will come of a transaction.

    A server transaction that could not send stays for a while to absorb repetitions (RFC 6026 section 8.9).
    """

    transaction: Transaction
    failure: TransactionFailure
    owner: Any


TransactionEvent: TypeAlias = RequestReceived | AckReceived | CancelReceived | ResponseReceived | TransactionFailed
