"""A viewer's line that a test narrows and widens while media flows: a relay between the page and the server."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from conftest import PATIENCE_S, Server, token
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roomtone"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")
OFFER = ROOT / "tests/vectors/sdp/chromium-watch.sdp"

# In a page that is opened with `?relay=HOST:PORT`, answers name the relay as the only candidate.
REWRITE = """
(() => {
  const relay = new URLSearchParams(location.search).get("relay");
  if (relay === null) return;
  const [host, port] = relay.split(":"), send = window.fetch;
  const candidate = `a=candidate:1 1 udp 2130706431 ${host} ${port} typ host\\r\\n`;
  window.fetch = async (url, options) => {
    const answer = await send(url, options);
    if (answer.headers.get("Content-Type") !== "application/sdp") return answer;
    const sdp = (await answer.text()).replace(/a=candidate:.*\\r\\n/g, "");
    const changed = sdp.replace(/a=end-of-candidates\\r\\n/g, candidate + "a=end-of-candidates\\r\\n");
    return new Response(changed, { status: answer.status, headers: answer.headers });
  };
})();
"""

# Every 100 ms what the viewer decodes; and every gap between two pictures shown.
WATCHER = """
() => {
  const samples = window.samples = [], gaps = window.gaps = [], video = document.querySelector("video");
  let shown = null;
  const onPicture = now => {
    if (shown !== null) gaps.push([now, now - shown]);
    shown = now;
    video.requestVideoFrameCallback(onPicture);
  };
  video.requestVideoFrameCallback(onPicture);
  setInterval(async () => {
    const reports = [...(await peers.at(-1).getStats()).values()];
    const one = reports.find(report => report.type === "inbound-rtp" && report.kind === "video");
    if (one) samples.push({ at: performance.now(), width: one.frameWidth ?? 0, decoded: one.framesDecoded,
      freezes: one.freezeCount, frozen: one.totalFreezesDuration, fps: one.framesPerSecond ?? 0,
      bytes: one.bytesReceived, lost: one.packetsLost, keyframes: one.keyFramesDecoded });
  }, 100);
}
"""


@dataclass
class Line:
    """A running relay."""

    process: subprocess.Popen[str]
    address: str

    def shape(self, **settings: float | str) -> None:
        """Change what comes down to the viewer."""
        words = " ".join(f"{key}={value}" for key, value in settings.items())
        assert self._say(f"down {words}") == "done"

    def up(self, **settings: float | str) -> None:
        """Change what goes up to the server."""
        words = " ".join(f"{key}={value}" for key, value in settings.items())
        assert self._say(f"up {words}") == "done"

    def counters(self) -> str:
        """What both directions have done, for the failure's message."""
        return self._say("counters")

    def _say(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextmanager
def line_to(server: Server, room: str, seed: int = 1) -> Iterator[Line]:
    """A line to the media port that serves a live room; 25 ms each way, as wide as the machine until it is shaped."""
    build = ["cargo", "build", "--quiet", "-p", "roomtone-relay"]
    subprocess.run(build, cwd=ROOT, check=True, env={**os.environ, "CARGO_TARGET_DIR": str(TARGET)})
    process = subprocess.Popen(
        [str(TARGET / "debug/roomtone-relay"), media_address(server, room), str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = Line(process, process.stdout.readline().strip())
    line.shape(delay_ms=25, queue_ms=200)
    line.up(delay_ms=25)
    try:
        yield line
    finally:
        process.communicate("", timeout=PATIENCE_S)


def media_address(server: Server, room: str) -> str:
    """Where a room's media is, as every viewer is told: each shard has a port of its own."""
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {token(room, 'scout')}"}
    url = f"{server.http}/whep/{room}"
    answer = httpx.post(url, content=OFFER.read_text(), headers=headers, timeout=PATIENCE_S)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    httpx.delete(str(httpx.URL(url).join(answer.headers["Location"])), headers=headers, timeout=PATIENCE_S)
    found = re.search(r"a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+)", answer.text, re.IGNORECASE)
    assert found is not None, answer.text
    return f"{found[1]}:{found[2]}"


@dataclass
class Seen:
    """What a viewer has seen so far."""

    samples: list[dict[str, Any]]
    gaps: list[tuple[float, float]]
    now: float

    @classmethod
    def of(cls, viewer: Page) -> Seen:
        return cls(**viewer.evaluate("() => ({ samples, gaps, now: performance.now() })"))

    def since(self, at: float) -> list[dict[str, Any]]:
        return [sample for sample in self.samples if sample["at"] >= at]

    def longest_gap(self, since: float) -> float:
        """The longest time, in ms, without a new picture on the screen."""
        after = [(at, gap) for at, gap in self.gaps if at >= since]
        last = after[-1][0] if after else since
        return max([gap for _, gap in after] + [self.now - last])
