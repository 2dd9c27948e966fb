"""Sound of a live stream is shifted against its pictures: seen and heard by who plays its lists."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from conftest import PATIENCE_S, Server, sign, until
from test_encoders import AAC, FFMPEG, playlist, rtmp

pytestmark = [pytest.mark.timeout(240), pytest.mark.long]
FLASH_S = 0.2
PICTURES = f"color=c=gray:s=160x120:r=50,geq=lum='if(lt(mod(T,1),{FLASH_S}),220,20)':cb=128:cr=128"
BEEPS = f"aevalsrc='if(lt(mod(t,1),{FLASH_S}),0.5*sin(2*PI*1000*t),0)':s=48000"
WINDOW = 240
"""Samples, 5 ms, over which it is heard whether there is a beep."""


@contextmanager
def flashes_and_beeps(log: Path, url: str) -> Iterator[None]:
    """FFmpeg that publishes a flash and a beep at each second."""
    # fmt: off
    arguments = (
        "-re", "-f", "lavfi", "-i", PICTURES, "-re", "-f", "lavfi", "-i", BEEPS, "-pix_fmt", "yuv420p", "-ac", "2",
        *AAC, "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "50", "-f", "flv", url,
    )
    # fmt: on
    with log.open("wb") as out:
        process = subprocess.Popen(
            [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "warning", *arguments], stdout=out, stderr=out
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()


def onsets(at: list[float], loud: list[bool]) -> list[float]:
    """Times at which something begins."""
    return [at[index] for index in range(1, len(at)) if loud[index] and not loud[index - 1]]


def sound_behind_pictures_ms(url: str) -> float:
    """Play the newest segment and what follows; how much later beeps are heard than flashes are seen."""
    seen_at, light, heard_at, loud = list[float](), list[bool](), list[float](), list[bool]()
    with av.open(url, options={"live_start_index": "-1"}, timeout=PATIENCE_S) as played:
        for frame in played.decode(video=0, audio=0):
            if isinstance(frame, av.VideoFrame):
                seen_at.append(frame.time)
                light.append(float(np.mean(frame.to_ndarray(format="gray"))) > 100)
            else:
                samples = frame.to_ndarray()[0]
                for begin in range(0, len(samples) - WINDOW + 1, WINDOW):
                    heard_at.append(frame.time + begin / frame.sample_rate)
                    loud.append(float(np.abs(samples[begin : begin + WINDOW]).mean()) > 0.05)
            if len(onsets(seen_at, light)) >= 4 and len(onsets(heard_at, loud)) >= 5:
                break
    heard = onsets(heard_at, loud)
    apart = [min((beep - flash for beep in heard), key=abs) for flash in onsets(seen_at, light)[:4]]
    return 1000 * statistics.median(apart)


def sync(server: Server, name: str, offset_ms: int | None = None) -> Any:
    """Read how a stream lies, or shift its sound."""
    headers = {"Authorization": f"Bearer {sign('test', {'roomAdmin': True, 'room': name})}"}
    url = f"{server.http}/api/v1/streams/{name}/sync"
    if offset_ms is None:
        answer = httpx.get(url, headers=headers, timeout=PATIENCE_S)
    else:
        answer = httpx.put(url, json={"audio_offset_ms": offset_ms}, headers=headers, timeout=PATIENCE_S)
    assert answer.is_success, answer.text
    return answer.json()


def shift(server: Server, name: str) -> float:
    """How much later sound is placed now."""
    (sound,) = (track for track in sync(server, name)["tracks"] if track["kind"] == "audio")
    return float(sound["shift_ms"])


def test_beeps_come_as_much_later_than_flashes_as_an_operator_says(server: Server, tmp_path: Path) -> None:
    url = f"{server.http}/live/beeps/index.m3u8"
    with flashes_and_beeps(tmp_path / "log", rtmp(server, "beeps")):
        until(lambda: playlist(server, "beeps").count("#EXTINF") >= 2, "two segments")
        before = sound_behind_pictures_ms(url)
        assert abs(before) < 60
        asked = sync(server, "beeps", 150)
        assert asked["audio_offset_ms"] == 150
        until(lambda: shift(server, "beeps") == 150, "sound where it is wanted")
        assert sync(server, "beeps")["av_offset_ms"] == 150
        segments = playlist(server, "beeps").count("#EXTINF")
        until(lambda: playlist(server, "beeps").count("#EXTINF") >= segments + 2, "segments behind that")
        after = sound_behind_pictures_ms(url)
        print(f"sound behind pictures: {before:.0f} ms, and then {after:.0f} ms")  # noqa: T201 - a figure to look at
        assert after - before == pytest.approx(150, abs=30)
        sync(server, "beeps", -100)
        until(lambda: shift(server, "beeps") == -100, "sound where it is wanted then")
        segments = playlist(server, "beeps").count("#EXTINF")
        until(lambda: playlist(server, "beeps").count("#EXTINF") >= segments + 2, "segments behind that")
        assert sound_behind_pictures_ms(url) - before == pytest.approx(-100, abs=30)
        assert "GAP" not in playlist(server, "beeps", "audio")
        assert "#EXT-X-DISCONTINUITY\n" not in playlist(server, "beeps", "audio")
        found = sync(server, "beeps")
        assert found["discontinuities"] == 0
        assert all(track["shared_clock"] and track["tied"] for track in found["tracks"])
