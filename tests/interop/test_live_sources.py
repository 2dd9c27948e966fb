"""A live stream is pointed at other sources, and shows a backup while its primary is away: seen by who reads on."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiortc_peer import tone_share
from conftest import PATIENCE_S, Server, sign, until
from test_encoders import FFMPEG, ingests, playlist
from test_live_hls import stream
from test_live_lists import decode

# What is missing of an encoder that stumbles beside a browser is missing in lists too.
pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]
LIGHT, DARK = 200, 60
HIGH, LOW = 880.0, 440.0
Made = dict[str, Any]


def ingress(server: Server, room: str, identity: str) -> Made:
    """Make a place for an encoder in a room."""
    headers = {"Authorization": f"Bearer {sign('test', {'ingressAdmin': True})}"}
    body = {"room_name": room, "participant_identity": identity}
    url = f"{server.http}/twirp/livekit.Ingress/CreateIngress"
    answer = httpx.post(url, headers=headers, json=body, timeout=PATIENCE_S)
    assert answer.is_success, answer.text
    made: Made = answer.json()
    return made


@contextmanager
def encoder(log: Path, made: Made, light: int, hertz: float) -> Iterator[subprocess.Popen[bytes]]:
    """Publish one grey and one tone to a place until killed."""
    # fmt: off
    arguments = (
        "-re", "-f", "lavfi", "-i", f"color=c=0x{light:02x}{light:02x}{light:02x}:r=25:s=320x240",
        "-re", "-f", "lavfi", "-i", f"sine=frequency={hertz}:sample_rate=48000", "-ac", "2", "-pix_fmt", "yuv420p",
        "-g", "25", "-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-tune", "zerolatency",
        "-c:a", "libopus", "-b:a", "96k", "-f", "flv", f"{made['url']}/{made['stream_key']}",
    )
    # fmt: on
    with log.open("wb") as out:
        command = [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "warning", *arguments]
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def shows(server: Server, name: str, light: int, hertz: float) -> None:
    """Read at the edge until one sees this grey and hears this tone."""

    def seen() -> bool:
        pictures, _, sound = decode(f"{server.http}/live/{name}/index.m3u8", 1.5)
        return abs(float(pictures[-1].mean()) - light) < 12 and tone_share(sound[-24_000:], hertz) > 0.8

    until(seen, f"a grey of {light} and {hertz} Hz")


def discontinuities(server: Server, name: str) -> int:
    return playlist(server, name).count("#EXT-X-DISCONTINUITY\n")


def assert_nothing_is_missing_at_switch(server: Server, name: str, number: int) -> None:
    """Look at the four parts on either side of a discontinuity, in both lists: soon, as they are listed for seconds.

    Encoders make no keyframe when they are asked for one.
    """
    sides: dict[str, list[list[str]]] = {}

    def listed() -> bool:
        for track in ("video", "audio"):
            pieces = playlist(server, name, track).split("#EXT-X-DISCONTINUITY\n")
            parts = [re.findall(r"#EXT-X-PART:(.+)", piece) for piece in pieces]
            if len(parts) == number + 1 and len(parts[-1]) >= 4:
                sides.setdefault(track, parts[-2:])
        return len(sides) == 2

    until(listed, f"four parts behind switch {number}")
    for before, behind in sides.values():
        around = before[-4:] + behind[:4]
        assert len(around) == 8, "the switch was too long ago"
        assert not [part for part in around if "GAP" in part], around


def point(server: Server, name: str, *participants: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {sign('test', {'roomAdmin': True, 'room': name})}"}
    url = f"{server.http}/api/v1/streams/{name}/source"
    return httpx.put(url, headers=headers, json={"participants": participants}, timeout=PATIENCE_S)


def test_the_backup_is_shown_while_the_primary_is_away_and_another_by_request(server: Server, tmp_path: Path) -> None:
    name = "switched"
    primary, backup = ingress(server, name, "primary"), ingress(server, name, "backup")
    with encoder(tmp_path / "backup", backup, DARK, LOW):
        with encoder(tmp_path / "primary", primary, LIGHT, HIGH):
            until(lambda: len(server.identities(name)) == 2, "both encoders in the room")

            def tracks() -> bool:
                return all(len(one["tracks"]) == 2 for one in server.room(name, "/participants"))

            until(tracks, "their tracks")
            wanted = {"room": name, "participant": "primary", "backups": ["backup"]}
            assert stream(server, name, "POST", wanted)["sources"] == ["primary", "backup"]
            until(lambda: playlist(server, name).count("#EXTINF") >= 2, "two segments")
            shows(server, name, LIGHT, HIGH)
        until(lambda: stream(server, name)["publishers"] == ["backup"], "the backup's turn")
        shows(server, name, DARK, LOW)
        assert discontinuities(server, name) == 1
        with encoder(tmp_path / "again", primary, LIGHT, HIGH):
            until(lambda: stream(server, name)["publishers"] == ["primary"], "the primary's return")
            assert_nothing_is_missing_at_switch(server, name, 2)
            shows(server, name, LIGHT, HIGH)
            pointed = point(server, name, "backup")
            assert pointed.json()["publishers"] == ["backup"]
            assert_nothing_is_missing_at_switch(server, name, 3)
            shows(server, name, DARK, LOW)
            assert point(server, name, "nobody").status_code == httpx.codes.CONFLICT
            assert discontinuities(server, name) == 3
            # Of the encoder that was killed nothing came before the next keyframe of its backup, and that is said.
            gaps = re.findall(r"#EXT-X-GAP\n#EXTINF:([\d.]+),\n\S+\n(\S+)", playlist(server, name))
            assert len(gaps) <= 1
            assert all(float(length) < 4 and behind == "#EXT-X-DISCONTINUITY" for length, behind in gaps)


def show(server: Server, name: str, other: str) -> httpx.Response:
    """Have the stream of an encoder show another encoder's."""
    grants = {"roomAdmin": True, "room": name, "destinationRoom": other}
    headers = {"Authorization": f"Bearer {sign('test', grants)}"}
    url = f"{server.http}/api/v1/streams/{name}/source"
    return httpx.put(url, headers=headers, json={"stream": other}, timeout=PATIENCE_S)


