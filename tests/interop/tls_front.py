"""TLS, by OpenSSL, before a server of this machine that speaks in clear."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "127.0.0.1"


def make_certificate(path: Path, name: str) -> bytes:
    """Write a certificate for this name that signs itself, and its key; give its SHA-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        subject, subject, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=9)
    )
    built = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    made = built.sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return made.fingerprint(hashes.SHA256())


def _pump(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            to.sendall(data)
    for one in (source, to):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def tls_front(certificate: Path, behind: int) -> Iterator[int]:
    """Hand on what comes behind TLS to a port of this machine; gives the port at which it listens."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0)))
        stack.callback(listener.shutdown, socket.SHUT_RDWR)

        def serve(bare: socket.socket) -> None:
            # Only who has taken the certificate gets as far as the server behind.
            with (
                suppress(OSError),
                context.wrap_socket(bare, server_side=True) as caller,
                socket.create_connection((HOST, behind)) as server,
            ):
                threading.Thread(target=_pump, args=(caller, server), daemon=True).start()
                _pump(server, caller)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
