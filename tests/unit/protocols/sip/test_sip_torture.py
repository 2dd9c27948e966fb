"""RFC 4475 and RFC 5118, each message with the verdict its RFC gives, and anomalies generated from them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from roomtone.protocols.sip import Fault, SipSyntaxError, SipUri
from roomtone.protocols.sip import headers as h
from roomtone.protocols.sip.message import (
    ANYTHING,
    Capabilities,
    KeepAlive,
    Message,
    Refusal,
    Request,
    Response,
    StreamFramer,
    can_be_answered,
    check_request,
    check_response,
    parse_message,
    refusal_of,
    respond,
)
from roomtone.protocols.sip.multipart import find_body

VECTORS = Path(__file__).resolve().parents[3] / "vectors" / "sip"
# A user agent as RFC 4475 has in mind: the methods of RFC 3261, no extensions, SDP.
PHONE = Capabilities(methods=("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "MESSAGE"))

VALID = "valid"
DROPPED = "dropped"
TORTURE = {
    # 3.1.1: valid
    "wsinv": VALID,
    "intmeth": 501,  # well-formed, a method nobody has
    "esc01": VALID,
    "escnull": VALID,
    "esc02": 501,  # likewise: % does not escape in methods
    "lwsdisp": VALID,
    "longreq": VALID,
    "dblreq": VALID,  # what follows the first request is ignored
    "semiuri": VALID,
    "transports": VALID,
    "mpart01": VALID,
    "unreason": VALID,
    "noreason": VALID,
    # 3.1.2: invalid
    "badinv01": 400,
    "clerr": 400,
    "ncl": 400,
    "scalar02": 400,
    "scalarlg": DROPPED,
    "quotbal": 400,
    "ltgtruri": 400,
    "lwsruri": 400,
    "lwsstart": 400,
    "trws": 400,
    "escruri": 400,
    "baddate": VALID,  # "or ignore the header": nothing here reads Date
    "regbadct": 400,
    "badaspec": 400,
    "baddn": 400,
    "badvers": 505,
    "mismatch01": 400,
    "mismatch02": 400,
    "bigcode": DROPPED,
    # 3.2: transactions
    "badbranch": VALID,  # matched as RFC 2543 has it, see below
    # 3.3: application layer
    "insuf": 400,
    "unkscm": 416,
    "novelsc": 416,
    "unksm2": VALID,  # the registrar refuses an address of record it does not know
    "bext01": 420,
    "invut": 415,
    "regaut01": VALID,  # the registrar challenges what it cannot read
    "multi01": 400,
    "mcl01": 400,
    "bcast": VALID,  # its Via is not ours: no transaction matches
    "zeromf": VALID,  # ends here; 483 by whoever would send it on
    "cparam01": VALID,
    "cparam02": VALID,
    "regescrt": VALID,
    "sdp01": 406,
    # 3.4: backward compatibility
    "inv2543": VALID,
}
IPV6 = {
    "ipv6-good": VALID,
    "ipv6-bad": 400,
    "port-ambiguous": VALID,
    "port-unambiguous": VALID,
    "via-received-param-with-delim": VALID,
    "via-received-param-no-delim": VALID,
    "ipv6-in-sdp": VALID,
    "mult-ip-in-header": VALID,
    "mult-ip-in-sdp": VALID,
    "ipv4-mapped-ipv6": VALID,
    "ipv6-bug-abnf-3-colons": 400,  # the grammar that allowed it was corrected by RFC 5954
    "ipv6-correct-abnf-2-colons": VALID,
}


def read(folder: str, name: str) -> bytes:
    return (VECTORS / folder / f"{name}.dat").read_bytes()


def verdict(data: bytes, able: Capabilities = PHONE) -> tuple[str | int, Refusal | None]:
    try:
        message = parse_message(data)
    except SipSyntaxError as error:
        if error.headers is None:
            return DROPPED, None
        refusal = refusal_of(error)
        return refusal.status, refusal
    if isinstance(message, Response):
        return VALID if check_response(message) is None else DROPPED, None
    refused = check_request(message, able)
    return (VALID, None) if refused is None else (refused.status, refused)


def test_all_messages_of_both_rfcs_are_here() -> None:
    assert {path.stem for path in (VECTORS / "rfc4475").iterdir()} == TORTURE.keys()
    assert len(TORTURE) == 49
    assert {path.stem for path in (VECTORS / "rfc5118").iterdir()} == IPV6.keys()


@pytest.mark.parametrize("name", TORTURE)
def test_rfc_4475_gives_this_verdict(name: str) -> None:
    assert verdict(read("rfc4475", name))[0] == TORTURE[name]


@pytest.mark.parametrize("name", IPV6)
def test_rfc_5118_gives_this_verdict(name: str) -> None:
    assert verdict(read("rfc5118", name))[0] == IPV6[name]


@pytest.mark.parametrize("name", [name for name, want in TORTURE.items() if isinstance(want, int)])
def test_a_refused_request_is_answered_if_its_sender_would_recognise_the_answer(name: str) -> None:
    data = read("rfc4475", name)
    try:
        headers = parse_message(data).headers
    except SipSyntaxError as error:
        headers = error.headers  # type: ignore[assignment]
    status, refusal = verdict(data)
    assert refusal is not None
    assert can_be_answered(headers) is (name != "insuf")
    answer = parse_message(respond(headers, refusal.status, refusal.reason, headers=refusal.headers).serialize())
    assert isinstance(answer, Response)
    assert answer.status == status


def test_refusals_say_what_would_be_taken() -> None:
    for name, header, value in (
        ("bext01", "Unsupported", "nothingSupportsThis, nothingSupportsThisEither"),
        ("invut", "Accept", "application/sdp, multipart/alternative, multipart/mixed"),
        ("esc02", "Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, MESSAGE"),
    ):
        refusal = verdict(read("rfc4475", name))[1]
        assert refusal is not None
        assert refusal.headers == ((header, value),)


def request(name: str, folder: str = "rfc4475") -> Request:
    message = parse_message(read(folder, name))
    assert isinstance(message, Request)
    return message


def test_wsinv_is_read_to_the_last_parameter() -> None:
    message = request("wsinv")
    assert message.to.uri_text == "sip:vivekg@chair-dnrc.example.com"
    assert message.to_tag == "1918181833n"
    assert message.from_.display == 'J Rosenberg \\"'
    assert message.from_tag == "98asjd8"
    assert message.max_forwards == 68
    assert message.cseq.number == 9
    assert [(via.transport, via.host, via.branch) for via in message.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert message.headers.get("subject") == b""
    assert message.headers.get("NewFangledHeader") == b"newfangled value continued newfangled value"
    assert message.headers.get("unknownheaderwithunusualvalue") == b";;,,;;,;"
    assert [hop.uri_text for hop in message.routes] == [
        "sip:services.example.com;lr;unknownwith=value;unknown-no-value"
    ]
    contact = message.contact
    assert contact is not None
    assert contact.display == 'Quoted string ""'
    assert contact.params.get("newparam") == "newvalue"
    assert contact.params.has("secondparam")
    assert contact.params.get("q") == "0.33"
    assert len(message.body) == 150


def test_odd_ones_are_read_as_they_are_meant() -> None:
    intmeth = request("intmeth")
    assert intmeth.to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert intmeth.from_.display == "token1~` token2'+_ token3*%!.-"
    assert intmeth.from_tag == "_token~1'+`*%!-."
    assert isinstance(intmeth.uri, SipUri)
    assert intmeth.uri.address == "example.com"
    esc01 = request("esc01").uri
    assert isinstance(esc01, SipUri)
    assert (esc01.username, esc01.host) == ("sips:user@example.com", "example.net")
    semiuri = request("semiuri").uri
    assert isinstance(semiuri, SipUri)
    assert semiuri.username == "user;par=u@example.net"
    escnull = request("escnull").contacts
    assert [address.uri_text for address in escnull] == ["sip:%00@host5.example.com", "sip:%00%00@host5.example.com"]
    assert [via.transport for via in request("transports").vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]
    assert len(request("longreq").vias) == 34
    assert [address.params.serialize() for address in request("cparam01").contacts] == [";unknownparam"]
    assert [address.params for address in request("cparam02").contacts] == [()]
    assert not request("badbranch").via.has_cookie
    assert not request("inv2543").via.has_cookie
    assert request("multi01", "rfc4475").headers.count("call-id") == 2


def test_ipv6_is_read_as_it_is_meant() -> None:
    uri = request("port-ambiguous", "rfc5118").uri
    assert isinstance(uri, SipUri)
    assert (uri.address, uri.port) == ("2001:db8::10:5070", None)
    uri = request("port-unambiguous", "rfc5118").uri
    assert isinstance(uri, SipUri)
    assert (uri.address, uri.port) == ("2001:db8::10", 5070)
    for name in ("via-received-param-with-delim", "via-received-param-no-delim"):
        assert request(name, "rfc5118").via.received == "2001:db8::9:255"
        assert request(name, "rfc5118").via.response_address() == ("2001:db8::9:255", 5060)


@pytest.mark.parametrize("name", TORTURE)
def test_a_stream_gives_the_same_messages_where_it_frames_them(name: str) -> None:
    data = read("rfc4475", name)
    framer = StreamFramer()
    got = []
    try:
        for at in range(len(data)):
            framer.handle_bytes(data[at : at + 1])
            while (item := framer.poll()) is not None:
                got.append(item)
    except SipSyntaxError as error:
        assert error.fault in {Fault.CONTENT_LENGTH, Fault.REPEATED_HEADER, Fault.LINE_BREAK}  # noqa: PT017
        assert name in {"ncl", "mcl01", "inv2543", "badinv01", "dblreq"}
        return
    if name == "clerr":
        assert got == []
        assert framer.pending == len(data)
    else:
        assert got
        assert isinstance(got[0], bytes)
        assert verdict(got[0]) == verdict(data)


SEED = 4475
ANOMALIES = 5_000
PIECES = [
    b"\r\n", b"\r", b"\n", b"\r\n ", b"\x00", b'"', b"<", b">", b";", b",", b":", b"@", b"%", b"%00", b"\xff", b"\\",
    b"  ", b"\t", b"Via:", b"Content-Length: ", b"l: 99999999999999999999", b"SIP/2.0", b"tag=", b"*", b"=", b"[", b"]",
    b"?", b"&", b"-1", b"4294967296", b"sip:", b"tel:+", "ü".encode(), b"a" * 300, b"(" * 50, b";;;;", b"<<<<", b'""""',
]  # fmt: skip


