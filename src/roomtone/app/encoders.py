"""Ports for encoders, opened with the server: SRT, RTMP and RTP after the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.app.errors import StartError
from roomtone.app.listeners import on_loopback
from roomtone.media import EngineCommandError
from roomtone.media.values import ErrorCode, IngestProtocol

if TYPE_CHECKING:
    from roomtone.config import RtmpSettings, RtpIngestSettings, Settings, SrtSettings
    from roomtone.control.live import Ingests

    Section = SrtSettings | RtmpSettings | RtpIngestSettings


class Encoders:
    """Where encoders are listened for."""

    def __init__(self, settings: Settings, ingests: Ingests, *, has_ipv6: bool) -> None:
        self._settings = settings
        self._ingests = ingests
        self._has_ipv6 = has_ipv6
        self._found: dict[str, list[str]] = {}

    async def open(self) -> list[str]:
        """Open the ports and give warnings about those that could not be had; raise `StartError`."""
        warnings: list[str] = []
        wanted: tuple[tuple[IngestProtocol, Section], ...] = (
            (IngestProtocol.SRT, self._settings.srt),
            (IngestProtocol.RTMP, self._settings.rtmp),
            (IngestProtocol.RTP, self._settings.rtp_ingest),
        )
        for protocol, section in wanted:
            if section.enabled and self._settings.live.enabled:
                warnings += await self._open(protocol, section)
        return warnings

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
        warnings: list[str] = []
        for address in addresses:
            try:
                listener = await self._ingests.listen(
                    protocol,
                    str(address),
                    passphrase=passphrase,
                    latency_ms=latency_ms,
                )
            except EngineCommandError as error:
                if error.code is ErrorCode.NO_PORT and dev and not configured:
                    warnings.append(f"{protocol.value}: {address} could not be had; another program listens there")
                    continue
                raise StartError(f"{protocol.value}: {error}") from error
            host = f"[{address.host}]" if ":" in address.host else address.host
            self._found.setdefault(protocol.value, []).append(f"{host}:{listener.port}")
        return warnings
