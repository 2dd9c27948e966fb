"""Live streams whose media is encrypted: played by hls.js and FFmpeg with the keys, and held to the rules."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import httpx
import pytest
from aiortc_peer import TONE_HZ, assert_is_the_picture, tone_share
from conftest import PATIENCE_S, Server, sign, start_server, stop_server, token, until
from hls_checker import broken, check_hls
from playwright.sync_api import Page
from test_encoders import H264, encoder, playlist, rtmp
from test_live_lists import decode

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
NAME = "sealed"
FAR = {"X-Forwarded-For": "192.0.2.9"}
"""What a client from elsewhere looks like behind a proxy that is trusted."""


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that encrypts whole segments, by a key for every two, and a stream on it."""
    folder = tmp_path_factory.mktemp("sealed")
    running = start_server(folder, ROOMTONE_LIVE__ENCRYPTION="aes-128", ROOMTONE_LIVE__SEGMENTS_PER_KEY="2")
    with encoder(folder / "log", rtmp(running, NAME), *H264):
        until(lambda: playlist(running, NAME).count("#EXTINF") >= 3, "three segments")
        yield running
    stop_server(running)


def keys(text: str) -> list[str]:
    return re.findall(r'#EXT-X-KEY:METHOD=[A-Z0-9-]+,URI="([^"]+)"', text)


def test_ffmpeg_follows_the_keys_behind_a_grant(sealed: Server) -> None:
    pictures, _, sound = decode(f"{sealed.http}/live/{NAME}/index.m3u8?token={token(NAME, 'bob')}", 5.0)
    assert_is_the_picture(pictures[-1])
    assert tone_share(sound[-48_000:], TONE_HZ) > 0.9
    text = playlist(sealed, NAME)
    assert len(set(keys(text))) >= 2, text
    key = httpx.get(f"{sealed.http}/live/{NAME}/video/{keys(text)[0]}")
    assert (key.status_code, len(key.content), key.headers["cache-control"]) == (200, 16, "no-store")
    segment = next(line for line in text.splitlines() if line.endswith(".m4s"))
    media = httpx.get(f"{sealed.http}/live/{NAME}/video/{segment}").content
    assert b"moof" not in media[:16], "whole segments are encrypted"


def test_hls_js_plays_it(sealed: Server, open_page: Callable[..., Page]) -> None:
    page = open_page(f"/play/?room={NAME}#token={token(NAME, 'carol')}", sealed)
    page.wait_for_function("document.querySelector('video')?.currentTime > 0", timeout=PATIENCE_S * 1000)
    began = page.evaluate("document.querySelector('video').currentTime")
    page.wait_for_function(
        "until => document.querySelector('video').currentTime >= until",
        arg=began + 4,
        timeout=2 * PATIENCE_S * 1000,
    )
    assert page.evaluate("document.querySelector('video').videoWidth") == 320


def test_the_checker_finds_no_rule_broken(sealed: Server) -> None:
    url = f"{sealed.http}/live/{NAME}/index.m3u8"
    rules = check_hls(url, 12)
    assert broken(rules) == {}
    found = {one["rule"]: one["verdict"] for one in rules}
    assert found[49] == "pass", "encrypted parts can be decrypted alone"


