"""Streams that are fetched by RTSP from a camera: in its connection and in datagrams, with logins, over its absence."""

from __future__ import annotations

import itertools
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiortc_peer import DARK, LIGHT, TONE_HZ, assert_is_the_picture, tone_share
from conftest import PATIENCE_S, Server, sign, start_server, stop_server, until
from rtsp_camera import Camera, number_of, running
from test_encoders import ingests, playlist
from test_live_lists import decode
from test_pulls import free_port
from tls_front import make_certificate, tls_front

pytestmark = pytest.mark.timeout(240)
LOGIN = ("operator", "pass word:with/all")
PEER = Path(__file__).parent / "gstreamer_camera.py"
SHOWN = "operator:pass%20word%3Awith%2Fall@"


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that fetches from its own machine."""
    started = start_server(tmp_path_factory.mktemp("near"), ROOMTONE_PULL__ALLOW_PRIVATE="true")
    yield started
    stop_server(started)


@pytest.fixture
def port() -> int:
    return free_port(socket.SOCK_STREAM)


def fetch(server: Server, name: str, url: str, **more: str) -> str:
    """Have a stream fetched; what is answered."""
    headers = {"Authorization": f"Bearer {sign('test', {'roomAdmin': True, 'room': name})}"}
    body = {"name": name, "url": url, **more}
    opened = httpx.post(f"{server.http}/api/v1/pulls", headers=headers, json=body, timeout=PATIENCE_S)
    assert opened.status_code == httpx.codes.CREATED, opened.text
    return opened.text


def pull(server: Server, name: str, method: str = "GET") -> Any:
    headers = {"Authorization": f"Bearer {sign('test', {'roomAdmin': True, 'room': name})}"}
    answer = httpx.request(method, f"{server.http}/api/v1/pulls/{name}", headers=headers, timeout=PATIENCE_S)
    return answer.json() if answer.content else None


def is_seen_and_heard(server: Server, name: str) -> list[int]:
    """Decode what is listed; the numbers of its pictures."""
    until(lambda: playlist(server, name).count("#EXTINF") >= 2, "two segments")
    pictures, _, sound = decode(f"{server.http}/live/{name}/index.m3u8", 5.0)
    assert_is_the_picture(pictures[-1])
    assert tone_share(sound[-48_000:], TONE_HZ) > 0.9
    return [number_of(picture) for picture in pictures]


@pytest.mark.parametrize(
    ("transport", "scheme", "sound"),
    [
        ("tcp", "Digest", "aac"),
        pytest.param("udp", "Basic", "opus", marks=pytest.mark.long),
    ],
)
def test_a_camera_is_seen_and_heard_and_goes_on_when_it_is_back(
    near: Server, tmp_path: Path, port: int, *, transport: str, scheme: str, sound: str
) -> None:
    name = f"camera-{transport}"
    camera = Camera(LOGIN, scheme, sound)
    opened = fetch(near, name, f"rtsp://{SHOWN}127.0.0.1:{port}/live", rtsp_transport=transport)
    assert "operator" not in opened
    until(lambda: pull(near, name)["state"] == "waiting", "an attempt that has failed")
    with running(camera, tmp_path / "first", port):
        until(lambda: pull(near, name)["state"] == "publishing", "the stream", 2 * PATIENCE_S)
        found = until(lambda: (seen := ingests(near, name)) and len(seen["tracks"]) == 2 and seen, "its tracks")
        assert (found["protocol"], found["remote"]) == ("rtsp", f"127.0.0.1:{port}")
        numbers = is_seen_and_heard(near, name)
        steps = {after - before for before, after in itertools.pairwise(numbers)}
        # Nothing repeats datagrams: where one is lost pictures are missing up to a keyframe.
        assert min(steps) == 1, numbers
        assert max(steps) <= (1 if transport == "tcp" else 26), numbers
        until(lambda: camera.reports >= 2, "reports of what was received")
        until(lambda: any(one.startswith("GET_PARAMETER") for one in camera.requests), "a sign of life")
    until(lambda: pull(near, name)["state"] != "publishing", "the end of the stream", 2 * PATIENCE_S)
    assert pull(near, name)["last_error"]
    with running(Camera(LOGIN, scheme, sound), tmp_path / "second", port):
        until(lambda: pull(near, name)["state"] == "publishing", "the stream again", 3 * PATIENCE_S)
        until(lambda: "#EXT-X-DISCONTINUITY\n" in playlist(near, name), "a discontinuity", 2 * PATIENCE_S)
        behind = lambda: playlist(near, name).partition("#EXT-X-DISCONTINUITY\n")[2].count("#EXTINF")  # noqa: E731
        until(lambda: behind() >= 2, "segments behind it")
        pictures, _, _ = decode(f"{near.http}/live/{name}/index.m3u8", 2.0)
        assert_is_the_picture(pictures[-1])
    pull(near, name, "DELETE")
    until(lambda: "#EXT-X-ENDLIST" in playlist(near, name), "the end of the playlist")


@pytest.mark.parametrize(
    ("transport", "scheme", "sound"),
    [("tcp", "Digest", "aac"), pytest.param("udp", "Basic", "opus", marks=pytest.mark.long)],
)
def test_gstreamers_server_is_seen_and_heard(
    near: Server, tmp_path: Path, port: int, *, transport: str, scheme: str, sound: str
) -> None:
    name = f"gstreamer-{transport}"
    given = (str(port), scheme, *LOGIN, sound, str(LIGHT), str(DARK), str(TONE_HZ))
    with (tmp_path / "log").open("wb") as log:
        peer = subprocess.Popen(["/usr/bin/python3", str(PEER), *given], stdout=log, stderr=log)
    try:
        until(lambda: "ready" in (tmp_path / "log").read_text() or peer.poll() is not None, "the server")
        assert peer.poll() is None, (tmp_path / "log").read_text()
        fetch(near, name, f"rtsp://{SHOWN}127.0.0.1:{port}/live", rtsp_transport=transport)
        found = until(lambda: (seen := ingests(near, name)) and len(seen["tracks"]) == 2 and seen, "its tracks")
        assert found["protocol"] == "rtsp"
        until(lambda: playlist(near, name).count("#EXTINF") >= 2, "two segments")
        pictures, _, samples = decode(f"{near.http}/live/{name}/index.m3u8", 3.0)
        assert_is_the_picture(pictures[-1])
        assert tone_share(samples[-48_000:], TONE_HZ) > 0.9
    finally:
        peer.kill()
        peer.wait()
        pull(near, name, "DELETE")


def test_a_login_that_is_wrong_or_missing_is_said_and_never_shown(near: Server, tmp_path: Path, port: int) -> None:
    with running(Camera(LOGIN), tmp_path / "log", port):
        fetch(near, "wrong", f"rtsp://operator:hunter2@127.0.0.1:{port}/live")
        fetch(near, "bare", f"rtsp://127.0.0.1:{port}/live")
        error = until(lambda: pull(near, "wrong")["last_error"], "an attempt that has failed")
        assert error == "refused: 401, the login is wrong"
        error = until(lambda: pull(near, "bare")["last_error"], "an attempt that has failed")
        assert "asks for a login" in error
        assert pull(near, "wrong")["url"] == f"rtsp://127.0.0.1:{port}/live"
        assert "hunter2" not in "".join(near.log) + str(pull(near, "wrong"))
    for name in ("wrong", "bare"):
        pull(near, name, "DELETE")


def test_nothing_is_sent_to_an_address_that_an_answer_names(near: Server, tmp_path: Path, port: int) -> None:
    camera = Camera(says_elsewhere=True)
    with running(camera, tmp_path / "log", port):
        fetch(near, "elsewhere", camera.url, rtsp_transport="udp")
        is_seen_and_heard(near, "elsewhere")
        until(lambda: camera.reports >= 2, "reports of what was received")
        assert camera.astray == 0
    pull(near, "elsewhere", "DELETE")


def test_a_camera_behind_tls_is_seen_and_heard_where_its_certificate_is_the_one(
    near: Server, tmp_path: Path, port: int
) -> None:
    path = tmp_path / "own.pem"
    fingerprint = make_certificate(path, "camera.invalid").hex()
    with running(Camera(LOGIN), tmp_path / "log", port), tls_front(path, port) as front:
        url = f"rtsps://{SHOWN}127.0.0.1:{front}/live"
        fetch(near, "sealed", url, certificate=f"sha256:{fingerprint}")
        fetch(near, "unknown", url)
        fetch(near, "another", url, certificate=f"sha256:{'0' * 64}")
        found = until(lambda: (seen := ingests(near, "sealed")) and len(seen["tracks"]) == 2 and seen, "its tracks")
        assert (found["protocol"], found["remote"]) == ("rtsps", f"127.0.0.1:{front}")
        is_seen_and_heard(near, "sealed")
        for name, why in (("unknown", "is not trusted"), ("another", "is not the one that is expected")):
            error = until(lambda name=name: pull(near, name)["last_error"], "an attempt that has failed")
            assert why in error
            assert ingests(near, name) is None
    for name in ("sealed", "unknown", "another"):
        pull(near, name, "DELETE")


def test_a_camera_that_sends_elsewhere_is_followed(near: Server, tmp_path: Path, port: int) -> None:
    with running(Camera(LOGIN, sound="pcma"), tmp_path / "second", port) as second:
        first = free_port(socket.SOCK_STREAM)
        with running(Camera(redirect=second.url.replace("//", f"//{SHOWN}")), tmp_path / "first", first) as sends:
            fetch(near, "followed", sends.url)
            found = until(lambda: (seen := ingests(near, "followed")) and seen["tracks"] and seen, "its tracks")
            assert found["remote"] == f"127.0.0.1:{port}"
            # Its sound cannot be listed as it is, and its pictures come all the same.
            assert [track["name"] for track in found["tracks"]] == ["video"]
            until(lambda: playlist(near, "followed").count("#EXTINF") >= 2, "two segments")
    pull(near, "followed", "DELETE")
