"""Pictures, buffers and parameters of live streams; pausing; and what is not there."""

from __future__ import annotations

import pytest
from api_world import FFMPEG, ApiWorld

from roomtone.control.live import LiveError, LiveRefusal
from roomtone.media.fake_objects import FakePackager
from roomtone.media.front import FrontHeld, FrontHeldTrack

URL = "/api/v1/streams/demo"


class Shelf:
    """A front door that holds one stream."""

    def __init__(self) -> None:
        self.file: bytes | None = b"a keyframe"

    def keyframe(self, name: str) -> bytes | None:
        return self.file if name == "demo" else None

    def held(self, name: str) -> FrontHeld | None:
        track = FrontHeldTrack(
            name="video", listed_ms=12_000, segments=3, bytes=90_000, stored=30_000, late=1, mean_bps=60_000
        )
        return FrontHeld(waiting=2, tracks=[track]) if name == "demo" else None


async def draw(file: bytes) -> bytes:
    if file != b"a keyframe":
        raise LiveError(LiveRefusal.PREVIEW_FAILED, "nothing can be decoded")
    return b"a jpeg"


def admin(api: ApiWorld) -> dict[str, str]:
    return api.headers(None, token=api.token(room_admin=True))


@pytest.fixture
async def streaming(api: ApiWorld) -> ApiWorld:
    await api.publish(FFMPEG)
    made = await api.http.post("/api/v1/streams", json={"room": "demo"}, headers=admin(api))
    assert made.status_code == 201
    api.context.shelf, api.context.picture = Shelf(), draw
    return api


async def test_the_last_keyframe_and_a_picture_of_it(streaming: ApiWorld) -> None:
    api = streaming
    file = await api.http.get(f"{URL}/iframe", headers=admin(api))
    assert (file.status_code, file.content, file.headers["content-type"]) == (200, b"a keyframe", "video/mp4")
    picture = await api.http.get(f"{URL}/preview", headers=admin(api))
    assert (picture.status_code, picture.content, picture.headers["content-type"]) == (200, b"a jpeg", "image/jpeg")
    assert picture.headers["cache-control"] == "no-store"
    assert isinstance(api.context.shelf, Shelf)
    api.context.shelf.file = b"rubbish"
    failed = await api.http.get(f"{URL}/preview", headers=admin(api))
    assert (failed.status_code, failed.json()["code"]) == (503, "preview_failed")
    api.context.shelf.file = None
    for what in ("iframe", "preview"):
        none = await api.http.get(f"{URL}/{what}", headers=admin(api))
        assert (none.status_code, none.json()["code"]) == (409, "no_keyframe_yet")


async def test_what_is_in_memory_and_how_it_is_packaged(streaming: ApiWorld) -> None:
    buffer = (await streaming.http.get(f"{URL}/buffer", headers=admin(streaming))).json()
    assert buffer["waiting"] == 2
    assert buffer["tracks"][0]["listed_ms"] == 12_000
    parameters = (await streaming.http.get(f"{URL}/parameters", headers=admin(streaming))).json()
    assert (parameters["window_s"], parameters["encryption"]) == (120, "none")
    assert (await streaming.http.get(f"{URL}/video", headers=admin(streaming))).json() == []


async def test_a_stream_is_paused_and_goes_on(streaming: ApiWorld) -> None:
    for what, state in (("pause", "paused"), ("pause", "paused"), ("resume", "starting"), ("resume", "starting")):
        answer = await streaming.http.post(f"{URL}/{what}", headers=admin(streaming))
        assert answer.status_code == 204
        seen = (await streaming.http.get(URL, headers=admin(streaming))).json()
        assert (seen["state"], seen["publishers"]) == (state, [] if state == "paused" else ["alice"])
    events = (await streaming.http.get(f"{URL}/events", headers=admin(streaming))).json()
    kinds = [event["kind"] for event in events]
    assert (kinds.count("paused"), kinds.count("resumed")) == (1, 1)


