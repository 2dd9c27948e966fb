"""Pictures and sound through a job, without an engine: what comes out is decoded again."""

from __future__ import annotations

import struct
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest

from roomtone.workers.transcode.controller import OFF, Step
from roomtone.workers.transcode.messages import Codec, Format, Unit
from roomtone.workers.transcode.plan import Plan, Rung
from roomtone.workers.transcode.probe import first_working, works
from roomtone.workers.transcode.quality import psnr, ssim
from roomtone.workers.transcode.sound import RATE, Pace, SoundJob
from roomtone.workers.transcode.video import VideoJob

FPS, GROUP, TICKS = 25, 10, 3600
WIDTH, HEIGHT = 320, 240
TONE_HZ = 1_000


def luma(number: int) -> int:
    return 40 + 4 * (number % 48)


def pictures(codec: str, count: int) -> list[Unit]:
    """Grey pictures, each lighter than the one before, as an encoder gives them."""
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context.time_base, context.framerate, context.gop_size = Fraction(1, 90_000), Fraction(FPS), GROUP
    context.thread_count = 1
    if codec == "libx264":
        context.options = {"preset": "veryfast", "sc_threshold": "0", "bf": "2"}
    else:
        context.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    units = []
    for number in [*range(count), None]:
        frame = None
        if number is not None:
            plane = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
            plane[:HEIGHT] = luma(number)
            frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
            frame.pts = 900_000 + number * TICKS
        units += [Unit(packet.dts, packet.pts, packet.is_keyframe, bytes(packet)) for packet in context.encode(frame)]
    return units


class Sent:
    """What a job has sent, by output."""

    def __init__(self) -> None:
        self.units: dict[int, list[Unit]] = {}
        self.names: list[str] = []

    def __call__(self, message: bytes) -> None:
        kind, body = message[4], message[5:]
        if kind == 16:
            while body:
                self.names.append(body[3 : 3 + body[2]].decode())
                body = body[3 + body[2] :]
        elif kind == 18:
            flags, dts, pts = struct.unpack_from("!Bqq", body, 1)
            self.units.setdefault(body[0], []).append(Unit(dts, pts, bool(flags), body[18:]))


def decoded(units: list[Unit], decoder: str = "h264") -> list[Any]:
    context: Any = av.CodecContext.create(decoder, "r")
    context.thread_count = 1
    frames = []
    for unit in units:
        packet = av.Packet(unit.data)
        packet.pts = packet.dts = unit.pts
        frames += context.decode(packet)
    return frames


def through(plan: Plan, codec: Codec, units: list[Unit]) -> tuple[VideoJob, Sent]:
    sent = Sent()
    job = VideoJob(plan, {"h264": "libx264"}, sent)
    job.handle_format(Format(codec, 90_000))
    for unit in units:
        job.handle_unit(unit)
    job.handle_break()
    job.close()
    return job, sent


def test_rungs_have_the_pictures_times_and_keyframes_of_the_source() -> None:
    plan = Plan(rungs=(Rung(240), Rung(180), Rung(120)), preset="ultrafast")
    units = pictures("libx264", 30)
    _, sent = through(plan, Codec.H264, units)
    assert sent.names == ["v180", "v120"]
    keyframes = {unit.pts for unit in units if unit.keyframe}
    for number, size in enumerate([(240, 180), (160, 120)]):
        made = sent.units[number]
        assert [unit.pts for unit in made] == sorted(unit.pts for unit in units)
        assert {unit.pts for unit in made if unit.keyframe} == keyframes
        frames = decoded(made)
        assert {(frame.width, frame.height) for frame in frames} == {size}
        light = [float(np.mean(frame.to_ndarray(format="yuv420p")[: frame.height])) for frame in frames]
        assert light == pytest.approx([luma(at) for at in range(len(light))], abs=3)


def test_what_is_in_no_list_has_keyframes_by_the_clock_and_one_rung_at_least() -> None:
    plan = Plan(rungs=(Rung(720),), keeps_source=False, preset="ultrafast", keyframe_s=0.5)
    _, sent = through(plan, Codec.VP8, pictures("libvpx", 30))
    assert sent.names == ["v240"]
    keyframes = [unit.pts for unit in sent.units[0] if unit.keyframe]
    # Ten seconds are whole halves of one.
    assert keyframes == [900_000, 900_000 + 13 * TICKS, 900_000 + 25 * TICKS]


def test_rungs_of_hevc_and_av1_have_the_same_pictures_and_keyframes_whatever_their_rate() -> None:
    plan = Plan(rungs=(Rung(240, codec="hevc"), Rung(240, codec="av1")), preset="ultrafast")
    sent = Sent()
    job = VideoJob(plan, {"hevc": "libx265", "av1": "libsvtav1"}, sent)
    job.handle_format(Format(Codec.H264, 90_000))
    units = pictures("libx264", 40)
    for at, unit in enumerate(units):
        if at == 15:
            for rung in job.rungs:
                rung.change(Step(rate=0.5))
        job.handle_unit(unit)
    job.handle_break()
    job.close()
    assert (sent.names, job.ladder.encoder) == (["v240av1", "v240hevc"], "libsvtav1, libx265")
    keyframes = {unit.pts for unit in units if unit.keyframe}
    for number, decoder in enumerate(["libdav1d", "hevc"]):
        made = sent.units[number]
        assert [unit.pts for unit in made] == sorted(unit.pts for unit in units)
        assert {unit.pts for unit in made if unit.keyframe} == keyframes
        frames = decoded(made, decoder)
        light = [float(np.mean(frame.to_ndarray(format="yuv420p")[: frame.height])) for frame in frames]
        assert light == pytest.approx([luma(at) for at in range(len(light))], abs=4)
        assert len(light) > len(made) - 10


