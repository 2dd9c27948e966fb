"""The dashboard's charts are true: they show what the API says, and that is what browsers and sockets have sent."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from account_page import look, sign_in
from conftest import Server, until
from meeting_page import OpenPage
from plain_peer import OPUS, Packet, stream
from playwright.sync_api import Page

pytestmark = [pytest.mark.alone, pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.long]
RAMP_S = 60
"""How long the sender's bandwidth estimate may take to allow all layers."""
LOST_OF = 10
"""One of so many packets is never sent."""
# Of a track's charts the newest value of each line, and how high above the base line its end is drawn.
DRAWN = """
track => Object.fromEntries([...document.querySelectorAll(`[data-track='${track}'] [data-series]`)].map(line => {
  const path = line.querySelector(".line")?.getAttribute("d") ?? "";
  const height = line.ownerSVGElement.viewBox.baseVal.height;
  return [line.dataset.series, { last: Number(line.dataset.last), path, base: height - 4 }];
}))
"""
SENT = """
async () => {
  const reports = [...(await peers.at(-1).getStats()).values()];
  const sent = reports.filter(report => report.type === "outbound-rtp" && report.kind === "video");
  return sent.reduce((all, report) => all + report.packetsSent, 0);
}
"""


def reports_of(told: dict[str, Any], track: str) -> list[dict[str, Any]]:
    """The reports of a track in an answer about statistics."""
    return next(p["tracks"][track] for p in told["participants"] if track in p["tracks"])


def bitrates(reports: list[dict[str, Any]], rids: list[str]) -> dict[str, float]:
    """What the lines of a track must end in."""
    (whole,) = (one["bitrate"] for one in reports if one["type"] == "inbound-rtp" and "encoding" not in one)
    each = {rids[one["encoding"]]: one["bitrate"] for one in reports if "encoding" in one}
    return {"in all": whole, **each}


def drawn_as_told(page: Page, track: str, rids: list[str]) -> dict[str, float] | None:
    """Bitrates, when the page shows those of the answer it has just got; another may have come meanwhile."""
    with page.expect_response(re.compile("/statistics$")) as answer:
        pass
    wanted = bitrates(reports_of(answer.value.json(), track), rids)
    drawn = page.evaluate(DRAWN, track)
    if {name: line["last"] for name, line in drawn.items() if name in wanted} != wanted:
        return None
    heights = {name: drawn[name]["base"] - float(drawn[name]["path"].rpartition(",")[2]) for name in wanted}
    scale = heights["in all"] / wanted["in all"]
    assert all(abs(heights[name] - rate * scale) < 0.01 for name, rate in wanted.items()), (heights, wanted)
    return wanted


def test_bitrates_and_layers_of_simulcast_are_those_sent(server: Server, open_page: OpenPage) -> None:
    room, rids = "charted", ["q", "h", "f"]
    query = "source=testcard&codec=VP8&width=960&height=540&fps=15&simulcast=1&kbps=900&autostart=1"
    publisher = open_page(f"/publish/?room={room}&{query}")
    until(lambda: server.identities(room), "the publisher")
    open_page(f"/watch/?room={room}")
    viewer = until(lambda: server.room(room, "/viewers"), "the viewer")[0]["id"]
    (track,) = (one["id"] for one in server.room(room, "/tracks") if one["kind"] == "video")

    def encodings() -> list[dict[str, Any]]:
        return [one for one in reports_of(server.room(room, "/statistics"), track) if "encoding" in one]

    until(lambda: len([one for one in encodings() if one["packetsReceived"] > 20]) == len(rids), "layers", RAMP_S)
    page = sign_in(open_page, f"/dashboard/?room={room}")
    page.locator(f"[data-track='{track}']").wait_for()
    told = until(lambda: drawn_as_told(page, track, rids), "the bitrates of the answer", RAMP_S)
    assert min(told.values()) > 0, told
    assert told["q"] < told["h"] < told["f"], told

    before = publisher.evaluate(SENT)
    arrived = sum(one["packetsReceived"] for one in encodings())
    assert before - 200 <= arrived <= publisher.evaluate(SENT)  # some may be on the way

    for layer in (0, 2, 1):
        server.room(room, f"/viewers/{viewer}/layers", "PUT", {"spatial": layer})

        def shown(wanted: int = layer + 1) -> bool:
            lines = page.evaluate(DRAWN, track)
            return all(lines[f"{which} layer sent"]["last"] == wanted for which in ("highest", "lowest"))

        until(shown, f"layer {layer} in the chart", RAMP_S)
        (subscription,) = (one for one in server.room(room, "/viewers")[0]["subscriptions"] if one["kind"] == "video")
        assert subscription["current"]["spatial"] == layer
    look(page, "dashboard-charts")


@contextmanager
def lossy_voice(server: Server, room: str) -> Iterator[Callable[[], int]]:
    """A source of which one packet of ten is never sent; gives how many were."""
    sent = 0
    ended = threading.Event()
    body = {"identity": "cam", "publish": [stream("audio", OPUS) | {"ssrc": 1111}]}
    (opened,) = server.room(room, "/plain", "POST", body)["streams"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        source.connect(("127.0.0.1", opened["port"]))

        def speak() -> None:
            nonlocal sent
            number = 0
            while not ended.wait(0.01):
                number += 1
                if number % LOST_OF == 0:
                    continue
                packet = Packet(number, number * 480, b"\xfc\xff\xfe", payload_type=97, ssrc=1111)
                with suppress(ConnectionRefusedError):
                    source.send(packet.write())
                sent += 1

        thread = threading.Thread(target=speak)
        thread.start()
        try:
            yield lambda: sent
        finally:
            ended.set()
            thread.join()


def test_the_loss_shown_is_what_was_never_sent(server: Server, open_page: OpenPage) -> None:
    with lossy_voice(server, "lossy") as sent:
        page = sign_in(open_page, "/dashboard/?room=lossy")
        loss = page.locator("[data-track] [data-value=Loss]")
        shown = until(lambda: (n := _percent(loss.inner_text())) > 5 and n, "a loss")
        assert 100 / LOST_OF * 0.5 < shown < 100 / LOST_OF * 2
        (track,) = server.room("lossy", "/tracks")
        line = page.evaluate(DRAWN, track["id"])["Loss"]
        assert 100 / LOST_OF * 0.5 < line["last"] < 100 / LOST_OF * 2
        least = sent()
        (whole,) = (
            one
            for one in reports_of(server.room("lossy", "/statistics"), track["id"])
            if one["type"] == "inbound-rtp" and "encoding" not in one
        )
        assert least - 20 <= whole["packetsReceived"] <= sent()
        share = whole["packetsLost"] / (whole["packetsLost"] + whole["packetsReceived"])
        assert abs(share - 1 / LOST_OF) < 0.02


def _percent(words: str) -> float:
    return float(words.removesuffix(" %"))
