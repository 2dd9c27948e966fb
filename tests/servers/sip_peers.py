"""An endpoint on real sockets, and the plainest of peers."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from roomtone.protocols.sip.edge import Edge, EdgeLimits
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.message import Response, parse_message
from roomtone.protocols.sip.tokens import Tokens
from roomtone.protocols.sip.transaction import TransactionLayer
from roomtone.servers.sip import Certificate, Endpoint, Listen, TransportOptions
from roomtone.servers.sip.options_only import OptionsOnly

PATIENCE_S = 40.0
HERE = (Listen("127.0.0.1", 0),)


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not look():  # noqa: ASYNC110 - states of sockets and counters tell nobody
            await asyncio.sleep(0.01)


@dataclass
class Running:
    endpoint: Endpoint
    core: OptionsOnly

    def port(self, transport: Transport) -> int:
        return self.endpoint.listeners.addresses()[transport][0][1]


@asynccontextmanager
async def running(options: TransportOptions, limits: EdgeLimits | None = None) -> AsyncIterator[Running]:
    tokens = Tokens(b"t" * 32)
    core = OptionsOnly(TransactionLayer(tokens), "test")
    limits = limits or EdgeLimits(exempt=frozenset({"127.0.0.1", "::1"}))
    endpoint = Endpoint(core.agent, Edge(tokens, limits), options, core.after_input)
    await endpoint.open()
    try:
        yield Running(endpoint, core)
    finally:
        await endpoint.close()


_numbers = iter(range(1, 1_000_000))


def options_request(
    port: int, transport: str = "UDP", extra: str = "", via: str = "127.0.0.1:9", params: str = ";rport"
) -> bytes:
    number = next(_numbers)
    return (
        f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} {via};branch=z9hG4bKt{number}{params}\r\n"
        f"From: <sip:tester@127.0.0.1>;tag=f{number}\r\n"
        f"To: <sip:127.0.0.1>\r\n"
        f"Call-ID: c{number}\r\n"
        f"CSeq: {number} OPTIONS\r\n"
        f"Max-Forwards: 70\r\n{extra}"
        f"Content-Length: 0\r\n\r\n"
    ).encode()


class UdpPeer(asyncio.DatagramProtocol):
    """Sends datagrams and collects what comes back."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, _: tuple[str, int]) -> None:
        self.got.put_nowait(data)

    def send(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.sendto(data)

    async def answer(self, status: int) -> Response:
        """The next response with a status; what comes before it is passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = parse_message(await self.got.get())
                if isinstance(message, Response) and message.status == status:
                    return message

    async def ask(self, data: bytes) -> Response:
        self.send(data)
        message = parse_message(await asyncio.wait_for(self.got.get(), PATIENCE_S))
        assert isinstance(message, Response)
        return message

    @property
    def port(self) -> int:
        assert self.transport is not None
        port: int = self.transport.get_extra_info("sockname")[1]
        return port


@asynccontextmanager
async def udp_peer(port: int, host: str = "127.0.0.1") -> AsyncIterator[UdpPeer]:
    loop = asyncio.get_running_loop()
    transport, peer = await loop.create_datagram_endpoint(UdpPeer, remote_addr=(host, port))
    peer.transport = transport
    try:
        yield peer
    finally:
        transport.close()


async def read_message(reader: asyncio.StreamReader) -> Response:
    async with asyncio.timeout(PATIENCE_S):
        head = await reader.readuntil(b"\r\n\r\n")
    message = parse_message(head)
    assert isinstance(message, Response)
    return message


@dataclass
class Recorder:
    """A core that keeps what it is given and sends what it is told to."""

    errors: list[object] = field(default_factory=list)
    messages: list[object] = field(default_factory=list)
    waiting: list[object] = field(default_factory=list)

    def handle_message(self, message: object, flow: Flow, _: int) -> None:
        self.messages.append((message, flow))

    def handle_transport_error(self, transmit: object, _: int) -> None:
        self.errors.append(transmit)

    def handle_timeout(self, _: int) -> None:
        pass

    def next_timeout(self) -> int | None:
        return None

    def poll_transmit(self) -> object | None:
        return self.waiting.pop(0) if self.waiting else None


@asynccontextmanager
async def recording(options: TransportOptions) -> AsyncIterator[tuple[Endpoint, Recorder]]:
    recorder = Recorder()
    endpoint = Endpoint(recorder, Edge(Tokens(b"t" * 32)), options)  # type: ignore[arg-type]
    await endpoint.open()
    try:
        yield endpoint, recorder
    finally:
        await endpoint.close()


@dataclass
class Authority:
    """Makes certificates that it signs."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    name: x509.Name = field(default_factory=lambda: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")]))

    @property
    def file(self) -> Path:
        path = self.folder / "authority.pem"
        if not path.exists():
            certificate = self._builder(self.name, self.key).add_extension(
                x509.BasicConstraints(ca=True, path_length=None), critical=True
            )
            path.write_bytes(certificate.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )

    def issue(self, file: str, *names: str) -> Certificate:
        """Write a certificate for DNS names, addresses and ``sip:`` URIs."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        certificate = self._builder(subject, key).add_extension(alternatives, critical=False)
        chain, secret = self.folder / f"{file}.crt", self.folder / f"{file}.key"
        chain.write_bytes(certificate.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
        return Certificate(chain, secret)


def _general_name(name: str) -> x509.GeneralName:
    if name.startswith("sip:"):
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True
