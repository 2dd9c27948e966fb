"""SIP, opened with the server: its settings into options, its sockets, its counters into metrics."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from roomtone.app.errors import StartError
from roomtone.app.hold_music import hold_music
from roomtone.app.listeners import certificate_files, on_loopback
from roomtone.app.sip_names import system_names
from roomtone.control.calls import CallParts, Calls, Marking, PinGuard, PinRules, TrunkKeeper
from roomtone.protocols.sip.digest import Algorithm, DigestPolicy, DigestServer
from roomtone.protocols.sip.edge import Edge, EdgeLimits
from roomtone.protocols.sip.message import Limits
from roomtone.protocols.sip.overload import Overload, OverloadCause
from roomtone.protocols.sip.tokens import Tokens
from roomtone.protocols.sip.transaction import Timings, TransactionLayer
from roomtone.servers.sip import (
    Certificate,
    Endpoint,
    Listen,
    PeerCertificates,
    TlsError,
    TlsOptions,
    TransportOptions,
    WebSocketEntrance,
)
from roomtone.servers.sip.domains import Domains
from roomtone.servers.sip.guard import PhoneGuard
from roomtone.servers.sip.phone_server import PhoneServer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp

    from roomtone.config import Address, Settings
    from roomtone.config.sip import SipLimits
    from roomtone.control.calls import PhoneBook
    from roomtone.control.rooms import Rooms
    from roomtone.media import Engine

TRYING_AFTER_MS = 200
"""As RFC 3261 section 17.2.1 has it: most INVITEs are answered with a challenge, or by a phone that rings, before."""
_SECRET_BYTES = 32


class Phones:
    """The server's SIP endpoint and its calls; made in the loop, opened when the front door has its certificate."""

    def __init__(
        self, settings: Settings, product: str, engine: Engine, rooms: Rooms, book: PhoneBook, *, has_ipv6: bool
    ) -> None:
        sip = settings.sip
        tokens = Tokens(os.urandom(_SECRET_BYTES))
        self.overload = Overload(overload_bounds(sip.limits))
        self.layer = TransactionLayer(tokens, Timings(trying_after_ms=TRYING_AFTER_MS), overload=self.overload)
        self.edge = Edge(tokens, edge_limits(settings))
        domains = Domains(sip.domains, sip.announced_ip)
        policy = DigestPolicy(sip.realm, tuple(Algorithm(algorithm) for algorithm in sip.digest_algorithms))
        digest = DigestServer(policy, os.urandom(_SECRET_BYTES))
        self.guard = PhoneGuard(book.accounts, digest, domains, self.edge, self._now, trunks=book.trunks)
        self.core = PhoneServer(self.layer, self.guard, domains, product)
        options = transport_options(settings, has_ipv6=has_ipv6)
        self.endpoint = Endpoint(self.core.agent, self.edge, options, self.core.after_input)
        self.book = book
        pins = PinRules(failures=sip.limits.wrong_pins, window_s=sip.limits.wrong_pins_window_s)
        parts = CallParts(
            engine,
            book.dispatch,
            self.core,
            book.clock,
            sip.ring_timeout_s,
            rooms,
            pins=PinGuard(pins, time.monotonic),
            music=hold_music(sip.hold_music),
            marking=Marking(settings.plain.dscp.audio, settings.plain.dscp.video),
            extended_reports=settings.plain.extended_reports,
            describes_silence=settings.plain.comfort_noise,
            srtp_suites=tuple(suite.value for suite in sip.srtp_suites),
        )
        self.calls = Calls(parts, book, most=sip.max_calls, on_waiting=self.heed_queue)
        names = system_names(has_ipv6=has_ipv6)
        self.core.attach(self.endpoint, self.calls, book.registrar, book.clock, names=names, trunks=book.trunks)
        assert self.core.trunk_desk is not None  # noqa: S101 - `attach` made it
        self.trunks = TrunkKeeper(book.trunks, self.core.trunk_desk)

    def _now(self) -> int:
        return self.endpoint.now()

    @property
    def entrance(self) -> ASGIApp:
        """The application for WebSockets."""
        return WebSocketEntrance(self.endpoint)

    async def open(self) -> list[str]:
        """Open the sockets and give warnings about those that could not be had; raise `StartError`."""
        try:
            await self.endpoint.open()
        except (OSError, TlsError) as error:
            raise StartError(str(error)) from error
        self.calls.start()
        self.trunks.start()
        refused = self.endpoint.listeners.refused
        return [f"sip: {taken} could not be had; another program listens there" for taken in refused]

    def addresses(self) -> dict[str, list[str]]:
        """Where it listens, by the listener's name."""
        found = self.endpoint.listeners.addresses()
        return {
            f"sip_{transport}": [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in places]
            for transport, places in found.items()
        }

    def reload_certificates(self) -> None:
        """Read the certificates again; raise `StartError` when one is bad, and the old ones stay."""
        certificates = self.endpoint.listeners.certificates
        if certificates is not None:
            try:
                certificates.reload()
            except TlsError as error:
                raise StartError(str(error)) from error

    def heed_lag(self, lag_s: float) -> None:
        """Refuse new requests with 503 while the event loop is late, until it has caught up well."""
        self.overload.heed(OverloadCause.LOOP_LAG, lag_s)

    def heed_queue(self, waiting: int) -> None:
        """Refuse new requests with 503 while so many calls wait to be set up, until half of them are."""
        self.overload.heed(OverloadCause.QUEUE, waiting)

    async def close(self) -> None:
        """End all calls and registrations of ours, then close the sockets."""
        await self.calls.close()
        await self.trunks.close()
        await self.endpoint.close()


