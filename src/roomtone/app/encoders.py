"""Ports for encoders, opened with the server: SRT, RTMP and RTP after the settings."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roomtone.app.errors import StartError
from roomtone.app.listeners import certificate_files, on_loopback
from roomtone.media import EngineCommandError
from roomtone.media.values import ErrorCode, IngestCertificate, IngestProtocol

if TYPE_CHECKING:
    from roomtone.config import RtmpSettings, RtmpsSettings, RtpIngestSettings, Settings, SrtSettings
    from roomtone.control.live import Ingests

    Section = SrtSettings | RtmpSettings | RtmpsSettings | RtpIngestSettings


class Encoders:
    """Where encoders are listened for."""

    def __init__(self, settings: Settings, ingests: Ingests, *, has_ipv6: bool) -> None:
        self._settings = settings
        self._ingests = ingests
        self._has_ipv6 = has_ipv6
        self._found: dict[str, list[str]] = {}
        self._certificate: IngestCertificate | None = None

    async def open(self) -> list[str]:
        """Open the ports and give warnings about those that could not be had; raise `StartError`."""
        warnings: list[str] = []
        has_tls = bool(self._settings.http.cert or self._settings.http.tls_listen)
        if not has_tls and "listen" in self._settings.rtmps.model_fields_set:
            raise StartError("rtmps: there is no certificate: set http.cert and http.key, or http.tls_listen")
        wanted: tuple[tuple[IngestProtocol, Section], ...] = (
            (IngestProtocol.SRT, self._settings.srt),
            (IngestProtocol.RTMP, self._settings.rtmp),
            *(((IngestProtocol.RTMPS, self._settings.rtmps),) if has_tls else ()),
            (IngestProtocol.RTP, self._settings.rtp_ingest),
        )
        for protocol, section in wanted:
            if section.enabled and self._settings.live.enabled:
                warnings += await self._open(protocol, section)
        return warnings

    async def reload_certificate(self) -> None:
        """Read the certificate again; raise `StartError` when it is bad, and the old one stays."""
        if self._certificate is None:
            return
        try:
            self._certificate = certificate = await self._read_certificate()
            await self._ingests.set_certificate(certificate)
        except EngineCommandError as error:
            raise StartError(f"rtmps: {error}") from error

    async def _read_certificate(self) -> IngestCertificate:
        chain, key = certificate_files(self._settings)
        try:
            return await asyncio.to_thread(lambda: IngestCertificate(chain=chain.read_bytes(), key=key.read_bytes()))
        except OSError as error:
            raise StartError(f"rtmps: the certificate cannot be read: {error}") from error

    def addresses(self) -> dict[str, list[str]]:
        """Where it listens, by the protocol."""
        return self._found

    async def _open(self, protocol: IngestProtocol, section: Section) -> list[str]:
        dev, configured = self._settings.server.dev, "listen" in section.model_fields_set
        addresses = on_loopback(section.listen) if dev else section.listen
        if not self._has_ipv6 and not configured:
            addresses = tuple(address for address in addresses if ":" not in address.host)
        passphrase = getattr(section, "passphrase", "") or None
        latency_ms: int = getattr(section, "latency_ms", 120)
        certificate = None
        if protocol is IngestProtocol.RTMPS:
            certificate = self._certificate = await self._read_certificate()
        warnings: list[str] = []
        for address in addresses:
            try:
                listener = await self._ingests.listen(
                    protocol,
                    str(address),
                    passphrase=passphrase,
                    latency_ms=latency_ms,
                    certificate=certificate,
                )
            except EngineCommandError as error:
                if error.code is ErrorCode.NO_PORT and dev and not configured:
                    warnings.append(f"{protocol.value}: {address} could not be had; another program listens there")
                    continue
                raise StartError(f"{protocol.value}: {error}") from error
            host = f"[{address.host}]" if ":" in address.host else address.host
            self._found.setdefault(protocol.value, []).append(f"{host}:{listener.port}")
        return warnings