def test_samples_are_decrypted_with_the_key(tmp_path: Path) -> None:
    running = start_server(tmp_path / "data", ROOMTONE_LIVE__ENCRYPTION="sample-aes")
    try:
        with encoder(tmp_path / "log", rtmp(running, NAME), *H264):
            until(lambda: playlist(running, NAME).count("#EXTINF") >= 2, "two segments")
            base = f"{running.http}/live/{NAME}/video"
            text = playlist(running, NAME)
            assert "METHOD=SAMPLE-AES" in text
            header = re.findall(r'#EXT-X-MAP:URI="([^"]+)"', text)[0]
            names = [header, *(line for line in text.splitlines() if line.endswith(".m4s"))]
            whole = b"".join(httpx.get(f"{base}/{name}").content for name in names)
            key = httpx.get(f"{base}/{keys(text)[0]}").content
    finally:
        stop_server(running)
    assert b"encv" in whole
    assert b"cbcs" in whole
    file = tmp_path / "sealed.mp4"
    file.write_bytes(whole)
    with av.open(str(file), options={"decryption_key": key.hex()}) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert len(pictures) >= 25
    assert_is_the_picture(pictures[-1])


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that encrypts what is pushed under one name, and nothing else."""
    streams = json.dumps({"by-name": {"encryption": "aes-128", "segments_per_key": 1}})
    behind_proxy = {"ROOMTONE_HTTP__TRUSTED_PROXIES": "127.0.0.1"}
    running = start_server(tmp_path_factory.mktemp("named"), ROOMTONE_LIVE__STREAMS=streams, **behind_proxy)
    yield running
    stop_server(running)


def say(server: Server, name: str, body: dict[str, object]) -> httpx.Response:
    """Have the stream of a name encrypted otherwise."""
    headers = {"Authorization": f"Bearer {sign('host', {'roomAdmin': True, 'room': name})}"}
    url = f"{server.http}/api/v1/streams/{name}/encryption"
    return httpx.put(url, json=body, headers=headers, timeout=PATIENCE_S)


def test_one_name_that_is_pushed_is_encrypted_and_the_next_is_not(named: Server, tmp_path: Path) -> None:
    with (
        encoder(tmp_path / "one", rtmp(named, "by-name"), *H264),
        encoder(tmp_path / "other", rtmp(named, "as-all"), *H264),
    ):
        for name in ("by-name", "as-all"):
            until(lambda name=name: playlist(named, name).count("#EXTINF") >= 2, "two segments")
        assert "EXT-X-KEY" not in playlist(named, "as-all")
        text = playlist(named, "by-name")
        assert text.index("METHOD=AES-128") < text.index("#EXTINF"), "from the first segment on"
        pictures, _, sound = decode(f"{named.http}/live/by-name/index.m3u8?token={token('by-name', 'bob')}", 3.0)
        assert_is_the_picture(pictures[-1])
        assert tone_share(sound[-48_000:], TONE_HZ) > 0.9


@pytest.mark.long
def test_a_stream_that_is_pushed_is_encrypted_and_clear_again_while_players_go_on(
    named: Server, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    name = "changing"
    with encoder(tmp_path / "log", rtmp(named, name), *H264):
        until(lambda: playlist(named, name).count("#EXTINF") >= 2, "two segments")
        page = open_page(f"/play/?room={name}#token={token(name, 'carol')}", named)
        page.wait_for_function("document.querySelector('video')?.currentTime > 0", timeout=PATIENCE_S * 1000)
        said = say(named, name, {"encryption": "aes-128", "segments_per_key": 1})
        assert said.json() == {"encryption": "aes-128", "segments_per_key": 1, "live": True}
        until(lambda: len(keys(playlist(named, name))) >= 2, "two keys")
        clear, encrypted = playlist(named, name).split("#EXT-X-KEY", 1)
        assert clear.count("#EXTINF") >= 2, "what was listed stays as it was"
        first = next(line for line in encrypted.splitlines() if line.endswith(".m4s"))
        base = f"{named.http}/live/{name}/video"
        assert b"moof" not in httpx.get(f"{base}/{first}").content[:16]
        key = f"{base}/{keys(playlist(named, name))[0]}"
        assert len(httpx.get(key).content) == 16
        assert httpx.get(key, headers=FAR).status_code == httpx.codes.UNAUTHORIZED
        pictures, _, sound = decode(f"{named.http}/live/{name}/index.m3u8?token={token(name, 'bob')}", 3.0)
        assert_is_the_picture(pictures[-1])
        assert tone_share(sound[-48_000:], TONE_HZ) > 0.9
        assert say(named, name, {"encryption": "none"}).is_success
        until(lambda: playlist(named, name).count("METHOD=NONE") == 1, "the end of encryption")
        behind = page.evaluate("document.querySelector('video').currentTime")
        page.wait_for_function(
            "until => document.querySelector('video').currentTime >= until",
            arg=behind + 8,
            timeout=2 * PATIENCE_S * 1000,
        )
