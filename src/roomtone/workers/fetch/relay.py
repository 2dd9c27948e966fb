"""From a playlist of HLS to RTMP: tracks as they are, in the time in which they are to be played."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
from av.stream import Discard

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.workers.fetch.guarded import Guard

CODECS = {"video": frozenset({"h264", "hevc", "av1"}), "audio": frozenset({"aac", "opus"})}
"""What RTMP carries here."""
JUMP_S = 10.0
"""Times that go on by more than that, or back by `BACK_S`, are of another beginning."""
BACK_S = 1.0
STEP_S = 0.04
"""What is behind such a jump follows so closely."""
MAX_AHEAD_S = 30.0
_OPTIONS = {
    # One connection a request, each by the guard: the demuxer would keep connections of its own otherwise.
    "http_persistent": "0",
    "http_multiple": "0",
    "live_start_index": "-3",
    "max_reload": "100",
}


class NothingToRelayError(Exception):
    """A playlist has no track that can be carried."""


class Pace:
    """Gives times that only go on, and says how long to wait until something is due."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._shift_s = 0.0
        self._last_s = 0.0

    def place(self, at_s: float) -> float:
        """Give where a time is, counted from the first; jumps are closed."""
        if self._began is None:
            self._began, self._shift_s = self._clock(), -at_s
        placed = at_s + self._shift_s
        if not self._last_s - BACK_S <= placed <= self._last_s + JUMP_S:
            self._shift_s += self._last_s + STEP_S - placed
            placed = self._last_s + STEP_S
        self._last_s = max(self._last_s, placed)
        return placed

    def wait_s(self, placed: float) -> float:
        """Say how long it is until a place is due; none where it is late, which nobody makes up for."""
        if self._began is None:
            return 0.0
        due = self._began + placed - self._clock()
        if due < -MAX_AHEAD_S:
            self._began -= due  # the machine slept, or nothing came: what follows begins now
            return 0.0
        return max(0.0, due)


def relay(url: str, to: str, guard: Guard, is_stopped: Callable[[float], bool]) -> None:
    """Relay until the source ends or ``is_stopped`` says so, which waits as long as it is told; raise PyAV's errors."""
    opened: Any = av.open(url, "r", format="hls", options=_OPTIONS, io_open=cast("Any", guard.open))
    chosen = [stream for kind in CODECS if (stream := opened.streams.best(kind)) is not None]
    carried = [stream for stream in chosen if stream.codec_context.name in CODECS[stream.type]]
    if not carried:
        names = " and ".join(stream.codec_context.name for stream in chosen) or "nothing"
        message = f"the playlist has {names}: H.264, HEVC, AV1, AAC and Opus are carried"
        raise NothingToRelayError(message)
    for stream in opened.streams:
        if stream not in carried:
            stream.discard = Discard.all  # other variants need not be fetched
    out: Any = av.open(to, "w", format="flv")
    places = {stream.index: out.add_stream_from_template(stream) for stream in carried}
    pace = Pace()
    for packet in opened.demux(*carried):
        if packet.dts is None:
            continue  # the end of a track
        base = packet.time_base or Fraction(1, 90_000)
        placed = pace.place(float(packet.dts * base))
        if is_stopped(pace.wait_s(placed)):
            break
        shift = round(placed / base) - packet.dts
        packet.dts += shift
        packet.pts = packet.dts if packet.pts is None else packet.pts + shift
        packet.stream = places[packet.stream.index]
        out.mux(packet)
    out.close()
