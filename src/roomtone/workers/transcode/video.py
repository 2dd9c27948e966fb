"""Pictures decoded once and encoded for each rung: the same keyframes in all of them, and times as they came."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter

from roomtone.workers.transcode.controller import Step
from roomtone.workers.transcode.decoding import DECODERS, Decoder
from roomtone.workers.transcode.encoders import FOLLOWS_RATE, open_encoder
from roomtone.workers.transcode.messages import Codec, Format, Unit, output_break, output_format, output_unit, outputs
from roomtone.workers.transcode.plan import AV1, EVEN, H264, HEVC, Plan, Rung, fitting, rated, sized
from roomtone.workers.transcode.probe import pixels
from roomtone.workers.transcode.quality import Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CLOCK = 90_000
_TICK = Fraction(1, CLOCK)
_MADE = {H264: Codec.H264, HEVC: Codec.HEVC, AV1: Codec.AV1}
_SOON = 0.75
"""Times of pictures waver by less than a quarter."""


@dataclass(frozen=True, slots=True)
class _Picture:
    frame: Any
    keyframe: bool


class RungEncoder:
    """One rung."""

    def __init__(self, rung: Rung, encoder: str, plan: Plan, quality: Quality | None) -> None:
        self.rung = rung
        self.step = Step()
        self.encoded = 0
        self.bytes = 0
        self.quality = quality
        self._encoder = encoder
        self._plan = plan
        self._context: Any = None
        self._size = (0, 0)
        self._scaler = VideoReformatter()  # a picture's own is not for several threads
        self._turn = 0
        self._last = 0
        self._waits = False
        self._anew = False

    @property
    def encoder(self) -> str:
        """What encodes it."""
        return self._encoder

    def close(self) -> None:
        """Let the encoder go, which holds nothing back; one of SVT-AV1 wants to be told."""
        if self._context is not None:
            self._context.encode(None)
            self._context = None

    def change(self, step: Step) -> None:
        """Make it otherwise from now on; another size, or again after it was off, from the next keyframe on.

        So does another rate of an encoder that keeps the one with which it began.
        """
        if (step.size, step.on) != (self.step.size, self.step.on):
            self._waits = True
        self._anew |= step.rate != self.step.rate and self._encoder not in FOLLOWS_RATE
        self.step = step
        if self._context is not None and not self._waits and not self._anew:
            self._context.bit_rate = int(self.rung.bps * step.rate)

    def encode(self, picture: _Picture) -> list[Unit]:
        """Encode a picture; gives what is ready."""
        frame = picture.frame
        if picture.keyframe:
            self._turn = 0
            self._fit(frame)
        if self._context is None or not self.step.on or self._waits or not self._is_due(frame.pts, picture.keyframe):
            return []
        scaled = self._scaler.reformat(
            frame, *self._size, pixels(self._encoder), interpolation=Interpolation.BICUBIC, threads=1
        )
        scaled.pts, scaled.time_base = frame.pts, _TICK
        scaled.pict_type = PictureType.I if picture.keyframe else PictureType.NONE
        units = [_unit(packet) for packet in self._context.encode(scaled)]
        self.encoded += len(units)
        self.bytes += sum(len(unit.data) for unit in units)
        if self.quality is not None:
            for unit in units:
                self.quality.compare(scaled, unit)
        return units

    def _is_due(self, pts: int, keyframe: bool) -> bool:
        """Whether a picture is among those that the rung has."""
        too_soon = self.rung.fps and pts - self._last < CLOCK / self.rung.fps * _SOON
        if not keyframe and too_soon:
            return False
        self._turn += 1
        if (self._turn - 1) % self.step.every:
            return False
        self._last = pts
        return True

    def _fit(self, frame: Any) -> None:
        width, height = sized(self.rung, frame.width, frame.height)
        if self.step.size < 1:
            width, height = (round(side * self.step.size / EVEN) * EVEN for side in (width, height))
        if self._context is None or self._anew or (width, height) != self._size:
            self.close()
            self._size = (width, height)
            self.rung = rated(self.rung, width, height)
            self._context = open_encoder(self._encoder, self._plan, self._size, int(self.rung.bps * self.step.rate))
        self._waits = self._anew = False


def _unit(packet: Any) -> Unit:
    return Unit(dts=packet.pts, pts=packet.pts, keyframe=packet.is_keyframe, data=bytes(packet))


class Ladder:
    """The rungs of one job; a picture is encoded in all of them at once.

    ``encoders`` says what encodes which codec; rungs of others are left out. Output: messages, to ``send``.
    """

    def __init__(self, plan: Plan, encoders: Mapping[str, str], send: Callable[[bytes], None]) -> None:
        self.rungs: list[RungEncoder] = []
        self.declared = False
        self._encoders = encoders
        self._plan = plan
        self._send = send
        self._threads: ThreadPoolExecutor | None = None

    @property
    def encoder(self) -> str:
        """What encodes its rungs, each once."""
        return ", ".join(dict.fromkeys(rung.encoder for rung in self.rungs))

    def declare(self, width: int, height: int, source_codec: str | None) -> None:
        """Say what is made of pictures of this size, which are in a list themselves where their codec is given."""
        self.declared = True
        chosen = fitting(self._plan, width, height, source_codec=source_codec)
        self.rungs = [self._rung(rung) for rung in chosen if rung.codec in self._encoders]
        self._send(outputs((rung.rung.name, True) for rung in self.rungs))
        for number, made in enumerate(self.rungs):
            self._send(output_format(number, Format(_MADE[made.rung.codec], CLOCK)))
        if len(self.rungs) > 1:
            self._threads = ThreadPoolExecutor(len(self.rungs), "rung")

    def encode(self, frame: Any, *, keyframe: bool) -> None:
        """Encode a picture, whose time is set in ticks of 90 kHz, and send what is ready."""
        picture = _Picture(frame, keyframe)
        if self._threads is None:
            made = [rung.encode(picture) for rung in self.rungs]
        else:
            made = list(self._threads.map(lambda rung: rung.encode(picture), self.rungs))
        for number, units in enumerate(made):
            for unit in units:
                self._send(output_unit(number, unit))

    def handle_break(self) -> None:
        """Say that what follows does not go on from what was made."""
        for number in range(len(self.rungs)):
            self._send(output_break(number))

    def close(self) -> None:
        """Let encoders and threads go."""
        for rung in self.rungs:
            rung.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    def _rung(self, rung: Rung) -> RungEncoder:
        quality = Quality(DECODERS[_MADE[rung.codec]]) if self._plan.measure else None
        return RungEncoder(replace(rung), self._encoders[rung.codec], self._plan, quality)


class KeyframeClock:
    """Says by the clock of the program which pictures are keyframes, so that all rungs have the same. Pure."""

    def __init__(self, every_s: float) -> None:
        self.asked = False
        """The next picture is to be one."""
        self._every = every_s * CLOCK
        self._at: int | None = None

    def begins_group(self, pts: int) -> bool:
        """Whether a picture of this time is one."""
        at = int(pts / self._every)
        begins = at != self._at or self.asked
        self._at, self.asked = at, False
        return begins

    def restart(self) -> None:
        """Have the next picture be one."""
        self._at = None


class VideoJob:
    """A ladder of one source, at its pace.

    Inputs: `handle_format`, `handle_unit`, `handle_break`, `handle_keyframe`. What ``encoders`` and ``send`` are says
    `Ladder`.
    """

    def __init__(self, plan: Plan, encoders: Mapping[str, str], send: Callable[[bytes], None]) -> None:
        self.ladder = Ladder(plan, encoders, send)
        self.decoder = Decoder()
        self._plan = plan
        self._clock = KeyframeClock(plan.keyframe_s)

    @property
    def rungs(self) -> list[RungEncoder]:
        """Its rungs, once the source is known."""
        return self.ladder.rungs

    def handle_format(self, format_: Format) -> None:
        """Take how what follows is coded; raise `UnsupportedError`."""
        self._drain()
        self.decoder.open(format_)

    def handle_unit(self, unit: Unit) -> None:
        """Decode a picture and encode what comes out."""
        for frame in self.decoder.decode(unit):
            self._take(frame)

    def handle_break(self) -> None:
        """Go on with what has nothing to do with what came before."""
        self._drain()
        self._clock.restart()
        self.decoder.reopen()
        self.ladder.handle_break()

    def handle_keyframe(self) -> None:
        """Make the next picture a keyframe."""
        self._clock.asked = True

    def close(self) -> None:
        """Let encoders and threads go."""
        self.ladder.close()

    def _drain(self) -> None:
        for frame in self.decoder.drain():
            self._take(frame)

    def _take(self, frame: Any) -> None:
        if not self.ladder.declared:
            self.ladder.declare(frame.width, frame.height, self.decoder.codec)
        self.ladder.encode(frame, keyframe=self._begins_group(frame.pts))

    def _begins_group(self, pts: int) -> bool:
        """Whether all rungs have a keyframe here: where the source has one, or by the clock of the program."""
        marked = self.decoder.take_mark(pts)
        if self._plan.keeps_source:
            asked, self._clock.asked = self._clock.asked, False
            return marked or asked
        return self._clock.begins_group(pts)
