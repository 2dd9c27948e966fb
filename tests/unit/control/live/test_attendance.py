"""Encoders as participants of the rooms of their streams' names."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from live_world import PEER, World, picture

from roomtone.control.live import Ingests, LiveError, LiveLimits, LiveStreams, PublishRights
from roomtone.control.live.attendance import Attendances
from roomtone.control.policy import KeyTable
from roomtone.control.rooms import (
    CloseReason,
    JoinRequest,
    Participant,
    Refusal,
    RoomError,
    RoomOptions,
    Rooms,
    SubscriptionOffer,
)
from roomtone.media import Engine, FakeLink, IngestListener
from roomtone.media.fake_objects import FakeFeed, FakeIngest
from roomtone.media.values import IngestProtocol, MediaKind, PackagerId, TrackBar
from roomtone.protocols.sdp.repertoire import OPUS, VIDEO_CODECS

H264, AAC = "avc1.42c01f", "mp4a.40.2"


@dataclass
class Stage(World):
    ingests: Ingests
    listener: IngestListener

    @property
    def attendances(self) -> Attendances:
        assert self.ingests.attendances is not None
        return self.ingests.attendances

    async def begin(self, name: str = "demo") -> PackagerId:
        packager = self.link.begin_ingest(self.listener.id, name)
        await self.settle()
        return packager

    async def tell(
        self, packager: PackagerId, kind: MediaKind, codec: str, bar: TrackBar | None = None, track: int | None = None
    ) -> int:
        told = self.link.tell_track(packager, kind, codec, bar, track)
        await self.settle()
        return told

    def encoder(self, name: str = "demo") -> Participant | None:
        room = self.rooms.by_name.get(name)
        return None if room is None else room.participants.get("encoder")

    def codecs(self) -> list[str]:
        encoder = self.encoder()
        return [] if encoder is None else [track.offer.codecs[0].name for track in encoder.publications.values()]

    def feeds(self) -> int:
        return sum(isinstance(held, FakeFeed) for held in self.link.objects.values())

    async def watch(self) -> None:
        await self.rooms.watch("demo", PEER, [SubscriptionOffer(MediaKind.VIDEO, VIDEO_CODECS, mid="0")])


@pytest.fixture
async def stage(link: FakeLink, engine: Engine, rooms: Rooms) -> AsyncIterator[Stage]:
    live = LiveStreams(rooms, LiveLimits(auto=True))
    ingests = Ingests(engine, PublishRights(KeyTable({}), time.time), rooms=rooms)
    live.is_taken = ingests.by_name.__contains__
    listener = await ingests.listen(IngestProtocol.SRT, "127.0.0.1:0")
    yield Stage(link, engine, rooms, live, ingests, listener)
    await ingests.close()
    await live.close()


async def test_an_encoder_is_a_participant_that_publishes_what_webrtc_carries(stage: Stage) -> None:
    packager = await stage.begin()
    encoder = stage.encoder()
    assert encoder is not None
    assert (encoder.kind, encoder.protocol, encoder.connected) == ("ingest", "encoder", True)
    await stage.tell(packager, MediaKind.VIDEO, H264)
    sound = await stage.tell(packager, MediaKind.AUDIO, "opus")
    assert stage.codecs() == ["H264", "OPUS"]
    stage.link.end_track(packager, sound)
    await stage.settle()
    assert stage.codecs() == ["H264"]
    stage.link.lose_encoder(packager)
    await stage.settle()
    assert (stage.encoder(), stage.feeds()) == (None, 0)


async def test_one_that_comes_back_is_a_participant_again(stage: Stage) -> None:
    packager = await stage.begin()
    await stage.tell(packager, MediaKind.VIDEO, H264)
    stage.link.lose_encoder(packager)
    assert await stage.begin() == packager
    await stage.tell(packager, MediaKind.VIDEO, H264)
    assert (stage.codecs(), stage.feeds()) == (["H264"], 1)
    assert stage.attendances.counts == {"joined": 2, "track_published": 2}


async def test_what_webrtc_does_not_carry_is_told_in_the_room(stage: Stage) -> None:
    packager = await stage.begin()
    await stage.tell(packager, MediaKind.AUDIO, AAC, TrackBar.CODEC)
    encoder = stage.encoder()
    assert encoder is not None
    assert encoder.attributes == {"unavailable.audio": "WebRTC does not carry AAC; have the encoder send Opus"}
    stream = stage.ingests.by_name["demo"]
    assert stage.ingests.is_in_room(stream)
    assert stage.ingests.unavailable(stream).keys() == {MediaKind.AUDIO}
    with pytest.raises(RoomError, match="nothing of it can be watched by WebRTC: audio: WebRTC does not") as refused:
        await stage.watch()
    assert refused.value.refusal is Refusal.NO_COMMON_CODEC
    await stage.tell(packager, MediaKind.VIDEO, H264)
    await stage.watch()
    sound = SubscriptionOffer(MediaKind.AUDIO, (OPUS,), mid="0")
    with pytest.raises(RoomError, match="audio: WebRTC does not carry AAC"):
        await stage.rooms.watch("demo", PEER, [sound])


async def test_pictures_that_turn_out_to_be_reordered_are_withdrawn(stage: Stage) -> None:
    packager = await stage.begin()
    track = await stage.tell(packager, MediaKind.VIDEO, H264)
    await stage.watch()
    await stage.tell(packager, MediaKind.VIDEO, H264, TrackBar.REORDERED, track)
    assert stage.codecs() == []
    encoder = stage.encoder()
    assert encoder is not None
    assert "B-frames" in encoder.attributes["unavailable.video"]


async def test_a_track_that_changes_its_codec_is_another_track(stage: Stage) -> None:
    packager = await stage.begin()
    track = await stage.tell(packager, MediaKind.VIDEO, H264)
    await stage.tell(packager, MediaKind.VIDEO, "hvc1.1.6.L93.B0", None, track)
    assert stage.codecs() == ["H265"]


async def test_who_watches_a_room_sees_its_live_stream(stage: Stage) -> None:
    packager = await stage.begin()
    await stage.tell(packager, MediaKind.VIDEO, H264)
    await stage.publish("later", picture())
    room = stage.rooms.by_name["demo"]
    newest = room.newest_publisher()
    assert newest is not None
    assert newest.identity == "encoder"
    stage.link.lose_encoder(packager)
    await stage.settle()
    newest = room.newest_publisher()
    assert newest is not None
    assert newest.identity == "later"


async def test_a_room_whose_live_stream_an_encoder_publishes_does_not_go_live_itself(stage: Stage) -> None:
    packager = await stage.begin()
    await stage.tell(packager, MediaKind.VIDEO, H264)
    await stage.publish("somebody", picture())
    assert stage.packagers() == 0
    with pytest.raises(LiveError, match="an encoder publishes the live stream of this name"):
        await stage.live.go_live("demo")


@pytest.mark.parametrize("closes_room", [False, True])
async def test_who_is_sent_out_of_the_room_publishes_no_more(stage: Stage, *, closes_room: bool) -> None:
    await stage.begin()
    encoder = stage.encoder()
    assert encoder is not None
    if closes_room:
        await stage.rooms.close_room(encoder.room)
    else:
        await stage.rooms.remove(encoder)
    await stage.settle()
    assert stage.ingests.by_name == {}
    assert not [held for held in stage.link.objects.values() if isinstance(held, FakeIngest)]


async def test_one_that_the_room_refuses_is_live_and_it_is_said(stage: Stage) -> None:
    await stage.rooms.create("demo", RoomOptions(locked=True))
    packager = await stage.begin()
    await stage.tell(packager, MediaKind.VIDEO, H264)
    assert (stage.encoder(), stage.feeds()) == (None, 0)
    assert stage.ingests.by_name["demo"].warnings == {"it is not in the room: the room is locked": 1}


async def test_an_encrypted_room_has_no_encoder(stage: Stage) -> None:
    await stage.rooms.create("demo", RoomOptions(e2ee=True))
    await stage.begin()
    assert (stage.encoder(), stage.feeds()) == (None, 0)
    (warning,) = stage.ingests.by_name["demo"].warnings
    assert "encrypted end to end" in warning


async def test_a_track_that_the_room_refuses_is_told_in_it(stage: Stage) -> None:
    await stage.rooms.create("demo", RoomOptions(codecs=frozenset({"VP8", "OPUS"})))
    packager = await stage.begin()
    await stage.tell(packager, MediaKind.VIDEO, H264)
    encoder = stage.encoder()
    assert encoder is not None
    assert "not H264" in encoder.attributes["unavailable.video"]
    assert stage.attendances.counts["track_failed"] == 1


async def test_media_that_the_engine_lost_are_fed_anew(stage: Stage) -> None:
    packager = await stage.begin()
    await stage.tell(packager, MediaKind.VIDEO, H264)
    encoder = stage.encoder()
    assert encoder is not None
    await stage.rooms.end(encoder, CloseReason.MEDIA_FAILED)
    await stage.settle()
    assert stage.encoder() not in {None, encoder}
    assert (stage.codecs(), stage.attendances.counts["repaired"]) == (["H264"], 1)


async def test_an_encoder_that_goes_while_it_joins_leaves_nothing(stage: Stage) -> None:
    packager = stage.link.begin_ingest(stage.listener.id, "demo")
    stage.link.tell_track(packager, MediaKind.VIDEO, H264)
    stage.link.lose_encoder(packager)
    await stage.settle()
    assert (stage.encoder(), stage.feeds(), stage.attendances.by_ingest) == (None, 0, {})


async def test_a_name_taken_in_the_room_by_somebody_else_is_said(stage: Stage) -> None:
    await stage.begin()
    await stage.rooms.join_with_tracks("demo", JoinRequest("encoder"), PEER, [picture()])
    await stage.settle()
    assert stage.ingests.by_name["demo"].warnings == {"it is in the room no more: duplicate_identity": 1}