async def test_sound_is_shifted_against_pictures(streaming: ApiWorld) -> None:
    before = (await streaming.http.get(f"{URL}/sync", headers=admin(streaming))).json()
    assert (before["audio_offset_ms"], before["av_offset_ms"], before["arrival_skew_ms"]) == (0, 0, 10)
    wanted = {"audio_offset_ms": 120}
    after = (await streaming.http.put(f"{URL}/sync", json=wanted, headers=admin(streaming))).json()
    assert (after["audio_offset_ms"], after["av_offset_ms"]) == (120, 120)
    (packager,) = (held for held in streaming.link.objects.values() if isinstance(held, FakePackager))
    assert packager.audio_offset_ms == 120
    assert {track["kind"]: track["shift_ms"] for track in after["tracks"]} == {"video": 0, "audio": 120}
    for wrong in (-501, 1_001, "much"):
        answer = await streaming.http.put(f"{URL}/sync", json={"audio_offset_ms": wrong}, headers=admin(streaming))
        assert answer.status_code == 422


async def test_lines_of_text_are_shown_with_a_stream(streaming: ApiWorld) -> None:
    async def say(**line: object) -> tuple[int, str | None]:
        answer = await streaming.http.post(f"{URL}/subtitles", json=line, headers=admin(streaming))
        return answer.status_code, answer.json()["code"] if answer.content else None

    assert await say(text="too early") == (409, "not_begun")
    (packager,) = (held for held in streaming.link.objects.values() if isinstance(held, FakePackager))
    packager.begun = True
    assert await say(text="good evening", language="en-GB", delay_ms=-500, duration_ms=3_000) == (204, None)
    assert await say(text="") == (204, None)
    said = [(one.text, one.language, one.delay_ms, one.duration_ms) for one in packager.said]
    assert said == [("good evening", "en-GB", -500, 3_000), ("", None, 0, None)]
    for wrong in ({}, {"text": "x", "language": "not a tag"}, {"text": "x", "duration_ms": 99}, {"text": "ä" * 3_000}):
        assert (await say(**wrong))[0] == 422
    for number in range(6):
        assert await say(text="x", language=f"l{number}") == (204, None)
    assert await say(text="x", language="ninth") == (422, "line_refused")


async def test_how_full_the_queues_of_a_room_s_stream_are(streaming: ApiWorld) -> None:
    answer = (await streaming.http.get(f"{URL}/backpressure", headers=admin(streaming))).json()
    assert (answer["level"], answer["memory_level"]) == ("elevated", "normal")
    assert answer["source"] == {"protocol": None, "means": "none", "pace": "free", "slowdowns": 0}
    assert (answer["memory_bytes"], answer["memory_limit"]) == (1_000, 1 << 30)
    track, memory = answer["queues"]
    assert (track["kind"], track["level"], track["units"], track["units_limit"]) == ("track", "elevated", 2_048, 4_096)
    assert (memory["kind"], memory["bytes"], memory["bytes_limit"], memory["slows_source"]) == (
        "memory",
        1_000,
        64_000,
        False,
    )


async def test_what_is_not_there_says_so(streaming: ApiWorld) -> None:
    answer = await streaming.http.put(f"{URL}/backpressure", headers=admin(streaming))
    assert (answer.status_code, answer.json()["code"]) == (501, "not_supported")
    assert "fixed" in answer.json()["detail"]


@pytest.mark.parametrize("what", ["iframe", "preview", "buffer", "parameters", "video", "sync", "backpressure"])
async def test_all_of_it_is_for_administrators(streaming: ApiWorld, what: str) -> None:
    assert (await streaming.http.get(f"{URL}/{what}")).status_code == 401
    assert (await streaming.http.get(f"{URL}/{what}", headers=streaming.headers(None))).status_code == 403


async def test_only_administrators_say_something(streaming: ApiWorld) -> None:
    line = {"text": "I was here"}
    assert (await streaming.http.post(f"{URL}/subtitles", json=line)).status_code == 401
    answer = await streaming.http.post(f"{URL}/subtitles", json=line, headers=streaming.headers(None))
    assert answer.status_code == 403
