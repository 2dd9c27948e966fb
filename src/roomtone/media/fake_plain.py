"""Plain transports of the fake: what the engine refuses is refused here too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.media.fake_state import Refused
from roomtone.media.values import DtlsRole, ErrorCode, Latching

if TYPE_CHECKING:
    from roomtone.media.fake_objects import FakeTransport
    from roomtone.media.values import ConnectPlainTransport, OpenPlainTransport

REBIND_SILENCE_MS = range(100, 60_001)
DSCPS = range(64)


def check_plain(command: OpenPlainTransport) -> None:
    """Refuse what no plain transport can be opened with."""
    if command.rebind_silence_ms not in REBIND_SILENCE_MS:
        raise Refused(ErrorCode.INVALID, "rebind_silence_ms is 100 to 60000")
    if command.dscp is not None and command.dscp not in DSCPS:
        raise Refused(ErrorCode.INVALID, "dscp is 0 to 63")
    if command.dtls and (command.secure or command.srtp is not None):
        raise Refused(ErrorCode.INVALID, "SRTP keys come by DTLS or by hand")


def note_plain(transport: FakeTransport, command: OpenPlainTransport) -> None:
    """Keep how a plain transport was opened, for tests to see."""
    transport.listen_ip, transport.latching, transport.dscp = command.listen_ip, command.latching, command.dscp
    transport.dtls, transport.extended_reports = command.dtls, command.extended_reports
    transport.secure, transport.local_srtp = command.secure or command.srtp is not None, command.srtp


def connect_plain(transport: FakeTransport, command: ConnectPlainTransport) -> None:
    """Take where the peer is, and keys; refuse what is missing."""
    if command.port == 0 and transport.latching is Latching.FIXED:
        raise Refused(ErrorCode.INVALID, "port 0 needs a transport that learns its peer's address")
    if transport.dtls:
        _name_peer(transport, command)
    else:
        _take_keys(transport, command)
    if command.port:
        transport.remote = (command.ip, command.port)
    transport.connected = transport.writable = True


def _name_peer(transport: FakeTransport, command: ConnectPlainTransport) -> None:
    if command.srtp is not None or command.local_srtp is not None:
        raise Refused(ErrorCode.INVALID, "the transport has its keys by DTLS")
    parameters = command.dtls or transport.dtls_parameters
    if parameters is None or not parameters.fingerprints:
        raise Refused(ErrorCode.INVALID, "the peer's fingerprints are missing")
    if parameters.role is DtlsRole.ACTIVE and not command.port and transport.remote is None:
        raise Refused(ErrorCode.INVALID, "the DTLS client needs the address of its server")
    transport.dtls_parameters = parameters


def _take_keys(transport: FakeTransport, command: ConnectPlainTransport) -> None:
    if command.dtls is not None:
        raise Refused(ErrorCode.INVALID, "the transport was opened without DTLS")
    local = command.local_srtp or transport.local_srtp
    remote = command.srtp or transport.remote_srtp
    if not transport.secure and (command.srtp is not None or command.local_srtp is not None):
        raise Refused(ErrorCode.INVALID, "the transport was opened without SRTP")
    if transport.secure and (local is None or remote is None):
        raise Refused(ErrorCode.INVALID, "SRTP keys are missing")
    transport.local_srtp, transport.remote_srtp = local, remote
