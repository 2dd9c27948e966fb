"""The publisher: what is due is drawn, encoded, packed and handed to a send function. Time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.workers.testcard.coders import OpusEncoder, Vp8Encoder
from roomtone.workers.testcard.picture import FPS, TestCard
from roomtone.workers.testcard.rtcp import asks_for_keyframe, goodbye, sender_report
from roomtone.workers.testcard.rtp import RtpStream, vp8_payloads
from roomtone.workers.testcard.tone import FRAME_SAMPLES, RATE, tone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

VIDEO_CLOCK = 90_000
REPORT_INTERVAL_S = 1.0
KEYFRAME_PAUSE_S = 0.5
"""Least time between two keyframes that were asked for."""

MAX_LATE_S = 0.5
"""Further behind than this, frames are skipped instead of sent in a rush."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """RTP or RTCP of the stream with this SSRC."""

    ssrc: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamNumbers:
    """What the receiver has to know to route our streams."""

    video_ssrc: int
    video_payload_type: int
    audio_ssrc: int
    audio_payload_type: int
    cname: str


class Publisher:
    """Picture and tone as RTP.

    Inputs: `handle_rtcp`. Outputs: `poll` gives the datagrams due at ``now`` (seconds of any steady clock);
    `next_timeout` is when more is due. ``wall_s`` is the time of day that goes into the picture and the reports.
    """

    def __init__(self, numbers: StreamNumbers, now: float, random: Random) -> None:
        self.keyframes = 0
        self._numbers = numbers
        self._card = TestCard()
        self._video_encoder = Vp8Encoder(self._card.width, self._card.height)
        self._audio_encoder = OpusEncoder()
        self._video = RtpStream(numbers.video_ssrc, numbers.video_payload_type, random.randrange(1 << 15))
        self._audio = RtpStream(numbers.audio_ssrc, numbers.audio_payload_type, random.randrange(1 << 15))
        self._video_offset = random.randrange(1 << 31)
        self._audio_offset = random.randrange(1 << 31)
        self._picture_id = random.randrange(1 << 15)
        self._start = now
        self._frame = 0
        self._block = 0
        self._report_at = now
        self._keyframe_wanted = True
        self._keyframe_allowed_at = now

    def handle_rtcp(self, data: bytes) -> None:
        """Take a datagram from the receiver; a PLI or FIR makes the next frame a keyframe."""
        if asks_for_keyframe(data, self._numbers.video_ssrc):
            self._keyframe_wanted = True

    def next_timeout(self) -> float:
        """When `poll` has something again."""
        return min(self._frame_at(), self._block_at(), self._report_at)

    def poll(self, now: float, wall_s: float) -> Iterator[Datagram]:
        """Give all datagrams that are due."""
        self._skip_what_is_too_late(now)
        while self._block_at() <= now:
            yield from self._next_block()
        while self._frame_at() <= now:
            yield from self._next_frame(now, wall_s)
        if self._report_at <= now:
            self._report_at = now + REPORT_INTERVAL_S
            yield from self._reports(now, wall_s)

    def close(self) -> Iterator[Datagram]:
        """Give the goodbyes."""
        for stream in (self._video, self._audio):
            yield Datagram(stream.ssrc, goodbye(stream))

    def _frame_at(self) -> float:
        return self._start + self._frame / FPS

    def _block_at(self) -> float:
        return self._start + self._block * FRAME_SAMPLES / RATE

    def _skip_what_is_too_late(self, now: float) -> None:
        if now - self._frame_at() > MAX_LATE_S:
            self._frame = int((now - self._start) * FPS)
        if now - self._block_at() > MAX_LATE_S:
            self._block = int((now - self._start) * RATE / FRAME_SAMPLES)

    def _next_frame(self, now: float, wall_s: float) -> Iterator[Datagram]:
        keyframe = self._keyframe_wanted and now >= self._keyframe_allowed_at
        card = self._card.frame(wall_s, int(wall_s % 1 * FPS))
        coded = self._video_encoder.encode(card, self._frame, keyframe=keyframe)
        timestamp = self._video_offset + self._frame * VIDEO_CLOCK // FPS
        self._frame += 1
        if not coded:
            return
        if keyframe:
            self.keyframes += 1
            self._keyframe_wanted = False
            self._keyframe_allowed_at = now + KEYFRAME_PAUSE_S
        payloads = vp8_payloads(coded, self._picture_id)
        self._picture_id += 1
        for number, payload in enumerate(payloads, start=1):
            last = number == len(payloads)
            yield Datagram(self._video.ssrc, self._video.packet(payload, timestamp, marker=last))

    def _next_block(self) -> Iterator[Datagram]:
        first = self._block * FRAME_SAMPLES
        self._block += 1
        for coded in self._audio_encoder.encode(tone(first), first):
            # RFC 7587 section 4.2: the marker is for the first packet after silence, which we never have.
            packet = self._audio.packet(coded, self._audio_offset + first, marker=False)
            yield Datagram(self._audio.ssrc, packet)

    def _reports(self, now: float, wall_s: float) -> Iterator[Datagram]:
        elapsed = now - self._start
        for stream, offset, clock in (
            (self._video, self._video_offset, VIDEO_CLOCK),
            (self._audio, self._audio_offset, RATE),
        ):
            if stream.packets:
                timestamp = offset + int(elapsed * clock)
                yield Datagram(stream.ssrc, sender_report(stream, self._numbers.cname, wall_s, timestamp))
