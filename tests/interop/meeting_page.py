"""The web app's room page in Chromium, driven by what people see: labels, buttons, keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conftest import PATIENCE_S, until
from playwright.sync_api import Locator, Page, expect

PATIENCE_MS = PATIENCE_S * 1000
expect.set_options(timeout=PATIENCE_MS)
OpenPage = Callable[..., Page]
# A shared screen that headless browsers have none of: a drawn one. 640 by 360 tells it from the camera's picture.
SCREEN = """
navigator.mediaDevices.getDisplayMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
  const context = canvas.getContext("2d");
  let count = 0;
  setInterval(() => {
    context.fillStyle = "rgb(240, 240, 235)";
    context.fillRect(0, 0, 640, 360);
    context.fillStyle = "rgb(30, 110, 90)";
    context.fillRect((count++ * 7) % 640, 150, 60, 60);
  }, 66);
  return canvas.captureStream(15);
};
"""
# Pictures that came out of a decoder and were shown, by the label of their video.
FRAMES = """
label => {
  const video = [...document.querySelectorAll("video")].find(one => one.getAttribute("aria-label") === label);
  if (!video) return null;
  const { totalVideoFrames } = video.getVideoPlaybackQuality();
  return { frames: totalVideoFrames, width: video.videoWidth, height: video.videoHeight };
}
"""


class MeetingPage:
    """Somebody in a room, by the web app."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.set_default_timeout(PATIENCE_MS)

    def action(self, name: str) -> Locator:
        return self.page.locator(f"[data-action={name}]")

    def do(self, name: str) -> None:
        """Press one of the buttons below the pictures."""
        self.action(name).click()

    def person(self, identity: str) -> Locator:
        return self.page.locator(f"[data-person='{identity}']")

    def frames(self, label: str) -> dict[str, Any] | None:
        return self.page.evaluate(FRAMES, label)

    def wait_picture(self, label: str, more: int = 10, width: int | None = None) -> dict[str, Any]:
        """Wait until so many further pictures were decoded and shown, and they are as wide as that."""
        first = until(lambda: self.frames(label), f"a video {label}")

        def enough() -> dict[str, Any] | None:
            now = self.frames(label)
            fits = now and (now["width"] > 0 if width is None else now["width"] == width)
            return now if now and fits and now["frames"] >= first["frames"] + more else None

        return until(enough, f"{more} pictures of {label}", PATIENCE_S * 2)

    def wait_people(self, count: int) -> None:
        expect(self.page.locator("[data-person]")).to_have_count(count, timeout=PATIENCE_MS)

    def say(self, words: str) -> None:
        field = self.page.get_by_label("Message", exact=True)
        if not field.is_visible():
            self.do("chat")
        field.fill(words)
        field.press("Enter")

    def wait_heard(self, words: str) -> None:
        if not self.page.locator("[data-message]").first.is_visible() and not self.page.get_by_role("log").is_visible():
            self.do("chat")
        expect(self.page.locator("[data-message]").filter(has_text=words)).to_have_count(1, timeout=PATIENCE_MS)

    def wait_notice(self, words: str) -> None:
        expect(self.page.locator("[data-notice]")).to_contain_text(words, timeout=PATIENCE_MS)


def join(open_page: OpenPage, room: str, name: str, *, moderate: bool = False, script: str = "") -> MeetingPage:
    """A guest of a development server goes through the lobby into a room."""
    page = open_page(f"/room/?room={room}", None, SCREEN, script)
    page.set_default_timeout(PATIENCE_MS)
    page.get_by_label("Your name").fill(name)
    if moderate:
        page.get_by_label("Moderate this room").check()
    page.get_by_role("button", name="Join", exact=True).click()
    page.locator(".meeting").wait_for()
    return MeetingPage(page)


def identity_of(person: MeetingPage) -> str:
    """The identity somebody has in the room."""
    own = person.page.locator("[data-person]").filter(has_text="(you)")
    own.wait_for()
    return str(own.get_attribute("data-person"))
