"""States, inputs and ends of transactions."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class State(IntEnum):
    """States of all four machines; a number each, so that gauges are a list."""

    CALLING = 0
    INVITE_CLIENT_PROCEEDING = 1
    INVITE_CLIENT_ACCEPTED = 2
    INVITE_CLIENT_COMPLETED = 3
    INVITE_SERVER_PROCEEDING = 4
    INVITE_SERVER_ACCEPTED = 5
    INVITE_SERVER_COMPLETED = 6
    CONFIRMED = 7
    CLIENT_TRYING = 8
    CLIENT_PROCEEDING = 9
    CLIENT_COMPLETED = 10
    SERVER_TRYING = 11
    SERVER_PROCEEDING = 12
    SERVER_COMPLETED = 13
    TERMINATED = 14


class Signal(StrEnum):
    """What happens to a transaction."""

    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "3xx-6xx"
    REQUEST = "request"
    """The request once more."""
    ACK = "ack"
    REPEAT = "timer A, E or G"
    """What was sent last is due again."""
    GIVE_UP = "timer B, F or H"
    """Nothing has come for 64 times T1, or for as long after a CANCEL (RFC 3261 section 9.1)."""
    LINGER = "timer D, I, J, K, L or M"
    """Nothing late is expected any more."""
    RINGING = "timer C"
    TRYING = "nobody has answered yet"
    ABANDONED = "nobody has answered at all"
    TRANSPORT_ERROR = "transport error"


class TransactionFailure(StrEnum):
    """Why a transaction ended without what its user waits for."""

    TIMEOUT = "timeout"
    """No final response (timers B, F), or no ACK (timer H)."""
    TRANSPORT_ERROR = "transport_error"
    ABANDONED = "abandoned"
    """Our side never answered."""


class TransactionOverError(RuntimeError):
    """The request has its final response already, or nobody waits for one any more; nothing was sent."""


class TooManyTransactionsError(RuntimeError):
    """As many client transactions are there as may be; nothing was sent. It may be tried again."""
