"""What a client of LiveKit is told of its line and its token, as `livekit-client` in Chromium takes it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator

import httpx
import jwt
import pytest
from conftest import PATIENCE_S, Server, start_server, stop_server, until
from livekit_page import LiveKitPage
from mediasoup_pages import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(240)]
LINE_BPS = 300_000
TRACK_BPS = 220_000
"""Of each of two tracks: the line carries one of them."""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that believes all lines to be narrow."""
    settings = {f"ROOMTONE_BANDWIDTH__{name}_BPS": str(LINE_BPS) for name in ("START", "MAX")}
    running = start_server(tmp_path_factory.mktemp("narrow"), **settings)
    yield running
    stop_server(running)


@pytest.fixture(scope="module")
def refreshing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that gives clients fresh tokens all the time."""
    running = start_server(tmp_path_factory.mktemp("refreshing"), ROOMTONE_LIVEKIT__REFRESH_TOKEN_S="1")
    yield running
    stop_server(running)


def test_a_track_that_the_line_does_not_carry_is_told_as_paused_and_as_active_again(
    narrow: Server, open_page: OpenPage
) -> None:
    alice = LiveKitPage(open_page("/", narrow), narrow, "narrow", "alice")
    tracks = [alice.run("bps => noise(320, 180, bps)", TRACK_BPS) for _ in range(2)]
    bob = LiveKitPage(open_page("/", narrow), narrow, "narrow", "bob", adaptiveStream=False)
    paused = until(
        lambda: [one["what"] for one in bob.heard("trackStreamStateChanged") if one["what"][1] == "paused"],
        "a paused track",
    )[0][0]
    assert paused in tracks
    (other,) = [sid for sid in tracks if sid != paused]
    bob.wait_frames(other)
    bob.run("sid => publicationOf(sid).setSubscribed(false)", other)
    bob.wait_heard("trackStreamStateChanged", what=[paused, "active", "alice"])
    bob.wait_frames(paused)
    assert bob.received(paused)["state"] == "active"


def test_a_client_whose_token_has_expired_comes_back_with_the_one_it_was_given(
    refreshing: Server, open_page: OpenPage
) -> None:
    expires = int(time.time()) + 8
    claims = {"iss": "devkey", "sub": "alice", "exp": expires, "video": {"roomJoin": True, "room": "refresh"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bearer = jwt.encode(claims, "secret", algorithm="HS256")
    alice = LiveKitPage(open_page("/", refreshing), refreshing, "refresh", "alice", bearer=bearer)
    url = f"{refreshing.http}/rtc/validate?access_token={bearer}"
    refused = until(lambda: (a := httpx.get(url, timeout=PATIENCE_S)).status_code == 401 and a, "an expired token")
    assert refused.text == "invalid authorization token: token is expired"
    bob = LiveKitPage(open_page("/", refreshing), refreshing, "refresh", "bob")
    alice.run("() => { heard.length = 0; sockets.at(-1).close(); }")
    alice.wait_heard("reconnected")
    assert alice.heard("disconnected") == []
    alice.say("still here", topic="news")
    assert bob.wait_heard("data", text="still here")["from"] == "alice"
    assert alice.run("() => sockets.length") == 2
