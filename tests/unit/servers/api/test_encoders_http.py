"""Encoders in rooms, by HTTP: what WHEP says of them, and what is listed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from api_world import ApiWorld

from roomtone.config import ServerSettings, Settings
from roomtone.config.live import LiveSettings, StreamSettings
from roomtone.media.values import (
    EncryptionMethod,
    IngestPace,
    IngestPaced,
    IngestProtocol,
    MediaKind,
    PackagerPressed,
    PressureLevel,
    Question,
    TrackBar,
)

FAR = ("192.0.2.9", 50000)
MakeApi = Callable[..., Awaitable[ApiWorld]]


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


async def test_an_encoder_that_is_slowed_down_says_so_and_by_what(api: ApiWorld) -> None:
    listener = await api.context.ingests.listen(IngestProtocol.RTMP, "127.0.0.1:0")
    packager = api.link.begin_ingest(listener.id, "demo")
    track = api.link.tell_track(packager, MediaKind.VIDEO, "avc1.42c01f", None)
    await api.settle()
    stream = api.context.ingests.by_name["demo"]
    assert stream.ingest is not None
    paces = (IngestPace.SLOWED, IngestPace.GIVEN_UP, IngestPace.FREE, IngestPace.SLOWED)
    for pace in paces:
        api.link.emit(IngestPaced(ingest=stream.ingest, listener=listener.id, packager=packager, pace=pace))
    api.link.emit(PackagerPressed(packager=packager, level=PressureLevel.CRITICAL, queue="way_in"))
    await api.settle()
    admin = api.headers(None, api.token(room_admin=True))
    answer = (await api.http.get("/api/v1/streams/demo/backpressure", headers=admin)).json()
    assert answer["source"]["pace"] == "slowed"
    assert 1 <= answer["source"]["slowdowns"] <= paces.count(IngestPace.SLOWED)
    assert answer["source"]["means"] == {"rtmp": "tcp", "srt": "flow_window"}[answer["source"]["protocol"]]
    way_in, *_, making = answer["queues"]
    assert (way_in["kind"], way_in["slows_source"]) == ("way_in", True)
    assert (making["kind"], making["name"], making["slows_source"]) == ("making", f"making-{track}", False)
    assert stream.pressure is PressureLevel.CRITICAL
    await api.context.ingests.close()


async def test_an_input_says_how_its_stream_is_given(make_api: MakeApi) -> None:
    api = await make_api(client=FAR)
    admin = api.headers(None, api.token(room_admin=True))
    said = {"name": "demo", "listen": "127.0.0.1:0", "public": True, "encryption": "aes-128"}
    opened = await api.http.post("/api/v1/inputs", json=said, headers=admin)
    assert opened.status_code == 201, opened.text
    (port,) = api.context.inputs.by_name.values()
    api.link.begin_ingest(port.listener.id, "demo")
    await api.settle()
    listed = (await api.http.get("/api/v1/ingests/demo", headers=admin)).json()
    assert (listed["public"], listed["encryption"]) == (True, "aes-128")
    assert (await api.http.get("/live/demo/index.m3u8")).status_code == 302
    unknown = await api.http.post("/api/v1/inputs", json=said | {"encryption": "rot13"}, headers=admin)
    assert unknown.status_code == 422
    assert (await api.http.delete("/api/v1/inputs/demo", headers=admin)).status_code == 204
    assert (await api.http.get("/live/demo/index.m3u8")).status_code == 401
    await api.context.ingests.close()


async def test_settings_of_a_name_make_it_public_or_encrypt_what_is_pushed(make_api: MakeApi) -> None:
    streams = {"demo": StreamSettings(public=True), "sealed": StreamSettings(encryption="aes-128")}
    settings = Settings(server=ServerSettings(dev=True), live=LiveSettings(streams=streams))
    api = await make_api(client=FAR, settings=settings)
    assert (await api.http.get("/live/demo/index.m3u8")).status_code == 302
    assert (await api.http.get("/live/sealed/index.m3u8")).status_code == 401
    assert [await pushed(api, name) for name in ("demo", "sealed")] == [None, EncryptionMethod.AES_128]


async def pushed(api: ApiWorld, name: str) -> EncryptionMethod | None:
    """Let an encoder in; by what the port is told to encrypt its stream, if it is."""
    credential = api.token(room=name)
    question = Question(id=1, deadline_ms=1_000, topic="publish", subject=name, credential=credential)
    answer = await api.context.ingests.decide(question)
    assert answer.allowed, answer.detail
    encryption = None if answer.listing is None else answer.listing.encryption
    return None if encryption is None else encryption.method
