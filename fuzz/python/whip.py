"""Fuzz target: any PATCH body with any If-Match is a plan, a `WhipError` or an `SdpError`; nothing else is raised."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["roomtone.protocols"]):
    from roomtone.protocols.sdp import SdpError
    from roomtone.protocols.whip import IceGeneration, WhipError, plan_patch

CURRENT = IceGeneration(tag="tag", remote_ufrag="abcd", remote_pwd="abcdefghijklmnopqrstuvwx")  # noqa: S106


def one_input(data: bytes) -> None:
    match, _, body = data.partition(b"\n")
    if_match = match.decode("latin-1") if match else None
    try:
        plan_patch(CURRENT, if_match, body)
    except (WhipError, SdpError):
        return


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
