"""What a REFER asks for, as the call it leads to (RFC 3515, RFC 3891, RFC 3892)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from roomtone.protocols.sip.headers.address import Address, parse_address
from roomtone.protocols.sip.headers.dialogs import Replaces, replaces_in
from roomtone.protocols.sip.message import header_line
from roomtone.protocols.sip.uri import SipUri

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.leg import Leg
    from roomtone.protocols.sip.message import Request

_REQUIRE_REPLACES = b"Require: replaces\r\n"


class RefersToNobodyError(ValueError):
    """The REFER asks for nothing that a call can be made of: no or several Refer-To (400), or another method (603)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Referral:
    """A call somebody is asked to make."""

    target: Address
    """Without the headers in its URI."""
    replaces: Replaces | None
    """The dialog of the target whose place it takes: an attended transfer."""
    referred_by: bytes | None
    """Value of Referred-By, to be passed on as it is (RFC 3892 section 2.2)."""

    @property
    def block(self) -> bytes:
        """The header lines of the INVITE that follows it, each with its end."""
        lines = []
        if self.replaces is not None:
            lines.append(header_line("Replaces", self.replaces.serialize()) + b"\r\n" + _REQUIRE_REPLACES)
        if self.referred_by is not None:
            lines.append(header_line("Referred-By", self.referred_by) + b"\r\n")
        return b"".join(lines)


def read_referral(request: Request) -> Referral:
    """Read a REFER. Raises `RefersToNobodyError`, `SipSyntaxError`.

    Of the headers in the URI only Replaces is taken: others a stranger could write into our requests.
    """
    values = request.headers.get_all("refer-to")
    if len(values) != 1:
        raise RefersToNobodyError(400, f"{len(values)} Refer-To")
    address = parse_address(values[0].decode("utf-8", "surrogateescape"), "Refer-To")
    replaces = replaces_in(address)
    uri = address.uri
    if isinstance(uri, SipUri):
        method = uri.params.get("method")
        if method is not None and unquote(method).upper() != "INVITE":
            raise RefersToNobodyError(603, f"refers to {method}")
        bare = SipUri(uri.scheme, uri.host, uri.user, uri.password, uri.port, uri.params.without("method"))
        address = Address(bare.serialize(), display=address.display)
    return Referral(address, replaces, request.headers.get("referred-by"))


def replaces_of(leg: Leg) -> Replaces:
    """Name the dialog of a leg as its peer has it: for the Refer-To of an attended transfer (`Replaces.refer_to`)."""
    dialog = leg.dialog
    return Replaces(dialog.call_id, to_tag=dialog.remote_tag, from_tag=dialog.local_tag)