def mutate(random_: random.Random, data: bytes, others: list[bytes]) -> bytes:
    for _ in range(random_.randint(1, 4)):
        at = random_.randrange(len(data) + 1)
        until = min(len(data), at + random_.randint(1, 12))
        match random_.randrange(7):
            case 0:
                data = data[:at] + random_.choice(PIECES) + data[at:]
            case 1:
                data = data[:at] + data[until:]
            case 2:
                data = data[:at] + bytes([random_.randrange(256)]) + data[at + 1 :]
            case 3:
                data = data[:at] + data[at:until] * random_.randint(2, 30) + data[until:]
            case 4:
                other = random_.choice(others)
                data = data[:at] + other[random_.randrange(len(other)) :]
            case 5:
                data = data[:at]
            case _:
                lines = data.split(b"\r\n")
                random_.shuffle(lines)
                data = b"\r\n".join(lines)
    return data


TYPED = "via vias cseq from_ to call_id contacts contact routes record_routes content_type from_tag to_tag".split()  # noqa: SIM905


FAMILIES: list[Callable[[Message], object]] = [
    lambda m: h.parse_asserted(m.headers),
    lambda m: h.parse_diversions(m.headers),
    lambda m: h.parse_history(m.headers),
    lambda m: h.hops(m.headers, "Path"),
    lambda m: h.parse_reasons(m.headers.items("Reason")),
    lambda m: h.parse_accepted(m.headers.items("Accept"), "Accept"),
    lambda m: h.contact_expires(m.to, m.headers),
    lambda m: h.parse_replaces(m.call_id),
    lambda m: h.parse_subscription_state(m.headers.text("Subject") or ""),
    lambda m: h.parse_retry_after(m.headers.text("Subject") or ""),
    lambda m: h.parse_warning(m.headers.text("Subject") or ""),
    lambda m: h.parse_session_expires(m.headers.text("Max-Forwards") or ""),
    lambda m: find_body(m, "application/sdp"),
]


