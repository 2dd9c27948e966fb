"""One program of whoever is shown: pictures of one size at one pace, and a slate where nobody sends.

Sources come and go, each with its own size and pace; who watches sees one picture go on. A picture is shown from the
first step of the program behind its time to the next one's, and for `HOLD_S` where none comes. Steps are taken
`DELAY_S` after their time, so that what was sent for them has come.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from roomtone.workers.slate.pictures import CARD, NoPictureError, fitted, pictures
from roomtone.workers.slate.pictures import FPS as SLATE_FPS
from roomtone.workers.transcode.decoding import Decoder
from roomtone.workers.transcode.video import CLOCK, KeyframeClock, Ladder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from roomtone.workers.slate.pictures import Plane
    from roomtone.workers.transcode.messages import Format, Unit
    from roomtone.workers.transcode.plan import Plan

DELAY_S = 0.3
HOLD_S = 2.0
MOST_LATE_S = 1.0
"""Steps that are later are left out: a machine that is too slow for them does not catch up."""
MAX_WAITING = 64
"""Pictures whose time has not come; one more, and the oldest goes."""
_ENCODED = "yuv420p"
_FULL_RANGE = 2


class Stage:
    """Says which picture is shown at each step of a program. Pure: times are given, in seconds and ticks of 90 kHz.

    Inputs: `handle_time`, `handle_picture`. Output: `poll` until there is none; call it at `next_timeout`.
    """

    def __init__(self, fps: int) -> None:
        self.left_out = 0
        """Steps that came too late."""
        self._fps = fps
        self._zero: float | None = None
        self._step = 0
        self._waiting: deque[tuple[int, Any]] = deque(maxlen=MAX_WAITING)
        self._shown: tuple[int, Any] | None = None

    def handle_time(self, at: int, now: float) -> None:
        """Take where the program is now; what was said later than it was so is corrected by what is said sooner."""
        zero = now - at / CLOCK
        if self._zero is None:
            self._zero = zero
            self._step = max(0, int((now - DELAY_S - zero) * self._fps) + 1)
        elif zero < self._zero or zero - self._zero > MOST_LATE_S:
            self._zero = zero

    def handle_picture(self, pts: int, picture: Any) -> None:
        """Take a picture that is to be shown from this time on."""
        self._waiting.append((pts, picture))

    def poll(self, now: float) -> tuple[int, Any | None] | None:
        """Give the time of a step that is due, and what is shown then: None for the slate."""
        if self._zero is None or now < self._due(self._zero):
            return None
        newest = int((now - DELAY_S - self._zero) * self._fps)
        if newest - self._step > MOST_LATE_S * self._fps:
            self.left_out += newest - self._step
            self._step = newest
        at = self._step * CLOCK // self._fps
        self._step += 1
        while self._waiting and self._waiting[0][0] <= at:
            self._shown = self._waiting.popleft()
        if self._shown is not None and at - self._shown[0] > HOLD_S * CLOCK:
            self._shown = None
        return at, None if self._shown is None else self._shown[1]

    def next_timeout(self) -> float | None:
        """When the next step is due; None before the time of the program is known."""
        return None if self._zero is None else self._due(self._zero)

    def _due(self, zero: float) -> float:
        return zero + self._step / self._fps + DELAY_S


class Canvas:
    """Draws on pictures of one size: what comes as large as it fits, black beside it, or the next of the slate."""

    def __init__(self, width: int, height: int, slate: str) -> None:
        self._size = width, height
        self._slate = pictures(slate, width, height)
        self._slate_at: int | None = None
        self._source: Any = None
        self._drawn: Any = None
        self.refused = ""
        """Why the slate that was wanted is not shown, but our own."""
        try:
            self._draw_slate(0)
        except (av.FFmpegError, OSError, NoPictureError) as error:
            self.refused = str(error)
            self._slate = pictures(CARD, width, height)
            self._draw_slate(0)

    def draw(self, picture: Any | None, at: int) -> Any:
        """Give a picture whose time is ``at``, in ticks of 90 kHz."""
        if picture is None:
            self._draw_slate(at)
        elif picture is not self._source:
            self._drawn = picture if self._fits(picture) else _frame(fitted(picture, *self._size))
            self._source, self._slate_at = picture, None
        self._drawn.pts, self._drawn.time_base = at, Fraction(1, CLOCK)
        return self._drawn

    def _draw_slate(self, at: int) -> None:
        if self._slate_at is None or at - self._slate_at >= CLOCK // SLATE_FPS:
            plane = next(self._slate)
            if plane is not self._source:
                self._drawn, self._source = _frame(plane), plane
            self._slate_at = at

    def _fits(self, picture: Any) -> bool:
        is_video = picture.format.name == _ENCODED and picture.color_range != _FULL_RANGE
        return is_video and (picture.width, picture.height) == self._size


def _frame(plane: Plane) -> Any:
    return av.VideoFrame.from_ndarray(plane, format=_ENCODED)


class ProgramJob:
    """A program, coded as one ladder.

    Inputs: `handle_format`, `handle_unit`, `handle_break`, `handle_keyframe`, `handle_time`; `handle_timeout` at
    `next_timeout`. What ``encoders`` and ``send`` are says `Ladder`.
    """

    def __init__(self, plan: Plan, encoders: Mapping[str, str], send: Callable[[bytes], None]) -> None:
        self.ladder = Ladder(plan, encoders, send)
        self.decoder = Decoder()
        self.slates = 0
        """Steps at which the slate was shown."""
        self._stage = Stage(plan.fps)
        self.canvas = Canvas(*plan.canvas, plan.slate)
        self._size = plan.canvas
        self._clock = KeyframeClock(plan.keyframe_s)

    @property
    def left_out(self) -> int:
        """Steps that came too late."""
        return self._stage.left_out

    def handle_format(self, format_: Format) -> None:
        """Take how what follows is coded; raise `UnsupportedError`."""
        self._drain()
        self.decoder.open(format_)

    def handle_unit(self, unit: Unit) -> None:
        """Take a coded picture."""
        for frame in self.decoder.decode(unit):
            self._stage.handle_picture(frame.pts, frame)

    def handle_break(self) -> None:
        """Take that another source goes on: what is shown stays until something comes of that."""
        self._drain()
        self.decoder.reopen()

    def handle_keyframe(self) -> None:
        """Make the next picture a keyframe."""
        self._clock.asked = True

    def handle_time(self, at: int, now: float) -> None:
        """Take where the program is now, in ticks of 90 kHz, and the time, in seconds."""
        self._stage.handle_time(at, now)
        if not self.ladder.declared:
            self.ladder.declare(*self._size, None)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is to be called next, in seconds."""
        return self._stage.next_timeout()

    def handle_timeout(self, now: float) -> None:
        """Make the pictures that are due."""
        while (step := self._stage.poll(now)) is not None:
            at, picture = step
            self.slates += picture is None
            self.ladder.encode(self.canvas.draw(picture, at), keyframe=self._clock.begins_group(at))

    def close(self) -> None:
        """Let encoders and threads go."""
        self.ladder.close()

    def _drain(self) -> None:
        for frame in self.decoder.drain():
            self._stage.handle_picture(frame.pts, frame)
