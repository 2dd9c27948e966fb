"""What an answer to REGISTER says beside the bindings."""

from __future__ import annotations

import pytest

from roomtone.control.policy import IceServerRule
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.servers.sip.registering import said_to_browsers

RULES = (IceServerRule(("stun:stun.example.org",)), IceServerRule(("turn:turn.example.org",), secret="north"))


@pytest.mark.parametrize("transport", Transport)
def test_browsers_are_told_the_ice_servers_with_their_own_credentials_and_other_phones_are_not(
    transport: Transport,
) -> None:
    said = said_to_browsers(RULES, "ada", Flow(transport, "192.0.2.1", 5061, "192.0.2.2", 443), 1_000)
    if transport not in {Transport.WS, Transport.WSS}:
        assert said == b""
        return
    stun, turn, rest = said.split(b"\r\n")
    assert (stun, rest) == (b'Link: <stun:stun.example.org>; rel="ice-server"', b"")
    assert turn.startswith(b'Link: <turn:turn.example.org>; rel="ice-server"; username="87400:ada"; credential="')