def read_everything(message: Message) -> None:
    for name in [*TYPED, *(["uri", "max_forwards"] if isinstance(message, Request) else [])]:
        try:
            getattr(message, name)
        except SipSyntaxError:
            continue
    for read in FAMILIES:
        try:
            read(message)
        except SipSyntaxError:
            continue
    assert isinstance(message.serialize(), bytes)
    if isinstance(message, Request):
        check_request(message, PHONE)
        if check_request(message, ANYTHING) is None:
            message.stamp_source("192.0.2.1", 5060)
            assert parse_message(message.serialize()).via.received in {"192.0.2.1", None}
            respond(message, 200, to_tag="t").serialize()
    elif isinstance(message, Response):
        check_response(message)


def framed(data: bytes, size: int) -> list[bytes | KeepAlive | Fault]:
    framer = StreamFramer()
    got: list[bytes | KeepAlive | Fault] = []
    try:
        for at in range(0, len(data), size):
            framer.handle_bytes(data[at : at + size])
            while (item := framer.poll()) is not None:
                got.append(item)
    except SipSyntaxError as error:
        got.append(error.fault)
    return got


def test_anomalies_are_messages_or_syntax_errors_whole_and_byte_by_byte() -> None:
    random_ = random.Random(SEED)  # noqa: S311 - a test
    seeds = [path.read_bytes() for path in sorted(VECTORS.glob("rfc*/*.dat"))]
    messages = refused = 0
    for _ in range(ANOMALIES):
        data = mutate(random_, random_.choice(seeds), seeds)
        try:
            message = parse_message(data)
        except SipSyntaxError:
            refused += 1
        else:
            messages += 1
            read_everything(message)
        stream = framed(data, 1)
        assert framed(data, max(1, len(data))) == stream
        for item in stream:
            if isinstance(item, bytes):
                try:
                    read_everything(parse_message(item))
                except SipSyntaxError:
                    continue
    assert messages > 500
    assert refused > 500
