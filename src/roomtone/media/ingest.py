"""Listeners of encoders: what they publish becomes a live stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.media.engine_object import EngineObject
from roomtone.media.values import (
    AnyCommand,
    CloseIngest,
    CloseIngestListener,
    ClosePlayout,
    Done,
    IngestListenerId,
    IngestListenerOpened,
    IngestProtocol,
    IngestPull,
    IngestPullOpened,
    IngestSource,
    OpenIngestInput,
    OpenIngestListener,
    OpenIngestPull,
    PackagerId,
    PlayoutId,
    PointIngest,
    RtpInput,
    SetIngestCertificate,
    pull_protocol,
)

if TYPE_CHECKING:
    from roomtone.media.engine import Engine
    from roomtone.media.values import IngestCertificate, LiveEncryption


class IngestListener(EngineObject):
    """Takes encoders in by SRT or RTMP; each is let in by a question of topic ``publish`` (`Engine.answer_questions`).

    `IngestStarted` and `IngestEnded` tell of them. Their streams lie at ``/live/NAME/index.m3u8``. By SRT any live
    stream is played out too, after a question of topic ``play``: `PlayoutStarted` and `PlayoutEnded` tell of that.
    """

    __slots__ = ("ipv6", "port", "protocol", "shared")

    @classmethod
    async def open(
        cls,
        engine: Engine,
        protocol: IngestProtocol,
        address: str,
        *,
        passphrase: str | None = None,
        latency_ms: int = 120,
        certificate: IngestCertificate | None = None,
        window_ms: int = 120_000,
        part_ms: int | None = None,
        encryption: LiveEncryption | None = None,
    ) -> IngestListener:
        """Listen at ``IP:PORT``; the values are those of `OpenIngestListener`.

        `ErrorCode.NO_PORT` where the address cannot be had.
        """
        command = OpenIngestListener(
            protocol=protocol,
            address=address,
            passphrase=passphrase,
            latency_ms=latency_ms,
            certificate=certificate,
            window_ms=window_ms,
            part_ms=part_ms,
            encryption=encryption,
        )
        opened = await engine.ask(command, IngestListenerOpened)
        listener = cls(engine, opened.listener, protocol, opened.port)
        listener.shared, listener.ipv6 = True, address.startswith("[")
        return listener

    @classmethod
    async def open_input(
        cls,
        engine: Engine,
        name: str,
        source: IngestSource,
        *,
        window_ms: int = 120_000,
        part_ms: int | None = None,
        encryption: LiveEncryption | None = None,
    ) -> IngestListener:
        """Take a stream from a source that does not ask; the values are those of `OpenIngestInput`."""
        command = OpenIngestInput(name=name, source=source, window_ms=window_ms, part_ms=part_ms, encryption=encryption)
        opened = await engine.ask(command, IngestListenerOpened)
        protocol = IngestProtocol.RTP if isinstance(source, RtpInput) else IngestProtocol.MPEGTS
        return cls(engine, opened.listener, protocol, opened.port)

    @classmethod
    async def open_pull(
        cls,
        engine: Engine,
        name: str,
        origin: IngestPull,
        *,
        window_ms: int = 120_000,
        part_ms: int | None = None,
        encryption: LiveEncryption | None = None,
    ) -> IngestListener:
        """Fetch a stream from another server, one attempt; the values are those of `OpenIngestPull`."""
        command = OpenIngestPull(name=name, origin=origin, window_ms=window_ms, part_ms=part_ms, encryption=encryption)
        opened = await engine.ask(command, IngestPullOpened)
        return cls(engine, opened.listener, pull_protocol(origin), 0)

    def __init__(self, engine: Engine, id_: IngestListenerId, protocol: IngestProtocol, port: int) -> None:
        super().__init__(engine, id_)
        self.protocol = protocol
        self.shared = False
        """Whether inputs may share it; an input itself is shared by none."""
        self.ipv6 = False
        self.port = port

    @property
    def id(self) -> IngestListenerId:
        """The listener's id."""
        return IngestListenerId(self._id)

    def _close_command(self) -> AnyCommand:
        return CloseIngestListener(listener=self.id)

    async def set_certificate(self, certificate: IngestCertificate) -> None:
        """Show callers of RTMPS another certificate; `ErrorCode.INVALID` where it cannot be used: the old one stays."""
        await self._engine.ask(SetIngestCertificate(listener=self.id, certificate=certificate), Done)

    async def point_stream(self, packager: PackagerId, source: PackagerId | None) -> None:
        """Have a stream list what another's encoder sends, or its own again; the values are those of `PointIngest`."""
        await self._engine.ask(PointIngest(packager=packager, source=source), Done)

    async def end_stream(self, packager: PackagerId) -> None:
        """End a stream, and what an encoder publishes for it; `ErrorCode.NOT_FOUND` where it is gone."""
        await self._engine.ask(CloseIngest(packager=packager), Done)

    async def end_playout(self, playout: PlayoutId) -> None:
        """Send away who reads a stream; `ErrorCode.NOT_FOUND` where it is gone."""
        await self._engine.ask(ClosePlayout(playout=playout), Done)
