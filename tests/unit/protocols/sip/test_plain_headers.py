"""Headers as nearly all are: what is read of them in one go is what the parsers read."""

from __future__ import annotations

import pytest

from roomtone.protocols.sip.headers import parse_address, parse_via
from roomtone.protocols.sip.message import Request, Response, check_request, check_response, parse_message
from roomtone.protocols.sip.transaction.matching import client_key, server_key

PLAIN = (
    "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1",
    "SIP/2.0/TCP pc33.example.com;branch=z9hG4bKa.b_c~d;rport",
    "SIP/2.0/UDP 192.0.2.1:64999;rport;branch=z9hG4bK1;received=192.0.2.9",
    "SIP/2.0/WSS a-b.invalid;keep;branch=z9hG4bK77:8@x",
    "SIP/2.0/TLS [2001:DB8::1]:5061;branch=z9hG4bKX;alias",
    "SIP/2.0/UDP Some_Host:5060;branch=z9hG4bK1",
)
OTHERS = (
    "SIP/2.0/UDP 192.0.2.1:65123;branch=z9hG4bK1",
    "SIP/2.0/UDP 192.0.2.1 ;branch=z9hG4bK1",
    "SIP / 2.0 / UDP 192.0.2.1;branch=z9hG4bK1",
    "SIP/2.0/UDP 192.0.2.1;branch=Z9HG4BK1",
    "SIP/2.0/UDP 192.0.2.1;branch=1",
    "SIP/2.0/UDP 192.0.2.1",
    "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK",
    'SIP/2.0/UDP 192.0.2.1;x="a;branch=z9hG4bK2";branch=z9hG4bK1',
    "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK2",
    "SIP/2.0/UDP 192.0.2.1;branching=z9hG4bK2;branch=z9hG4bK1",
)


def request(via: str, from_: str = "<sip:a@h>;tag=1", to: str = "<sip:b@h>") -> Request:
    text = f"OPTIONS sip:b@h SIP/2.0\r\nVia: {via}\r\nFrom: {from_}\r\nTo: {to}\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
    message = parse_message(f"{text}Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode())
    assert isinstance(message, Request)
    return message


def response(via: str, to: str) -> Response:
    text = f"SIP/2.0 200 OK\r\nVia: {via}\r\nFrom: <sip:a@h>;tag=1\r\nTo: {to}\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
    message = parse_message(f"{text}Content-Length: 0\r\n\r\n".encode())
    assert isinstance(message, Response)
    return message


@pytest.mark.parametrize("text", PLAIN)
def test_a_plain_via_is_read_as_the_parser_does(text: str) -> None:
    via = parse_via(text)
    sent_by = via.host if via.port is None else f"{via.host}:{via.port}"
    found = request(text)
    assert found.plain_via == (sent_by.encode(), (via.branch or "").encode())
    assert check_request(found) is None
    assert server_key(found, "OPTIONS") == (((via.branch or "").encode(), sent_by.lower().encode(), "OPTIONS"), False)
    assert client_key(response(text, "<sip:b@h>;tag=2")) == ((via.branch or "").encode(), "OPTIONS")


@pytest.mark.parametrize("text", OTHERS)
def test_any_other_via_is_left_to_the_parser(text: str) -> None:
    found = request(text)
    assert found.plain_via is None
    assert check_request(found) is None
    via = parse_via(text.partition(", ")[0])
    key, is_old = server_key(found, "OPTIONS")
    assert is_old is not via.has_cookie
    if via.has_cookie:
        assert key[0] == (via.branch or "").encode()


def test_both_ways_give_one_key() -> None:
    tight, wide = (
        request("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1"),
        request("SIP/2.0/UDP 192.0.2.1:5060 ;branch=z9hG4bK1"),
    )
    assert server_key(tight, "OPTIONS") == server_key(wide, "OPTIONS")


def test_a_via_that_is_changed_is_read_anew() -> None:
    found = request("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1")
    assert found.plain_via == (b"192.0.2.1", b"z9hG4bK1")
    found.set_via(parse_via("SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK2"))
    assert found.plain_via == (b"192.0.2.2", b"z9hG4bK2")


@pytest.mark.parametrize(
    "to",
    [
        "<sip:b@h>",
        "<sip:b@h>;tag=a.b~c",
        '"B, b" <sip:b@h>;tag=2',
        "sip:b@h;tag=2",
        "<sip:b@h>;x=1;tag=2",
        "<sip:b@h> ;tag=2",
        "<sip:b@h>;TAG=2",
        '"a \\" ;tag=1" <sip:b@h>',
    ],
)
def test_tags_that_were_checked_are_those_that_are_read(to: str) -> None:
    checked, unchecked = response("SIP/2.0/UDP h;branch=z9hG4bK1", to), response("SIP/2.0/UDP h;branch=z9hG4bK1", to)
    assert check_response(checked) is None
    assert checked.to_tag == unchecked.to_tag == parse_address(to, "To").tag
    assert checked.from_tag == unchecked.from_tag == "1"


@pytest.mark.parametrize(
    ("contact", "status"),
    [
        ("<sip:a@192.0.2.1:5062>", None),
        ("<sip:a@192.0.2.1:99999>", 400),
        ("<mailto:a@h>", None),
        ("<>", None),
        ("<sip:a@h> <sip:b@h>", 400),
        ("a:b <sip:a@h>", 400),
        ("<sip:a@h>\r\nContact: <sip:a@h:99999>", 400),
        ("<sip:a@h>\r\nContact: nothing", 400),
        ("*, <sip:a@h>", 400),
    ],
)
def test_contacts_are_checked_whichever_way_they_are_read(contact: str, status: int | None) -> None:
    refusal = check_request(request(f"SIP/2.0/UDP h;branch=z9hG4bK1\r\nContact: {contact}"))
    assert (None if refusal is None else refusal.status) == status
