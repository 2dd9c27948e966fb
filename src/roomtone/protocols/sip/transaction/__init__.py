"""Transactions of SIP (RFC 3261 section 17): four tables, one layer."""

from roomtone.protocols.sip.transaction.client import ClientTransaction, InviteClientTransaction
from roomtone.protocols.sip.transaction.counters import TransactionCounters
from roomtone.protocols.sip.transaction.events import (
    AckReceived,
    CancelReceived,
    RequestReceived,
    ResponseReceived,
    TransactionEvent,
    TransactionFailed,
)
from roomtone.protocols.sip.transaction.layer import TransactionLayer
from roomtone.protocols.sip.transaction.server import InviteServerTransaction, ServerTransaction
from roomtone.protocols.sip.transaction.states import (
    Signal,
    State,
    TooManyTransactionsError,
    TransactionFailure,
    TransactionOverError,
)
from roomtone.protocols.sip.transaction.timings import Timings, TransactionLimits

__all__ = [
    "AckReceived",
    "CancelReceived",
    "ClientTransaction",
    "InviteClientTransaction",
    "InviteServerTransaction",
    "RequestReceived",
    "ResponseReceived",
    "ServerTransaction",
    "Signal",
    "State",
    "Timings",
    "TooManyTransactionsError",
    "TransactionCounters",
    "TransactionEvent",
    "TransactionFailed",
    "TransactionFailure",
    "TransactionLayer",
    "TransactionLimits",
    "TransactionOverError",
]
