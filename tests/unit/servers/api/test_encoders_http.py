"""Encoders in rooms, by HTTP: what WHEP says of them, and what is listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.media.values import IngestProtocol, MediaKind, TrackBar

if TYPE_CHECKING:
    from api_world import ApiWorld


async def test_what_webrtc_does_not_carry_of_an_encoder_is_406_with_what_and_why(api: ApiWorld) -> None:
    listener = await api.context.ingests.listen(IngestProtocol.SRT, "127.0.0.1:0")
    packager = api.link.begin_ingest(listener.id, "demo")
    api.link.tell_track(packager, MediaKind.AUDIO, "mp4a.40.2", TrackBar.CODEC)
    video = api.link.tell_track(packager, MediaKind.VIDEO, "avc1.640028", TrackBar.REORDERED)
    await api.settle()
    refused = await api.watch()
    assert (refused.status_code, refused.json()["code"]) == (406, "no_common_codec")
    assert "the H.264 has B-frames" in refused.json()["detail"]
    assert "WebRTC does not carry AAC; have the encoder send Opus" in refused.json()["detail"]

    admin = api.token(room_admin=True)
    listed = (await api.http.get("/api/v1/ingests/demo", headers=api.headers(None, admin))).json()
    assert listed["in_room"]
    assert listed["unavailable"].keys() == {"audio", "video"}

    api.link.tell_track(packager, MediaKind.VIDEO, "avc1.42c01f", None, video)
    await api.settle()
    assert (await api.watch()).status_code == 201
    listed = (await api.http.get("/api/v1/ingests/demo", headers=api.headers(None, admin))).json()
    assert listed["unavailable"].keys() == {"audio"}
    await api.context.ingests.close()
