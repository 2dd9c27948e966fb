"""Dialogs (RFC 3261 section 12): who talks to whom, by which route, and in what order."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from roomtone.protocols.sip.dialog.hop import direct_flow, next_flow, via_prefix
from roomtone.protocols.sip.grammar import encode
from roomtone.protocols.sip.headers.address import parse_address
from roomtone.protocols.sip.headers.cseq import METHODS

if TYPE_CHECKING:
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Request, Response

METHOD_BYTES = {method: method.encode() for method in METHODS}
DialogKey: TypeAlias = tuple[str, str, str]
"""Call-ID, our tag, the peer's tag ("" for a peer of RFC 2543, which has none)."""
_COOKIE = "z9hG4bK"


class DialogState(StrEnum):
    """How far a dialog is."""

    INITIAL = "initial"
    """A request of ours without an answer yet: no dialog, but all that is needed to write requests of it."""
    EARLY = "early"
    CONFIRMED = "confirmed"
    ENDED = "ended"


class Dialog:
    """One dialog, or what will be one when its request is answered.

    ``local`` and ``remote`` are the values of From and To in requests of ours, tags included.
    """

    __slots__ = (
        "_middle",
        "call_id",
        "flow",
        "leg",
        "local",
        "local_cseq",
        "local_tag",
        "max_forwards",
        "remote",
        "remote_cseq",
        "remote_tag",
        "routes",
        "secure",
        "state",
        "subscriptions",
        "target",
    )

    def __init__(  # noqa: PLR0917 - each is needed to write a request
        self, call_id: str, local_tag: str, local: bytes, remote: bytes, target: str, flow: Flow
    ) -> None:
        self.call_id = call_id
        self.local_tag = local_tag
        self.remote_tag = ""
        self.local = local
        self.remote = remote
        self.target = target
        """The peer's Contact: where requests go in the end."""
        self.routes: tuple[str, ...] = ()
        """The route set, each as ``<uri>`` with its parameters, the next hop first."""
        self.flow = flow
        """How the peer was last heard, or first called."""
        self.local_cseq = 0
        self.remote_cseq = -1
        """Of the last request of the peer; -1 before there was any."""
        self.secure = False
        """Whether all of it must go over TLS (``sips``)."""
        self.state = DialogState.INITIAL
        self.max_forwards = 70
        """Hops that requests may take (8.1.1.6)."""
        self.leg: Any = None
        """The usage that an INVITE made, if there is one."""
        self.subscriptions: dict[tuple[str, str], Any] | None = None
        """Usages of SUBSCRIBE and REFER by package and id."""
        self._middle: bytes | None = None

    @property
    def key(self) -> DialogKey:
        """What messages are matched by."""
        return self.call_id, self.local_tag, self.remote_tag

    @property
    def is_used(self) -> bool:
        """Whether any usage is left (RFC 5057)."""
        return self.leg is not None or bool(self.subscriptions)

    def answered(self, response: Response, flow: Flow | None = None) -> Dialog:
        """Return the dialog that a response of the peer makes of this request (12.1.2)."""
        made = Dialog(self.call_id, self.local_tag, self.local, self.remote, self.target, flow or self.flow)
        made.local_cseq = self.local_cseq
        made.secure = self.secure
        made.remote = response.headers.get("to") or self.remote
        made.remote_tag = response.to_tag or ""
        made.take_routes(response)
        made.refresh_target(response)
        return made

    def take_routes(self, response: Response) -> None:
        """Make the Record-Route of a response the route set, the nearest hop first (12.1.2, 13.2.2.4)."""
        if "record-route" in response.headers:
            self.routes = tuple(reversed(response.headers.items("record-route")))
        self._middle = None

    def refresh_target(self, message: Request | Response) -> None:
        """Take the Contact of a message that refreshes the target (12.2)."""
        uri = contact_uri(message)
        if uri is not None:
            self.target = uri

    def takes(self, request: Request) -> bool:
        """Whether a request of the peer is in order (12.2.2); it is then the last one."""
        number = request.cseq.number
        if number < self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def next_cseq(self) -> int:
        """Take the number of the next request of ours."""
        self.local_cseq += 1
        return self.local_cseq

    def next_flow(self) -> Flow:
        """Find where the next request of ours goes."""
        if self.routes:
            return next_flow(parse_address(self.routes[0]).uri_text, self.flow)
        return next_flow(self.target, self.flow)

    def reconnect(self) -> bool:
        """Leave a connection that is gone: go to the address of the first route or the target, if that is one."""
        hop = parse_address(self.routes[0]).uri_text if self.routes else self.target
        direct = direct_flow(hop, self.flow) if self.flow.connection else None
        if direct is None:
            return False
        self.flow = direct
        return True

    def write(  # noqa: PLR0917 - once a message
        self, method: str, cseq: int, branch: str, flow: Flow, block: bytes = b"", body: bytes = b""
    ) -> bytes:
        """Write a request of ours; ``block`` are further header lines, each with its end."""
        middle = self._middle
        if middle is None:
            middle = self._middle = self._write_middle()
        uri = self.target if not self.routes else self._request_uri()
        verb = METHOD_BYTES.get(method) or method.encode()
        return b"%b %b SIP/2.0\r\n%b%b;rport\r\n%bCSeq: %d %b\r\n%bContent-Length: %d\r\n\r\n%b" % (
            verb,
            uri.encode("utf-8", "surrogateescape"),
            via_prefix(flow.transport, flow.local_host, flow.local_port),
            branch.encode(),
            middle,
            cseq,
            verb,
            block,
            len(body),
            body,
        )

    def _write_middle(self) -> bytes:
        lines = [b"Max-Forwards: %d" % self.max_forwards]
        if self.routes:
            lines += [b"Route: " + encode(route) for route in self._route_items()]
        lines += [b"From: " + self.local, b"To: " + self.remote, b"Call-ID: " + encode(self.call_id), b""]
        return b"\r\n".join(lines)

    def _is_strict(self) -> bool:
        first = parse_address(self.routes[0]).uri_text
        return ";lr" not in first.lower()

    def _request_uri(self) -> str:
        # A strict router wants to find itself in the Request-URI, and the target at the end of Route (12.2.1.1).
        return parse_address(self.routes[0]).uri_text if self._is_strict() else self.target

    def _route_items(self) -> tuple[str, ...]:
        return (*self.routes[1:], f"<{self.target}>") if self._is_strict() else self.routes


def new_branch(token: str) -> str:
    """Make a branch of a word nobody else has (8.1.1.7)."""
    return _COOKIE + token


def contact_uri(message: Request | Response) -> str | None:
    """Read the URI of Contact as written; None when there is none. Raises `SipSyntaxError`."""
    value = message.headers.get("contact")
    if value is None:
        return None
    if value[:1] == b"<" and value[-1:] == b">" and b"," not in value:
        return value[1:-1].decode("utf-8", "surrogateescape")
    contact = message.contact
    return None if contact is None else contact.uri_text


def dialog_of_request(request: Request, local_tag: str, flow: Flow) -> Dialog:
    """Make the dialog that our answer to a request opens (12.1.1). Raises `SipSyntaxError`."""
    headers = request.headers
    local = (headers.get("to") or b"") + b";tag=" + local_tag.encode()
    target = contact_uri(request) or request.from_.uri_text
    made = Dialog(request.call_id, local_tag, local, headers.get("from") or b"", target, flow)
    made.remote_tag = request.from_tag or ""
    made.remote_cseq = request.cseq.number
    made.secure = request.uri_text[:5].lower() == "sips:"
    if "record-route" in headers:
        made.routes = tuple(headers.items("record-route"))
    return made
