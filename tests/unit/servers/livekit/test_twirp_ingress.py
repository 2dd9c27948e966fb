"""LiveKit's `Ingress` service: who may call it, what it makes of requests, what is refused and what is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.message import Message
from kept_in_memory import ingress_stage
from livekit.protocol import ingress, models
from livekit_world import NOW, Keys, LiveKitWorld
from test_twirp import ask
from test_webhook_events import Sender

from roomtone.config.models import LiveKitSettings
from roomtone.control.live import (
    Ingests,
    IngressRefusal,
    PullRefusal,
)
from roomtone.control.policy import VideoGrants
from roomtone.media import IngestListener
from roomtone.media.values import MediaKind, TrackBar
from roomtone.protocols.livekit import METHODS
from roomtone.servers.livekit import report_ingresses
from roomtone.servers.livekit.twirp_ingress import CODES, INGRESS_SERVICE, PULL_CODES

ADMIN = VideoGrants(ingress_admin=True)
RTMP = ingress.IngressInput.RTMP_INPUT
STATUS = ingress.IngressState.Status


@dataclass
class Service:
    world: LiveKitWorld
    ingests: Ingests
    listener: IngestListener
    sender: Sender

    async def call(self, name: str, request: Message, grants: VideoGrants = ADMIN) -> Any:
        return await ask(self.world, name, request, grants, "Ingress")

    async def make(self, **more: Any) -> Any:
        said = {"name": "studio", "room_name": "stage", "participant_identity": "camera"} | more
        return await self.call("CreateIngress", ingress.CreateIngressRequest(**said))

    async def listed(self, **which: str) -> list[ingress.IngressInfo]:
        return list((await self.call("ListIngress", ingress.ListIngressRequest(**which))).items)


@pytest.fixture
async def service(livekit: LiveKitWorld) -> AsyncIterator[Service]:
    async with ingress_stage(livekit.engine, livekit.rooms, lambda: NOW, Keys) as at:
        livekit.context.ingresses = at.ingresses
        sender = Sender()
        report_ingresses(livekit.context, sender, at.ingresses, lambda: "EV_1")
        yield Service(livekit, at.ingests, at.listener, sender)


def test_every_method_is_there_and_every_refusal_has_a_code() -> None:
    assert {method.name for method in METHODS.values() if method.service == "Ingress"} == set(INGRESS_SERVICE)
    assert (set(CODES), set(PULL_CODES)) == (set(IngressRefusal), set(PullRefusal))


@pytest.mark.parametrize("name", sorted(INGRESS_SERVICE))
async def test_it_is_for_those_who_administer_ingresses(livekit: LiveKitWorld, name: str) -> None:
    request = METHODS[f"livekit.Ingress/{name}"].request()
    everything_else = VideoGrants(room="stage", room_admin=True, room_create=True, room_list=True)
    assert (await ask(livekit, name, request, everything_else, "Ingress"))[0] == "unauthenticated"
    code, _ = await ask(livekit, name, request, ADMIN, "Ingress")
    assert code in {"unimplemented", "invalid_argument"}  # no ingresses are kept here


async def test_one_is_made_listed_changed_and_deleted(service: Service) -> None:
    made = await service.make(participant_name="Camera 1", participant_metadata="m")
    assert (made.name, made.room_name, made.participant_identity, made.participant_name) == (
        "studio",
        "stage",
        "camera",
        "Camera 1",
    )
    assert made.url == f"rtmp://test:{service.listener.port}/live"
    assert made.stream_key.startswith(f"{made.ingress_id}?token=sk_")
    assert (made.reusable, made.enabled, made.bypass_transcoding, made.enable_transcoding) == (True, True, True, False)
    assert made.state.status == STATUS.ENDPOINT_INACTIVE
    by_whip = await service.make(input_type=ingress.IngressInput.WHIP_INPUT, room_name="theatre")
    assert by_whip.url == f"http://test/whip/{by_whip.ingress_id}"
    assert by_whip.stream_key.startswith("sk_")
    assert await service.listed() == [made, by_whip] or await service.listed() == [by_whip, made]
    assert await service.listed(room_name="theatre") == [by_whip]
    assert await service.listed(ingress_id=made.ingress_id) == [made]
    assert await service.listed(room_name="theatre", ingress_id=made.ingress_id) == []
    change = ingress.UpdateIngressRequest(
        ingress_id=made.ingress_id,
        room_name="theatre",
        enabled=False,
        video=ingress.IngressVideoOptions(name="slides", source=models.TrackSource.SCREEN_SHARE),
    )
    changed = await service.call("UpdateIngress", change)
    assert (changed.room_name, changed.enabled, changed.participant_identity) == ("theatre", False, "camera")
    assert (changed.video.name, changed.video.source) == ("slides", models.TrackSource.SCREEN_SHARE)
    assert changed.stream_key == made.stream_key
    gone = ingress.DeleteIngressRequest(ingress_id=made.ingress_id)
    assert (await service.call("DeleteIngress", gone)).ingress_id == made.ingress_id
    assert (await service.call("DeleteIngress", gone))[0] == "not_found"
    assert (await service.call("UpdateIngress", change))[0] == "not_found"
    assert await service.listed() == [by_whip]


async def test_urls_that_encoders_are_told_are_those_of_the_settings(service: Service) -> None:
    service.world.context.settings = LiveKitSettings(
        ingress_rtmp_url="rtmp://in.example/live/", ingress_whip_url="https://in.example/whip/"
    )
    assert (await service.make()).url == "rtmp://in.example/live"
    by_whip = await service.make(input_type=ingress.IngressInput.WHIP_INPUT)
    assert by_whip.url == f"https://in.example/whip/{by_whip.ingress_id}"


async def test_transcoding_may_be_asked_for_where_the_server_makes_tracks_anew(service: Service) -> None:
    service.world.context.makes_for_rooms = True
    made = await service.make(enable_transcoding=True)
    assert (made.enable_transcoding, made.bypass_transcoding) == (True, False)
    by_whip = await service.make(input_type=ingress.IngressInput.WHIP_INPUT)
    assert (by_whip.enable_transcoding, by_whip.bypass_transcoding) == (False, True)
    assert (await service.make(video={"preset": "H264_720P_30FPS_1_LAYER"}))[0] == "unimplemented"


async def test_its_state_and_webhooks_say_what_is_published(service: Service) -> None:
    made = await service.make()
    packager = service.world.link.begin_ingest(service.listener.id, made.ingress_id)
    await service.world.settle()
    (found,) = await service.listed()
    assert found.state.status == STATUS.ENDPOINT_BUFFERING
    link = service.world.link
    link.tell_track(packager, MediaKind.VIDEO, "avc1.42c01f", None, None)
    link.tell_track(packager, MediaKind.AUDIO, "mp4a.40.2", TrackBar.CODEC, None)
    await service.world.settle()
    (found,) = await service.listed()
    assert (found.state.status, found.state.started_at) == (STATUS.ENDPOINT_PUBLISHING, int(NOW) * 10**9)
    assert found.state.error == "audio: WebRTC does not carry AAC; have the encoder send Opus"
    assert (found.state.video.mime_type, found.state.audio.mime_type) == ("video/H264", "audio/mp4a-latm")
    room = service.world.rooms.by_name["stage"]
    assert found.state.room_id == room.id
    assert [track.name for track in found.state.tracks] == ["video"]
    change = ingress.UpdateIngressRequest(ingress_id=made.ingress_id, room_name="theatre")
    assert (await service.call("UpdateIngress", change))[0] == "failed_precondition"
    link.lose_encoder(packager)
    await service.world.settle()
    (found,) = await service.listed()
    assert (found.state.status, found.state.ended_at) == (STATUS.ENDPOINT_INACTIVE, int(NOW) * 10**9)
    started, ended = service.sender.events()
    assert (started.event, ended.event) == ("ingress_started", "ingress_ended")
    assert started.ingress_info.state.status == STATUS.ENDPOINT_PUBLISHING
    assert (started.ingress_info.ingress_id, started.ingress_info.stream_key) == (made.ingress_id, "")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"enable_transcoding": True}, "unimplemented"),
        ({"video": {"preset": "H264_720P_30FPS_1_LAYER"}}, "unimplemented"),
        ({"video": {"options": {"frame_rate": 25}}}, "unimplemented"),
        ({"audio": {"preset": "OPUS_MONO_64KBS"}}, "unimplemented"),
        ({"audio": {"options": {"bitrate": 64_000}}}, "unimplemented"),
        ({"video": {"source": models.TrackSource.MICROPHONE}}, "invalid_argument"),
        ({"room_name": ""}, "invalid_argument"),
        ({"participant_identity": ""}, "invalid_argument"),
        ({"input_type": 9}, "invalid_argument"),
        ({"url": "rtmp://origin.example/live/film"}, "invalid_argument"),
        ({"input_type": 2}, "invalid_argument"),
        ({"input_type": 2, "url": "https://origin.example/film.mp4"}, "unimplemented"),
        ({"input_type": 2, "url": "srt://origin.example"}, "invalid_argument"),
        ({"input_type": 2, "url": "rtmp://localhost/live/film"}, "permission_denied"),
        ({"input_type": 2, "url": "rtmp://origin.example/live/film", "enabled": False}, "invalid_argument"),
    ],
    ids=str,
)
async def test_what_would_not_act_is_refused_and_nothing_is_made(
    service: Service, said: dict[str, Any], code: str
) -> None:
    answer = await service.make(**said)
    assert answer[0] == code, answer
    assert answer[1]
    assert await service.listed() == []


async def test_what_is_fetched_cannot_be_changed_and_nobody_listens_for_nothing(service: Service) -> None:
    made = await service.make(input_type=2, url="rtmp://origin.example/live/film?key=secret")
    assert (made.reusable, made.stream_key, made.url) == (False, "", "rtmp://origin.example/live/film?key=secret")
    change = ingress.UpdateIngressRequest(ingress_id=made.ingress_id, room_name="theatre")
    assert (await service.call("UpdateIngress", change))[0] == "invalid_argument"
    transcode = ingress.UpdateIngressRequest(ingress_id=made.ingress_id, bypass_transcoding=False)
    assert (await service.call("UpdateIngress", transcode))[0] == "unimplemented"
    page = ingress.ListIngressRequest(page_token=models.TokenPagination(token="x"))
    assert (await service.call("ListIngress", page))[0] == "invalid_argument"
    service.ingests.listeners.remove(service.listener)
    assert (await service.make())[0] == "failed_precondition"
    service.ingests.listeners.append(service.listener)
