"""Pages with `mediasoup-client` in them, built from `web/peers` when that is newer than what was built."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import PATIENCE_S, Server, sign, until
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (ROOT / "web" / "peers", ROOT / "web" / "src" / "webrtc")
BUNDLE = ROOT / "artefacts" / "peers" / "mediasoup.js"
OpenPage = Callable[..., Page]


def bundle() -> Path:
    """The client in one script."""
    newest = max(source.stat().st_mtime for folder in SOURCES for source in folder.iterdir())
    if not BUNDLE.exists() or BUNDLE.stat().st_mtime < newest:
        command = ["npx", "vite", "build", "--config", "vite.peers.config.ts", "--logLevel", "warn"]
        subprocess.run(command, cwd=ROOT / "web", check=True, capture_output=True, timeout=120)
    return BUNDLE


class MediasoupPage:
    """One client in one page; `peer` is the client object in it."""

    def __init__(self, page: Page, server: Server, room: str, identity: str, *, http: str | None = None) -> None:
        self.page = page
        self.room = room
        self.identity = identity
        page.add_script_tag(path=str(bundle()))
        grants = {"roomJoin": True, "room": room}
        token = sign(identity, grants)
        opened = "bySocket(url, token, room)" if http is None else "byHttp(url, token, room, identity)"
        self.run(
            f"async ({{ url, token, room, identity }}) => {{ window.peer = await {opened}; }}",
            {"url": http or server.http, "token": token, "room": room, "identity": identity},
        )

    def run(self, script: str, argument: Any = None) -> Any:
        """Evaluate a function in the page."""
        return self.page.evaluate(script, argument)

    def ask(self, event: str, **content: Any) -> dict[str, Any]:
        """Send an event and give its answer."""
        return self.run("([event, content]) => peer.ask(event, content)", [event, content])

    def join(self) -> dict[str, Any]:
        return self.run("() => peer.join()")

    def publish(self, **options: Any) -> list[str]:
        """Publish a test card and a tone; gives the producers' ids, video and then audio."""
        given = {"width": 320, "height": 180, "frameRate": 15} | options
        return self.run("options => peer.publish(options)", given)

    def consume(self, producer: str, **content: Any) -> str:
        return self.run("([id, content]) => peer.consume(id, content)", [producer, content])

    def received(self, consumer: str) -> dict[str, Any]:
        return self.run("id => peer.received(id)", consumer)

    def heard(self, event: str) -> list[dict[str, Any]]:
        """What the server has told of this event, by Socket.IO."""
        script = "name => peer.signalling.heard.filter(one => one.event === name).map(one => one.content)"
        return self.run(script, event)

    def wait_heard(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        return until(lambda: len(told := self.heard(event)) >= count and told, f"{count} {event}")

    def wait_frames(self, consumer: str, more: int = 10, size: tuple[int, int] | None = None) -> dict[str, Any]:
        """Wait for so many further decoded pictures, of a size if one is named; gives the statistics then."""
        before = self.received(consumer).get("framesDecoded", 0)

        def enough() -> Any:
            now = self.received(consumer)
            fits = size is None or (now.get("frameWidth"), now.get("frameHeight")) == size
            return now if now.get("framesDecoded", 0) >= before + more and fits else None

        return until(enough, f"{more} pictures of {size}", PATIENCE_S * 1.5)

    def wait_sound(self, consumer: str) -> dict[str, Any]:
        """Wait for a tone to be heard."""

        def heard() -> Any:
            now = self.received(consumer)
            return now if now.get("totalAudioEnergy", 0) > 0.001 else None

        return until(heard, "a tone")
