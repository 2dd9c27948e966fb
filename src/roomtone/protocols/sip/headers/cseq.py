"""``CSeq`` (RFC 3261, 20.16) and ``RAck`` (RFC 3262, 7.2): numbers that tie requests and responses together."""

from __future__ import annotations

import re
from typing import NamedTuple

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.grammar import TOKEN

METHODS = ("ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE").split()  # noqa: SIM905 - IANA's list
MAX_CSEQ = 2**31 - 1
"""Highest CSeq number (RFC 3261, 8.1.1.5)."""
MAX_RSEQ = 2**32 - 1
"""Highest RSeq number (RFC 3262, 7.1)."""

_CSEQ = re.compile(rf"([0-9]{{1,20}})\s+({TOKEN})").fullmatch
_RACK = re.compile(rf"([0-9]{{1,20}})\s+([0-9]{{1,20}})\s+({TOKEN})").fullmatch
_SURELY_LOW = 10
"""Digits of the first numbers that may be above `MAX_CSEQ`."""
_KNOWN = frozenset(METHODS)
_NUMBER = re.compile(r"[0-9]{1,20}").fullmatch


class CSeq(NamedTuple):
    """``CSeq``: a number and the method (upper case is not forced: methods are case-sensitive)."""

    number: int
    method: str

    def serialize(self) -> str:
        """Write the value."""
        return f"{self.number} {self.method}"


class RAck(NamedTuple):
    """``RAck``: which reliable provisional response a PRACK confirms."""

    rseq: int
    cseq: int
    method: str

    def serialize(self) -> str:
        """Write the value."""
        return f"{self.rseq} {self.cseq} {self.method}"


def parse_cseq(text: str) -> CSeq:
    """Read a ``CSeq``. Raises `SipSyntaxError`, also for a number of 2^31 or more."""
    digits, _, method = text.partition(" ")
    if method in _KNOWN and digits.isdecimal() and digits.isascii() and len(digits) < _SURELY_LOW:
        return CSeq(int(digits), method)
    match = _CSEQ(text)
    if match is None:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "no CSeq", header="CSeq")
    number = int(match[1])
    if number > MAX_CSEQ:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "number of 2^31 or more", header="CSeq")
    return CSeq(number, match[2])


def parse_rack(text: str) -> RAck:
    """Read a ``RAck``. Raises `SipSyntaxError`."""
    match = _RACK(text)
    if match is None or int(match[1]) > MAX_RSEQ or int(match[2]) > MAX_CSEQ:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "no RAck", header="RAck")
    return RAck(int(match[1]), int(match[2]), match[3])


def parse_number(text: str, highest: int, header: str) -> int:
    """Read a number of a header (``Max-Forwards``, ``Expires``...). Raises `SipSyntaxError` above ``highest``."""
    if _NUMBER(text) is None or (number := int(text)) > highest:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, f"no number up to {highest}", header=header)
    return number
