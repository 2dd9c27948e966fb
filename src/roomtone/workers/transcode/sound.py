"""Sound of one codec into another: AAC or Opus, at 48 kHz, on the times that it came with."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from roomtone.workers.transcode.messages import Codec, Format, Unit, output_break, output_format, output_unit, outputs

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 48_000
STEREO = 2
_TICK = Fraction(1, RATE)
_SLACK = RATE // 200
"""Times that came may differ from the count of samples by 5 ms before they are followed."""
_JUMP = RATE // 2
"""By more than half a second, and what is held is of another time."""
_BPS_A_CHANNEL = 64_000
_DECODERS = {
    Codec.AAC: "aac",
    Codec.OPUS: "opus",
    Codec.MP3: "mp3float",
    Codec.AC3: "ac3",
    Codec.EAC3: "eac3",
    Codec.PCMU: "pcm_mulaw",
    Codec.PCMA: "pcm_alaw",
}
_MADE = {"aac": Codec.AAC, "opus": Codec.OPUS}


class UnsupportedError(Exception):
    """The source cannot be decoded here."""


class Pace:
    """Times of samples that leave, from times of those that come. Pure."""

    def __init__(self) -> None:
        self._comes: int | None = None
        self._leaves = 0

    def come(self, at: int, samples: int) -> bool:
        """Take so many samples of this time; False where they have nothing to do with those held."""
        ahead = 0 if self._comes is None else at - self._comes
        goes_on = self._comes is not None and abs(ahead) <= _JUMP
        if not goes_on:
            self._leaves = at
        elif abs(ahead) > _SLACK:
            self._leaves += ahead
        else:
            at -= ahead
        self._comes = at + samples
        return goes_on

    def leave(self, samples: int) -> int:
        """Give the time of the next samples, so many."""
        at = self._leaves
        self._leaves += samples
        return at


class SoundJob:
    """One source of sound coded anew.

    Inputs: `handle_format`, `handle_unit`, `handle_break`. Output: messages, to ``send``.
    """

    def __init__(self, codec: str, bps: int, send: Callable[[bytes], None]) -> None:
        self.decoded = 0
        self.undecodable = 0
        self.encoded = 0
        self._codec = codec
        self._bps = bps
        self._send = send
        self._source: Format | None = None
        self._decoder: Any = None
        self._encoder: Any = None
        self._channels = 0
        self._resampler: Any = None
        self._held: Any = None
        self._pace = Pace()

    def handle_format(self, format_: Format) -> None:
        """Take how what follows is coded; raise `UnsupportedError`."""
        name = _DECODERS.get(format_.codec)
        if name is None:
            raise UnsupportedError(f"{format_.codec.name} is not decoded here")
        decoder: Any = av.CodecContext.create(name, "r")
        if format_.codec is Codec.AAC:
            decoder.extradata = format_.config
        channels = STEREO if format_.channels >= STEREO or not format_.channels else 1
        if format_.codec in {Codec.OPUS, Codec.PCMU, Codec.PCMA}:
            decoder.sample_rate = format_.clock_rate
            decoder.layout = _layout(channels)
        self._decoder, self._source = decoder, format_
        if self._encoder is None:
            self._open_encoder(channels)
        self._begin_anew()

    def handle_unit(self, unit: Unit) -> None:
        """Decode a frame and encode what is whole by it."""
        if self._decoder is None or self._source is None:
            return
        packet = av.Packet(unit.data)
        packet.pts = packet.dts = unit.pts
        packet.time_base = Fraction(1, self._source.clock_rate)
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError:
            self.undecodable += 1
            return
        at = unit.pts * RATE // self._source.clock_rate
        for frame in frames:
            frame.pts = None
            for resampled in self._resampler.resample(frame):
                self._take(resampled, at)
                at += resampled.samples

    def handle_break(self) -> None:
        """Go on with what has nothing to do with what came before."""
        if self._source is not None:
            self.handle_format(self._source)
            self._send(output_break(0))

    def close(self) -> None:
        """Nothing is left to do."""

    def _take(self, frame: Any, at: int) -> None:
        self.decoded += 1
        if not self._pace.come(at, frame.samples):
            self._held = av.AudioFifo()
        frame.pts = None
        self._held.write(frame)
        size = self._encoder.frame_size
        while self._held.samples >= size:
            whole = self._held.read(size)
            whole.pts, whole.time_base, whole.sample_rate = self._pace.leave(size), _TICK, RATE
            for packet in self._encoder.encode(whole):
                self.encoded += 1
                self._send(output_unit(0, Unit(packet.pts, packet.pts, keyframe=True, data=bytes(packet))))

    def _begin_anew(self) -> None:
        self._held = av.AudioFifo()
        self._pace = Pace()
        self._resampler = av.AudioResampler(self._encoder.format.name, self._encoder.layout.name, RATE)

    def _open_encoder(self, channels: int) -> None:
        encoder: Any = av.CodecContext.create("aac" if self._codec == "aac" else "libopus", "w")
        encoder.sample_rate, encoder.layout = RATE, _layout(channels)
        encoder.format = "fltp" if self._codec == "aac" else "flt"
        encoder.bit_rate = self._bps or _BPS_A_CHANNEL * channels
        encoder.time_base = _TICK
        if self._codec == "aac":
            encoder.flags |= av.codec.context.Flags.global_header
        else:
            encoder.options = {"application": "audio", "frame_duration": "20"}
        encoder.open()
        self._encoder, self._channels = encoder, channels
        config = bytes(encoder.extradata or b"") if self._codec == "aac" else bytes(2)
        self._send(outputs([(self._codec, False)]))
        self._send(output_format(0, Format(_MADE[self._codec], RATE, channels, config)))


def _layout(channels: int) -> str:
    return "stereo" if channels == STEREO else "mono"
