from __future__ import annotations

import pytest

from roomtone.protocols.sip import Fault, SipBuildError, SipSyntaxError
from roomtone.protocols.sip.headers import WILDCARD, Address, CSeq, Via
from roomtone.protocols.sip.message import (
    Headers,
    KeepAlive,
    Limits,
    Request,
    Response,
    StreamFramer,
    build_request,
    parse_message,
    respond,
)

INVITE = (
    b"INVITE sip:bob@biloxi.example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP pc33.atlanta.example.com:5066;branch=z9hG4bK776asdhds;rport\r\n"
    b"v: SIP/2.0/TCP one.example.com;branch=z9hG4bKa , SIP/2.0/TLS [2001:db8::1]:5071;branch=z9hG4bKb\r\n"
    b"Max-Forwards: 70\r\n"
    b"Record-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\n"
    b"To: Bob <sip:bob@biloxi.example.com>\r\n"
    b'f: "Alice \\"A\\"" <sip:alice@atlanta.example.com>;tag=1928301774\r\n'
    b"Call-ID: a84b4c76e66710@pc33\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"m: <sip:alice@pc33.atlanta.example.com>\r\n"
    b"X-Own:  kept   as it is\r\n"
    b"Subject: a\r\n  folded\r\n\tline\r\n"
    b"Content-Type: Application/SDP; charset=x\r\n"
    b"Content-Length: 4\r\n"
    b"\r\n"
    b"v=0\n"
)


def invite() -> Request:
    message = parse_message(INVITE)
    assert isinstance(message, Request)
    return message


def test_what_is_not_touched_is_written_byte_for_byte() -> None:
    assert invite().serialize() == INVITE


def test_headers_that_transactions_need_are_typed() -> None:
    request = invite()
    assert (request.method, request.uri_text, request.max_forwards) == ("INVITE", "sip:bob@biloxi.example.com", 70)
    assert (request.via.transport, request.via.sent_by, request.via.branch) == (
        "UDP",
        ("pc33.atlanta.example.com", 5066),
        "z9hG4bK776asdhds",
    )
    assert [via.sent_by for via in request.vias[1:]] == [("one.example.com", 5060), ("[2001:db8::1]", 5071)]
    assert request.cseq == CSeq(314159, "INVITE")
    assert (request.from_tag, request.to_tag, request.call_id) == ("1928301774", None, "a84b4c76e66710@pc33")
    assert (request.from_.display, request.to.display) == ('Alice "A"', "Bob")
    assert request.contact is not None
    assert request.contact.uri_text == "sip:alice@pc33.atlanta.example.com"
    assert [hop.uri_text for hop in request.record_routes] == ["sip:p1.example.com;lr", "sip:p2.example.com;lr"]
    assert request.content_type == "application/sdp"
    assert request.headers.get("subject") == b"a folded line"


