#!/usr/bin/env python3
"""Take the pictures in docs/pictures of the web app, in Chromium, from a server of its own: people are drawn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
SETTINGS = {
    "ROOMTONE_HTTP__LISTEN": "127.0.0.1:0",
    "ROOMTONE_HTTP__TLS_LISTEN": "127.0.0.1:0",
    "ROOMTONE_METRICS__LISTEN": "127.0.0.1:0",
    "ROOMTONE_WEBRTC__PORTS": "0",
    "ROOMTONE_PLAIN__PORTS": "0",
    "ROOMTONE_LOG__FORMAT": "json",
}
WIDTH = 1024
COLOURS = 200
CHARTS_FILL_MS = 60_000
PEOPLE = {
    "Ada Lovelace": ("#d8c3a5", "#8e8d7a", "#3c2f2f", "#2f5d62"),
    "Grace Hopper": ("#a8c6df", "#5f7f95", "#b0967a", "#7a3b46"),
    "Alan Turing": ("#b9dcc0", "#6f9c86", "#1f1a17", "#3f4a56"),
}
CAMERA = """
(([wall, shade, hair, coat]) => {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const drawn = draw => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 720 });
    const to = canvas.getContext("2d");
    let count = 0;
    setInterval(() => draw(to, count++), 66);
    return canvas.captureStream(15);
  };
  const shape = (to, colour, x, y, w, h) => {
    to.fillStyle = colour;
    to.beginPath();
    to.ellipse(x, y, w, h, 0, 0, Math.PI * 2);
    to.fill();
  };
  const person = (to, count) => {
    const sway = 8 * Math.sin(count / 20);
    const light = to.createLinearGradient(0, 0, 1280, 720);
    light.addColorStop(0, wall);
    light.addColorStop(1, shade);
    to.fillStyle = light;
    to.fillRect(0, 0, 1280, 720);
    shape(to, coat, 640, 740, 300, 260);
    shape(to, hair, 640 + sway, 270, 145, 150);
    shape(to, "#e3b48a", 640 + sway, 330, 120, 150);
  };
  const slide = (to, count) => {
    to.fillStyle = "#ffffff";
    to.fillRect(0, 0, 1280, 720);
    to.fillStyle = "#16211d";
    to.font = "600 46px sans-serif";
    to.fillText("Where a packet goes", 80, 110);
    ["publisher", "shard", "viewers"].forEach((word, place) => {
      to.fillStyle = ["#2458c5", "#1f7a5c", "#b9770e"][place];
      to.beginPath();
      to.roundRect(80 + place * 400, 280, 300, 140, 20);
      to.fill();
      to.fillStyle = "#ffffff";
      to.font = "30px sans-serif";
      to.fillText(word, 130 + place * 400, 360);
    });
    to.fillStyle = "#57625c";
    to.fillRect(390, 347, 80, 6);
    to.fillRect(790, 347, 80, 6);
    to.fillRect(80, 600, 40 + (count * 3) % 400, 6);
  };
  navigator.mediaDevices.getUserMedia = async wanted => {
    const stream = wanted.audio ? await real({ audio: wanted.audio }) : new MediaStream();
    if (wanted.video) stream.addTrack(drawn(person).getVideoTracks()[0]);
    return stream;
  };
  navigator.mediaDevices.getDisplayMedia = async () => drawn(slide);
})
"""


@contextmanager
def serving() -> Iterator[str]:
    """Run a server with the demo room; gives its address."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "roomtone", "serve", "--dev", "--demo", "--data-dir", folder]
        environment = {**os.environ, **SETTINGS}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        try:
            yield _address(process)
        finally:
            process.terminate()
            process.wait()


def _address(process: subprocess.Popen[str]) -> str:
    for line in process.stdout or ():
        if line.startswith("{") and (event := json.loads(line)).get("event") == "ready":
            return f"http://{event['http'][0]}"
    raise SystemExit("the server did not become ready")


def open_page(browser: Browser, url: str, script: str = "", height: int = 640) -> Page:
    """Open a page of a dark desktop."""
    context = browser.new_context(
        color_scheme="dark", viewport={"width": WIDTH, "height": height}, permissions=["camera", "microphone"]
    )
    if script:
        context.add_init_script(script)
    page = context.new_page()
    page.goto(url)
    return page


def join(browser: Browser, server: str, name: str) -> Page:
    """Let somebody come into the meeting."""
    script = f"({CAMERA})({json.dumps(PEOPLE[name])});"
    page = open_page(browser, f"{server}/room/?room=team", script)
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Join", exact=True).click()
    page.locator(".meeting").wait_for()
    return page


def say(page: Page, words: str) -> None:
    """Write into the chat."""
    field = page.get_by_label("Message", exact=True)
    if not field.is_visible():
        page.locator("[data-action=chat]").click()
    field.fill(words)
    field.press("Enter")
    page.locator("[data-message]").filter(has_text=words).wait_for()


def take(page: Page, name: str, *, whole: bool = False) -> None:
    """Take a picture, with as many colours as it needs."""
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, full_page=whole)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)


def main() -> None:
    """Take all pictures."""
    with serving() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        ada, grace, alan = (join(browser, server, name) for name in PEOPLE)
        say(grace, "Good morning!")
        say(ada, "Hello Grace")
        say(alan, "Can you see my slide?")
        grace.locator("[data-action=hand]").click()
        alan.locator("[data-action=share]").click()
        ada.locator("[data-screen] video").wait_for()
        ada.locator("[data-hand]").first.wait_for()
        watch = open_page(browser, f"{server}/watch/?room=demo", height=900)
        watch.get_by_text("Live.").wait_for()
        dashboard = open_page(browser, f"{server}/account/?next=/dashboard/?room=team", height=1000)
        dashboard.get_by_label("User name or mail address").fill("admin")
        dashboard.get_by_label("Password", exact=True).fill("secret")
        dashboard.get_by_role("button", name="Sign in", exact=True).click()
        dashboard.locator("[data-track]").first.wait_for()
        dashboard.wait_for_timeout(CHARTS_FILL_MS)
        take(ada, "meeting")
        take(watch, "watch")
        take(dashboard, "dashboard")
        browser.close()


if __name__ == "__main__":
    main()
