"""Where a request goes next, and what we call ourselves on the way: next hops, Via and Contact."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.uri import SipUri, parse_uri

_CACHED = 65_536
"""Hops, Vias and Contacts remembered; the least recently used is forgotten."""
_SECURE = frozenset({Transport.TLS, Transport.WSS})
_TRANSPORTS = {transport.value: transport for transport in Transport}


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@lru_cache(_CACHED)
def via_prefix(transport: Transport, host: str, port: int) -> bytes:
    """Write a Via line up to its branch."""
    return f"Via: SIP/2.0/{transport.name} {_host(host)}:{port};branch=".encode()


@lru_cache(_CACHED)
def contact_block(transport: Transport, host: str, port: int, user: str = "", *, secure: bool = False) -> bytes:
    """Write the Contact line, with its end, that leads back to one of our addresses."""
    parameter = "" if transport is Transport.UDP or secure else f";transport={transport.value}"
    scheme = "sips" if secure else "sip"
    return f"Contact: <{scheme}:{user + '@' if user else ''}{_host(host)}:{port}{parameter}>\r\n".encode()


@lru_cache(_CACHED)
def next_flow(uri_text: str, flow: Flow) -> Flow:
    """Find where a request to this target or route goes, by the flow that its dialog has used so far.

    By that flow when the target is at its far end, when it is a name (nothing is resolved here), or when it cannot be
    reached from here: a private address behind the public one the peer is seen at, or one of a WebSocket client.
    Else directly to the address the URI has.
    """
    direct = direct_flow(uri_text, flow)
    if direct is None:
        return flow
    is_same_end = direct.remote_host == flow.remote_host and direct.transport is flow.transport
    return flow if is_same_end and (flow.is_reliable or direct.remote_port == flow.remote_port) else direct


def direct_flow(uri_text: str, flow: Flow) -> Flow | None:
    """Find the way to the address in a URI by a new connection, whatever ``flow`` has been used so far.

    None when there is no such way: it is a name, hidden behind the address the peer is seen at, or a WebSocket client.
    """
    try:
        uri = parse_uri(uri_text)
        if not isinstance(uri, SipUri) or flow.transport in {Transport.WS, Transport.WSS}:
            return None
        address = ip_address(uri.address)
    except (SipSyntaxError, ValueError):
        return None
    named = _TRANSPORTS.get(uri.transport or "")
    transport = Transport.TLS if uri.secure and named is not Transport.WSS else named or Transport.UDP
    host = str(address)
    if address.is_private and host != flow.remote_host and not _is_private(flow.remote_host):
        return None
    port = uri.port or (5061 if transport in _SECURE else 5060)
    return flow._replace(transport=transport, remote_host=host, remote_port=port, connection=0)


def _is_private(host: str) -> bool:
    try:
        return ip_address(host).is_private
    except ValueError:
        return False