def test_a_response_is_made_of_lines_of_its_request() -> None:
    response = respond(invite(), 180, to_tag="xyz")
    assert response.serialize() == (
        b"SIP/2.0 180 Ringing\r\n"
        b"Via: SIP/2.0/UDP pc33.atlanta.example.com:5066;branch=z9hG4bK776asdhds;rport\r\n"
        b"v: SIP/2.0/TCP one.example.com;branch=z9hG4bKa , SIP/2.0/TLS [2001:db8::1]:5071;branch=z9hG4bKb\r\n"
        b"Record-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\n"
        b"To: Bob <sip:bob@biloxi.example.com>;tag=xyz\r\n"
        b'f: "Alice \\"A\\"" <sip:alice@atlanta.example.com>;tag=1928301774\r\n'
        b"Call-ID: a84b4c76e66710@pc33\r\n"
        b"CSeq: 314159 INVITE\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )
    assert (response.to_tag, response.is_provisional, response.is_success) == ("xyz", True, False)
    again = parse_message(response.serialize())
    assert isinstance(again, Response)
    assert (again.status, again.reason) == (180, "Ringing")


def test_a_tag_that_is_there_stays_and_100_gets_none() -> None:
    request = invite()
    request.headers.set("To", "<sip:bob@biloxi.example.com>;tag=old")
    assert respond(request, 200, to_tag="new").to_tag == "old"
    request.headers.set("To", "<sip:bob@example.com;tag=in-the-uri>")
    assert respond(request, 200, to_tag="new").to_tag == "new"
    assert respond(request, 100, to_tag="new").to_tag is None
    assert "record-route" not in respond(request, 404, to_tag="new").headers


def test_a_request_is_built_and_read_again() -> None:
    request = build_request(
        "INVITE",
        "sip:bob@example.com",
        via=Via("UDP", "192.0.2.1", 5060).with_params(invite().via.params),
        from_=Address("sip:alice@example.com", display='A "quoted" name').with_tag("a1"),
        to=Address("sip:bob@example.com"),
        call_id="id@here",
        cseq=1,
        contact=Address("sip:alice@192.0.2.1"),
        route=[Address("sip:edge.example.com;lr")],
        headers=[("Supported", "timer"), ("X-Thing", "1")],
        content_type="text/plain",
        body=b"hi",
    )
    again = parse_message(request.serialize())
    assert isinstance(again, Request)
    assert again.serialize() == request.serialize()
    assert again.from_.display == 'A "quoted" name'
    assert (again.from_tag, again.via.host, again.body) == ("a1", "192.0.2.1", b"hi")
    assert [hop.uri_text for hop in again.routes] == ["sip:edge.example.com;lr"]
    assert again.options("Supported") == {"timer"}


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("X-A", {"headers": [("X-A", "a\r\nVia: evil")]}),
        ("X A", {"headers": [("X A", "a")]}),
        ("method", {"method": "IN VITE"}),
        ("uri", {"uri": "sip:a b"}),
        ("uri", {"uri": "sip:a>\r\n"}),
        ("CSeq", {"cseq": 2**31}),
        ("Call-ID", {"call_id": "a b"}),
        ("Content-Type", {"body": b"x"}),
        ("From", {"from_": Address("sip:a@b", display="x\r\ny")}),
        ("Max-Forwards", {"max_forwards": 256}),
    ],
)
def test_what_cannot_be_written_is_refused_when_it_is_built(part: str, change: dict[str, object]) -> None:
    asked: dict[str, object] = {
        "method": "OPTIONS",
        "uri": "sip:b@example.com",
        "from_": Address("sip:a@example.com"),
        "to": Address("sip:b@example.com"),
        "call_id": "1",
        "cseq": 1,
    }
    build_request(**asked)  # type: ignore[arg-type]
    with pytest.raises(SipBuildError) as refused:
        build_request(**(asked | change))  # type: ignore[arg-type]
    assert part in str(refused.value)


def test_the_source_of_a_request_is_stamped() -> None:
    request = invite()
    request.stamp_source("192.0.2.9", 40000)
    assert (request.via.received, request.via.rport) == ("192.0.2.9", 40000)
    assert request.via.response_address() == ("192.0.2.9", 40000)
    assert parse_message(request.serialize()).via == request.via
    assert len(request.vias) == 3
    request.headers.set("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx;received=6.6.6.6")
    plain = parse_message(request.serialize())
    assert isinstance(plain, Request)
    plain.stamp_source("192.0.2.9", 40000)
    assert plain.via.params.get("received") is None
    assert plain.via.response_address() == ("192.0.2.9", 5060)


def test_a_via_is_taken_off_its_line() -> None:
    response = respond(invite(), 200)
    response.pop_via()
    assert response.via.host == "one.example.com"
    response.pop_via()
    assert [via.host for via in response.vias] == ["[2001:db8::1]"]


def test_contact_star_stands_alone() -> None:
    request = invite()
    request.headers.set("Contact", "*")
    assert request.contacts is WILDCARD
    request.headers.add("Contact", "<sip:a@b>")
    with pytest.raises(SipSyntaxError):
        _ = request.contacts


