"""Whether a message can be worked with, and if not, how its request is answered (RFC 3261, 8.2.1 to 8.2.3).

`parse_message` has looked at the shape of lines only. `check_request` reads every header that transactions, dialogs and
routing depend on; `check_response` says whether a response may be believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.grammar import decode
from roomtone.protocols.sip.headers.address import Address, Wildcard
from roomtone.protocols.sip.headers.cseq import METHODS
from roomtone.protocols.sip.message.plain import PLAIN_CONTACT, PLAIN_VIA
from roomtone.protocols.sip.message.status import reason_phrase
from roomtone.protocols.sip.uri import OtherUri, SipUri, parse_uri

if TYPE_CHECKING:
    from roomtone.protocols.sip.message.headers import Headers
    from roomtone.protocols.sip.message.message import Message, Request, Response

_ONCE = ("from", "to", "call-id", "cseq", "max-forwards", "content-type", "expires", "rack", "rseq", "replaces")
_STATUS_OF = {Fault.VERSION: 505, Fault.TOO_LONG: 513, Fault.TOO_MANY_HEADERS: 513}
_NEEDED = ("via", "from", "to", "call-id", "cseq")
_KNOWN = frozenset(METHODS)


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a request is answered that cannot be worked with: pass its fields to `respond`.

    An ACK is never answered: drop it.
    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    fault: Fault | None = None
    """The rule broken, when it is one of grammar."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a user agent here can do; what a request needs beyond it is refused."""

    methods: tuple[str, ...] = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS")
    options: frozenset[str] = frozenset()
    """Option tags for ``Require``, lower case."""
    content_types: frozenset[str] = frozenset(["application/sdp", "multipart/mixed", "multipart/alternative"])
    """Bodies that can be read, lower case; ``type/*`` allows a family."""
    answers: str = "application/sdp"
    """What an answer to INVITE holds: refused when its ``Accept`` leaves it out."""
    schemes: frozenset[str] = field(default=frozenset(["sip", "sips", "tel"]))
    """Schemes of Request-URIs."""


ANYTHING = Capabilities(methods=(), content_types=frozenset(["*/*"]), answers="")
"""No method, option or body is refused for what it is: grammar only."""


def refusal_of(error: SipSyntaxError) -> Refusal:
    """Answer for a fault of grammar: 400, 505 for another version, 513 for what is too large."""
    status = _STATUS_OF.get(error.fault, 400)
    reason = f"Bad {error.header}" if error.header and status == _STATUS_BAD else reason_phrase(status)
    return Refusal(status, reason, fault=error.fault)


_STATUS_BAD = 400


def can_be_answered(headers: Headers) -> bool:
    """Whether enough of a broken request could be read that its sender will recognise an answer."""
    return all(name in headers for name in _NEEDED) and (headers.get("cseq") or b"").split()[-1:] != [b"ACK"]


def check_message(message: Message) -> None:
    """Read the headers every message needs. Raises `SipSyntaxError` for one that is missing, repeated or broken.

    Once for each message: those who change its headers later answer for them.
    """
    if message.is_checked:
        return
    headers = message.headers
    if headers.has_repeated:
        for name in _ONCE:
            if headers.count(name) > 1:
                raise SipSyntaxError(Fault.REPEATED_HEADER, 0, "more than once", header=name)
    if message.plain_via is None and PLAIN_VIA(headers.get("via") or b"") is None:
        _ = message.via
    _ = (message.cseq, message.call_id)
    message.check_addresses()
    message.is_checked = True


