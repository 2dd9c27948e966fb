"""Who somebody is towards a server: name, password, domain."""

from __future__ import annotations

from dataclasses import dataclass, field

from roomtone.protocols.sip.headers import Address
from roomtone.protocols.sip.uri import SipUri, make_sip_uri


@dataclass(frozen=True, slots=True)
class Account:
    """An account at a registrar, a trunk or a proxy.

    Challenges of requests made with it are answered by digest (RFC 7616, RFC 8760), the strongest algorithm offered.
    """

    username: str
    password: str = field(default="", repr=False)
    domain: str = ""
    """Host of the address of record, with ``:port`` where it is not the default one."""
    display: str = ""
    """Name shown to who is called."""
    login: str = ""
    """User name in credentials where it differs from that of the address."""
    proxy: str = ""
    """URI that all its requests go by (``sip:192.0.2.1:5060;transport=tcp``): an outbound proxy, as a first Route.

    Or the URL of a WebSocket (``wss://example.org/sip``, RFC 7118), which all its requests then go by.
    """
    instance: str = ""
    """URN of the device (``urn:uuid:...``, RFC 5626 section 4.1): a GRUU and outbound flows are then asked for."""

    @property
    def uri(self) -> SipUri:
        """The address of record. Raises `SipBuildError` for a name or domain that cannot be written."""
        return make_sip_uri(self.host, user=self.username, port=self.port)

    @property
    def host(self) -> str:
        """The domain without its port."""
        host, colon, port = self.domain.rpartition(":")
        return host if colon and port.isdigit() and not host.endswith(":") else self.domain

    @property
    def port(self) -> int | None:
        """The port in the domain; None without one."""
        rest = self.domain[len(self.host) + 1 :]
        return int(rest) if rest else None

    @property
    def address(self) -> Address:
        """The address of record with the name, as From has it."""
        return Address(self.uri.serialize(), display=self.display)

    @property
    def websocket(self) -> str:
        """URL of the WebSocket that its requests go by; empty: they go by sockets of SIP."""
        return self.proxy if self.proxy.startswith(("ws:", "wss:")) else ""

    @property
    def routes(self) -> tuple[str, ...]:
        """Route values that its requests begin with (RFC 3261 section 8.1.2)."""
        if not self.proxy or self.websocket:
            return ()
        loose = self.proxy if ";lr" in self.proxy.lower() else f"{self.proxy};lr"
        return (f"<{loose}>",)
