"""Headers that name or time dialogs: ``Replaces``, ``Join``, ``Target-Dialog``, ``Refer-To``, ``Session-Expires``..."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote, unquote

from roomtone.protocols.sip.errors import Fault, SipBuildError, SipSyntaxError
from roomtone.protocols.sip.grammar import NO_PARAMS, Params, is_token, refuse_breaks
from roomtone.protocols.sip.headers.address import Address
from roomtone.protocols.sip.headers.valued import parse_seconds, parse_valued
from roomtone.protocols.sip.uri import SipUri


class Replaces(NamedTuple):
    """``Replaces`` (RFC 3891), ``Join`` (RFC 3911): a dialog of the receiver, tags as the receiver has them.

    ``to_tag`` is the receiver's own tag, ``from_tag`` its peer's.
    """

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    def serialize(self) -> str:
        """Write the value. Raises `SipBuildError`."""
        for tag in (self.to_tag, self.from_tag):
            if not is_token(tag):
                raise SipBuildError("Replaces", f"{tag!r} is no tag")
        early = ";early-only" if self.early_only else ""
        return f"{refuse_breaks('Replaces', self.call_id)};to-tag={self.to_tag};from-tag={self.from_tag}{early}"

    def refer_to(self, target: SipUri) -> Address:
        """Return the ``Refer-To`` of an attended transfer: the target with this header in its URI (RFC 5589, 7)."""
        escaped = quote(self.serialize(), safe="-_.!~*'()[]/?:+$")
        return Address(SipUri.serialize(_with_header(target, "Replaces", escaped)))


def _with_header(uri: SipUri, name: str, value: str) -> SipUri:
    headers = (*uri.headers, (name, value))
    return SipUri(uri.scheme, uri.host, uri.user, uri.password, uri.port, uri.params, headers)


def parse_replaces(text: str, header: str = "Replaces") -> Replaces:
    """Read a ``Replaces``, ``Join`` or ``Target-Dialog`` (RFC 4538). Raises `SipSyntaxError`."""
    word = parse_valued(text, header)
    params = word.params
    # Target-Dialog calls the tags local and remote, seen from its sender: the receiver's tag is the remote one
    to_tag = params.get("to-tag") or params.get("remote-tag")
    from_tag = params.get("from-tag") or params.get("local-tag")
    if not to_tag or not from_tag:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "a tag is missing", header=header)
    return Replaces(word.value, to_tag, from_tag, params.has("early-only"))


def replaces_in(refer_to: Address) -> Replaces | None:
    """Return the ``Replaces`` in the URI of a ``Refer-To``; None without one. Raises `SipSyntaxError`."""
    uri = refer_to.uri
    if isinstance(uri, SipUri):
        for name, value in uri.headers:
            if unquote(name).lower() == "replaces":
                return parse_replaces(unquote(value))
    return None


class Refresher(StrEnum):
    """Who refreshes a session (RFC 4028)."""

    UAC = "uac"
    UAS = "uas"


class SessionExpires(NamedTuple):
    """``Session-Expires`` (RFC 4028): seconds, and who refreshes."""

    seconds: int
    refresher: Refresher | None = None
    params: Params = NO_PARAMS

    def serialize(self) -> str:
        """Write the value."""
        who = f";refresher={self.refresher}" if self.refresher else ""
        return f"{self.seconds}{who}{self.params.serialize()}"


def parse_session_expires(text: str) -> SessionExpires:
    """Read a ``Session-Expires``. Raises `SipSyntaxError`."""
    word = parse_valued(text, "Session-Expires")
    seconds = parse_seconds(word.value, "Session-Expires")
    refresher = (word.params.get("refresher") or "").lower()
    if refresher not in {"", *Refresher}:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "no refresher", header="Session-Expires")
    return SessionExpires(seconds or 0, Refresher(refresher) if refresher else None, word.params.without("refresher"))


def parse_min_se(text: str) -> int:
    """Read a ``Min-SE``: seconds. Raises `SipSyntaxError`."""
    return parse_seconds(parse_valued(text, "Min-SE").value, "Min-SE") or 0
