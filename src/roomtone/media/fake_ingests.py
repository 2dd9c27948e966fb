"""Commands about listeners of encoders, as the fake engine does them."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, assert_never

from roomtone.media.fake_objects import FakeIngest, FakeIngestListener, FakePlayout
from roomtone.media.fake_packagers import check_encryption
from roomtone.media.fake_state import Refused
from roomtone.media.values import (
    AnyResult,
    CloseIngest,
    CloseIngestListener,
    ClosePlayout,
    Done,
    ErrorCode,
    IngestEnd,
    IngestListenerId,
    IngestListenerOpened,
    IngestProtocol,
    IngestPullOpened,
    OpenIngestInput,
    OpenIngestListener,
    OpenIngestPull,
    PlayoutEnd,
    PointIngest,
    RtpInput,
    SetIngestCertificate,
    pull_protocol,
)

if TYPE_CHECKING:
    from roomtone.media.fake_state import FakeState
    from roomtone.media.values import IngestCertificate

IngestCommand = (
    OpenIngestListener
    | OpenIngestInput
    | OpenIngestPull
    | SetIngestCertificate
    | CloseIngestListener
    | CloseIngest
    | PointIngest
    | ClosePlayout
)

_PASSPHRASE = range(10, 81)
_LATENCY_MS = range(20, 8_001)
_FIRST_PORT = 20_000
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def execute(state: FakeState, command: IngestCommand) -> AnyResult:
    """Do a command about encoders; one that is refused has no effect."""
    match command:
        case OpenIngestListener():
            return _open(state, command)
        case OpenIngestInput():
            return _open_input(state, command)
        case OpenIngestPull():
            return _open_pull(state, command)
        case SetIngestCertificate():
            if state.get(FakeIngestListener, command.listener).protocol is not IngestProtocol.RTMPS:
                raise Refused(ErrorCode.NOT_FOUND, "there is no such listener with a certificate")
            _check_certificate(command.certificate)
            return Done()
        case PointIngest():
            return _point(state, command)
        case CloseIngestListener() | CloseIngest() | ClosePlayout():
            _close(state, command)
            return Done()
        case _:
            assert_never(command)


def _point(state: FakeState, command: PointIngest) -> AnyResult:
    stream = state.get(FakeIngest, command.packager)
    own = command.source in {None, stream.id}
    sender = stream if command.source is None else state.get(FakeIngest, command.source)
    if sender.publisher is None:
        raise Refused(ErrorCode.WRONG_STATE, "its encoder is away")
    if not own and sender.shows is not None:
        raise Refused(ErrorCode.WRONG_STATE, "the other shows another's itself")
    if not own and any(one.shows == stream.id for one in state.find(FakeIngest)):
        raise Refused(ErrorCode.WRONG_STATE, "another shows this one's encoder")
    stream.shows = None if own else sender.id
    return Done()


def _close(state: FakeState, command: CloseIngestListener | CloseIngest | ClosePlayout) -> None:
    match command:
        case CloseIngestListener():
            listener = state.get(FakeIngestListener, command.listener)
            for ingest in [held for held in state.find(FakeIngest) if held.listener == listener.id]:
                state.drop_ingest(ingest, IngestEnd.REQUESTED)
            for playout in [held for held in state.find(FakePlayout) if held.listener == listener.id]:
                state.drop_playout(playout, PlayoutEnd.REQUESTED)
            if listener.fetches:
                state.drop_pull(listener, IngestEnd.REQUESTED, "the pull closes")
            else:
                del state.objects[listener.id]
        case CloseIngest():
            state.drop_ingest(state.get(FakeIngest, command.packager), IngestEnd.REQUESTED)
        case ClosePlayout():
            state.drop_playout(state.get(FakePlayout, command.playout), PlayoutEnd.REQUESTED)


def _open(state: FakeState, command: OpenIngestListener) -> AnyResult:
    if command.protocol is IngestProtocol.MPEGTS:
        raise Refused(ErrorCode.INVALID, "MPEG-TS in datagrams comes by an input")
    host, number = _read_address(command.address)
    if command.latency_ms not in _LATENCY_MS:
        raise Refused(ErrorCode.INVALID, "latency_ms is 20 to 8000")
    if command.passphrase is not None and command.protocol is not IngestProtocol.SRT:
        raise Refused(ErrorCode.INVALID, "only SRT has a passphrase")
    if command.passphrase is not None and len(command.passphrase) not in _PASSPHRASE:
        raise Refused(ErrorCode.INVALID, "a passphrase has 10 to 80 characters")
    if (command.protocol is IngestProtocol.RTMPS) != (command.certificate is not None):
        raise Refused(ErrorCode.INVALID, "RTMPS takes a certificate, and only that")
    if command.certificate is not None:
        _check_certificate(command.certificate)
    check_encryption(command.encryption)
    id_ = state.new_id()
    number = number or _FIRST_PORT + id_
    address = f"{host}:{number}"
    if any((held.address, held.protocol) == (address, command.protocol) for held in state.find(FakeIngestListener)):
        raise Refused(ErrorCode.NO_PORT, f"cannot listen on {address}")
    state.objects[id_] = FakeIngestListener(id_, command.protocol, address)
    return IngestListenerOpened(listener=IngestListenerId(id_), port=number)


def _check_certificate(certificate: IngestCertificate) -> None:
    if b"CERTIFICATE" not in certificate.chain or b"PRIVATE KEY" not in certificate.key:
        raise Refused(ErrorCode.INVALID, "the certificate is no PEM")


def _open_input(state: FakeState, command: OpenIngestInput) -> AnyResult:
    source = command.source
    check_encryption(command.encryption)
    if not _NAME.fullmatch(command.name):
        raise Refused(ErrorCode.INVALID, "the name cannot stand in a URL")
    protocol = IngestProtocol.MPEGTS
    if isinstance(source, RtpInput):
        protocol = IngestProtocol.RTP
        types = [track.payload_type for track in source.tracks]
        if not types or len(types) != len(set(types)):
            raise Refused(ErrorCode.INVALID, "a description tells its streams apart by payload type")
    id_ = state.new_id()
    if source.listener is not None:
        address = state.get(FakeIngestListener, source.listener).address
    else:
        host, number = _read_address(source.address or "[::]:0")
        address = f"{host}:{number or _FIRST_PORT + id_}"
        if any(held.address == address for held in state.find(FakeIngestListener)):
            raise Refused(ErrorCode.NO_PORT, f"cannot listen on {address}")
    state.objects[id_] = FakeIngestListener(id_, protocol, address, command.name)
    return IngestListenerOpened(listener=IngestListenerId(id_), port=int(address.rpartition(":")[2]))


def _open_pull(state: FakeState, command: OpenIngestPull) -> AnyResult:
    if not _NAME.fullmatch(command.name):
        raise Refused(ErrorCode.INVALID, "the name cannot stand in a URL")
    _read_address(command.origin.address)
    protocol = pull_protocol(command.origin)
    id_ = state.new_id()
    state.objects[id_] = FakeIngestListener(id_, protocol, command.origin.address, command.name, fetches=True)
    return IngestPullOpened(listener=IngestListenerId(id_))


def _read_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        ip_address(host.strip("[]"))
        return host, int(port)
    except ValueError:
        raise Refused(ErrorCode.INVALID, "address is not IP:PORT") from None
