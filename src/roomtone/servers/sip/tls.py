"""TLS of SIP: certificates that can be read again while listening, chosen by server name; mutual TLS."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from cryptography import x509

from roomtone.servers.sip.options import Certificate, PeerCertificates, TlsOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERIFY = {
    PeerCertificates.OFF: ssl.CERT_NONE,
    PeerCertificates.OPTIONAL: ssl.CERT_OPTIONAL,
    PeerCertificates.REQUIRED: ssl.CERT_REQUIRED,
}


class TlsError(Exception):
    """A certificate, key or authority that cannot be used; the message names the file."""


class ServerCertificates:
    """The contexts of our certificates.

    ``context`` goes to the listening socket once; each handshake takes the newest certificate for the name it asks for
    (RFC 6066, 3), the first where none fits. `reload` reads all files again: either all are taken or none.
    """

    def __init__(self, options: TlsOptions) -> None:
        self._options = options
        self._by_name: dict[str, ssl.SSLContext] = {}
        self._default = self.context = self._load(options.certificates)

    def reload(self) -> None:
        """Read all files again. Raises `TlsError`, and the old ones stay."""
        self._default = self._load(self._options.certificates)

    def _load(self, certificates: Sequence[Certificate]) -> ssl.SSLContext:
        if not certificates:
            raise TlsError("TLS needs a certificate: set sip.cert and sip.key")
        contexts = [_server_context(certificate, self._options) for certificate in certificates]
        by_name = {
            name.lower(): context
            for certificate, context in zip(certificates, contexts, strict=True)
            for name in _names(certificate)
        }
        self._by_name = by_name
        # Set on all: handshakes on the socket's first context still find the newest.
        for context in contexts:
            context.sni_callback = self._choose
        return contexts[0]

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        wanted = (name or "").lower()
        wildcard = "*." + wanted.partition(".")[2]
        connection.context = self._by_name.get(wanted) or self._by_name.get(wildcard) or self._default


def _names(certificate: Certificate) -> list[str]:
    """Read the DNS names a certificate is for."""
    try:
        leaf = x509.load_pem_x509_certificate(certificate.chain.read_bytes())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    except (OSError, ValueError) as error:
        raise TlsError(f"{certificate.chain} is no certificate in PEM: {error}") from error
    return names.get_values_for_type(x509.DNSName)


def _server_context(certificate: Certificate, options: TlsOptions) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate.chain, certificate.key)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"{certificate.chain} and {certificate.key} are no certificate and its key: {error}") from error
    context.verify_mode = _VERIFY[options.client_certificates]
    if options.client_certificates is not PeerCertificates.OFF:
        if options.authorities is None:
            raise TlsError("certificates of clients need authorities to believe: set sip.authorities")
        _load_authorities(context, options)
    return context


def client_context(options: TlsOptions) -> ssl.SSLContext:
    """Make the context for connections to peers; those that ask are shown our first certificate. Raises `TlsError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not options.verify_peers:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif options.authorities is not None:
        _load_authorities(context, options)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if options.certificates:
        first = options.certificates[0]
        try:
            context.load_cert_chain(first.chain, first.key)
        except (OSError, ssl.SSLError) as error:
            raise TlsError(f"{first.chain} and {first.key} are no certificate and its key: {error}") from error
    return context


def _load_authorities(context: ssl.SSLContext, options: TlsOptions) -> None:
    try:
        context.load_verify_locations(options.authorities)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"{options.authorities} holds no certificates of authorities: {error}") from error
