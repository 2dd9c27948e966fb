from __future__ import annotations

from pathlib import Path

import pytest

from roomtone.protocols.sip import Fault, SipBuildError, SipSyntaxError, make_sip_uri
from roomtone.protocols.sip import headers as h
from roomtone.protocols.sip.message import Headers, Request, parse_message
from roomtone.protocols.sip.multipart import Part, find_body, make_multipart, parse_multipart

VECTORS = Path(__file__).resolve().parents[3] / "vectors" / "sip"


def lines(*written: str) -> Headers:
    return Headers([line.encode() for line in written])


def test_an_attended_transfer_names_the_dialog_it_replaces() -> None:
    replaces = h.Replaces("12345@192.168.118.3", "12345", "5FFE-3994", early_only=True)
    # RFC 3891's way of writing, escaped as RFC 5589 shows it
    refer_to = replaces.refer_to(make_sip_uri("b.example.org", user="bob"))
    assert refer_to.serialize() == (
        "<sip:bob@b.example.org?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994%3Bearly-only>"
    )
    assert h.replaces_in(h.parse_address(refer_to.serialize())) == replaces
    assert h.replaces_in(h.parse_address("<sip:a@b>")) is None
    assert h.parse_replaces(replaces.serialize()) == replaces
    assert h.parse_replaces("a;local-tag=x;remote-tag=y", "Target-Dialog") == h.Replaces("a", "y", "x")
    for broken in ("a", "a;to-tag=1", ";to-tag=1;from-tag=2"):
        with pytest.raises(SipSyntaxError):
            h.parse_replaces(broken)
    with pytest.raises(SipBuildError):
        h.Replaces("a", "b c", "d").serialize()


def test_sessions_are_timed() -> None:
    assert h.parse_session_expires("1800;refresher=UAS") == h.SessionExpires(1800, h.Refresher.UAS)
    assert h.parse_session_expires("90").serialize() == "90"
    assert h.SessionExpires(90, h.Refresher.UAC).serialize() == "90;refresher=uac"
    assert h.parse_min_se("120;x=y") == 120
    for broken in ("x", "1800;refresher=me", "99999999999"):
        with pytest.raises(SipSyntaxError):
            h.parse_session_expires(broken)


def test_subscriptions_have_packages_and_states() -> None:
    assert h.parse_event("Dialog ; id=7;shared") == h.Event("dialog", "7", h.parse_event("x;shared").params)
    state = h.parse_subscription_state("terminated;reason=Deactivated;retry-after=5")
    assert state == h.SubscriptionState(h.SubscriptionStatus.TERMINATED, None, "deactivated", 5)
    assert h.parse_subscription_state(state.serialize()) == state
    assert h.parse_subscription_state("active;expires=60").expires == 60
    for broken in ("", "sleeping", "active;expires=x"):
        with pytest.raises(SipSyntaxError):
            h.parse_subscription_state(broken)


def test_reasons_of_both_worlds_stand_side_by_side() -> None:
    found = h.parse_reasons(
        lines('Reason: SIP;cause=200;text="Call, completed elsewhere", Q.850;cause=16').items("reason")
    )
    assert found == [h.Reason("SIP", 200, "Call, completed elsewhere"), h.Reason("Q.850", 16)]
    assert [reason.elsewhere for reason in found] == [True, False]
    assert found[0].serialize() == 'SIP;cause=200;text="Call, completed elsewhere"'
    with pytest.raises(SipSyntaxError):
        h.parse_reasons(["SIP;cause=many"])
    with pytest.raises(SipBuildError):
        h.Reason("SIP", 1, "a\r\nb").serialize()


def test_warnings_and_waiting_times() -> None:
    warning = h.parse_warning('370 devnull "Choose a \\"bigger\\" pipe"')
    assert warning == h.SipWarning(370, "devnull", 'Choose a "bigger" pipe')
    assert h.parse_warning(warning.serialize()) == warning
    # RFC 3261, 20.33
    retry = h.parse_retry_after("18000;duration=3600")
    assert (retry.seconds, retry.duration) == (18000, 3600)
    retry = h.parse_retry_after("120 (I'm in a meeting)")
    assert (retry.seconds, retry.comment) == (120, "I'm in a meeting")
    assert h.parse_retry_after(retry.serialize()) == retry
    for broken in ("soon", "1;duration=x", ""):
        with pytest.raises(SipSyntaxError):
            h.parse_retry_after(broken)


def test_who_calls_may_be_asserted_and_hidden() -> None:
    # RFC 3325, 10.2
    headers = lines(
        'P-Asserted-Identity: "Cullen Jennings" <sip:fluffy@cisco.com>',
        "P-Asserted-Identity: tel:+14085264000",
        "Privacy: id",
    )
    assert [address.uri_text for address in h.parse_asserted(headers)] == ["sip:fluffy@cisco.com", "tel:+14085264000"]
    assert h.hides_identity(headers)
    assert not h.hides_identity(lines("Privacy: none"))
    assert not h.hides_identity(lines("To: x"))
    assert h.parse_privacy("User; id;critical;unheard-of") == {h.Privacy.USER, h.Privacy.ID, h.Privacy.CRITICAL}
    for broken in (("<sip:a@b>", "<sip:c@d>"), ("<http://a>",), ("x",)):
        with pytest.raises(SipSyntaxError):
            h.parse_asserted(lines(*[f"P-Asserted-Identity: {value}" for value in broken]))


