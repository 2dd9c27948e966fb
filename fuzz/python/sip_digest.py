"""Fuzz target: any header is challenges that survive writing, credentials or a `SipSyntaxError`; none is believed.

Nothing else is ever raised.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["roomtone.protocols"]):
    from roomtone.protocols.sip.digest import (
        DigestClient,
        DigestPolicy,
        DigestServer,
        Login,
        Secret,
        Verdict,
        parse_challenges,
    )
    from roomtone.protocols.sip.message import Headers, Request, Response

SERVER = DigestServer(DigestPolicy("r"), b"k" * 32)
SECRET = Secret("pw")


def one_input(data: bytes) -> None:
    line = data.replace(b"\r", b" ").replace(b"\n", b" ")
    challenges = parse_challenges(Headers([b"WWW-Authenticate: " + line]), "WWW-Authenticate")
    for challenge in challenges:
        written = Headers([b"WWW-Authenticate: " + challenge.serialize().encode("utf-8", "surrogateescape")])
        assert parse_challenges(written, "WWW-Authenticate") == [challenge]
    request = Request("REGISTER", "sip:r", Headers([b"Authorization: " + line]))
    client = DigestClient(Login("alice", "guess"), lambda: "c")
    client.answer(Response(401, None, Headers([b"WWW-Authenticate: " + line])), request)
    credentials = SERVER.credentials(request)
    if not isinstance(credentials, Verdict):
        assert SERVER.verify(credentials, request, SECRET, 1_000) is not Verdict.ACCEPTED


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
