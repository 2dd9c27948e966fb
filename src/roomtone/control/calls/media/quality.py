"""How good the sound of a leg is, each way, as the engine measures it and the peer reports it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from roomtone.media import EngineCommandError
from roomtone.media.values import MediaKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomtone.control.calls.media.streams import LegMedia


@dataclass(frozen=True, slots=True)
class DirectionQuality:
    """One way. What is not known is None: a peer may send no reports, and a short call is not judged."""

    packets: int
    """Received from the peer, or sent to it."""
    lost: int | None
    loss: float | None
    """Part of all packets, 0 to 1."""
    jitter_ms: float | None
    mos: float | None
    """Mean opinion score by the E-model, 1 to 4.5."""


@dataclass(frozen=True, slots=True)
class LegQuality:
    """Both ways of one leg."""

    account: str
    received: DirectionQuality
    """What arrives from the peer."""
    sent: DirectionQuality
    """What arrives at the peer, by its reports."""
    round_trip_ms: float | None

    def as_dict(self) -> dict[str, Any]:
        """Give it as it is kept."""
        return asdict(self)


async def measure(media: LegMedia, account: str) -> LegQuality | None:
    """Ask the engine how the sound of a leg is; None where it has none, or the engine has lost it."""
    stream = media.streams.get(MediaKind.AUDIO)
    if stream is None or stream.producer is None or stream.consumer is None:
        return None
    try:
        heard = await stream.producer.stats()
        told = await stream.consumer.stats()
    except EngineCommandError:
        return None
    sent, remote = told[0], told[1] if len(told) > 1 else {}
    round_trip = _number(remote, "roundTripTime")
    return LegQuality(account, _received(heard), _sent(sent, remote), None if round_trip is None else round_trip * 1000)


def _received(reports: list[dict[str, Any]]) -> DirectionQuality:
    own, streams = reports[0], reports[1:]
    packets, lost = int(_number(own, "packetsReceived") or 0), int(_number(own, "packetsLost") or 0)
    jitters = [jitter for report in streams if (jitter := _number(report, "jitter")) is not None]
    return DirectionQuality(
        packets,
        max(lost, 0),
        _part(lost, packets + lost),
        max(jitters) * 1000 if jitters else None,
        _number(own, "mos"),
    )


def _sent(own: Mapping[str, Any], remote: Mapping[str, Any]) -> DirectionQuality:
    packets = int(_number(own, "packetsSent") or 0)
    if not _number(remote, "reportsReceived"):
        return DirectionQuality(packets, None, None, None, _number(own, "mos"))
    lost, jitter = int(_number(remote, "packetsLost") or 0), _number(remote, "jitter")
    jitter_ms = None if jitter is None else jitter * 1000
    return DirectionQuality(packets, max(lost, 0), _part(lost, packets), jitter_ms, _number(own, "mos"))


def _part(lost: int, of: int) -> float | None:
    return max(0.0, min(1.0, lost / of)) if of > 0 else None


def _number(report: Mapping[str, Any], name: str) -> float | None:
    value = report.get(name)
    return float(value) if isinstance(value, int | float) else None
