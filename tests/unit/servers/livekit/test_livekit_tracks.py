"""Tracks published, subscribed to, muted, limited and withdrawn by signal messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from livekit.protocol import models, rtc
from livekit_world import LiveKitWorld, camera, client_offer, microphone, receiving

from roomtone.control.rooms import Permissions, RoomOptions, TrackSource
from roomtone.media.fake_objects import FakeConsumer, FakeProducer
from roomtone.media.values import ConsumerFed, ConsumerStarved, EncodingsWanted, MediaKind
from roomtone.protocols.sdp import Direction, OfferedData, parse_session
from roomtone.protocols.sdp.repertoire import VIDEO_CODECS

MakeLiveKit = Callable[..., Awaitable[LiveKitWorld]]
Reason = rtc.RequestResponse.Reason


async def test_a_published_track_is_announced_offered_and_sent(livekit: LiveKitWorld) -> None:
    bob = await livekit.connect("bob")
    await bob.answer()
    alice, sid = await livekit.publisher()
    answer = parse_session(alice.last("answer").sdp)
    assert [section.direction for section in answer.media[:1]] == [Direction.RECVONLY]
    (info,) = bob.last("update").participants
    (track,) = info.tracks
    assert (track.sid, track.name, track.source, track.mime_type) == (
        sid,
        "cam",
        models.TrackSource.CAMERA,
        "video/VP8",
    )
    assert info.is_publisher
    offer = bob.last("offer")
    section = parse_session(offer.sdp).media[1]
    assert section.msids[0].stream == f"{info.sid}|{sid}"
    assert dict(offer.mid_to_track_id) == {"1": sid}
    assert livekit.link.find(FakeConsumer) == []
    await bob.answer(offer)
    (consumer,) = livekit.link.find(FakeConsumer)
    assert consumer.ssrc == section.ssrcs[0].ssrc
    assert alice.last("track_subscribed").track_sid == sid


async def test_media_that_comes_before_its_announcement_waits_for_it(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect()
    await alice.offer(camera(), OfferedData("0"))
    assert livekit.link.find(FakeProducer) == []
    await alice.announce()
    assert [producer.kind for producer in livekit.link.find(FakeProducer)] == [MediaKind.VIDEO]


async def test_a_section_that_stops_sending_withdraws_its_track(livekit: LiveKitWorld) -> None:
    bob = await livekit.connect("bob")
    await bob.answer()
    alice, sid = await livekit.publisher()
    await bob.answer()
    await alice.offer(camera(direction=Direction.INACTIVE), OfferedData("0"), id_=2)
    assert livekit.link.find(FakeProducer) == livekit.link.find(FakeConsumer) == []
    assert [list(info.tracks) for info in bob.last("update").participants] == [[]]
    idle = bob.last("offer")
    assert parse_session(idle.sdp).media[1].direction is Direction.INACTIVE
    await bob.answer(idle)
    again = await alice.announce("screen", source="SCREEN_SHARE")
    await alice.offer(camera(cid="screen"), OfferedData("0"), id_=3)
    offer = bob.last("offer")
    sections = parse_session(offer.sdp).media
    assert len(sections) == 2  # the section is used again
    assert dict(offer.mid_to_track_id) == {"1": again}
    assert again != sid


async def test_only_one_offer_is_under_way_and_a_stale_answer_is_passed_over(livekit: LiveKitWorld) -> None:
    bob = await livekit.connect("bob")
    first = bob.last("offer")
    await livekit.publisher("alice")
    await livekit.publisher("carol")
    assert "offer" not in bob.kinds()
    await bob.answer(first)
    second = bob.last("offer")
    assert len(parse_session(second.sdp).media) == 3
    await bob.answer(first)
    assert livekit.link.find(FakeConsumer) == []
    await bob.answer(second)
    assert len(livekit.link.find(FakeConsumer)) == 2


async def test_a_client_with_one_connection_is_asked_for_the_sections_it_lacks(livekit: LiveKitWorld) -> None:
    await livekit.publisher("alice")
    offer = rtc.SessionDescription(type="offer", sdp=client_offer(OfferedData("0")), id=1)
    bob = await livekit.connect_single("bob", publisher_offer=offer)
    needed = bob.last("media_sections_requirement")
    assert (needed.num_audios, needed.num_videos) == (0, 1)
    await bob.offer(OfferedData("0"), receiving("1", MediaKind.VIDEO), receiving("2", MediaKind.AUDIO), id_=2)
    answer = bob.last("answer")
    directions = [section.direction for section in parse_session(answer.sdp).media[1:]]
    assert directions == [Direction.SENDONLY, Direction.INACTIVE]
    assert list(answer.mid_to_track_id) == ["1"]
    assert len(livekit.link.find(FakeConsumer)) == 1
    await livekit.publisher("carol")
    needed = bob.last("media_sections_requirement")
    assert (needed.num_audios, needed.num_videos) == (0, 1)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"type": "DATA", "cid": "x"}, Reason.UNSUPPORTED_TYPE),
        ({"type": "VIDEO", "cid": "x", "sid": "TR_1"}, Reason.UNSUPPORTED_TYPE),
        ({"type": "VIDEO"}, Reason.INVALID_REQUEST),
        ({"type": "AUDIO", "cid": "x", "source": "MICROPHONE"}, Reason.NOT_ALLOWED),
    ],
    ids=["data", "backup codec", "no id", "not granted"],
)
async def test_what_cannot_be_published_is_refused_with_a_reason(
    livekit: LiveKitWorld, request_: dict[str, str], reason: rtc.RequestResponse.Reason
) -> None:
    token = livekit.token(can_publish_sources=("camera", "unknown"))
    alice = await livekit.connect(token=token)
    await alice.send(add_track=rtc.AddTrackRequest(**request_))
    response = alice.last("request_response")
    assert response.reason == reason
    assert response.add_track.cid == request_.get("cid", "")
    assert "track_published" not in alice.kinds()


async def test_a_right_that_is_taken_away_ends_the_track_and_says_so(livekit: LiveKitWorld) -> None:
    alice, sid = await livekit.publisher()
    participant = livekit.rooms.by_name["demo"].participants["alice"]
    await livekit.rooms.update(
        participant, permissions=Permissions(publish_sources=frozenset({TrackSource.MICROPHONE}))
    )
    await livekit.settle()
    assert alice.last("track_unpublished").track_sid == sid
    (info,) = alice.last("update").participants
    assert list(info.permission.can_publish_sources) == [models.TrackSource.MICROPHONE]
    claims = livekit.context.keys.verify(alice.last("refresh_token"), livekit.context.wall_clock())
    assert claims.grants.can_publish_sources == ("microphone",)


async def test_mute_reaches_the_others_and_the_servers_mute_the_publisher(livekit: LiveKitWorld) -> None:
    bob = await livekit.connect("bob")
    alice, sid = await livekit.publisher()
    await alice.send(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    assert [info.tracks[0].muted for info in bob.last("update").participants] == [True]
    assert "mute" not in alice.kinds()
    await alice.send(mute=rtc.MuteTrackRequest(sid=sid, muted=False))
    publication = livekit.rooms.by_name["demo"].publication(sid)
    assert publication is not None
    await livekit.rooms.mute(publication, muted=True, by_server=True)
    await livekit.settle()
    told = alice.last("mute")
    assert (told.sid, told.muted) == (sid, True)
    await alice.send(mute=rtc.MuteTrackRequest(sid="TR_none", muted=True))
    assert alice.last("request_response").reason == Reason.NOT_FOUND


async def test_a_track_may_be_muted_before_its_media_comes(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect()
    sid = await alice.announce(muted=True)
    await alice.offer(camera(), OfferedData("0"))
    (producer,) = livekit.link.find(FakeProducer)
    assert producer.paused
    await alice.send(mute=rtc.MuteTrackRequest(sid=sid, muted=False))
    assert not producer.paused


async def test_a_subscriber_says_what_it_can_show_and_which_tracks_it_wants(livekit: LiveKitWorld) -> None:
    bob = await livekit.connect("bob")
    await bob.answer()
    _, sid = await livekit.publisher()
    await bob.send(track_setting=rtc.UpdateTrackSettings(track_sids=[sid], width=320, height=180, priority=1))
    await bob.answer()
    (consumer,) = livekit.link.find(FakeConsumer)
    assert consumer.limits is not None
    assert (consumer.limits.max_width, consumer.limits.max_height, consumer.priority) == (320, 180, 255)
    await bob.send(track_setting=rtc.UpdateTrackSettings(track_sids=[sid], disabled=True))
    assert consumer.paused
    await bob.send(track_setting=rtc.UpdateTrackSettings(track_sids=[sid], width=640, height=360))
    assert not consumer.paused
    await bob.send(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=False))
    assert livekit.link.find(FakeConsumer) == []
    await bob.answer()
    await bob.send(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=True))
    await bob.answer()
    assert len(livekit.link.find(FakeConsumer)) == 1
    await bob.send(subscription=rtc.UpdateSubscription(track_sids=["TR_none"], subscribe=True))
    response = bob.last("subscription_response")
    assert (response.track_sid, response.err) == ("TR_none", models.SubscriptionError.SE_TRACK_NOTFOUND)


async def test_who_does_not_subscribe_by_itself_gets_what_it_asks_for(livekit: LiveKitWorld) -> None:
    bob = await livekit.connect("bob", auto_subscribe="0")
    await bob.answer()
    _, sid = await livekit.publisher()
    assert "offer" not in bob.kinds()
    await bob.send(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=True))
    assert dict(bob.last("offer").mid_to_track_id) == {"1": sid}


async def test_a_codec_the_client_does_not_take_is_told(livekit: LiveKitWorld) -> None:
    bob = await livekit.connect("bob")
    await bob.answer()
    _, sid = await livekit.publisher()
    await bob.answer(**{"m=video 9": "m=video 0"})
    response = bob.last("subscription_response")
    assert (response.track_sid, response.err) == (sid, models.SubscriptionError.SE_CODEC_UNSUPPORTED)


async def test_a_publisher_says_who_may_have_its_tracks(livekit: LiveKitWorld) -> None:
    bob = await livekit.connect("bob")
    await bob.answer()
    alice, sid = await livekit.publisher()
    await bob.answer()
    bob_sid = livekit.rooms.by_name["demo"].participants["bob"].id
    await alice.send(subscription_permission=rtc.SubscriptionPermission(all_participants=False))
    assert livekit.link.find(FakeConsumer) == []
    update = bob.last("subscription_permission_update")
    assert (update.track_sid, update.allowed) == (sid, False)
    await bob.answer()
    permission = rtc.TrackPermission(participant_sid=bob_sid, track_sids=[sid])
    await alice.send(subscription_permission=rtc.SubscriptionPermission(track_permissions=[permission]))
    assert bob.last("subscription_permission_update").allowed
    await bob.answer()
    assert len(livekit.link.find(FakeConsumer)) == 1


async def test_a_publisher_is_told_which_qualities_anybody_wants(livekit: LiveKitWorld) -> None:
    alice, sid = await livekit.publisher()
    (producer,) = livekit.link.find(FakeProducer)
    livekit.link.emit(EncodingsWanted(producer=producer.id, wanted=[None]))
    await livekit.settle()
    update = alice.last("subscribed_quality_update")
    assert update.track_sid == sid
    (codec,) = update.subscribed_codecs
    assert codec.codec == "vp8"
    assert [quality.enabled for quality in codec.qualities] == [False, False, False]


async def test_a_track_the_line_does_not_carry_is_told_as_paused(livekit: LiveKitWorld) -> None:
    bob = await livekit.connect("bob")
    await bob.answer()
    _, sid = await livekit.publisher()
    await bob.answer()
    (consumer,) = livekit.link.find(FakeConsumer)
    states = []
    for event in (ConsumerStarved(consumer=consumer.id), ConsumerFed(consumer=consumer.id)):
        livekit.link.emit(event)
        await livekit.settle()
        (state,) = bob.last("stream_state_update").stream_states
        assert state.track_sid == sid
        states.append(state.state)
    assert states == [rtc.StreamState.PAUSED, rtc.StreamState.ACTIVE]


async def test_a_publishers_new_description_of_a_track_reaches_the_others(livekit: LiveKitWorld) -> None:
    bob = await livekit.connect("bob")
    alice, sid = await livekit.publisher()
    await alice.send(update_video_track=rtc.UpdateLocalVideoTrack(track_sid=sid, width=800, height=600))
    (info,) = bob.last("update").participants
    assert (info.tracks[0].width, info.tracks[0].height) == (800, 600)
    await alice.send(update_audio_track=rtc.UpdateLocalAudioTrack(track_sid=sid, features=[]))
    assert alice.last("request_response").reason == Reason.NOT_FOUND


async def test_a_codec_of_a_track_that_the_room_does_not_take_is_refused(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect()
    await livekit.rooms.update_room(livekit.rooms.by_name["demo"], codecs=frozenset({"OPUS"}))
    sid = await alice.announce()
    await alice.offer(camera(), microphone(), OfferedData("0"))
    assert alice.last("track_unpublished").track_sid == sid
    assert alice.last("request_response").reason == Reason.NOT_ALLOWED


async def test_of_the_codecs_a_client_offers_those_of_the_room_are_taken(livekit: LiveKitWorld) -> None:
    await livekit.rooms.create("demo", RoomOptions(codecs=frozenset({"VP9", "VP8"})))
    alice = await livekit.connect()
    sid = await alice.announce()
    await alice.offer(replace(camera(), codecs=VIDEO_CODECS), OfferedData("0"))
    (track,) = livekit.rooms.publications.values()
    assert track.id == sid
    assert {codec.name for codec in track.offer.codecs} == {"VP8", "VP9"}
    await alice.send(add_track=rtc.AddTrackRequest(cid="mic", type="AUDIO", source="MICROPHONE"))
    assert alice.last("request_response").reason == Reason.NOT_ALLOWED
