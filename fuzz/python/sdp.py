"""Fuzz target: any bytes are an `SdpError`, or a description that survives serialising and is agreed to or refused.

Nothing else is ever raised.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["roomtone.protocols"]):
    from roomtone.protocols.sdp import AnswerRole, NegotiationError, SdpError, negotiate, parse_session


def one_input(data: bytes) -> None:
    try:
        session = parse_session(data)
    except SdpError:
        return
    assert parse_session(session.serialize()).serialize() == session.serialize()
    for role in AnswerRole:
        try:
            negotiate(session, role)
        except (SdpError, NegotiationError):
            continue


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
