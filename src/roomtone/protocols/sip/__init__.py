"""SIP (RFC 3261) as pure values and state machines: no socket, clock or randomness of its own."""

from __future__ import annotations

from roomtone.protocols.sip.errors import Fault, SipBuildError, SipSyntaxError
from roomtone.protocols.sip.grammar import NO_PARAMS, Params, make_params
from roomtone.protocols.sip.uri import OtherUri, SipUri, TelUri, Uri, make_sip_uri, parse_uri, same_uri

__all__ = [
    "NO_PARAMS",
    "Fault",
    "OtherUri",
    "Params",
    "SipBuildError",
    "SipSyntaxError",
    "SipUri",
    "TelUri",
    "Uri",
    "make_params",
    "make_sip_uri",
    "parse_uri",
    "same_uri",
]
