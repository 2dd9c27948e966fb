"""The publish page by its own controls: what is chosen there is what a viewer decodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import Server, statistic, until, wait_for_statistic
from playwright.sync_api import Page

pytestmark = [pytest.mark.alone, pytest.mark.browser, pytest.mark.timeout(180)]
OpenPage = Callable[..., Page]
RAMP_S = 60
"""How long the sender's bandwidth estimate may take to allow all layers."""

# The tab that is shared: two colours over all of it, which another call replaces.
PAINT = """
([left, right]) => {
  document.querySelector("#painted")?.remove();
  const box = document.createElement("div");
  box.id = "painted";
  box.style = `position:fixed; inset:0; z-index:9; pointer-events:none;
    background:linear-gradient(90deg, ${left} 50%, ${right} 50%)`;
  document.body.append(box);
}
"""
CAPTURED = """
() => {
  const track = document.querySelector("video").srcObject.getVideoTracks()[0];
  const { width, height, displaySurface } = track.getSettings();
  return { size: `${width}x${height}`, displaySurface };
}
"""
# The middle of either half of the picture that is shown, as red, green, blue.
SEEN = """
() => {
  const video = document.querySelector("video"), canvas = document.createElement("canvas");
  const { videoWidth: width, videoHeight: height } = video;
  if (width === 0) return null;
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const at = share => [...context.getImageData(share * width, height / 2, 1, 1).data].slice(0, 3);
  return [at(0.25), at(0.75)];
}
"""
COLOURS = {"#c80000": (200, 0, 0), "#0000c8": (0, 0, 200), "#00c800": (0, 200, 0)}
NEAR = 60
"""Of 255: two colours of the three differ by 200 in two of their parts."""


def is_shown(viewer: Page, *colours: str) -> bool:
    """Whether the halves of the decoded picture have these colours."""
    seen: list[list[int]] | None = viewer.evaluate(SEEN)
    return seen is not None and all(
        abs(part - meant) < NEAR
        for half, colour in zip(seen, colours, strict=True)
        for part, meant in zip(half, COLOURS[colour], strict=True)
    )


def published(server: Server, room: str) -> dict[str, Any]:
    """What the server says of the room's only video track."""
    (track,) = (track for track in server.room(room, "/tracks") if track["kind"] == "video")
    found: dict[str, Any] = track
    return found


def test_a_screen_that_is_shared_is_decoded_in_its_size_and_colours_until_it_ends(
    server: Server, open_page: OpenPage
) -> None:
    publisher = open_page("/publish/?room=screen")
    publisher.get_by_label("Source").select_option(label="Screen")
    publisher.get_by_label("Video codec").select_option(label="VP9")
    publisher.evaluate(PAINT, ["#c80000", "#0000c8"])
    publisher.get_by_role("button", name="Publish", exact=True).click()
    wait_for_statistic(publisher, "video frame rate", "parseFloat(value) > 1")
    captured = publisher.evaluate(CAPTURED)
    assert captured["displaySurface"] == "browser", "the tab itself, no picture that a device draws"

    viewer = open_page("/watch/?room=screen")
    wait_for_statistic(viewer, "video size", f"value === '{captured['size']}'")
    assert wait_for_statistic(viewer, "video codec", "value !== '-' && value !== ''") == "VP9"
    until(lambda: is_shown(viewer, "#c80000", "#0000c8"), "the colours of the screen")
    publisher.evaluate(PAINT, ["#0000c8", "#00c800"])
    until(lambda: is_shown(viewer, "#0000c8", "#00c800"), "its colours after a change")

    # Browsers end the track when who shares says so in the browser's own bar.
    publisher.evaluate(
        "document.querySelector('video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))"
    )
    publisher.get_by_text("The source has ended").wait_for()
    until(lambda: server.identities("screen") == [], "the end of the publication")
    assert publisher.get_by_role("button", name="Publish", exact=True).is_enabled()


def test_three_sizes_chosen_on_the_page_are_sent_and_its_statistics_tell_of_each(
    server: Server, open_page: OpenPage
) -> None:
    publisher = open_page("/publish/?room=sizes&width=960&height=540&fps=15")
    publisher.get_by_label("Source").select_option(label="Test card and tone")
    publisher.get_by_label("Video codec").select_option(label="VP8")
    publisher.get_by_label("Highest bitrate (kbit/s)").fill("900")
    publisher.get_by_label("Simulcast, three sizes").check()
    publisher.get_by_role("button", name="Publish", exact=True).click()
    for rid, size in (("q", "240x135"), ("h", "480x270"), ("f", "960x540")):
        wait_for_statistic(publisher, f"video ({rid}) size", f"value === '{size}'", RAMP_S)
        wait_for_statistic(publisher, f"video ({rid}) bitrate", "parseFloat(value) > 5", RAMP_S)
        assert statistic(publisher, f"video ({rid}) codec") == "VP8"
    assert published(server, "sizes")["rids"] == ["q", "h", "f"]
    viewer = open_page("/watch/?room=sizes")
    wait_for_statistic(viewer, "video size", "value === '960x540'", RAMP_S)
    assert publisher.get_by_label("Source").is_disabled(), "what is sent cannot be chosen anew while it is"
    publisher.get_by_role("button", name="Stop", exact=True).click()
    publisher.get_by_text("Not publishing").wait_for()
    until(lambda: server.identities("sizes") == [], "the end of the publication")
