"""Who somebody is and was: ``Privacy`` (RFC 3323), ``P-Asserted-Identity`` (RFC 3325), ``Diversion`` (RFC 5806),
``History-Info`` (RFC 7044).
"""  # noqa: D205 - a list of headers

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.grammar import make_params, split_list
from roomtone.protocols.sip.headers.address import Address, parse_address
from roomtone.protocols.sip.headers.reasons import Reason, parse_reasons
from roomtone.protocols.sip.uri import SipUri, TelUri

if TYPE_CHECKING:
    from roomtone.protocols.sip.message.headers import Headers

ANONYMOUS = Address("sip:anonymous@anonymous.invalid", display="Anonymous")
"""What From shows of a caller that does not want to be known (RFC 3323, 4.1.1.3)."""


class Privacy(StrEnum):
    """Kinds of privacy asked for."""

    HEADER = "header"
    SESSION = "session"
    USER = "user"
    NONE = "none"
    CRITICAL = "critical"
    ID = "id"
    """Hide the asserted identity outside the trust domain (RFC 3325, 9.3)."""
    HISTORY = "history"


def parse_privacy(text: str) -> frozenset[Privacy]:
    """Read ``Privacy``: kinds between semicolons (some peers write commas). Those nobody registered are left out."""
    words = {word.strip().lower() for word in text.replace(",", ";").split(";")}
    return frozenset([kind for kind in Privacy if kind in words])


def hides_identity(headers: Headers) -> bool:
    """Whether the caller asks that who it is be hidden from the callee (``id``, ``user`` or ``header``)."""
    asked = parse_privacy(headers.text("privacy") or "")
    return Privacy.NONE not in asked and bool(asked & {Privacy.ID, Privacy.USER, Privacy.HEADER})


def parse_asserted(headers: Headers, header: str = "P-Asserted-Identity") -> list[Address]:
    """Read ``P-Asserted-Identity`` or ``P-Preferred-Identity``: at most a SIP and a tel URI (RFC 3325, 9.1).

    Believe it only from a trusted peer. Raises `SipSyntaxError`.
    """
    addresses = [parse_address(item, header) for item in headers.items(header)]
    kinds = [type(address.uri) for address in addresses]
    if len(set(kinds)) != len(kinds) or not set(kinds) <= {SipUri, TelUri}:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "not one SIP and one tel URI at most", header=header)
    return addresses


class Diversion(NamedTuple):
    """One diversion of a call, the latest first in the message."""

    address: Address
    """Who diverted it."""
    reason: str = "unknown"
    """``user-busy``, ``no-answer``, ``unconditional``, ``deflection``, ``unavailable``... in lower case."""
    counter: int = 1
    privacy: str = "off"

    def serialize(self) -> str:
        """Write the item."""
        params = make_params([("reason", self.reason), ("counter", str(self.counter)), ("privacy", self.privacy)])
        return self.address.with_params(params).serialize()


def parse_diversions(headers: Headers) -> list[Diversion]:
    """Read ``Diversion``, the latest first. Raises `SipSyntaxError`."""
    found = []
    for item in headers.items("Diversion"):
        address = parse_address(item, "Diversion")
        counter = address.params.get("counter") or "1"
        if not counter.isascii() or not counter.isdigit() or len(counter) > 3:  # noqa: PLR2004
            raise SipSyntaxError(Fault.HEADER_VALUE, 0, "no counter", header="Diversion")
        found.append(
            Diversion(
                address.without_params(),
                (address.params.get("reason") or "unknown").lower(),
                int(counter),
                (address.params.get("privacy") or "off").lower(),
            )
        )
    return found


class HistoryEntry(NamedTuple):
    """One target a request has had, in order."""

    address: Address
    """The target; its URI without the headers that `reasons` and `hidden` come from."""
    position: tuple[int, ...]
    """``index=1.2.1`` as numbers."""
    reasons: tuple[Reason, ...] = ()
    """Why that target was left."""
    hidden: bool = False
    """Whether the entry may not be shown (``Privacy=history`` in its URI)."""

    def serialize(self) -> str:
        """Write the entry."""
        uri = self.address.uri
        if isinstance(uri, SipUri):
            headers = [("Reason", _escape(reason.serialize())) for reason in self.reasons]
            headers += [("Privacy", "history")] if self.hidden else []
            text = SipUri(
                uri.scheme, uri.host, uri.user, uri.password, uri.port, uri.params, tuple(headers)
            ).serialize()
        else:
            text = self.address.uri_text
        params = self.address.params.with_value("index", ".".join(map(str, self.position)))
        return Address(text, params, self.address.display).serialize()


def _escape(text: str) -> str:
    return quote(text, safe="-_.!~*'()[]/?:+$")


def parse_history(headers: Headers) -> list[HistoryEntry]:
    """Read ``History-Info``, the first target first. Raises `SipSyntaxError`."""
    return [_entry(parse_address(item, "History-Info")) for item in headers.items("History-Info")]


def _entry(address: Address) -> HistoryEntry:
    numbers = (address.params.get("index") or "").split(".")
    if not all(number.isascii() and number.isdigit() and len(number) < 10 for number in numbers):  # noqa: PLR2004
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "no index", header="History-Info")
    index = tuple(map(int, numbers))
    uri = address.uri
    params = address.params.without("index")
    if not isinstance(uri, SipUri):
        return HistoryEntry(address.with_params(params), index)
    reasons: list[Reason] = []
    hidden = False
    for name, value in uri.headers:
        match unquote(name).lower():
            case "reason":
                reasons += parse_reasons(split_list(unquote(value)))
            case "privacy":
                hidden = hidden or Privacy.HISTORY in parse_privacy(unquote(value))
            case _:
                continue
    plain = SipUri(uri.scheme, uri.host, uri.user, uri.password, uri.port, uri.params)
    return HistoryEntry(Address(plain.serialize(), params, address.display), index, tuple(reasons), hidden)
