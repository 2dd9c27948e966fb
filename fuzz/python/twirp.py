"""Fuzz target: any body of any call is a request that is written and read again the same, or a `TwirpError`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["roomtone.protocols"]):
    from roomtone.protocols.livekit.twirp import METHODS, TwirpError, find_method, read_call, speaks_json, write_answer

NAMES = sorted(METHODS)


def one_input(data: bytes) -> None:
    """Read the first line as a path and media type, or as the number of a method; the rest is the body."""
    head, _, body = data.partition(b"\n")
    path, _, kind = head.decode("latin-1").partition(" ")
    try:
        method = find_method("POST", path) if path.startswith("/") else METHODS[NAMES[sum(head) % len(NAMES)]]
        as_json = speaks_json(kind) if kind else bool(len(head) % 2)
        request = read_call(method, body, as_json=as_json)
    except TwirpError:
        return
    plain = request.SerializeToString(deterministic=True)
    again = read_call(method, write_answer(request, as_json=False), as_json=False)
    assert again.SerializeToString(deterministic=True) == plain
    if as_json:
        text = write_answer(request, as_json=True)
        assert read_call(method, text, as_json=True).SerializeToString(deterministic=True) == plain


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
