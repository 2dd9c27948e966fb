"""What is played on hold: the tune, nothing, or files; those that cannot be played are refused at the start."""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from roomtone.app.errors import StartError
from roomtone.app.hold_music import hold_music
from roomtone.control.calls import melody
from roomtone.media.values import MixerClip


def write_wav(path: Path, rate_hz: int, channels: int = 1, seconds: int = 2) -> Path:
    samples = [round(8_000 * math.sin(2 * math.pi * 440 * at / rate_hz)) for at in range(seconds * rate_hz)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(b"".join(struct.pack("<h", sample) * channels for sample in samples))
    return path


def encode(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        for start in range(0, 2 * 48_000, 960):
            turn = 2 * np.pi * 440 / 48_000
            samples = (8_000 * np.sin(turn * np.arange(start, start + 960))).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48_000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def pitch(clip: MixerClip) -> float:
    samples = np.frombuffer(clip.samples, np.int16)[: clip.rate_hz].astype(float)
    return float(np.abs(np.fft.rfft(samples)).argmax()) * clip.rate_hz / len(samples)


def test_the_tune_and_nothing() -> None:
    assert hold_music("melody") == melody()
    assert hold_music("off") is None


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_a_wav_file_is_played_as_it_is(tmp_path: Path, rate_hz: int) -> None:
    clip = hold_music(str(write_wav(tmp_path / "a.wav", rate_hz)))
    assert isinstance(clip, MixerClip)
    assert (clip.rate_hz, len(clip.samples), clip.repeat) == (rate_hz, 4 * rate_hz, True)


@pytest.mark.parametrize("what", ["stereo", "44100", "libopus", "libmp3lame"])
def test_other_files_are_decoded(tmp_path: Path, what: str) -> None:
    match what:
        case "stereo":
            path = write_wav(tmp_path / "a.wav", 16_000, channels=2)
        case "44100":
            path = write_wav(tmp_path / "a.wav", 44_100)
        case "libopus":
            path = encode(tmp_path / "a.opus", what)
        case _:
            path = encode(tmp_path / "a.mp3", what)
    clip = hold_music(str(path))
    assert isinstance(clip, MixerClip)
    assert clip.rate_hz == 16_000
    assert abs(len(clip.samples) / 2 / 16_000 - 2) < 0.1
    assert abs(pitch(clip) - 440) < 3


def test_five_minutes_are_enough(tmp_path: Path) -> None:
    clip = hold_music(str(write_wav(tmp_path / "long.wav", 8_000, seconds=310)))
    assert isinstance(clip, MixerClip)
    assert len(clip.samples) == 2 * 8_000 * 300


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_what_cannot_be_played_stops_the_start_and_says_why(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "music.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StartError, match=r"sip\.hold_music"):
        hold_music(str(path))
