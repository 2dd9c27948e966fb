"""`/live/NAME/index.m3u8` with a token, and `/api/v1/streams/NAME/viewers`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from api_world import FFMPEG, ApiWorld

from roomtone.config import ServerSettings, Settings
from roomtone.config.live import LiveSettings
from roomtone.control.live import MemoryRegistry
from roomtone.media.front import FrontViewer, KickRefusal, KickRefusedError
from roomtone.media.values import IngestProtocol

MakeApi = Callable[..., Awaitable[ApiWorld]]
FAR = ("192.0.2.9", 50000)


class Watched:
    """A front door that one viewer asks for the stream `demo`."""

    def __init__(self) -> None:
        self.gone: list[int] = []

    def viewers(self, name: str) -> list[FrontViewer]:
        one = FrontViewer(
            id=255, grant=1, address="192.0.2.1", agent="player", since_ms=1_000, seen_ms=2_500, playlists=3
        )
        return [one] if name == "demo" and not self.gone else []

    def audience(self) -> dict[str, int]:
        return {"demo": 1}

    def kick(self, name: str, viewer: int) -> FrontViewer:
        found = self.viewers(name)
        if viewer != 255 or not found:
            raise KickRefusedError(KickRefusal.UNKNOWN, "there is no such viewer of this stream")
        self.gone.append(viewer)
        return found[0]


def admin(api: ApiWorld) -> dict[str, str]:
    return api.headers(None, token=api.token(room_admin=True))


@pytest.mark.parametrize("way", ["query", "bearer"])
async def test_a_token_is_led_to_the_grant(api: ApiWorld, way: str) -> None:
    token = api.token()
    query = {"token": token} if way == "query" else {}
    headers = {} if way == "query" else {"Authorization": f"Bearer {token}"}
    answer = await api.http.get("/live/demo/index.m3u8", params=query, headers=headers)
    assert answer.status_code == 302
    place = answer.headers["location"]
    assert place.startswith("/live/demo/~")
    assert place.endswith("/index.m3u8")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"
    grant = place.split("/")[3].removeprefix("~")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"roomtone-live={grant}; HttpOnly; Max-Age=14400; Path=/live/demo/; SameSite=lax")


async def test_whoever_may_not_watch_is_told_why(make_api: MakeApi) -> None:
    api = await make_api(client=FAR)
    for query, status, code in (
        ("", 401, "token_missing"),
        ("?token=x", 401, "token_malformed"),
        (f"?token={api.token(age=7200)}", 401, "token_expired"),
        (f"?token={api.token(room='other')}", 403, "other_room"),
        (f"?token={api.token(can_subscribe=False)}", 403, "not_granted"),
    ):
        answer = await api.http.get(f"/live/demo/index.m3u8{query}")
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json()["detail"]
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_what_is_open_and_comes_here_is_not_there(api: ApiWorld, make_api: MakeApi) -> None:
    assert (await api.http.get("/live/demo/index.m3u8")).status_code == 404
    assert (await api.http.get("/live/a%20b/index.m3u8")).status_code == 404
    public = await make_api(
        client=FAR, settings=Settings(server=ServerSettings(dev=True), live=LiveSettings(public=True))
    )
    assert (await public.http.get("/live/demo/index.m3u8")).status_code == 404


async def test_one_stream_can_be_public_where_others_are_not(make_api: MakeApi) -> None:
    api = await make_api(client=FAR)
    await api.publish(FFMPEG)
    body = {"room": "demo", "public": True}
    stream = (await api.http.post("/api/v1/streams", json=body, headers=admin(api))).json()
    assert stream["public"] is True
    assert (await api.http.get("/live/demo/index.m3u8")).status_code == 302
    assert (await api.http.get("/live/other/index.m3u8")).status_code == 401


async def test_viewers_are_listed_counted_and_sent_away(api: ApiWorld) -> None:
    await api.publish(FFMPEG)
    await api.http.post("/api/v1/streams", json={"room": "demo"}, headers=admin(api))
    api.context.access.door = Watched()
    token = api.token(identity="bob")
    await api.http.get("/live/demo/index.m3u8", params={"token": token})
    assert (await api.http.get("/api/v1/streams/demo", headers=admin(api))).json()["hls_viewers"] == 1
    listed = (await api.http.get("/api/v1/streams/demo/viewers", headers=admin(api))).json()
    assert listed == [
        {
            "id": "00000000000000ff",
            "identity": "bob",
            "granted": True,
            "address": "192.0.2.1",
            "agent": "player",
            "since": 1.0,
            "seen": 2.5,
            "playlists": 3,
        }
    ]
    url = f"/api/v1/streams/demo/viewers/{listed[0]['id']}"
    assert (await api.http.delete(url, headers=admin(api))).status_code == 204
    again = await api.http.delete(url, headers=admin(api))
    assert (again.status_code, again.json()["code"]) == (404, "no_such_viewer")
    refused = await api.http.get("/live/demo/index.m3u8", params={"token": token})
    assert (refused.status_code, refused.json()["code"]) == (403, "sent_away")


async def test_viewers_are_for_the_administrators_of_a_stream_that_is_there(api: ApiWorld) -> None:
    url = "/api/v1/streams/demo/viewers"
    assert (await api.http.get(url)).status_code == 401
    assert (await api.http.get(url, headers=api.headers(None))).status_code == 403
    assert (await api.http.get(url, headers=admin(api))).status_code == 404
    assert (await api.http.delete(f"{url}/x", headers=admin(api))).status_code == 404


class Elsewhere(MemoryRegistry):
    """A registry by which another server has one stream."""

    async def owner(self, name: str) -> str:
        return "https://other.example.org" if name == "demo" else ""


async def test_a_stream_that_another_server_has_is_watched_there_with_what_was_shown(make_api: MakeApi) -> None:
    api = await make_api(client=FAR)
    api.context.ingests.registry = Elsewhere()
    led = await api.http.get("/live/demo/index.m3u8?token=a.b.c")
    assert led.status_code == 307
    assert led.headers["location"] == "https://other.example.org/live/demo/index.m3u8?token=a.b.c"
    assert led.headers["cache-control"] == "no-store"
    assert (await api.http.get("/live/here/index.m3u8")).status_code == 401
    # What is here is watched here.
    listener = await api.context.ingests.listen(IngestProtocol.SRT, "127.0.0.1:0")
    api.link.begin_ingest(listener.id, "demo")
    await api.settle()
    assert (await api.http.get("/live/demo/index.m3u8")).status_code == 401
    await api.context.ingests.close()
