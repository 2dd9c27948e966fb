"""`/api/v1/streams`, and WHIP that goes live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from api_world import FFMPEG, PUBLISH, ApiWorld

from roomtone.config import ServerSettings, Settings
from roomtone.config.live import LiveSettings
from roomtone.media.fake_objects import FakeIngest
from roomtone.media.values import IngestProtocol, PackagerPointed

MakeApi = Callable[..., Awaitable[ApiWorld]]


def admin(api: ApiWorld, **grants: bool) -> dict[str, str]:
    return api.headers(None, token=api.token(room_admin=True, **grants))


async def go_live(api: ApiWorld, **body: object) -> tuple[int, dict[str, object]]:
    answer = await api.http.post("/api/v1/streams", json={"room": "demo", **body}, headers=admin(api))
    return answer.status_code, answer.json()


async def test_a_room_goes_live_is_listed_and_ends(api: ApiWorld) -> None:
    await api.publish(FFMPEG)
    status, stream = await go_live(api)
    assert status == 201, stream
    assert (stream["name"], stream["url"], stream["state"]) == ("demo", "/live/demo/index.m3u8", "starting")
    assert stream["publishers"] == ["alice"]
    listed = await api.http.get("/api/v1/streams", headers=api.headers(None, token=api.token(room_list=True)))
    assert [one["name"] for one in listed.json()] == ["demo"]
    one = await api.http.get("/api/v1/streams/demo", headers=admin(api))
    assert one.json() == stream
    events = (await api.http.get("/api/v1/streams/demo/events", headers=admin(api))).json()
    assert [event["kind"] for event in events] == ["track_fed", "track_fed", "created"]
    stats = (await api.http.get("/api/v1/streams/demo/stats", headers=admin(api))).json()
    assert set(stats["sources"]) == {"alice/video", "alice/audio"}
    assert (await api.http.delete("/api/v1/streams/demo", headers=admin(api))).status_code == 204
    assert (await api.http.get("/api/v1/streams/demo", headers=admin(api))).status_code == 404
    assert "alice" in api.rooms.by_name["demo"].participants


async def test_who_feeds_a_stream_can_be_sent_out_with_it(api: ApiWorld) -> None:
    await api.publish(FFMPEG)
    await go_live(api)
    answer = await api.http.delete("/api/v1/streams/demo?kick=true", headers=admin(api))
    assert answer.status_code == 204
    assert "alice" not in api.rooms.by_name["demo"].participants


async def test_what_cannot_be_carried_is_refused_with_a_sentence(api: ApiWorld) -> None:
    await api.publish(PUBLISH)  # Chromium's first choice is VP8
    status, problem = await go_live(api)
    assert status == 422
    assert problem["code"] == "needs_transcoding"
    assert "VP8, which needs transcoding" in str(problem["detail"])


async def test_a_program_is_refused_where_there_is_nothing_to_make_it_and_with_the_sound_of_one(api: ApiWorld) -> None:
    await api.publish(FFMPEG)
    status, problem = await go_live(api, picture="program")
    assert (status, problem["code"]) == (422, "needs_transcoding")
    assert "roomtone[transcode]" in str(problem["detail"])
    status, problem = await go_live(api, picture="program", sound="one")
    assert (status, "the mix of all" in str(problem)) == (422, True)
    assert (await api.http.get("/api/v1/streams/demo", headers=admin(api))).status_code == 404


async def test_a_room_that_is_live_is_on_air(api: ApiWorld) -> None:
    await api.publish(FFMPEG)

    async def on_air() -> bool:
        answer = await api.http.get("/api/v1/rooms/demo", headers=admin(api))
        return bool(answer.json()["on_air"])

    assert not await on_air()
    await go_live(api)
    assert await on_air()
    await api.http.delete("/api/v1/streams/demo", headers=admin(api))
    assert not await on_air()


async def test_a_stream_is_pointed_at_another_source(api: ApiWorld) -> None:
    await api.publish(FFMPEG)
    await api.publish(FFMPEG, identity="bob")
    await go_live(api)

    async def point(*participants: str, name: str = "demo") -> tuple[int, dict[str, Any]]:
        body = {"participants": list(participants)}
        answer = await api.http.put(f"/api/v1/streams/{name}/source", json=body, headers=admin(api))
        return answer.status_code, answer.json()

    status, stream = await point("bob", "alice")
    assert (status, stream["publishers"], stream["sources"]) == (200, ["bob"], ["bob", "alice"])
    status, problem = await point("carol")
    assert (status, problem["code"]) == (409, "nothing_published")
    status, stream = await point()
    assert (status, stream["publishers"], stream["sources"]) == (200, ["bob"], [])
    assert (await point(*map(str, range(17))))[0] == 422
    await api.http.delete("/api/v1/streams/demo", headers=admin(api))
    assert (await point("bob"))[0] == 404
    by_encoder = api.context.ingests.by_name
    by_encoder["demo"] = None  # type: ignore[assignment]
    status, problem = await point("bob")
    assert (status, problem["code"]) == (409, "published_by_encoder")
    del by_encoder["demo"]


async def test_backups_are_of_a_participant(api: ApiWorld) -> None:
    await api.publish(FFMPEG)
    assert (await go_live(api, backups=["bob"]))[0] == 422
    status, stream = await go_live(api, participant="alice", backups=["bob"])
    assert (status, stream["sources"]) == (201, ["alice", "bob"])


async def test_refusals_have_their_status(api: ApiWorld) -> None:
    assert (await go_live(api))[0] == 404
    await api.publish(FFMPEG)
    assert (await go_live(api, participant="bob"))[0] == 409
    assert (await go_live(api))[0] == 201
    status, problem = await go_live(api)
    assert (status, problem["code"]) == (409, "already_live")
    unknown = await api.http.post("/api/v1/streams", json={"name": "demo"}, headers=admin(api))
    assert unknown.status_code == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/demo"), ("DELETE", "/demo"), ("GET", "/demo/events"), ("GET", "/demo/stats"), ("POST", ""), ("GET", "")],
)
async def test_streams_are_their_administrators(api: ApiWorld, method: str, path: str) -> None:
    await api.publish(FFMPEG)
    await go_live(api)
    body = {"room": "demo"} if method == "POST" else None
    url = f"/api/v1/streams{path}"
    assert (await api.http.request(method, url, json=body)).status_code == 401
    assert (await api.http.request(method, url, json=body, headers=api.headers(None))).status_code == 403


async def test_a_whip_publisher_goes_live_when_it_asks(api: ApiWorld) -> None:
    answer = await api.http.post("/whip/demo?live", content=FFMPEG, headers=api.headers())
    assert answer.status_code == 201, answer.text
    assert api.context.live.find("demo").publishers == ["alice"]


async def test_a_browser_that_goes_live_by_whip_is_answered_with_h264(api: ApiWorld) -> None:
    answer = await api.http.post("/whip/demo?live", content=PUBLISH, headers=api.headers())
    assert answer.status_code == 201, answer.text
    assert "H264/90000" in answer.text
    assert "VP8" not in answer.text
    assert "red/48000" not in answer.text


async def test_whip_without_it_does_not_go_live(api: ApiWorld) -> None:
    for query in ("", "?live=0", "?live=false"):
        answer = await api.http.post(f"/whip/demo{query}", content=FFMPEG, headers=api.headers())
        assert answer.status_code == 201
    assert api.context.live.by_name == {}


async def test_a_publisher_that_cannot_go_live_is_not_left_in_the_room(make_api: MakeApi) -> None:
    settings = Settings(server=ServerSettings(dev=True), live=LiveSettings(enabled=False))
    api = await make_api(settings=settings)
    answer = await api.http.post("/whip/demo?live", content=FFMPEG, headers=api.headers())
    assert answer.status_code == 403
    assert answer.json()["code"] == "live_switched_off"
    assert "alice" not in api.rooms.by_name["demo"].participants


async def test_the_stream_of_an_encoder_shows_another_encoder_s(api: ApiWorld) -> None:
    listener = await api.context.ingests.listen(IngestProtocol.RTMP, "127.0.0.1:0")
    own, other = (api.link.begin_ingest(listener.id, name) for name in ("demo", "other"))
    await api.settle()

    async def show(stream: str, **grants: str) -> tuple[int, dict[str, Any]]:
        headers = api.headers(None, token=api.token(room_admin=True, **grants))
        answer = await api.http.put("/api/v1/streams/demo/source", json={"stream": stream}, headers=headers)
        return answer.status_code, answer.json()

    def pointed(shows: str | None, now: str | None) -> dict[str, Any]:
        return {"name": "demo", "shows": shows, "shown": now}

    async def listed() -> tuple[str | None, str | None]:
        body = (await api.http.get("/api/v1/ingests/demo", headers=admin(api))).json()
        return body["shows"], body["shown"]

    def shown() -> int | None:
        held = api.link.objects[own]
        assert isinstance(held, FakeIngest)
        return held.shows

    assert (await show("other"))[0] == 403
    assert await show("other", destination_room="other") == (200, pointed("other", None))
    assert shown() == other
    assert await listed() == ("other", None)
    # From its first keyframe on.
    api.link.emit(PackagerPointed(packager=own, source=other))
    await api.settle()
    assert await listed() == ("other", "other")
    assert (await show("nobody", destination_room="nobody"))[0] == 404
    # There are no circles.
    headers = api.headers(None, token=api.token(room="other", room_admin=True, destination_room="demo"))
    circle = await api.http.put("/api/v1/streams/other/source", json={"stream": "demo"}, headers=headers)
    assert (circle.status_code, circle.json()["code"]) == (409, "nothing_published")
    assert await show("demo") == (200, pointed(None, "other"))
    assert shown() is None
    api.link.emit(PackagerPointed(packager=own, source=None))
    await api.settle()
    assert await listed() == (None, None)
    # What ends is shown no more.
    await show("other", destination_room="other")
    api.link.emit(PackagerPointed(packager=own, source=other))
    api.link.give_up_ingest(other)
    await api.settle()
    assert await listed() == (None, None)
    both = await api.http.put(
        "/api/v1/streams/demo/source", json={"stream": "a", "participants": ["b"]}, headers=admin(api)
    )
    assert both.status_code == 422
    assert (await api.http.put("/api/v1/streams/demo/source", json={}, headers=admin(api))).status_code == 422
    await api.context.ingests.close()
