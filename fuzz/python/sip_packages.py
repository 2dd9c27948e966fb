"""Fuzz target: any bytes are a body of an event package or a `BodyError`; what was read reads the same once written."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["roomtone.protocols"]):
    from roomtone.protocols.sip.packages import (
        BodyError,
        DialogInfo,
        MessageSummary,
        Presence,
        Progress,
        RegistrationInfo,
    )

KINDS = (DialogInfo, MessageSummary, Presence, Progress, RegistrationInfo)


def one_body(data: bytes) -> None:
    for kind in KINDS:
        try:
            value = kind.parse(data)
        except BodyError:
            continue
        assert kind.parse(value.serialize()) == value


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_body)
    atheris.Fuzz()
