"""Ingresses made by LiveKit's server SDK: encoders and WHIP publish to them, and LiveKit's clients see who they are."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from aiortc import RTCPeerConnection
from aiortc_peer import Grey, Tone, assert_is_the_picture, post
from conftest import PATIENCE_S, Server, start_server, stop_server, token, until
from livekit import api, rtc
from livekit.protocol import ingress as messages
from livekit.protocol import models
from livekit_peer import LiveKitPeer, hear_tone, pictures
from test_encoders import AAC, H264, OPUS, SOURCE, TONE_HZ, encoder
from test_inputs import source
from test_pulls import free_port
from webhook_receiver import Receiver, receive

__all__ = ["receive"]
pytestmark = [pytest.mark.timeout(180), pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*HMAC key.*")]
STATUS = messages.IngressState.Status
AT_ONCE = (*H264, "-tune", "zerolatency")


@pytest.fixture
async def lk(server: Server) -> AsyncIterator[api.LiveKitAPI]:
    async with api.LiveKitAPI(server.http, "devkey", "secret") as client:
        yield client


async def state(lk: api.LiveKitAPI, id_: str) -> messages.IngressState:
    (found,) = (await lk.ingress.list_ingress(api.ListIngressRequest(ingress_id=id_))).items
    return found.state


async def wait_for(lk: api.LiveKitAPI, id_: str, *wanted: int) -> messages.IngressState:
    """Ask until an ingress is as wanted."""
    async with asyncio.timeout(PATIENCE_S):
        while (seen := await state(lk, id_)).status not in wanted:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    return seen


async def see_the_picture(track: rtc.Track) -> None:
    async with pictures(track) as seen:
        async for picture in seen:
            if picture.shape[:2] == (240, 320):
                assert_is_the_picture(picture[:, :, :3].mean(axis=2))
                return


async def test_an_encoder_by_rtmp_is_the_participant_that_the_api_made(
    receive: Callable[[], Receiver], tmp_path: Path
) -> None:
    receiver = receive()
    hooks = {"ROOMTONE_WEBHOOKS__URLS": f'["{receiver.url}"]', "ROOMTONE_WEBHOOKS__ALLOW_PRIVATE": "true"}
    server = await asyncio.to_thread(start_server, tmp_path / "data", **hooks)
    try:
        async with api.LiveKitAPI(server.http, "devkey", "secret") as lk, LiveKitPeer() as alice:
            await an_encoder_is_the_participant(server, lk, alice, tmp_path)
        names = ["ingress_started", "ingress_ended"]

        def told() -> list[str]:
            return [one.event for one in receiver.events if one.ingress_info.ingress_id]

        await asyncio.to_thread(until, lambda: told() == names, "webhooks of the ingress")
        assert receiver.failures == []
    finally:
        await asyncio.to_thread(stop_server, server)


async def an_encoder_is_the_participant(server: Server, lk: api.LiveKitAPI, alice: LiveKitPeer, folder: Path) -> None:
    wanted = api.CreateIngressRequest(
        input_type=api.IngressInput.RTMP_INPUT,
        name="studio",
        room_name="stage",
        participant_identity="camera-1",
        participant_name="Camera 1",
        participant_metadata="on the roof",
        video=api.IngressVideoOptions(name="roof", source=models.TrackSource.SCREEN_SHARE),
    )
    made = await lk.ingress.create_ingress(wanted)
    assert made.state.status == STATUS.ENDPOINT_INACTIVE
    await alice.connect(server.http, token("stage", "alice"))
    wrong = f"{made.url}/{made.ingress_id}"  # without its key, also from this machine
    with encoder(folder / "wrong", wrong, *AT_ONCE, sound=OPUS) as refused:
        assert await asyncio.to_thread(refused.wait, PATIENCE_S) != 0
    assert "stream key of this ingress" in (folder / "wrong").read_text()
    with encoder(folder / "log", f"{made.url}/{made.stream_key}", *AT_ONCE, sound=OPUS):
        seen = await alice.next_track(rtc.TrackKind.KIND_VIDEO)
        assert (seen.participant.identity, seen.participant.name) == ("camera-1", "Camera 1")
        assert (seen.participant.metadata, seen.publication.name) == ("on the roof", "roof")
        assert seen.publication.source == rtc.TrackSource.SOURCE_SCREENSHARE
        await see_the_picture(seen.track)
        heard = await alice.next_track(rtc.TrackKind.KIND_AUDIO)
        assert abs(await hear_tone(heard.track) - TONE_HZ) < 5
        there = await wait_for(lk, made.ingress_id, STATUS.ENDPOINT_PUBLISHING)
        assert (there.error, there.video.mime_type, there.video.width, there.video.height) == (
            "",
            "video/H264",
            320,
            240,
        )
        assert len(there.tracks) == 2
        await lk.ingress.delete_ingress(api.DeleteIngressRequest(ingress_id=made.ingress_id))
        assert (await alice.next_event("participant_disconnected"))[0].identity == "camera-1"
    assert (await lk.ingress.list_ingress(api.ListIngressRequest())).items == []


async def test_a_sender_by_whip_is_the_participant_that_the_api_made(server: Server, lk: api.LiveKitAPI) -> None:
    made = await lk.ingress.create_ingress(
        api.CreateIngressRequest(
            input_type=api.IngressInput.WHIP_INPUT, room_name="whip-stage", participant_identity="camera-2"
        )
    )
    connection = RTCPeerConnection()
    connection.addTrack(Grey())
    connection.addTrack(Tone())
    peer = await post(connection, made.url, made.stream_key)
    async with LiveKitPeer() as alice:
        await alice.connect(server.http, token("whip-stage", "alice"))
        seen = await alice.next_track(rtc.TrackKind.KIND_VIDEO)
        assert seen.participant.identity == "camera-2"
        await see_the_picture(seen.track)
        await wait_for(lk, made.ingress_id, STATUS.ENDPOINT_PUBLISHING)
        disabled = api.UpdateIngressRequest(ingress_id=made.ingress_id, enabled=False)
        await lk.ingress.update_ingress(disabled)
        assert (await alice.next_event("participant_disconnected"))[0].identity == "camera-2"
        await wait_for(lk, made.ingress_id, STATUS.ENDPOINT_INACTIVE)
    await peer.pc.close()


@pytest.mark.long
async def test_an_ingress_fetches_from_a_url_and_is_there_after_a_restart(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    data = tmp_path / "data"
    server = await asyncio.to_thread(start_server, data, ROOMTONE_PULL__ALLOW_PRIVATE="true")
    try:
        async with api.LiveKitAPI(server.http, "devkey", "secret") as lk:
            made = await lk.ingress.create_ingress(
                api.CreateIngressRequest(
                    input_type=api.IngressInput.URL_INPUT,
                    url=f"srt://127.0.0.1:{port}",
                    room_name="far",
                    participant_identity="film",
                )
            )
            error = await wait_for(lk, made.ingress_id, STATUS.ENDPOINT_ERROR)
            assert error.error
    finally:
        await asyncio.to_thread(stop_server, server)
    allowed = {"ROOMTONE_PULL__ALLOW_PRIVATE": "true", "ROOMTONE_LIVE__WEBRTC_MAKING": "off"}
    server = await asyncio.to_thread(start_server, data, **allowed)
    try:
        async with api.LiveKitAPI(server.http, "devkey", "secret") as lk, LiveKitPeer() as alice:
            await alice.connect(server.http, token("far", "alice"))
            with listening(tmp_path / "log", port):
                seen = await alice.next_track(rtc.TrackKind.KIND_VIDEO)
                assert seen.participant.identity == "film"
                await see_the_picture(seen.track)
                published = await wait_for(lk, made.ingress_id, STATUS.ENDPOINT_PUBLISHING)
                assert "AAC" in published.error  # half of it is not in the room, and that is said
            await wait_for(lk, made.ingress_id, STATUS.ENDPOINT_ERROR, STATUS.ENDPOINT_BUFFERING)
    finally:
        await asyncio.to_thread(stop_server, server)


def listening(log: Path, port: int) -> AbstractContextManager[object]:
    """FFmpeg that is called by SRT."""
    return source(log, *SOURCE, *AAC, *AT_ONCE, "-f", "mpegts", f"srt://127.0.0.1:{port}?mode=listener&pkt_size=1316")