@pytest.mark.long
def test_the_stream_of_an_encoder_shows_another_s_and_its_own_again(server: Server, tmp_path: Path) -> None:
    own, other = ({"url": f"rtmp://{server.ready['rtmp'][0]}/live", "stream_key": name} for name in ("own", "other"))
    with encoder(tmp_path / "other", other, DARK, LOW):
        with encoder(tmp_path / "own", own, LIGHT, HIGH):
            for name in ("own", "other"):
                until(lambda name=name: playlist(server, name).count("#EXTINF") >= 2, "two segments")
            shows(server, "own", LIGHT, HIGH)
            pointed = show(server, "own", "other")
            assert pointed.json()["shows"] == "other"
            assert_nothing_is_missing_at_switch(server, "own", 1)
            shows(server, "own", DARK, LOW)
            assert ingests(server, "own")["shown"] == "other"
            assert show(server, "own", "own").json() == {"name": "own", "shows": None, "shown": "other"}
            assert_nothing_is_missing_at_switch(server, "own", 2)
            shows(server, "own", LIGHT, HIGH)
            assert ingests(server, "own")["shown"] is None
            assert show(server, "own", "nobody").status_code == httpx.codes.NOT_FOUND
            assert discontinuities(server, "own") == 2
            show(server, "own", "other")
            assert show(server, "other", "own").json()["code"] == "nothing_published", "they show each other"
            shows(server, "own", DARK, LOW)
        # Its own encoder is away for longer than it would be waited for.
        listed = playlist(server, "own").count("#EXTINF")
        until(lambda: playlist(server, "own").count("#EXTINF") >= listed + 4, "a quarter of a minute more")
        assert show(server, "own", "own").status_code == httpx.codes.CONFLICT, "it is away"
        assert ingests(server, "own")["shows"] == "other"
        shows(server, "own", DARK, LOW)
        assert discontinuities(server, "own") == 3
        assert discontinuities(server, "other") == 0
    until(lambda: ingests(server, "own") is None, "the end of both")