def test_pictures_for_rooms_are_in_order_of_a_profile_that_all_have_and_keyframes_when_asked() -> None:
    plan = Plan(rungs=(Rung(1080),), keeps_source=False, preset="ultrafast", keyframe_s=4.0, profile="baseline")
    sent = Sent()
    job = VideoJob(plan, {"h264": "libx264"}, sent)
    job.handle_format(Format(Codec.H264, 90_000))
    for at, unit in enumerate(pictures("libx264", 30)):
        if at == 15:
            job.handle_keyframe()
        job.handle_unit(unit)
    job.close()
    made = sent.units[0]
    assert [unit.pts for unit in made] == [900_000 + at * TICKS for at in range(len(made))]
    keyframes = [at for at, unit in enumerate(made) if unit.keyframe]
    assert (len(keyframes), keyframes[0]) == (2, 0)
    sets = next(nal for nal in made[0].data.split(b"\0\0\1") if nal[0] & 31 == 7)
    assert (sets[1], sets[2] & 0x40) == (66, 0x40), "constrained baseline"


def test_a_rung_is_made_otherwise_while_it_runs() -> None:
    sent = Sent()
    job = VideoJob(Plan(rungs=(Rung(180),), preset="ultrafast"), {"h264": "libx264"}, sent)
    job.handle_format(Format(Codec.H264, 90_000))
    units = pictures("libx264", 60)
    for unit in units[:24]:
        job.handle_unit(unit)
    job.rungs[0].change(Step(rate=0.5, every=2, size=2 / 3))
    for unit in units[24:45]:
        job.handle_unit(unit)
    half = len(sent.units[0])
    smaller = [unit for unit in sent.units[0] if unit.keyframe][-1]
    assert [(frame.width, frame.height) for frame in decoded([smaller, smaller])][:1] == [(160, 120)]
    job.rungs[0].change(OFF)
    for unit in units[45:]:
        job.handle_unit(unit)
    assert len(sent.units[0]) == half
    job.close()


def test_an_encoder_that_does_not_work_is_passed_over_and_says_why() -> None:
    encoder, refused = first_working(("h264_nvenc", "no_such_encoder", "libx264"))
    if works("h264_nvenc") is not None:
        assert encoder == "libx264"
        assert set(refused) == {"h264_nvenc", "no_such_encoder"}
    assert first_working(("no_such_encoder",))[0] is None


def test_equal_pictures_are_equal_and_noise_costs() -> None:
    random = np.random.default_rng(7)
    one = random.integers(0, 255, (64, 64)).astype(np.float64)
    assert (psnr(one, one), ssim(one, one)) == (100, pytest.approx(1))
    other = np.clip(one + random.normal(0, 10, one.shape), 0, 255)
    assert psnr(one, other) == pytest.approx(28.3, abs=0.7)
    assert ssim(one, other) < 0.995


def sound(codec: str) -> tuple[Format, list[Unit]]:
    """A second of a tone."""
    context: Any = av.CodecContext.create(codec, "w")
    context.sample_rate, context.layout, context.time_base = RATE, "stereo", Fraction(1, RATE)
    context.format = "fltp" if codec == "aac" else "flt"
    context.flags |= av.codec.context.Flags.global_header
    context.open()
    size, units = context.frame_size, []
    for at in range(0, RATE, size):
        wave = np.sin(2 * np.pi * TONE_HZ * (at + np.arange(size)) / RATE).astype(np.float32) * 0.3
        shape = np.tile(wave, (2, 1)) if codec == "aac" else np.repeat(wave, 2).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(shape, format=context.format.name, layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 480_000 + at, Fraction(1, RATE)
        units += [Unit(packet.pts, packet.pts, keyframe=True, data=bytes(packet)) for packet in context.encode(frame)]
    kind = Codec.AAC if codec == "aac" else Codec.OPUS
    return Format(kind, RATE, 2, bytes(context.extradata) if codec == "aac" else b""), units


@pytest.mark.parametrize(("source", "made"), [("aac", "opus"), ("libopus", "aac")])
def test_sound_is_the_same_tone_at_the_same_time_in_another_codec(source: str, made: str) -> None:
    sent = Sent()
    job = SoundJob(made, 0, sent)
    format_, units = sound(source)
    job.handle_format(format_)
    for unit in units:
        job.handle_unit(unit)
    assert sent.names == [made]
    out = sent.units[0]
    steps = {b.pts - a.pts for a, b in pairwise(out)}
    assert steps == {960 if made == "opus" else 1024}
    assert abs(out[0].pts - 480_000) < 3_000
    context: Any = av.CodecContext.create("aac" if made == "aac" else "opus", "r")
    if made == "aac":
        context.extradata = b"\x11\x90"
    else:
        context.sample_rate, context.layout = RATE, "stereo"
    heard = np.concatenate(
        [np.ravel(frame.to_ndarray()[0]) for unit in out for frame in context.decode(av.Packet(unit.data))]
    )[RATE // 4 :]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert abs(np.argmax(spectrum) * RATE / len(heard) - TONE_HZ) < 5


def test_times_follow_what_comes_where_that_is_off_and_count_samples_where_it_wavers() -> None:
    pace = Pace()
    assert not pace.come(1_000, 960)
    assert pace.leave(960) == 1_000
    assert pace.come(1_960 + 48, 960)
    assert pace.leave(960) == 1_960
    assert pace.come(2_920 + 480, 960)
    assert pace.leave(960) == 2_920 + 480
    assert not pace.come(100_000, 960)
    assert pace.leave(960) == 100_000
