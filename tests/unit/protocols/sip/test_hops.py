"""Where requests of a dialog go, what we call ourselves, and words nobody can guess."""

from __future__ import annotations

import pytest

from roomtone.protocols.sip.dialog import contact_block, next_flow, via_prefix
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.tokens import Tokens

UDP = Flow(Transport.UDP, "9.9.9.9", 40_000, "198.51.100.1", 5060)
TCP = Flow(Transport.TCP, "9.9.9.9", 40_000, "198.51.100.1", 5060, 7)
WSS = Flow(Transport.WSS, "9.9.9.9", 40_000, "198.51.100.1", 443, 8)


@pytest.mark.parametrize(
    ("uri", "flow", "to"),
    [
        ("sip:a@9.9.9.9:40000", UDP, UDP),
        ("sip:a@9.9.9.9:5070", UDP, UDP._replace(remote_port=5070)),
        ("sip:a@192.168.1.5:5060", UDP, UDP),  # behind its router
        ("sip:a@8.8.8.8", UDP, UDP._replace(remote_host="8.8.8.8", remote_port=5060)),
        ("sip:a@8.8.8.8;transport=tcp", UDP, Flow(Transport.TCP, "8.8.8.8", 5060, "198.51.100.1", 5060)),
        ("sips:a@8.8.8.8", UDP, Flow(Transport.TLS, "8.8.8.8", 5061, "198.51.100.1", 5060)),
        ("sip:a@example.org", UDP, UDP),  # names are resolved elsewhere
        ("sip:a@9.9.9.9:5060;transport=tcp", TCP, TCP),  # the connection is there
        ("sip:a@9.9.9.9:5060", TCP, TCP._replace(transport=Transport.UDP, remote_port=5060, connection=0)),
        ("sip:x@df7jal23ls0d.invalid;transport=ws", WSS, WSS),
        ("sip:x@8.8.8.8;transport=ws", WSS, WSS),
        ("sip:a@[2606:4700::1111]:5070", UDP, UDP._replace(remote_host="2606:4700::1111", remote_port=5070)),
        ("tel:+15551234", UDP, UDP),
        ("nonsense", UDP, UDP),
    ],
)
def test_the_next_hop_is_the_target_unless_it_cannot_be_reached(uri: str, flow: Flow, to: Flow) -> None:
    assert next_flow(uri, flow) == to


def test_addresses_of_ours_are_written_with_brackets_and_transport() -> None:
    assert via_prefix(Transport.TLS, "2001:db8::1", 5061) == b"Via: SIP/2.0/TLS [2001:db8::1]:5061;branch="
    assert contact_block(Transport.UDP, "192.0.2.1", 5060) == b"Contact: <sip:192.0.2.1:5060>\r\n"
    assert contact_block(Transport.WSS, "::1", 443, "me") == b"Contact: <sip:me@[::1]:443;transport=wss>\r\n"
    assert contact_block(Transport.TLS, "h", 5061, secure=True) == b"Contact: <sips:h:5061>\r\n"


def test_words_are_never_the_same_and_differ_by_secret() -> None:
    one, other = Tokens(b"a" * 32), Tokens(b"b" * 32)
    words = [one.next() for _ in range(1_000)] + [other.next() for _ in range(1_000)]
    assert len(set(words)) == 2_000
    assert {len(word) for word in words} == {16}
    assert one.stable("x") == one.stable("x") != other.stable("x")
    assert one.stable("x") not in words
