"""Bodies about trunks."""

# ruff: noqa: TC001 - pydantic reads the annotations

from __future__ import annotations

from pydantic import ConfigDict, Field

from roomtone.control.calls import TrunkState
from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.servers.api.schemas import Body


class _Trunk(Body):
    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")

    name: str
    uri: str = Field(default="", examples=["sip:sip.example.net"])
    """The SIP server that takes calls, a name (NAPTR, SRV, addresses) or an address; empty: calls only come."""
    username: str = ""
    """Of its digest authentication, and of our registration."""
    registers: bool = False
    """Register there, so that it knows where we are."""
    probes: bool = True
    """Ask it by OPTIONS every half minute whether it is there."""
    addresses: list[str] = Field(default=[], examples=[["192.0.2.0/29"]])
    """Addresses and networks whose calls are taken for this trunk's, without a challenge."""
    accepts_login: bool = False
    """Take calls that prove username and password (digest) for this trunk's."""
    wants_both: bool = False
    """Take calls that come from the addresses and prove the login, and no others; else either is enough."""
    tls_names: list[str] = Field(default=[], examples=[["sbc.example.net"]])
    """Take calls by TLS with a certificate for one of these names for this trunk's; needs sip.client_certificates."""
    proxy: str = Field(default="", examples=["sip:proxy.example.net;transport=tcp"])
    """Outbound proxy: all requests go there, with it as their first Route; empty: to the uri."""
    domain: str = ""
    """Domain of From, To and P-Asserted-Identity; empty: the host of the uri."""
    caller_id: str = ""
    """Number that calls show there; empty: the account that calls."""
    media_security: MediaSecurity = MediaSecurity.OPTIONAL
    """off: plain RTP; optional: what the peer offers, plain when we offer, but DTLS to a browser; sdes: SRTP with keys
    in the description; dtls: SRTP by DTLS, over ICE where we offer; the last two refuse all else with 488."""
    large_by_tcp: bool = True
    """Try TCP first for INVITEs that may be longer than 1,300 bytes, and UDP where nobody takes it."""


class TrunkCreateBody(_Trunk):
    """A new trunk."""

    password: str = Field(default="", repr=False)
    """Kept sealed and never shown."""


class TrunkBody(_Trunk):
    """A trunk, without its password, and how it is."""

    created_at: float
    state: TrunkState
    """unregistered: it needs no registration, or none was tried yet; backing_off: the last one failed, another follows;
    down: it failed three times in a row, or refused the login, and calls are refused at once until it answers."""
    failures: int
    """In a row."""
    last_error: str
    """Empty while it is well."""
    next_try_at: float | None
    """When it is registered with or asked next, in seconds since 1970; null: it is being asked now, or never is."""
