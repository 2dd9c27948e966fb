"""Transport parameters: ICE, DTLS and SCTP as mediasoup's clients read and write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roomtone.media.values import DtlsRole, Fingerprint
from roomtone.protocols.mediasoup.errors import PayloadCode, PayloadError
from roomtone.protocols.sdp import RemotePeer, order_candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.media.values import Candidate
    from roomtone.protocols.mediasoup.payload import Payload
    from roomtone.protocols.whip import IceServer

SCTP_PORT = 5000
SCTP_STREAMS = 1024
MAX_MESSAGE_SIZE = 262_144
MAX_STREAM = 65_534
MAX_FINGERPRINTS = 16
_ALGORITHM = re.compile(r"sha-(1|224|256|384|512)\Z")
_VALUE = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){19,63}\Z")
# Whose role a client names: its own; with "auto" it waits for ours.
_OUR_ROLE = {"client": DtlsRole.PASSIVE, "server": DtlsRole.ACTIVE, "auto": DtlsRole.ACTIVE}


@dataclass(frozen=True, slots=True)
class StreamParameters:
    """A data channel agreed by signalling."""

    stream: int
    ordered: bool = True
    max_lifetime_ms: int | None = None
    max_retransmits: int | None = None


def write_ice(ice_ufrag: str, ice_pwd: str) -> dict[str, Any]:
    """Write our ICE credentials."""
    return {"usernameFragment": ice_ufrag, "password": ice_pwd, "iceLite": True}


def write_candidates(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Write our candidates, the best first."""
    written: list[dict[str, Any]] = []
    for candidate in order_candidates(candidates):
        one: dict[str, Any] = {
            "foundation": candidate.foundation,
            "priority": candidate.priority,
            "ip": candidate.ip,
            "address": candidate.ip,
            "protocol": candidate.protocol,
            "port": candidate.port,
            "type": candidate.kind,
        }
        if candidate.tcp_type is not None:
            one["tcpType"] = candidate.tcp_type
        written.append(one)
    return written


def write_ice_servers(servers: Sequence[IceServer]) -> list[dict[str, Any]]:
    """Write the servers a client is to ask for candidates, as W3C's `RTCIceServer`."""
    written: list[dict[str, Any]] = []
    for server in servers:
        one: dict[str, Any] = {"urls": [server.url]}
        if server.username is not None and server.credential is not None:
            one |= {"username": server.username, "credential": server.credential}
        written.append(one)
    return written


def write_dtls(fingerprints: Sequence[Fingerprint]) -> dict[str, Any]:
    """Write our certificate's fingerprints; our role follows the client's."""
    return {
        "role": "auto",
        "fingerprints": [{"algorithm": print_.algorithm, "value": print_.value} for print_ in fingerprints],
    }


def write_sctp() -> dict[str, Any]:
    """Write what data channels need."""
    return {"port": SCTP_PORT, "OS": SCTP_STREAMS, "MIS": SCTP_STREAMS, "maxMessageSize": MAX_MESSAGE_SIZE}


def read_dtls(payload: Payload) -> RemotePeer:
    """Read the client's DTLS parameters; its ICE credentials are not told, which a lite peer does without."""
    role = payload.optional_text("role") or "auto"
    if role not in _OUR_ROLE:
        raise payload.bad("role", "is none of auto, client, server")
    prints = [_read_fingerprint(item) for item in payload.parts("fingerprints", MAX_FINGERPRINTS, needed=True)]
    if not prints:
        raise PayloadError(PayloadCode.MISSING_FIELD, f"{payload.path('fingerprints')} is empty")
    return RemotePeer(dtls_role=_OUR_ROLE[role], fingerprints=tuple(prints), ice_ufrag="", ice_pwd="")


def _read_fingerprint(item: Payload) -> Fingerprint:
    algorithm, value = item.text("algorithm").lower(), item.text("value")
    if not _ALGORITHM.match(algorithm):
        raise item.bad("algorithm", "is no hash known here")
    if not _VALUE.match(value):
        raise item.bad("value", "is no fingerprint")
    return Fingerprint(algorithm=algorithm, value=value.upper())


def read_stream(payload: Payload) -> StreamParameters:
    """Read the parameters of a data channel."""
    lifetime = payload.optional_integer("maxPacketLifeTime", 0, 65_535) or None
    retransmits = payload.optional_integer("maxRetransmits", 0, 65_535)
    if lifetime is not None and retransmits is not None:
        raise payload.bad("maxRetransmits", "excludes maxPacketLifeTime")
    unreliable = lifetime is not None or retransmits is not None
    return StreamParameters(
        stream=payload.integer("streamId", 0, MAX_STREAM),
        ordered=payload.flag("ordered", default=not unreliable),
        max_lifetime_ms=lifetime,
        max_retransmits=retransmits,
    )


def write_stream(stream: StreamParameters) -> dict[str, Any]:
    """Write the parameters of a data channel."""
    written: dict[str, Any] = {"streamId": stream.stream, "ordered": stream.ordered}
    if stream.max_lifetime_ms is not None:
        written["maxPacketLifeTime"] = stream.max_lifetime_ms
    if stream.max_retransmits is not None:
        written["maxRetransmits"] = stream.max_retransmits
    return written
