"""Every engine that can stand behind the façade: in memory, through a socket pair, and the real one."""

from __future__ import annotations

import importlib.util

import pytest

from roomtone.media import CoreLink, FakeLink, SocketLink
from roomtone.media.values import CodecParameters, EngineConfig

VP8 = CodecParameters(payload_type=96, name="VP8", clock_rate=90_000, rtx_payload_type=97)
PCMU = CodecParameters(payload_type=0, name="PCMU", clock_rate=8_000)
H264 = CodecParameters(payload_type=102, name="H264", clock_rate=90_000)
OPUS = CodecParameters(payload_type=111, name="OPUS", clock_rate=48_000, channels=2)
CONFIG = EngineConfig(
    shards=2,
    listen_ips=["127.0.0.1"],
    webrtc_ports=(0, 0),
    plain_ports=(44_000, 44_999),
    max_transports=4,
    max_producers_per_transport=3,
    max_consumers_per_transport=3,
    seed=7,
)

_has_core = importlib.util.find_spec("roomtone._core") is not None
_real = pytest.mark.skipif(not _has_core, reason="roomtone._core is not built")
LINKS: list[object] = [
    pytest.param(FakeLink, id="fake"),
    pytest.param(lambda config: SocketLink(lambda: FakeLink(config)), id="socket-fake"),
    pytest.param(CoreLink, id="real", marks=_real),
    pytest.param(lambda config: SocketLink(lambda: CoreLink(config)), id="socket-real", marks=_real),
]
