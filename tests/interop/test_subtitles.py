"""Subtitles of a live stream: what FFmpeg sends by RTMP, and what is said by the API, as players read it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from conftest import PATIENCE_S, Server, sign, until
from hls_checker import broken, check_hls
from playwright.sync_api import Page
from test_encoders import FFMPEG, playlist

pytestmark = pytest.mark.timeout(180)
DARKEST, STEP, SHADES = 40, 20, 8
"""Each second of the pictures has its shade, of so many."""
CROWD = 30
"""The rule of equal answers to equal requests."""
STEADY = 8
"""Pictures before and behind one that have its shade: it is compared with its line there, and not where both change."""

SAMPLE = """
window.seen = [];
window.lookAtShades = video => {
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const look = () => {
    context.drawImage(video, 0, 0, 1, 1);
    const line = document.querySelector("[data-subtitles]").textContent;
    window.seen.push([context.getImageData(0, 0, 1, 1).data[0], line]);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
};
"""


def written(seconds: int) -> str:
    """Lines of text as SubRip has them: each second says its number."""
    clock = "{:02}:{:02}:{:02},{:03}"
    lines = []
    for at in range(seconds):
        begin, end = (
            clock.format(at // 3600, at // 60 % 60, at % 60, 0),
            clock.format(at // 3600, at // 60 % 60, at % 60, 900),
        )
        lines.append(f"{at + 1}\n{begin} --> {end}\nsecond {at}\n")
    return "\n".join(lines)


@contextmanager
def encoder(folder: Path, server: Server, name: str, *, text: bool = True) -> Iterator[None]:
    """Publish a shade each second, a tone, and lines of text that say which second it is."""
    lines = folder / f"{name}.srt"
    lines.write_text(written(170))
    shade = f"{DARKEST}+{STEP}*mod(floor(T)\\,{SHADES})"
    # fmt: off
    arguments = [
        "-re", "-f", "lavfi", "-i", f"color=c=black:s=320x180:r=30,geq=lum='{shade}':cb=128:cr=128",
        "-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
        *(["-re", "-i", str(lines), "-map", "2", "-c:s", "text"] if text else []),
        "-map", "0", "-map", "1", "-pix_fmt", "yuv420p", "-g", "60", "-c:v", "libx264", "-preset", "ultrafast",
        "-tune", "zerolatency", "-c:a", "aac", "-max_interleave_delta", "1", "-f", "flv", f"rtmp://{server.ready['rtmp'][0]}/live/{name}",
    ]
    # fmt: on
    with (folder / f"{name}.log").open("wb") as out:
        command = [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "warning", *arguments]
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def multivariant(server: Server, name: str) -> str:
    """Give the multivariant playlist of the stream, or nothing while there is none."""
    answer = httpx.get(f"{server.http}/live/{name}/index.m3u8", timeout=PATIENCE_S)
    return answer.text if answer.is_success else ""


def document(server: Server, name: str, uri: str) -> str:
    answer = httpx.get(f"{server.http}/live/{name}/text1/{uri}", timeout=PATIENCE_S)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/vtt")
    assert answer.text.startswith("WEBVTT\nX-TIMESTAMP-MAP=")
    return answer.text


def lines_of(server: Server, name: str) -> list[str]:
    """Give what all whole segments say, one after the other."""
    text = playlist(server, name, "text1")
    segments = re.findall(r"#EXTINF.*\n(?:#.*\n)*(\S+\.vtt)", text)
    return [line for uri in segments for line in re.findall(r"-->.*\n(.+)", document(server, name, uri))]


@pytest.mark.browser
def test_what_ffmpeg_writes_is_shown_with_its_pictures(
    server: Server, tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    with encoder(tmp_path, server, "spoken"):
        until(lambda: "TYPE=SUBTITLES" in multivariant(server, "spoken"), "subtitles in the list")
        until(lambda: playlist(server, "spoken", "text1").count("#EXTINF") >= 2, "two segments of text")
        page = open_page("/play/?room=spoken", None, SAMPLE)
        page.wait_for_function("document.querySelector('video').currentTime > 0", timeout=PATIENCE_S * 1000)
        page.get_by_label("Subtitles").select_option("text1")
        page.evaluate("lookAtShades(document.querySelector('video'))")
        page.wait_for_function(
            "new Set(seen.map(([, line]) => line).filter(line => line)).size >= 8", timeout=2 * PATIENCE_S * 1000
        )
        seen = page.evaluate("seen")
        said = lines_of(server, "spoken")
    # From the first picture with text on: before, the player had not asked for any.
    first = next(at for at, (_, line) in enumerate(seen) if line)
    compared = [
        ((shade - DARKEST) / STEP, line)
        for before, (shade, line), behind in zip(
            seen[first:], seen[first + STEADY :], seen[first + 2 * STEADY :], strict=False
        )
        if abs(before[0] - shade) < STEP / 4 and abs(behind[0] - shade) < STEP / 4
    ]
    assert len(compared) > 30
    right = sum(
        line.startswith("second ") and abs(int(line.split()[1]) % SHADES - luma(shade)) < 0.5
        for shade, line in compared
    )
    assert right >= 0.9 * len(compared), compared
    numbers = [int(line.split()[1]) for line in said]
    once = list(dict.fromkeys(numbers))
    assert len(once) >= 6
    assert once == list(range(once[0], once[-1] + 1))


def luma(steps: float) -> float:
    """Give the shade's number of what a browser draws of it: video levels are stretched to 255."""
    shown = steps * STEP + DARKEST
    return (shown * 219 / 255 + 16 - DARKEST) / STEP


@pytest.mark.alone
def test_the_checker_finds_no_rule_broken_beside_text(server: Server, tmp_path: Path) -> None:
    with encoder(tmp_path, server, "judged"):
        until(lambda: "TYPE=SUBTITLES" in multivariant(server, "judged"), "subtitles in the list")
        until(lambda: playlist(server, "judged", "text1").count("#EXTINF") >= 2, "two segments of text")
        found = broken(check_hls(f"{server.http}/live/judged/index.m3u8", 8))
    # Who is answered a moment after another may find the next part of the sound reported: what many get at once is
    # judged where a stream has one list.
    found.pop(CROWD, None)
    assert found == {}


def test_what_the_api_says_is_a_rendition_of_its_language(server: Server, tmp_path: Path) -> None:
    url = f"{server.http}/api/v1/streams/told/subtitles"
    headers = {"Authorization": f"Bearer {sign('test', {'room': 'told', 'roomAdmin': True})}"}

    def say(**line: object) -> int:
        return httpx.post(url, headers=headers, json=line, timeout=PATIENCE_S).status_code

    with encoder(tmp_path, server, "told", text=False):
        until(lambda: say(text="good evening", language="en", duration_ms=5_000) == 204, "a stream to say it to")
        assert say(text="x", language="no tag!") == 422
        assert "SUBTITLES" in multivariant(server, "told")
        assert 'LANGUAGE="en"' in multivariant(server, "told")
        until(lambda: "good evening" in lines_of(server, "told"), "what was said in a whole segment")
        # Whoever reads parts has it long before.
        assert say(text="and now", language="en", duration_ms=2_000) == 204

        def in_a_part() -> bool:
            parts = re.findall(r'#EXT-X-PART:.*URI="([^"]+)"', playlist(server, "told", "text1"))
            return any("and now" in document(server, "told", uri) for uri in parts[-4:])

        until(in_a_part, "what was said in a part")
