"""`/api/v1/streams/{name}/encryption`: what is said of a name, while its stream is live and before."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from api_world import FFMPEG, ApiWorld
from test_encoders_http import pushed
from test_live_http import admin, go_live

from roomtone.control.live import listing
from roomtone.media.fake_objects import FakeIngest, FakePackager
from roomtone.media.values import EncryptionMethod, IngestProtocol, MediaKind

AES, SAMPLES = EncryptionMethod.AES_128, EncryptionMethod.SAMPLE_AES


async def say(api: ApiWorld, encryption: str | None, name: str = "demo", **more: object) -> httpx.Response:
    """Say how the stream of a name is to be encrypted."""
    body = {"encryption": encryption, **more}
    headers = api.headers(None, token=api.token(room=name, room_admin=True))
    return await api.http.put(f"/api/v1/streams/{name}/encryption", json=body, headers=headers)


def told(api: ApiWorld, kind: type[FakeIngest | FakePackager]) -> tuple[EncryptionMethod, int] | None:
    """What the engine was told last of the one stream there is."""
    (stream,) = [held for held in api.link.objects.values() if isinstance(held, kind)]
    encryption = stream.encryption
    return None if encryption is None else (encryption.method, encryption.segments_per_key)


async def test_what_an_encoder_publishes_is_encrypted_otherwise_while_it_is_live(api: ApiWorld) -> None:
    listener = await api.context.ingests.listen(IngestProtocol.RTMP, "127.0.0.1:0")
    api.link.begin_ingest(listener.id, "demo")
    await api.settle()
    answer = await say(api, "aes-128", segments_per_key=3)
    assert answer.json() == {"encryption": "aes-128", "segments_per_key": 3, "live": True}
    assert told(api, FakeIngest) == (AES, 3)
    listed: dict[str, Any] = (await api.http.get("/api/v1/ingests/demo", headers=admin(api))).json()
    assert listed["encryption"] == "aes-128"
    # Who comes after it has the same, and what was said ends with nothing.
    assert await pushed(api, "demo") is AES
    assert (await say(api, None)).json() == {"encryption": "none", "segments_per_key": 0, "live": True}
    assert told(api, FakeIngest) is None
    assert await pushed(api, "demo") is None
    assert api.context.sealing.changed == 2
    await api.context.ingests.close()


async def test_what_is_said_of_a_room_is_told_its_packager_and_kept_for_later(api: ApiWorld) -> None:
    assert (await say(api, "sample-aes")).json()["live"] is False
    await api.publish(FFMPEG)
    status, stream = await go_live(api)
    assert (status, stream["encryption"]) == (201, "sample-aes")
    assert told(api, FakePackager) == (SAMPLES, 0)
    assert (await say(api, "aes-128")).json() == {"encryption": "aes-128", "segments_per_key": 0, "live": True}
    assert told(api, FakePackager) == (AES, 0)
    read = await api.http.get("/api/v1/streams/demo/encryption", headers=admin(api))
    assert read.json()["encryption"] == "aes-128"


async def test_what_changes_between_the_question_and_the_beginning_is_not_missed(api: ApiWorld) -> None:
    listener = await api.context.ingests.listen(IngestProtocol.RTMP, "127.0.0.1:0")
    assert await pushed(api, "demo") is None
    await say(api, "aes-128")
    api.link.begin_ingest(listener.id, "demo")
    await api.settle()
    assert told(api, FakeIngest) == (AES, 0)
    await api.context.ingests.close()


async def test_what_cannot_be_encrypted_so_stays_as_it_was(api: ApiWorld) -> None:
    listener = await api.context.ingests.listen(IngestProtocol.RTMP, "127.0.0.1:0")
    packager = api.link.begin_ingest(listener.id, "demo")
    api.link.tell_track(packager, MediaKind.VIDEO, "av01.0.05M.08")
    await api.settle()
    await say(api, "aes-128")
    answer = await say(api, "sample-aes")
    assert (answer.status_code, answer.json()["code"]) == (422, "cannot_encrypt")
    assert "AV1" in answer.json()["detail"]
    assert told(api, FakeIngest) == (AES, 0)
    assert await pushed(api, "demo") is AES
    await api.context.ingests.close()


async def test_an_input_says_it_itself(api: ApiWorld) -> None:
    opened = await api.http.post("/api/v1/inputs", json={"name": "demo", "listen": "127.0.0.1:0"}, headers=admin(api))
    assert opened.status_code == 201, opened.text
    answer = await say(api, "aes-128")
    assert (answer.status_code, answer.json()["code"]) == (409, "encrypted_by_input")
    await api.http.delete("/api/v1/inputs/demo", headers=admin(api))
    assert (await say(api, "aes-128")).status_code == 200
    await api.context.ingests.close()


async def test_names_are_names_and_not_without_end(api: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_SAID", 1)
    assert (await say(api, "aes-128", "one")).status_code == 200
    refused = await say(api, "aes-128", "two")
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_names")
    assert (await say(api, "rot13", "one")).status_code == 422
    assert (await say(api, "aes-128", "no~name")).status_code == 404
    stranger = await api.http.put(
        "/api/v1/streams/one/encryption", json={"encryption": "none"}, headers=api.headers(None, token=api.token())
    )
    assert stranger.status_code == 403
