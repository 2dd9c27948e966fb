"""G.711 of encoders and cameras: heard by WHEP as it is, and in playlists as what is made of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiortc_peer import TONE_HZ, tone_share, watch
from conftest import Run, Server, start_server, stop_server, until
from rtsp_camera import Camera, running
from test_encoders import H264, SOURCE, ingests, playlist
from test_inputs import VIDEO, describe, inputs, is_seen_and_heard, source
from test_pulls import free_port
from test_rtsp_pulls import fetch, pull

pytestmark = [pytest.mark.timeout(240), pytest.mark.filterwarnings("ignore::ResourceWarning")]
RATE_HZ = 8_000
LAWS = {"PCMU": ("pcm_mulaw", 0), "PCMA": ("pcm_alaw", 8)}
"""FFmpeg's names of the coders, and the payload types of RFC 3551."""


@pytest.fixture(scope="module")
def making(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lists sound as AAC too, and fetches from its own machine."""
    environment = {"ROOMTONE_LIVE__SOUND": "aac", "ROOMTONE_PULL__ALLOW_PRIVATE": "true"}
    started = start_server(tmp_path_factory.mktemp("making"), **environment)
    yield started
    stop_server(started)


def to_rtp(law: str, port: int) -> tuple[str, ...]:
    """Give FFmpeg's arguments: pictures, and sound of the telephone."""
    coder, number = LAWS[law]
    url = f"rtp://127.0.0.1:{port}"
    return (
        *SOURCE,
        *("-map", "0:v", *H264, "-payload_type", str(VIDEO), "-f", "rtp", url),
        *("-map", "1:a", "-c:a", coder, "-ar", str(RATE_HZ), "-ac", "1"),
        *("-payload_type", str(number), "-f", "rtp", url),
    )


def open_input(server: Server, name: str, law: str) -> int:
    """Take RTP with pictures and sound of the telephone under a name; the port to which it is to come."""
    _, number = LAWS[law]
    pictures, _, _ = describe("H264", "opus").partition("m=audio")
    sdp = f"{pictures}m=audio 9 RTP/AVP {number}\r\na=rtpmap:{number} {law}/{RATE_HZ}\r\n"
    return int(inputs(server, "POST", name, {"name": name, "sdp": sdp, "listen": "127.0.0.1:0"})["port"])


async def hears_the_tone(server: Server, name: str) -> None:
    """Listen by WHEP: what is decoded has the rate of the telephone, and was not made anew."""
    viewer = await watch(server, name)
    try:
        samples = await viewer.sound(100)
        assert tone_share(samples, TONE_HZ, RATE_HZ) > 0.9
    finally:
        await viewer.request("DELETE")
        await viewer.close()


@pytest.mark.parametrize("law", LAWS)
def test_rtp_with_g711_is_heard_by_whep_as_it_is_and_in_playlists_as_aac(
    making: Server, tmp_path: Path, run: Run[Any], law: str
) -> None:
    name = f"rtp-{law.lower()}"
    with source(tmp_path / "log", *to_rtp(law, open_input(making, name, law))):
        found = until(lambda: (seen := ingests(making, name)) and len(seen["tracks"]) == 2 and seen, "its tracks")
        assert {track["name"]: track["codec"][:4] for track in found["tracks"]} == {"video": "avc1", "aac": "mp4a"}
        is_seen_and_heard(making, name)
        run(hears_the_tone(making, name))
        assert ingests(making, name)["made"] == {}
        assert "not_listed" not in ingests(making, name)["warnings"]
    inputs(making, "DELETE", name)


def test_a_camera_with_g711_is_heard_likewise(making: Server, tmp_path: Path, run: Run[Any]) -> None:
    port = free_port(socket.SOCK_STREAM)
    with running(Camera(sound="pcma"), tmp_path / "log", port) as camera:
        fetch(making, "door", camera.url)
        until(lambda: (seen := ingests(making, "door")) and len(seen["tracks"]) == 2 and seen, "its tracks")
        is_seen_and_heard(making, "door")
        run(hears_the_tone(making, "door"))
    pull(making, "door", "DELETE")


def test_where_nothing_is_made_of_it_playlists_are_without_and_say_so(
    server: Server, tmp_path: Path, run: Run[Any]
) -> None:
    with source(tmp_path / "log", *to_rtp("PCMU", open_input(server, "law", "PCMU"))):
        until(lambda: playlist(server, "law").count("#EXTINF") >= 1, "a segment")
        found = until(lambda: (seen := ingests(server, "law")) and seen["warnings"] and seen, "a warning")
        assert found["warnings"] == {"not_listed": 1}
        assert [track["name"] for track in found["tracks"]] == ["video"]
        run(hears_the_tone(server, "law"))
    inputs(server, "DELETE", "law")