def is_wanted(settings: Settings) -> bool:
    """Whether SIP is served."""
    return settings.sip.enabled or settings.server.dev


def edge_limits(settings: Settings) -> EdgeLimits:
    """Turn the settings into the edge's limits."""
    sip = settings.sip.limits
    return EdgeLimits(
        message=Limits(header_bytes=sip.max_header_bytes, body_bytes=sip.max_body_bytes),
        messages_per_second=sip.messages_per_second,
        burst=sip.message_burst,
        sources=sip.max_addresses,
        failures=sip.failed_attempts,
        ban_ms=sip.ban_s * 1000,
        exempt=frozenset(settings.sip.exempt_addresses),
    )


def overload_bounds(limits: SipLimits) -> dict[OverloadCause, float]:
    """Turn the settings into the levels above which there is too much; the lateness is in seconds."""
    return {
        OverloadCause.LOOP_LAG: limits.max_loop_lag_ms / 1000,
        OverloadCause.QUEUE: limits.max_waiting_calls,
    }


def transport_options(settings: Settings, *, has_ipv6: bool) -> TransportOptions:
    """Turn the settings into the transports' options."""
    sip = settings.sip
    tls = _listens(settings, "tls_listen", has_ipv6=has_ipv6) if _has_certificate(settings) else ()
    return TransportOptions(
        udp=_listens(settings, "udp_listen", has_ipv6=has_ipv6),
        tcp=_listens(settings, "tcp_listen", has_ipv6=has_ipv6),
        tls=tls,
        security=TlsOptions(
            certificates=_certificates(settings) if tls else (),
            client_certificates=PeerCertificates(sip.client_certificates),
            authorities=sip.authorities,
            verify_peers=sip.verify_peers,
        ),
        announced_ip=sip.announced_ip,
        max_connections=sip.limits.max_connections,
        max_connections_per_address=sip.limits.max_connections_per_address,
        connect_timeout_s=sip.limits.connect_timeout_s,
        idle_timeout_s=sip.limits.idle_timeout_s,
        write_timeout_s=sip.limits.write_timeout_s,
    )


def _listens(settings: Settings, name: str, *, has_ipv6: bool) -> tuple[Listen, ...]:
    addresses: Iterable[Address] = getattr(settings.sip, name)
    configured = name in settings.sip.model_fields_set
    dev = settings.server.dev
    chosen = on_loopback(addresses) if dev else tuple(addresses)
    if not has_ipv6 and not configured:
        chosen = tuple(address for address in chosen if ":" not in address.host)
    return tuple(Listen(address.host, address.port, optional=dev and not configured) for address in chosen)


def _has_certificate(settings: Settings) -> bool:
    """Whether TLS can be had: by default it is off where HTTPS is, which makes the certificate."""
    given = settings.sip.cert or settings.http.cert
    return bool(given or settings.http.tls_listen or "tls_listen" in settings.sip.model_fields_set)


def _certificates(settings: Settings) -> tuple[Certificate, ...]:
    sip = settings.sip
    first = certificate_files(settings)
    if sip.cert is not None and sip.key is not None:
        first = sip.cert, sip.key
    more = [pair.partition("=") for pair in sip.more_certificates]
    base = type(first[0])
    files = [first, *((base(chain), base(key)) for chain, _, key in more)]
    return tuple(Certificate(chain, key) for chain, key in files)
