"""Encoders of pictures as live streams want them: nothing held back, keyframes where asked for and nowhere else."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from roomtone.workers.transcode.probe import pixels

if TYPE_CHECKING:
    from roomtone.workers.transcode.plan import Plan

FOLLOWS_RATE = frozenset({"libx264", "h264_nvenc", "hevc_nvenc", "av1_nvenc"})
"""Encoders that take another rate while they run; others begin anew with it."""
_CLOCK = 90_000
_NEVER = 1 << 20
"""Pictures between keyframes that nobody asked for."""
_BUFFER_S = 1
"""How much of its rate a rung may save up."""
_X265 = "log-level=error:scenecut=0:open-gop=0:bframes=0:rc-lookahead=0:frame-threads=1:pools=none:keyint=-1"
_SVT = "lookahead=0:pred-struct=1:scd=0:lp=1:rtc=1"
"""Pictures refer backwards only; a rate that is the highest too is kept constant."""
_SVT_PRESETS = {
    "ultrafast": 12,
    "superfast": 11,
    "veryfast": 10,
    "faster": 9,
    "fast": 8,
    "medium": 7,
    "slow": 6,
    "slower": 5,
    "veryslow": 4,
}
"""Of SVT-AV1, by the names that x264 and x265 have; 7 and less are not for live pictures on most machines."""


def open_encoder(encoder: str, plan: Plan, size: tuple[int, int], bps: int) -> Any:
    """Open an encoder for pictures of a size, at a rate that it keeps to within a second."""
    context: Any = av.CodecContext.create(encoder, "w")
    context.width, context.height = size
    context.pix_fmt = pixels(encoder)
    context.time_base, context.framerate = Fraction(1, _CLOCK), Fraction(30)
    context.bit_rate, context.gop_size, context.max_b_frames = bps, _NEVER, 0
    context.thread_count = 1  # rungs are encoded beside each other
    context.options = {"maxrate": str(bps), "bufsize": str(bps * _BUFFER_S), **_options(encoder, plan)}
    return context


def _options(encoder: str, plan: Plan) -> dict[str, str]:
    """Give what each encoder calls it; of H.264 the profile of the plan."""
    profile = {"profile": plan.profile} if encoder.startswith(("h264_", "libx264")) else {}
    match encoder.rpartition("_")[2]:
        case "libx264":
            own = {"preset": plan.preset, "tune": "zerolatency", "forced-idr": "1", "sc_threshold": "0"}
        case "libx265":
            own = {"preset": plan.preset, "tune": "zerolatency", "forced-idr": "1", "x265-params": _X265}
        case "libsvtav1":
            own = {"preset": str(_SVT_PRESETS.get(plan.preset, 10)), "svtav1-params": _SVT}
        case "nvenc":
            own = {"tune": "ull", "zerolatency": "1", "forced-idr": "1", "delay": "0", "rc": "cbr"}
        case "qsv":
            own = {"forced_idr": "1", "async_depth": "1", "low_power": "0"}
        case _:
            own = {}
    return own | profile
