"""SIP messages as values over the bytes they came in: typed headers are read when asked for, and then remembered.

A typed property raises `SipSyntaxError` (``header`` names it) when its header is missing or cannot be read;
`check_request` and `check_response` do that for all mandatory ones at once. Change headers through ``headers`` only
before the typed property of that header was read, or by the methods here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.grammar import decode, encode, split_list
from roomtone.protocols.sip.headers.address import WILDCARD, Address, Wildcard, parse_address
from roomtone.protocols.sip.headers.cseq import CSeq, parse_cseq, parse_number
from roomtone.protocols.sip.headers.via import Via, parse_via
from roomtone.protocols.sip.message.plain import PLAIN_ADDRESS, PLAIN_BRANCH
from roomtone.protocols.sip.message.status import reason_phrase
from roomtone.protocols.sip.uri import Uri, parse_uri

if TYPE_CHECKING:
    from roomtone.protocols.sip.message.headers import Headers

MAX_FORWARDS = 255
"""Highest ``Max-Forwards`` (RFC 3261, 20.22)."""
DEFAULT_FORWARDS = 70
_UNREAD = " "  # no tag
_UNMATCHED = b"", b""


@lru_cache(4_096)  # a phone says the same in all its messages, and addresses are not changed
def _contact(text: str) -> Address:
    return parse_address(text, "Contact")


def _decoded(tag: bytes | None) -> str | None:
    return None if tag is None else tag.decode()


class Message:
    """What requests and responses have in common: headers, body, and the headers that transactions match by."""

    __slots__ = (
        "_call_id",
        "_cseq",
        "_from",
        "_from_tag",
        "_plain_via",
        "_to",
        "_to_tag",
        "_via",
        "body",
        "headers",
        "is_checked",
    )

    def __init__(self, headers: Headers, body: bytes) -> None:
        self.headers = headers
        self.body = body
        self.is_checked = False
        """Whether `check_message` has found nothing wrong with it."""
        self._via: Via | None = None
        self._plain_via: tuple[bytes, bytes] | None = _UNMATCHED
        self._cseq: CSeq | None = None
        self._from: Address | None = None
        self._to: Address | None = None
        self._call_id: str | None = None
        self._from_tag: str | None = _UNREAD
        self._to_tag: str | None = _UNREAD

    @property
    def via(self) -> Via:
        """The topmost Via."""
        via = self._via
        if via is None:
            text = self.headers.required("via")
            via = self._via = parse_via(text if "," not in text else split_list(text)[0])
        return via

    @property
    def plain_via(self) -> tuple[bytes, bytes] | None:
        """Sent-by and branch of a topmost Via as nearly all are written; None for one that needs a closer look."""
        plain = self._plain_via
        if plain is _UNMATCHED:
            found = PLAIN_BRANCH(self.headers.get("via") or b"")
            plain = self._plain_via = None if found is None else (found[1], found[2])
        return plain

    @property
    def vias(self) -> list[Via]:
        """All Vias, topmost first."""
        return [parse_via(item) for item in self.headers.items("via")]

    @property
    def cseq(self) -> CSeq:
        """Number and method of CSeq."""
        cseq = self._cseq
        if cseq is None:
            cseq = self._cseq = parse_cseq(self.headers.required("cseq"))
        return cseq

    @property
    def from_(self) -> Address:
        """Address in From."""
        address = self._from
        if address is None:
            address = self._from = parse_address(self.headers.required("from"), "From")
        return address

    @property
    def to(self) -> Address:
        """Address in To."""
        address = self._to
        if address is None:
            address = self._to = parse_address(self.headers.required("to"), "To")
        return address

    @property
    def from_tag(self) -> str | None:
        """Tag of From; None from a peer of RFC 2543."""
        tag = self._from_tag
        if tag is _UNREAD:
            plain = PLAIN_ADDRESS(self.headers.get("from") or b"")
            tag = self.from_.tag if plain is None else _decoded(plain[2])
            self._from_tag = tag
        return tag

    @property
    def to_tag(self) -> str | None:
        """Tag of To; None in a request that opens a dialog."""
        tag = self._to_tag
        if tag is _UNREAD:
            plain = PLAIN_ADDRESS(self.headers.get("to") or b"")
            tag = self.to.tag if plain is None else _decoded(plain[2])
            self._to_tag = tag
        return tag

    def check_addresses(self) -> None:
        """Read From and To, and keep their tags. Raises `SipSyntaxError`, also for their URIs."""
        plain = PLAIN_ADDRESS(self.headers.get("from") or b"")
        if plain is None:
            parse_uri(self.from_.uri_text)
        else:
            parse_uri(decode(plain[1]))
            self._from_tag = _decoded(plain[2])
        plain = PLAIN_ADDRESS(self.headers.get("to") or b"")
        if plain is None:
            parse_uri(self.to.uri_text)
        else:
            parse_uri(decode(plain[1]))
            self._to_tag = _decoded(plain[2])

    @property
    def call_id(self) -> str:
        """Call-ID; compared byte for byte."""
        call_id = self._call_id
        if call_id is None:
            call_id = self._call_id = self.headers.required("call-id")
        return call_id

    @property
    def contacts(self) -> list[Address] | Wildcard:
        """Addresses in Contact; empty without one; `WILDCARD` for ``*``, which stands alone (RFC 3261, 10.3)."""
        items = self.headers.items("contact")
        if "*" in items:
            if len(items) > 1:
                raise SipSyntaxError(Fault.HEADER_VALUE, 0, "* is not alone", header="Contact")
            return WILDCARD
        return [_contact(item) for item in items]

    @property
    def contact(self) -> Address | None:
        """The only address in Contact, the target of a dialog; None without one. Raises for several or ``*``."""
        contacts = self.contacts
        if isinstance(contacts, Wildcard) or len(contacts) > 1:
            raise SipSyntaxError(Fault.HEADER_VALUE, 0, "more than one address", header="Contact")
        return contacts[0] if contacts else None

    @property
    def routes(self) -> list[Address]:
        """Addresses in Route, topmost first."""
        return [parse_address(item, "Route") for item in self.headers.items("route")]

    @property
    def record_routes(self) -> list[Address]:
        """Addresses in Record-Route, topmost first."""
        return [parse_address(item, "Record-Route") for item in self.headers.items("record-route")]

    @property
    def content_type(self) -> str | None:
        """Media type of the body in lower case without parameters; None without one."""
        value = self.headers.text("content-type")
        return None if value is None else "".join(value.partition(";")[0].split()).lower()

    def options(self, name: str) -> frozenset[str]:
        """Option tags of ``Require``, ``Supported``, ``Proxy-Require`` or ``Unsupported``, in lower case."""
        if name not in self.headers:
            return frozenset()
        return frozenset([item.lower() for item in self.headers.items(name)])

    def set_via(self, via: Via) -> None:
        """Replace the topmost Via; others on its line stay."""
        text = decode(self.headers.get("via") or b"")
        rest = split_list(text)[1:] if "," in text else ()
        self.headers.set_first("Via", ", ".join([via.serialize(), *rest]))
        self._via = via
        self._plain_via = _UNMATCHED

    def pop_via(self) -> None:
        """Take the topmost Via out: what is left is for the next hop back (16.7)."""
        items = self.headers.items("via")
        self.headers.set_items("Via", items[1:])
        self._via = None
        self._plain_via = _UNMATCHED

    def _start(self) -> bytes:
        raise AssertionError  # a Message is a Request or a Response

    def serialize(self) -> bytes:
        """Write the message. ``Content-Length`` is as the headers have it: the builders and `set_body` see to it."""
        return b"\r\n".join([self._start(), *self.headers.lines, b"", self.body])

    def set_body(self, body: bytes, content_type: str | None = None) -> None:
        """Replace the body with its Content-Length, and Content-Type (taken out when None and the body empty)."""
        self.body = body
        if content_type is not None:
            self.headers.set("Content-Type", content_type)
        elif not body:
            self.headers.remove("Content-Type")
        self.headers.set("Content-Length", str(len(body)))


class Request(Message):
    """A request. ``method`` is as written (case-sensitive); ``uri_text`` is the Request-URI as written."""

    __slots__ = ("method", "uri_text")

    def __init__(self, method: str, uri_text: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri_text = uri_text

    @property
    def uri(self) -> Uri:
        """The Request-URI. Raises `SipSyntaxError`."""
        return parse_uri(self.uri_text)

    @property
    def max_forwards(self) -> int | None:
        """Hops left; None when the header is missing (RFC 2543 peers)."""
        value = self.headers.text("max-forwards")
        return None if value is None else parse_number(value, MAX_FORWARDS, "Max-Forwards")

    def stamp_source(self, address: str, port: int) -> bool:
        """Write where the request came from into its topmost Via (RFC 3261, 18.2.1; RFC 3581, 4).

        ``received`` when sent-by is another host or ``rport`` was asked for, ``rport`` when it was asked for.
        ``address`` is without brackets. A peer's own claims are overwritten. Returns whether ``rport`` was asked for.
        """
        value = self.headers.get("via") or b""
        at = value.find(b";rport")
        if (
            at > 0
            and value[at + 6 : at + 7] in {b"", b";"}
            and b";received" not in value
            and not (b"," in value or b'"' in value)
        ):
            stamp = b";received=%b;rport=%d" % (address.encode(), port)
            self.headers.replace_first("via", b"Via: " + value[:at] + stamp + value[at + 6 :])
            self._via = None
            return True
        via = self.via
        params = via.params
        differs = via.host.strip("[]").lower() != address
        if via.wants_rport:
            params = params.with_value("rport", str(port))
            differs = True
        if differs:
            params = params.with_value("received", address)
        elif params.has("received"):
            params = params.without("received")
        if params is not via.params:
            self.set_via(via.with_params(params))
        return via.wants_rport

    def copy(self) -> Request:
        """Return a request with headers of its own."""
        return Request(self.method, self.uri_text, self.headers.copy(), self.body)

    def _start(self) -> bytes:
        return encode(f"{self.method} {self.uri_text} SIP/2.0")

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri_text}>"


class Response(Message):
    """A response: status 100 to 699 and reason phrase as written."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str | None, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason_phrase(status) if reason is None else reason

    @property
    def is_provisional(self) -> bool:
        """Whether more responses follow (1xx)."""
        return self.status < 200  # noqa: PLR2004

    @property
    def is_success(self) -> bool:
        """Whether the request was accepted (2xx)."""
        return 200 <= self.status < 300  # noqa: PLR2004

    def copy(self) -> Response:
        """Return a response with headers of its own."""
        return Response(self.status, self.reason, self.headers.copy(), self.body)

    def _start(self) -> bytes:
        return encode(f"SIP/2.0 {self.status} {self.reason}")

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"


AnyMessage: TypeAlias = Request | Response
