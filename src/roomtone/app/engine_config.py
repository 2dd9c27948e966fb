"""What the engine is told, from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.app.errors import StartError
from roomtone.media.values import ArrivalModel, BandwidthConfig, EngineConfig, LiveConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.config import Settings

WINDOWS_FOLDER = "windows"
"""Below the data directory: what of live streams has left memory."""
MEGABYTE = 1_000_000
DEV_IPS = ("127.0.0.1", "::1")


def engine_config(settings: Settings, *, has_ipv6: bool, public_address: str | None = None) -> EngineConfig:
    """Lay the engine out; ``public_address`` is what a STUN server said, if one was asked."""
    webrtc, engine = settings.webrtc, settings.engine
    if not (webrtc.udp or webrtc.tcp):
        raise StartError("webrtc.udp and webrtc.tcp are both off: switch one on")
    return EngineConfig(
        shards=engine.shard_count,
        audio_threads=engine.audio_threads,
        listen_ips=_listen_ips(settings, has_ipv6=has_ipv6),
        announced_ips=announced_pairs(webrtc.announced_ips)
        or announced_pairs((public_address,) * bool(public_address)),
        webrtc_ports=(webrtc.ports.low, webrtc.ports.high),
        plain_ports=(settings.plain.ports.low, settings.plain.ports.high),
        udp=webrtc.udp,
        tcp=webrtc.tcp,
        burst_delay_us=int(engine.burst_delay_ms * 1000),
        gather_delay_us=int(engine.gather_delay_ms * 1000),
        even_out_bytes=engine.even_out_bytes,
        event_queue=engine.event_queue,
        command_queue=engine.command_queue,
        max_transports=engine.max_transports,
        max_producers_per_transport=engine.max_producers_per_transport,
        max_consumers_per_transport=engine.max_consumers_per_transport,
        history_packets=engine.history_packets,
        ice_timeout_ms=webrtc.connect_timeout_s * 1000,
        bandwidth=BandwidthConfig(
            **settings.bandwidth.model_dump(exclude={"arrival_model"}),
            arrival_model=ArrivalModel(settings.bandwidth.arrival_model),
        ),
        live=LiveConfig(
            store_dir=str(settings.server.data_path / WINDOWS_FOLDER),
            memory_ms=settings.live.memory_s * 1000,
            memory_stream_bytes=settings.live.memory_stream_mb * MEGABYTE,
            memory_bytes=settings.live.memory_mb * MEGABYTE,
            disk_stream_bytes=settings.live.disk_stream_mb * MEGABYTE,
            disk_bytes=settings.live.disk_mb * MEGABYTE,
        ),
    )


def _listen_ips(settings: Settings, *, has_ipv6: bool) -> list[str]:
    if settings.webrtc.listen_ips or not settings.server.dev:
        return list(settings.webrtc.listen_ips)
    return list(DEV_IPS if has_ipv6 else DEV_IPS[:1])


def announced_pairs(texts: Iterable[str | None]) -> list[tuple[str, str]]:
    """Pairs of listening and announced address; one announced for all stands beside "any address" of its family."""
    pairs = []
    for text in filter(None, texts):
        listen, equals, announced = text.partition("=")
        pairs.append((listen.strip(), announced.strip()) if equals else (any_address(text), text.strip()))
    return pairs


def any_address(ip: str) -> str:
    """Give the address that stands for all addresses of the family of this one."""
    return "::" if ":" in ip else "0.0.0.0"  # noqa: S104 - the engine takes it as a pattern
