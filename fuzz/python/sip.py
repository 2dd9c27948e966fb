"""Fuzz target: any bytes are a SIP message or a `SipSyntaxError`, whole or as a stream cut anywhere.

Every typed header of a message is a value or a `SipSyntaxError`; a request that passes its check is written, answered
and read again. Nothing else is ever raised.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["roomtone.protocols"]):
    from roomtone.protocols.sip import SipSyntaxError, parse_uri, same_uri
    from roomtone.protocols.sip import headers as h
    from roomtone.protocols.sip.message import (
        KeepAlive,
        Request,
        StreamFramer,
        check_request,
        check_response,
        parse_message,
        respond,
    )
    from roomtone.protocols.sip.multipart import find_body

FAMILIES = (
    h.parse_asserted,
    h.parse_diversions,
    h.parse_history,
    lambda headers: h.parse_reasons(headers.items("Reason")),
    lambda headers: h.parse_accepted(headers.items("Accept"), "Accept"),
    lambda headers: h.parse_replaces(headers.text("Replaces") or ""),
    lambda headers: h.parse_subscription_state(headers.text("Subscription-State") or ""),
    lambda headers: h.parse_retry_after(headers.text("Retry-After") or ""),
    lambda headers: h.parse_warning(headers.text("Warning") or ""),
)
TYPED = ("vias", "cseq", "from_", "to", "call_id", "contacts", "contact", "routes", "record_routes", "content_type")


def framed(pieces: list[bytes]) -> list[bytes | KeepAlive | str]:
    framer = StreamFramer()
    got: list[bytes | KeepAlive | str] = []
    try:
        for piece in pieces:
            framer.handle_bytes(piece)
            while (item := framer.poll()) is not None:
                got.append(item)
    except SipSyntaxError as error:
        got.append(error.fault)
    return got


def one_message(data: bytes) -> None:
    try:
        message = parse_message(data)
    except SipSyntaxError:
        return
    for name in TYPED:
        with contextlib.suppress(SipSyntaxError):
            getattr(message, name)
    for read in FAMILIES:
        with contextlib.suppress(SipSyntaxError):
            read(message.headers)
    with contextlib.suppress(SipSyntaxError):
        find_body(message, "application/sdp")
    if not isinstance(message, Request):
        check_response(message)
        return
    with contextlib.suppress(SipSyntaxError):
        uri = message.uri
        assert same_uri(uri, parse_uri(uri.serialize()))
    if check_request(message) is None:
        message.stamp_source("192.0.2.1", 5060)
        assert check_request(parse_message(message.serialize())) is None  # type: ignore[arg-type]
        assert check_response(parse_message(respond(message, 200, to_tag="t").serialize())) is None  # type: ignore[arg-type]


def one_input(data: bytes) -> None:
    one_message(data)
    cut = len(data) // 2
    assert framed([data]) == framed([data[:cut], data[cut:]])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
