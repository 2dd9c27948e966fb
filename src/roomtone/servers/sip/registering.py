"""REGISTER, between SIP and the registrar (RFC 3261 section 10.3, RFC 3327, RFC 5626)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from roomtone.control.calls import BindingError, BindingRefusal, Contact, Registration
from roomtone.control.policy import ice_servers
from roomtone.protocols.sip import SipUri, make_sip_uri
from roomtone.protocols.sip.flow import Transport
from roomtone.protocols.sip.headers import (
    Wildcard,
    contact_expires,
    contact_quality,
    flow_id,
    instance_id,
    parse_address,
    parse_seconds,
)
from roomtone.protocols.sip.message import header_line
from roomtone.protocols.whip import ice_server_link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.control.calls import Binding, Registrar
    from roomtone.control.policy import IceServerRule
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.headers import Address
    from roomtone.protocols.sip.message import Request

_OK, _BAD, _TOO_BRIEF, _NO_OUTBOUND, _OUT_OF_ORDER = 200, 400, 423, 439, 500
_URN = re.compile(r"urn:[A-Za-z0-9:._~+-]{1,252}").fullmatch
"""Instances that stand in a URI as they are (RFC 5626 section 4.1 has them be URNs); others get no GRUU."""
_NOTHING: frozenset[str] = frozenset()
_BY_REFUSAL = {BindingRefusal.OUT_OF_ORDER: _OUT_OF_ORDER, BindingRefusal.BAD_CONTACT: _BAD}


class BrowserBindings:
    """Ends the bindings of browsers with the connection they live on: there is no other way to a browser.

    Limits: an account is kept once for each connection there is.
    """

    def __init__(self, registrar: Registrar) -> None:
        self._registrar = registrar
        self._accounts: dict[int, set[str]] = {}

    def note(self, account: str, flow: Flow) -> None:
        """Note that an account has registered over this flow."""
        if flow.transport in {Transport.WS, Transport.WSS}:
            self._accounts.setdefault(flow.connection, set()).add(account)

    def connection_opened(self, flow: Flow) -> None:
        """Nobody has registered over it yet."""

    def connection_closed(self, flow: Flow, reason: str) -> None:
        """Forget who registered over it."""
        del reason
        for account in self._accounts.pop(flow.connection, ()):
            self._registrar.forget_flow(account, flow)


def said_to_browsers(rules: Sequence[IceServerRule], account: str, flow: Flow, now: float) -> bytes:
    """Name the ICE servers to who registers by WebSocket, as WHIP does (RFC 9725 section 4.6); others do no ICE."""
    if flow.transport not in {Transport.WS, Transport.WSS}:
        return b""
    return b"".join(_line("Link", ice_server_link(server)) for server in ice_servers(rules, account, now))


def register(
    registrar: Registrar, account: str, request: Request, flow: Flow, *, now: float, domain: str = ""
) -> tuple[int, bytes]:
    """Do what a REGISTER asks for; give the status and header lines of its answer. Raises `SipSyntaxError`.

    ``now`` is in seconds since the epoch; ``domain`` is that of GRUUs.
    """
    contacts = request.contacts
    if isinstance(contacts, Wildcard):
        if parse_seconds(request.headers.text("expires"), "Expires") != 0:
            return _BAD, b""
        registrar.unregister_all(account)
        return _OK, b""
    path = tuple(request.headers.items("path")) if "path" in request.headers else ()
    supported = request.options("supported") if "supported" in request.headers else _NOTHING
    is_outbound = "outbound" in supported and any(flow_id(one) and instance_id(one) for one in contacts)
    if is_outbound and request.headers.count("via") > 1 and not _first_hop_keeps_flows(path):
        return _NO_OUTBOUND, b""
    registration = Registration(
        account=account,
        flow=flow,
        call_id=request.call_id,
        cseq=request.cseq.number,
        path=path,
        user_agent=request.headers.text("user-agent") or "",
        wants_gruu="gruu" in supported and bool(domain),
    )
    wanted = [_contact(one, request, by_flow=is_outbound) for one in contacts]
    try:
        held = registrar.register(registration, wanted, now)
    except BindingError as error:
        if error.refusal is BindingRefusal.TOO_BRIEF:
            return _TOO_BRIEF, _line("Min-Expires", str(registrar.rules.min_expires_s))
        return _BY_REFUSAL[error.refusal], b""
    lines = _bindings(held, now)
    if registration.wants_gruu:
        lines = b"".join(_binding(registrar, one, now, domain) for one in held)
    if is_outbound:
        lines += _line("Require", "outbound")
    return _OK, lines + b"".join(_line("Path", hop) for hop in path)


def _first_hop_keeps_flows(path: Sequence[str]) -> bool:
    """Whether the proxy that the phone is connected to keeps its flow (RFC 5626 section 6): ``ob`` in the last Path."""
    if not path:
        return False
    uri = parse_address(path[-1], "Path").uri
    return isinstance(uri, SipUri) and uri.params.has("ob")


def _contact(address: Address, request: Request, *, by_flow: bool) -> Contact:
    instance = instance_id(address) or ""
    return Contact(
        uri=address.uri.serialize(),
        expires_s=contact_expires(address, request.headers),
        q=contact_quality(address),
        instance=instance,
        reg_id=(flow_id(address) or 0) if by_flow and instance else 0,
    )


def _binding(registrar: Registrar, binding: Binding, now: float, domain: str) -> bytes:
    """Write a binding with its GRUUs (RFC 5627 section 5.3): by the account and device, and one that tells neither."""
    value = f"<{binding.contact}>;expires={max(1, round(binding.expires_at - now))}"
    if _URN(binding.instance):
        public = make_sip_uri(domain, user=binding.account).serialize()
        value += f';+sip.instance="<{binding.instance}>";pub-gruu="{public};gr={binding.instance}"'
        temporary = registrar.temporary_gruu(binding)
        if temporary:
            value += f';temp-gruu="sip:{temporary}@{domain};gr"'
    if binding.reg_id:
        value += f";reg-id={binding.reg_id}"
    return _line("Contact", value)


def _bindings(held: Sequence[Binding], now: float) -> bytes:
    return b"".join(
        _line("Contact", f"<{binding.contact}>;expires={max(1, round(binding.expires_at - now))}") for binding in held
    )


def _line(name: str, value: str) -> bytes:
    return header_line(name, value) + b"\r\n"