def check_request(request: Request, able: Capabilities = ANYTHING) -> Refusal | None:
    """Say how a request must be refused, or None when it can be worked with.

    ``Max-Forwards: 0`` is no fault of a request that ends here; whoever sends it on answers 483.
    """
    try:
        check_message(request)
        _ = request.max_forwards
        headers = request.headers
        if b"," in (headers.get("via") or b"") or headers.has_repeated:
            _ = request.vias
        if "contact" in headers:
            plain = _plain_contact(headers)
            _check_addresses(request.contacts if plain is None else [Address(plain)])
        if "route" in headers:
            _check_addresses(request.routes)
        if "record-route" in headers:
            _check_addresses(request.record_routes)
        refusal = _check_uri(request, able)
        if request.cseq.method != request.method:
            refusal = Refusal(_STATUS_BAD, "Bad CSeq", fault=Fault.CSEQ_METHOD)
    except SipSyntaxError as error:
        return refusal_of(error)
    if refusal is None and able is not ANYTHING:
        refusal = _check_method(request, able) or _check_options(request, able) or _check_bodies(request, able)
    return refusal


def check_response(response: Response) -> Fault | None:
    """Say why a response cannot be believed, or None; such a response is dropped (RFC 3261, 8.1.3, 18.1.2)."""
    try:
        check_message(response)
        if "contact" in response.headers and _plain_contact(response.headers) is None:
            _ = response.contacts
        if "record-route" in response.headers:
            _ = response.record_routes
    except SipSyntaxError as error:
        return error.fault
    return None


def _plain_contact(headers: Headers) -> str | None:
    """Give the only URI in Contact, as it stands alone in brackets; None where a closer look is needed."""
    plain = None if headers.has_repeated else PLAIN_CONTACT(headers.get("contact") or b"")
    return None if plain is None else decode(plain[1])


def _check_addresses(addresses: list[Address] | Wildcard) -> None:
    if not isinstance(addresses, Wildcard):
        for address in addresses:
            if address.uri_text[:3].lower() == "sip":
                parse_uri(address.uri_text)


def _check_uri(request: Request, able: Capabilities) -> Refusal | None:
    uri = request.uri
    if isinstance(uri, SipUri):
        if uri.headers:
            raise SipSyntaxError(Fault.REQUEST_URI, 0, "headers in a Request-URI", header="Request-URI")
        scheme = "sip"
    else:
        scheme = uri.scheme if isinstance(uri, OtherUri) else "tel"
    return None if scheme in able.schemes else Refusal(416, reason_phrase(416))


def _check_method(request: Request, able: Capabilities) -> Refusal | None:
    if request.method in able.methods:
        return None
    status = 405 if request.method in _KNOWN else 501
    return Refusal(status, reason_phrase(status), (("Allow", ", ".join(able.methods)),))


def _check_options(request: Request, able: Capabilities) -> Refusal | None:
    if request.method in {"ACK", "CANCEL"} or "require" not in request.headers:
        return None  # these may not be refused for it (8.2.2.3)
    unknown = [option for option in request.headers.items("require") if option.lower() not in able.options]
    return Refusal(420, reason_phrase(420), (("Unsupported", ", ".join(unknown)),)) if unknown else None


def _check_bodies(request: Request, able: Capabilities) -> Refusal | None:
    accept = (("Accept", ", ".join(sorted(able.content_types))),)
    if request.body and request.method != "ACK":
        encoding = request.headers.text("content-encoding")
        if encoding and encoding.lower() != "identity":
            return Refusal(415, reason_phrase(415), (("Accept-Encoding", "identity"),))
        if not allows(able.content_types, request.content_type or ""):
            optional = (request.headers.text("content-disposition") or "").replace(" ", "").lower()
            if "handling=optional" not in optional:
                return Refusal(415, reason_phrase(415), accept)
    if request.method == "INVITE" and able.answers and "accept" in request.headers:
        taken = frozenset(["".join(item.partition(";")[0].split()).lower() for item in request.headers.items("accept")])
        if not allows(taken, able.answers):
            return Refusal(406, reason_phrase(406), accept)
    return None


def allows(types: frozenset[str], content_type: str) -> bool:
    """Whether a set of media types (``*/*``, ``type/*``) has room for one; all in lower case."""
    return content_type in types or f"{content_type.partition('/')[0]}/*" in types or "*/*" in types
