"""What is heard on hold, as the settings say: the built-in tune, a file, or nothing."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TYPE_CHECKING

from roomtone.app.errors import StartError
from roomtone.control.calls import melody
from roomtone.media.values import MixerClip

if TYPE_CHECKING:
    from roomtone.media.values import MixerSource

MAX_SECONDS = 300
"""Of a file: what is on hold is given all of it."""
_RATES_HZ = (8_000, 16_000, 24_000, 48_000)
_DECODED_HZ = 16_000
_BYTES = 2


def hold_music(setting: str) -> MixerSource | None:
    """Give what is to be played, None for nothing; raise `StartError` for a file that cannot be played."""
    match setting:
        case "melody":
            return melody()
        case "off":
            return None
        case _:
            return _clip(Path(setting))


def _clip(path: Path) -> MixerClip:
    try:
        found = _wav(path) if path.suffix.lower() == ".wav" else None
        rate_hz, samples = found or _decoded(path)
    except OSError as error:
        raise StartError(f"sip.hold_music: {error}") from error
    if not samples:
        raise StartError(f"sip.hold_music: {path} has no sound")
    return MixerClip(rate_hz=rate_hz, samples=samples[: MAX_SECONDS * rate_hz * _BYTES], repeat=True)


def _wav(path: Path) -> tuple[int, bytes] | None:
    """Read a WAV file that can be played as it is; None for one that is to be decoded."""
    try:
        with wave.open(str(path), "rb") as file:
            fits = file.getnchannels() == 1 and file.getsampwidth() == _BYTES and file.getframerate() in _RATES_HZ
            return (file.getframerate(), file.readframes(file.getnframes())) if fits else None
    except (wave.Error, EOFError):
        return None


def _decoded(path: Path) -> tuple[int, bytes]:
    """Decode a file in whatever format FFmpeg knows, Opus and MP3 among them."""
    try:
        import av  # noqa: PLC0415 - an extra that only such files need
    except ImportError as error:
        raise StartError(
            f"sip.hold_music: {path} needs PyAV to be decoded: install roomtone[testcard], or give a WAV file with one"
            " channel of 16 bits at 8, 16, 24 or 48 kHz"
        ) from error
    try:
        with av.open(str(path)) as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=_DECODED_HZ)
            parts: list[bytes] = []
            size = 0
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    parts.append(bytes(piece.planes[0])[: piece.samples * _BYTES])
                    size += len(parts[-1])
                if size > MAX_SECONDS * _DECODED_HZ * _BYTES:
                    break
    except (av.FFmpegError, IndexError) as error:
        raise StartError(f"sip.hold_music: {path} cannot be played: {error}") from error
    return _DECODED_HZ, b"".join(parts)
