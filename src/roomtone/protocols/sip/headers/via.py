"""``Via`` (RFC 3261, 20.42): one hop a request has come by, and where its responses go (18.2.2, RFC 3581)."""

from __future__ import annotations

import re

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.grammar import HOST, NO_PARAMS, PLAIN_PARAMS, TOKEN, Parameterized, Params, parse_params

MAGIC_COOKIE = "z9hG4bK"
DEFAULT_PORT, DEFAULT_TLS_PORT = 5060, 5061

# Addresses of IPv6 without brackets are no sent-by: they cannot be told from a port (RFC 5118, 4.2).
_VIA = re.compile(
    rf"SIP\s*/\s*({TOKEN})\s*/\s*({TOKEN})\s+({HOST})(?:\s*:\s*([0-9]{{1,5}}))?\s*(?=;|$)", re.IGNORECASE
).match
_USUAL = re.compile(
    rf"SIP/2\.0/([A-Z]+) ([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{{1,5}}))?({PLAIN_PARAMS})"
).fullmatch
_BRANCH = re.compile(r";branch=([^;]+)").search
_MAX_PORT = 65_535


class Via(Parameterized):
    """One ``Via`` item; not to be changed.

    ``transport`` is upper case: ``UDP``, ``TCP``, ``TLS``, ``WS``, ``WSS``, ``SCTP``, or whatever the peer names.
    ``host`` is that of sent-by as written, an IPv6 address in brackets; ``port`` None when none is written.
    """

    __slots__ = ("host", "port", "transport", "version")

    def __init__(
        self, transport: str, host: str, port: int | None = None, params: Params | str = NO_PARAMS, version: str = "2.0"
    ) -> None:
        # as `Parameterized.__init__` does it, without the call: this is made for every message
        if params.__class__ is str:
            self._text = params
            self._params = None
        else:
            self._text = ""
            self._params = params  # type: ignore[assignment]
        self.transport = transport
        self.host = host
        self.port = port
        self.version = version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Via) and self.serialize() == other.serialize()

    def __hash__(self) -> int:
        return hash(self.serialize())

    def __repr__(self) -> str:
        return f"<Via {self.serialize()}>"

    def with_params(self, params: Params) -> Via:
        """Return the item with other parameters."""
        return Via(self.transport, self.host, self.port, params, self.version)

    @property
    def branch(self) -> str | None:
        """The branch parameter; None when a peer of RFC 2543 sent none."""
        found = _BRANCH(self._text) if self._text else None
        return found[1] if found else self.params.get("branch")

    @property
    def has_cookie(self) -> bool:
        """Whether the branch identifies the transaction (RFC 3261, 8.1.1.7): begins with the cookie and has more."""
        branch = self.branch
        return branch is not None and branch[:7].lower() == "z9hg4bk" and len(branch) > len(MAGIC_COOKIE)

    @property
    def received(self) -> str | None:
        """Address the request came from, as the next hop wrote it, without brackets."""
        value = self.params.get("received")
        return value.strip("[]") if value else None

    @property
    def rport(self) -> int | None:
        """Port the request came from, as the next hop wrote it; None when absent, empty or no port."""
        value = self.params.get("rport")
        return int(value) if value and value.isascii() and value.isdigit() and len(value) <= len("65535") else None

    @property
    def wants_rport(self) -> bool:
        """Whether the sender asks for its port (RFC 3581)."""
        return self.params.has("rport")

    @property
    def sent_by(self) -> tuple[str, int]:
        """Host in lower case and port, the default port of the transport filled in: for matching (17.2.3)."""
        port = self.port
        if port is None:
            port = DEFAULT_TLS_PORT if self.transport in {"TLS", "WSS"} else DEFAULT_PORT
        return self.host.lower(), port

    def response_address(self) -> tuple[str, int]:
        """Where a response goes over an unreliable transport (18.2.2, RFC 3581, 4): host or address, and port.

        An IPv6 address comes without brackets.
        """
        params = self.params
        if maddr := params.get("maddr"):
            return maddr.strip("[]"), self.sent_by[1]
        received = self.received
        if received and (rport := self.rport):
            return received, rport
        return received or self.host.strip("[]"), self.sent_by[1]

    def serialize(self) -> str:
        """Write the item."""
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/{self.version}/{self.transport} {self.host}{port}{self.params.serialize()}"


def parse_via(text: str) -> Via:
    """Read one item. Raises `SipSyntaxError`."""
    match = _USUAL(text)
    if match is not None:
        transport, host, port, params = match.groups()
        return Via(transport, host, None if port is None else _port(port), params)
    match = _VIA(text)
    if match is None:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "no Via", header="Via")
    version, transport, host, port = match.groups()
    params = parse_params(text, match.end(), "Via")
    return Via(transport.upper(), host, None if port is None else _port(port), params, version)


def _port(text: str) -> int:
    port = int(text)
    if port > _MAX_PORT:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "no port", header="Via")
    return port
