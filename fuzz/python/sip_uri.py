"""Fuzz target: any text is a URI that is written as it was read and is the same as itself, or a `SipSyntaxError`.

Likewise any text is an address and a Via, or a `SipSyntaxError`. Nothing else is ever raised.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["roomtone.protocols"]):
    from roomtone.protocols.sip import SipSyntaxError, parse_uri, same_uri
    from roomtone.protocols.sip.grammar import decode
    from roomtone.protocols.sip.headers import parse_address, parse_via


def one_input(data: bytes) -> None:
    text = decode(data)
    with contextlib.suppress(SipSyntaxError):
        uri = parse_uri(text)
        again = parse_uri(uri.serialize())
        assert again == uri
        assert same_uri(uri, again)
    with contextlib.suppress(SipSyntaxError):
        address = parse_address(text)
        assert parse_address(address.serialize()) == address
    with contextlib.suppress(SipSyntaxError):
        via = parse_via(text)
        assert parse_via(via.serialize()) == via
        via.response_address()


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