@pytest.mark.parametrize(
    ("fault", "change"),
    [
        (Fault.NO_END_OF_HEADERS, (b"\r\n\r\n", b"\r\n")),
        (Fault.START_LINE, (b"INVITE sip", b"INVITE  sip")),
        (Fault.START_LINE, (b"INVITE sip:bob@biloxi.example.com SIP/2.0", b"INVITE sip:b SIP/2.0 ")),
        (Fault.VERSION, (b"com SIP/2.0", b"com SIP/7.0")),
        (Fault.METHOD, (b"INVITE sip", b"INV(TE sip")),
        (Fault.REQUEST_URI, (b"INVITE sip:bob@biloxi.example.com", b"INVITE <sip:bob@biloxi.example.com>")),
        (Fault.HEADER_LINE, (b"X-Own: ", b"X-Own ")),
        (Fault.HEADER_NAME, (b"X-Own:", b"X(Own:")),
        (Fault.LINE_BREAK, (b"X-Own: ", b"X-Own:\n")),
        (Fault.LINE_BREAK, (b"X-Own: ", b"X-Own:\r")),
        (Fault.CONTENT_LENGTH, (b"Length: 4", b"Length: -4")),
        (Fault.BODY_SHORT, (b"Length: 4", b"Length: 5")),
        (Fault.REPEATED_HEADER, (b"Content-Length: 4", b"Content-Length: 4\r\nl: 3")),
        (Fault.TOO_LONG, (b"Length: 4", b"Length: 1048577")),
    ],
)
def test_faults_are_named(fault: Fault, change: tuple[bytes, bytes]) -> None:
    with pytest.raises(SipSyntaxError) as found:
        parse_message(INVITE.replace(*change, 1))
    assert found.value.fault is fault


def test_a_bad_request_can_be_answered_by_its_headers() -> None:
    with pytest.raises(SipSyntaxError) as found:
        parse_message(INVITE.replace(b"INVITE sip", b"INVITE  sip", 1))
    assert found.value.headers is not None
    answer = respond(found.value.headers, 400, to_tag="t")
    assert answer.cseq == CSeq(314159, "INVITE")


def test_limits_hold() -> None:
    for limits in (Limits(header_bytes=300), Limits(header_lines=10), Limits(body_bytes=3)):
        with pytest.raises(SipSyntaxError):
            parse_message(INVITE, limits)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 10_000])
def test_a_stream_is_cut_into_messages_however_it_arrives(size: int) -> None:
    stream = b"\r\n" + INVITE + b"\r\n\r\n" + INVITE + INVITE
    framer = StreamFramer()
    got = []
    for start in range(0, len(stream), size):
        framer.handle_bytes(stream[start : start + size])
        while (item := framer.poll()) is not None:
            got.append(item)
    assert got == [KeepAlive.PONG, INVITE, KeepAlive.PING, INVITE, INVITE]
    assert framer.pending == 0
    framer.handle_bytes(b"\r\n")
    assert framer.poll() is None
    assert framer.flush() is KeepAlive.PONG


@pytest.mark.parametrize(
    ("fault", "stream"),
    [
        (Fault.CONTENT_LENGTH, b"OPTIONS sip:a SIP/2.0\r\nTo: b\r\n\r\n"),
        (Fault.CONTENT_LENGTH, b"OPTIONS sip:a SIP/2.0\r\nl: x\r\n\r\n"),
        (Fault.REPEATED_HEADER, b"OPTIONS sip:a SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\n"),
        (Fault.TOO_LONG, b"OPTIONS sip:a SIP/2.0\r\nl: 9999999\r\n\r\n"),
        (Fault.TOO_LONG, b"OPTIONS " + b"a" * 70_000),
        (Fault.LINE_BREAK, b"\nOPTIONS"),
    ],
)
def test_a_stream_that_cannot_be_framed_is_over(fault: Fault, stream: bytes) -> None:
    framer = StreamFramer()
    framer.handle_bytes(stream)
    for _ in range(2):
        with pytest.raises(SipSyntaxError) as found:
            framer.poll()
        assert found.value.fault is fault
    framer.handle_bytes(b"more")
    assert framer.pending == 0


def test_headers_are_changed_by_name_in_any_form() -> None:
    headers = Headers([b"Route: <sip:a>, <sip:b>", b"To: x", b"Route: <sip:c>", b"UNKNOWN: 1"])
    assert headers.items("route") == ["<sip:a>", "<sip:b>", "<sip:c>"]
    headers.set_items("Route", ["<sip:b>", "<sip:c>"])
    assert headers.lines == [b"Route: <sip:b>", b"Route: <sip:c>", b"To: x", b"UNKNOWN: 1"]
    headers.set("t", "y")
    headers.prepend("via", "SIP/2.0/UDP a")
    headers.add("Unknown", "2")
    assert headers.get_all("unknown") == [b"1", b"2"]
    assert headers.remove("Route")
    assert not headers.remove("Route")
    assert headers.lines == [b"Via: SIP/2.0/UDP a", b"To: y", b"UNKNOWN: 1", b"Unknown: 2"]
    assert headers.get("to") == b"y"
    assert "via" in headers
    assert "v" in headers
    assert "cseq" not in headers