def test_diversions_count() -> None:
    headers = lines(
        'Diversion: "Bob" <sip:bob@example.com>;reason=No-Answer;counter=2;privacy=full, <tel:+1555>;reason="user-busy"'
    )
    first, second = h.parse_diversions(headers)
    assert (first.address.display, first.reason, first.counter, first.privacy) == ("Bob", "no-answer", 2, "full")
    assert (second.reason, second.counter) == ("user-busy", 1)
    assert h.parse_diversions(lines(f"Diversion: {first.serialize()}")) == [first]
    with pytest.raises(SipSyntaxError):
        h.parse_diversions(lines("Diversion: <sip:a@b>;counter=lots"))


def test_history_tells_why_targets_were_left() -> None:
    # RFC 7044, 10.1
    headers = lines(
        "History-Info: <sip:bob@example.com>;index=1",
        "History-Info: <sip:bob@192.0.2.4?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1",
        "History-Info: <sip:o@h3?Reason=SIP%3Bcause%3D480%3Btext%3D%22a%2C%20b%22&Privacy=history>;index=1.2;mp=1",
        "History-Info: <tel:+1555>;index=1.3",
    )
    entries = h.parse_history(headers)
    assert [entry.position for entry in entries] == [(1,), (1, 1), (1, 2), (1, 3)]
    assert entries[1].reasons == (h.Reason("SIP", 302),)
    assert entries[1].address.params.get("rc") == "1"
    assert entries[2].hidden
    assert entries[2].reasons == (h.Reason("SIP", 480, "a, b"),)
    assert entries[2].address.uri_text == "sip:o@h3"
    assert h.parse_history(lines(*[f"History-Info: {entry.serialize()}" for entry in entries])) == entries
    with pytest.raises(SipSyntaxError):
        h.parse_history(lines("History-Info: <sip:a@b>;index=1.x"))


def test_bindings_say_how_long_and_which_device() -> None:
    # RFC 5626, 9.2
    headers = lines(
        'Contact: <sip:bob@192.0.2.2;transport=tcp;ob>;reg-id=2;q=0.5;+sip.instance="<urn:uuid:0C67446E-94D3>"',
        "Contact: <sip:c@d>;expires=5",
        "Expires: 3600",
        "Path: <sip:p1.example.com;lr>,<sip:p2.example.com;lr>",
    )
    request = Request("REGISTER", "sip:example.com", headers)
    contacts = request.contacts
    assert isinstance(contacts, list)
    assert [h.contact_expires(contact, headers) for contact in contacts] == [3600, 5]
    assert [h.contact_quality(contact) for contact in contacts] == [0.5, 1.0]
    assert h.instance_id(contacts[0]) == "urn:uuid:0C67446E-94D3"
    assert (h.flow_id(contacts[0]), h.flow_id(contacts[1])) == (2, None)
    assert [hop.uri_text for hop in h.hops(headers, "Path")] == ["sip:p1.example.com;lr", "sip:p2.example.com;lr"]
    with pytest.raises(SipSyntaxError):
        h.contact_quality(h.parse_address("<sip:a@b>;q=1.5"))


def test_what_is_accepted_is_sorted_by_wish() -> None:
    items = lines("Accept: text/html;q=0.3;level=1, application/sdp, */*;q=0").items("accept")
    found = h.parse_accepted(items, "Accept")
    assert [(item.value, item.quality) for item in found] == [
        ("application/sdp", 1.0),
        ("text/html", 0.3),
        ("*/*", 0.0),
    ]
    assert found[1].params == (("level", "1"),)
    kind = h.parse_media_type('Multipart/Mixed;boundary="a b"')
    assert (kind.name, kind.boundary) == ("multipart/mixed", "a b")
    assert h.parse_disposition("Render; handling = optional") == h.Disposition("render", optional=True)
    assert h.parse_rack("776656 1 INVITE") == h.RAck(776656, 1, "INVITE")


def test_parts_of_a_body_are_found() -> None:
    message = parse_message((VECTORS / "rfc4475" / "mpart01.dat").read_bytes())
    kind = h.parse_media_type(message.headers.text("content-type") or "")
    parts = parse_multipart(message.body, kind.boundary or "")
    assert [part.content_type.name for part in parts] == ["text/plain", "application/octet-stream"]
    assert parts[0].body == b"Hello"
    assert find_body(message, "text/plain") == b"Hello"
    assert find_body(message, "application/sdp") is None


def test_multiparts_are_made_and_read_again_even_nested() -> None:
    sdp = Part(lines("Content-Type: application/sdp", "Content-Disposition: session"), b"v=0\r\n")
    content_type, inner = make_multipart([Part(Headers([]), b"plain"), sdp], "in", "alternative")
    content_type, body = make_multipart([Part(lines(f"Content-Type: {content_type}"), inner)], "out")
    request = Request("INVITE", "sip:a", lines(f"Content-Type: {content_type}"), body)
    assert find_body(request, "application/sdp") == b"v=0\r\n"
    assert find_body(request, "text/plain") == b"plain"
    assert find_body(request, "application/sdp", depth=1) is None
    assert sdp.disposition == h.Disposition()
    with pytest.raises(SipBuildError):
        make_multipart([Part(Headers([]), b"x--in")], "in")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b\r\n\r\nx",
        b"--bx\r\n\r\nx\r\n--b--",
        b"--b\r\nno colon\r\n\r\nx\r\n--b--",
        b"--b\r\nA: b\r\n--b--",
        b"--b\r\n\r\n" * 40,
    ],
)
def test_a_broken_multipart_is_refused(body: bytes) -> None:
    with pytest.raises(SipSyntaxError) as found:
        parse_multipart(body, "b")
    assert found.value.fault is Fault.MULTIPART
