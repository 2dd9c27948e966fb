"""What calls and what belongs to phones refuse."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomtone.control.calls.reasons import CallEnd


class CallError(Exception):
    """A call, or a step of it, cannot be; the peer is told by the status of its reason."""

    def __init__(self, end: CallEnd, message: str = "") -> None:
        super().__init__(f"{end}: {message}" if message else end.value)
        self.end = end
        self.message = message


class PhoneRefusal(StrEnum):
    """Why something about phone accounts, rules and calls is refused."""

    BAD_USERNAME = "bad_username"
    BAD_PASSWORD = "bad_password"  # noqa: S105 - a code
    BAD_NAME = "bad_name"
    ACCOUNT_EXISTS = "account_exists"
    NO_SUCH_ACCOUNT = "no_such_account"
    BAD_RULE = "bad_rule"
    RULE_EXISTS = "rule_exists"
    NO_SUCH_RULE = "no_such_rule"
    NO_SUCH_CALL = "no_such_call"
    NO_SUCH_LEG = "no_such_leg"
    BAD_KEYS = "bad_keys"
    WRONG_STATE = "wrong_state"
    """The call is not where this can be done."""
    NOT_POSSIBLE = "not_possible"
    """The peers or the engine do not allow it."""
    BAD_TRUNK = "bad_trunk"
    TRUNK_EXISTS = "trunk_exists"
    NO_SUCH_TRUNK = "no_such_trunk"


class PhoneError(Exception):
    """What was asked for cannot be done; ``refusal`` says why."""

    def __init__(self, refusal: PhoneRefusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message


class BindingRefusal(StrEnum):
    """Why a REGISTER is refused."""

    OUT_OF_ORDER = "out_of_order"
    """An older request than the one before, of the same Call-ID (RFC 3261 section 10.3, step 7)."""
    TOO_BRIEF = "too_brief"
    """Less than the least time; 423 says which that is."""
    BAD_CONTACT = "bad_contact"


class BindingError(Exception):
    """A REGISTER is refused, and nothing of it was done."""

    def __init__(self, refusal: BindingRefusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
