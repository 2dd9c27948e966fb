"""A request of a peer as a handler sees it: everything that was in it, and a way to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent import WrongStateError
from roomtone.protocols.sip.grammar import encode
from roomtone.protocols.sip.headers import hides_identity, parse_asserted
from roomtone.protocols.sip.message import header_line
from roomtone.sip.errors import SipCode, UseError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.headers import Address
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction import ServerTransaction
    from roomtone.protocols.sip.uri import Uri
    from roomtone.sip.wiring import Wiring

_FINAL = 200


class Received:
    """What was in a request of a peer.

    Reading a header that does not keep to its grammar raises `SipSyntaxError`; a handler that lets it through has the
    request answered with 400.
    """

    def __init__(self, request: Request, flow: Flow, username: str | None) -> None:
        self.message = request
        """The request itself, with typed access to every header."""
        self.flow = flow
        """How it came: transport, address and port of the peer, and ours."""
        self.username = username
        """User name that its credentials proved; None on a server without accounts."""

    @property
    def method(self) -> str:
        """The method, in capitals."""
        return self.message.method

    @property
    def uri(self) -> Uri:
        """The Request-URI: whom it is for."""
        return self.message.uri

    @property
    def uri_text(self) -> str:
        """The Request-URI as it was written."""
        return self.message.uri_text

    @property
    def from_(self) -> Address:
        """From: who sent it, as the sender says."""
        return self.message.from_

    @property
    def to(self) -> Address:
        """To: whom it was meant for first."""
        return self.message.to

    @property
    def asserted(self) -> list[Address]:
        """P-Asserted-Identity (RFC 3325): who sent it, as the hop before us says. Believe it of trusted hops only."""
        return parse_asserted(self.message.headers) if "p-asserted-identity" in self.message.headers else []

    @property
    def is_private(self) -> bool:
        """Whether the sender asks not to be shown (Privacy, RFC 3323)."""
        return hides_identity(self.message.headers)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All headers in the order and with the names they came in, unknown ones among them."""
        lines = self.message.headers.lines
        values = [value for _, value in self.message.headers]
        return [
            (_text(line.partition(b":")[0].rstrip()), _text(value)) for line, value in zip(lines, values, strict=True)
        ]

    def header(self, name: str) -> str | None:
        """Give the first value of a header, by any spelling of its name; None when there is none."""
        return self.message.headers.text(name)

    @property
    def body(self) -> bytes:
        """The body."""
        return self.message.body

    @property
    def content_type(self) -> str:
        """Media type of the body without parameters, in lower case; empty without one."""
        return self.message.content_type or ""

    @property
    def text(self) -> str:
        """The body as text (UTF-8; what is none is replaced)."""
        return self.body.decode("utf-8", "replace")


class InboundRequest(Received):
    """A request outside of calls that waits for its answer."""

    def __init__(self, wiring: Wiring, transaction: ServerTransaction, request: Request, username: str | None) -> None:
        super().__init__(request, transaction.flow, username)
        self._wiring = wiring
        self.transaction = transaction
        self.is_answered = False
        """Whether its final response was given."""

    def respond(
        self,
        status: int,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> None:
        """Answer it. Raises `UseError` when that was done before, or when nobody waits any more."""
        if self.is_answered:
            raise UseError(SipCode.WRONG_STATE, "it has its final response")
        block = header_block(headers, content_type if body else "")
        try:
            self._wiring.agent.respond(self.transaction, status, self._wiring.now(), body=body, block=block)
        except WrongStateError as error:
            raise UseError(SipCode.WRONG_STATE, str(error)) from error
        self.is_answered = status >= _FINAL
        self._wiring.drain()


def header_block(headers: Iterable[tuple[str, str]], content_type: str = "") -> bytes:
    """Write header lines, each with its end. Raises `UseError` for a name or value that would be no header line."""
    try:
        lines = [header_line(name, value) + b"\r\n" for name, value in headers]
        if content_type:
            lines.append(header_line("Content-Type", content_type) + b"\r\n")
    except ValueError as error:
        raise UseError(SipCode.BAD_INPUT, str(error)) from error
    return b"".join(lines)


def reason_text(reason: str) -> bytes | None:
    """Write a reason phrase; None: the usual one."""
    return encode(reason) if reason else None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
