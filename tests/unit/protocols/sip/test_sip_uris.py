from __future__ import annotations

import pytest

from roomtone.protocols.sip import (
    OtherUri,
    SipBuildError,
    SipSyntaxError,
    SipUri,
    TelUri,
    make_sip_uri,
    parse_uri,
    same_uri,
)


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sips:1212@gateway.com",
        "sip:alice@192.0.2.4",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
        "sip:[2001:db8::1]:5060;lr",
        "sip:%61lice@[::ffff:192.0.2.1]",
        "sip:user;par=u%40example.net@example.com",
        "sip:*98#@pbx.example.com",
        "tel:+358-555-1234567;postd=pp22",
        "tel:7042;phone-context=example.com",
        "http://www.example.com/",
        "nobodyKnowsThisScheme:totallyopaquecontent",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    # the first eight are the examples of RFC 3261, 19.1.3
    assert parse_uri(text).serialize().lower() == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip:@example.com",
        "sip:a@b@c",
        "sip:a@b:port",
        "sip:a@b:65536",
        "sip:[2001:db8::1",
        "sip:[2001:::1]",
        "sip:2001:db8::10",
        "sip:a@b;",
        "sip:a b@c",
        "sip:a%zz@b",
        "sip:a@b?x",
        "tel:",
        "tel:+",
        "nothing",
        "sip:" + "a" * 5_000,
    ],
)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_uri(text)


# RFC 3261, 19.1.4
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp", True),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", True),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5", True),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            True,
        ),
        ("sip:alice@atlanta.com?subject=x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=x", True),
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", False),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", False),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", False),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", False),
        ("sip:a@b", "sips:a@b", False),
        ("tel:+1-212-555", "tel:+1212555", True),
        ("tel:+1212555", "sip:+1212555@b", False),
    ],
)
def test_uris_compare_as_the_rfc_says(one: str, other: str, *, same: bool) -> None:
    assert same_uri(parse_uri(one), parse_uri(other)) is same
    assert same_uri(parse_uri(other), parse_uri(one)) is same


def test_parts_are_at_hand() -> None:
    uri = parse_uri("sips:sips%3Auser%40example.com:pw@EXAMPLE.net:5071;lr;Transport=TLS?a=b")
    assert isinstance(uri, SipUri)
    assert (uri.username, uri.password, uri.address, uri.port) == ("sips:user@example.com", "pw", "example.net", 5071)
    assert (uri.secure, uri.loose_router, uri.transport) == (True, True, "tls")
    assert uri.address_of_record().serialize() == "sips:sips%3Auser%40example.com@example.net"
    assert uri.for_request_line().headers == ()
    tel = parse_uri("tel:+1-(212).555;ext=3")
    assert isinstance(tel, TelUri)
    assert (tel.digits, tel.is_global, tel.params.get("ext")) == ("+1212555", True, "3")
    assert parse_uri("HTTP://a/b") == OtherUri("http", "//a/b")


def test_a_uri_is_made_from_plain_text() -> None:
    assert make_sip_uri("2001:db8::1", user="a b@c", port=5080).serialize() == "sip:a%20b%40c@[2001:db8::1]:5080"
    with pytest.raises(SipBuildError):
        make_sip_uri("not a host")
    with pytest.raises(SipBuildError):
        make_sip_uri("example.com;lr")
