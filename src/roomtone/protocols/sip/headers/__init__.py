"""Typed header values: each module reads and writes one family, lazily, from the text of a header."""

from __future__ import annotations

from roomtone.protocols.sip.headers.address import WILDCARD, Address, Wildcard, parse_address
from roomtone.protocols.sip.headers.cseq import CSeq, RAck, parse_cseq, parse_number, parse_rack
from roomtone.protocols.sip.headers.via import MAGIC_COOKIE, Via, parse_via

__all__ = [
    "MAGIC_COOKIE",
    "WILDCARD",
    "Address",
    "CSeq",
    "RAck",
    "Via",
    "Wildcard",
    "parse_address",
    "parse_cseq",
    "parse_number",
    "parse_rack",
    "parse_via",
]
