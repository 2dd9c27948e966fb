"""Rooms go live: which tracks are taken, what is refused, and what ends a stream."""

from __future__ import annotations

from dataclasses import replace

import pytest
from live_world import World, close_world, fed, flows, make_world, picture, sound

from roomtone.control.live import (
    LiveEnd,
    LiveError,
    LiveEventKind,
    LiveLimits,
    LiveRefusal,
    LiveSound,
    LiveState,
    LiveStream,
)
from roomtone.control.rooms import Refusal, RoomError, RoomOptions, TrackOffer
from roomtone.media.fake_objects import FakePackager
from roomtone.media.values import (
    EngineCloseReason,
    MediaKind,
    MixerClosed,
    PackagerEnded,
    PackagerWarned,
    PackagerWarning,
)
from roomtone.protocols.sdp import Codec


async def test_a_room_s_video_and_sound_become_a_stream_of_its_name(world: World) -> None:
    await world.publish("alice", sound(), picture())
    stream = await world.live.go_live("demo")
    assert (stream.name, stream.master, stream.state) == ("demo", "/live/demo/index.m3u8", LiveState.STARTING)
    assert fed(stream) == {MediaKind.VIDEO: "alice", MediaKind.AUDIO: "alice"}
    await world.start(stream)
    assert stream.state is LiveState.LIVE
    assert [(track.name, track.kind, track.codec) for track in stream.tracks] == [
        ("video", MediaKind.VIDEO, "avc1.42c01e"),
        ("audio", MediaKind.AUDIO, "opus"),
    ]
    assert world.live.find("demo") is stream
    assert world.live.started == 1


async def test_who_began_first_is_shown_unless_another_is_asked_for(world: World) -> None:
    await world.publish("alice", sound(), picture())
    await world.publish("bob", sound(), picture())
    stream = await world.live.go_live("demo")
    assert stream.publishers == ["alice"]
    await world.live.end(stream)
    assert (await world.live.go_live("demo", "bob")).publishers == ["bob"]


async def test_sound_of_another_is_taken_where_who_is_shown_has_none(world: World) -> None:
    await world.publish("alice", sound())
    await world.publish("bob", picture())
    stream = await world.live.go_live("demo")
    assert fed(stream) == {MediaKind.VIDEO: "bob", MediaKind.AUDIO: "alice"}


async def test_video_that_needs_transcoding_is_refused_by_its_name_and_nothing_remains(world: World) -> None:
    await world.publish("alice", sound(), picture("VP8"))
    with pytest.raises(LiveError, match="VP8, which needs transcoding") as refused:
        await world.live.go_live("demo")
    assert refused.value.refusal is LiveRefusal.NEEDS_TRANSCODING
    assert world.live.refused[LiveRefusal.NEEDS_TRANSCODING] == 1
    assert world.packagers() == 0
    assert world.live.by_name == {}


async def test_h264_beside_vp8_is_taken(world: World) -> None:
    await world.publish("alice", sound(), picture("VP8"))
    await world.publish("bob", picture())
    assert fed(await world.live.go_live("demo"))[MediaKind.VIDEO] == "bob"


async def test_an_empty_room_is_refused_for_now(world: World) -> None:
    await world.publish("alice")
    with pytest.raises(LiveError, match="nobody publishes") as refused:
        await world.live.go_live("demo")
    assert refused.value.retryable
    with pytest.raises(RoomError) as none:
        await world.live.go_live("nowhere")
    assert none.value.refusal is Refusal.NO_SUCH_ROOM


async def test_a_room_is_live_once(world: World) -> None:
    await world.publish("alice", picture())
    await world.live.go_live("demo")
    with pytest.raises(LiveError) as refused:
        await world.live.go_live("demo")
    assert refused.value.refusal is LiveRefusal.ALREADY_LIVE
    assert world.packagers() == 1


async def test_a_room_encrypted_by_its_ends_is_refused(world: World) -> None:
    await world.rooms.create("demo", RoomOptions(e2ee=True))
    await world.publish("alice", picture())
    with pytest.raises(RoomError) as refused:
        await world.live.go_live("demo")
    assert refused.value.refusal is Refusal.ROOM_IS_ENCRYPTED


async def test_limits_and_the_switch_are_kept() -> None:
    world = await make_world(LiveLimits(max_streams=1))
    await world.publish("alice", picture())
    await world.publish("bob", picture(), room="other")
    await world.live.go_live("demo")
    with pytest.raises(LiveError) as full:
        await world.live.go_live("other")
    assert full.value.refusal is LiveRefusal.TOO_MANY_STREAMS
    await close_world(world)
    off = await make_world(LiveLimits(enabled=False))
    with pytest.raises(LiveError) as switched_off:
        await off.live.go_live("demo")
    assert switched_off.value.refusal is LiveRefusal.SWITCHED_OFF
    await close_world(off)


async def test_a_stream_waits_for_its_publisher_and_goes_on_when_it_is_back(world: World) -> None:
    alice = await world.publish("alice", sound(), picture())
    stream = await world.live.go_live("demo")
    await world.start(stream)
    await world.rooms.end(alice)
    await world.settle()
    assert stream.state is LiveState.WAITING
    assert not stream.is_fed
    await world.publish("alice", sound(), picture())
    assert stream.state is LiveState.LIVE
    assert fed(stream) == {MediaKind.VIDEO: "alice", MediaKind.AUDIO: "alice"}
    assert stream.grace is None
    assert len(stream.feeds) == 2


async def test_a_stream_nobody_comes_back_to_ends() -> None:
    world = await make_world(LiveLimits(grace_s=0))
    alice = await world.publish("alice", picture())
    stream = await world.live.go_live("demo")
    await world.rooms.end(alice)
    await world.settle()
    assert stream.ended is LiveEnd.PUBLISHER_GONE
    assert world.live.ended[LiveEnd.PUBLISHER_GONE] == 1
    assert world.packagers() == 0
    await close_world(world)


async def test_a_stream_ends_with_its_room(world: World) -> None:
    await world.publish("alice", picture())
    stream = await world.live.go_live("demo")
    await world.rooms.close_room(stream.room)
    await world.settle()
    assert stream.ended is LiveEnd.ROOM_CLOSED
    assert world.live.by_name == {}
    assert world.packagers() == 0


async def test_sound_that_comes_later_is_added_while_that_can_be(world: World) -> None:
    await world.publish("alice", picture())
    stream = await world.live.go_live("demo")
    await world.publish("bob", sound())
    assert fed(stream) == {MediaKind.VIDEO: "alice", MediaKind.AUDIO: "bob"}


async def test_warnings_and_events_are_kept(world: World) -> None:
    await world.publish("alice", picture())
    stream = await world.live.go_live("demo")
    warned = PackagerWarned(packager=stream.packager.id, track="video", warning=PackagerWarning.GOP_TOO_LONG)
    await world.emit(warned)
    assert stream.warnings == {PackagerWarning.GOP_TOO_LONG: 1}
    assert [(event.seq, event.kind) for event in stream.events] == [
        (1, LiveEventKind.TRACK_FED),
        (2, LiveEventKind.CREATED),
        (3, LiveEventKind.WARNED),
    ]
    assert stream.events[-1].detail == "video: gop_too_long"


async def test_a_packager_that_the_engine_lost_ends_the_stream(world: World) -> None:
    await world.publish("alice", picture())
    stream = await world.live.go_live("demo")
    await world.emit(PackagerEnded(packager=stream.packager.id, reason=EngineCloseReason.PEER_PANICKED))
    assert stream.ended is LiveEnd.MEDIA_FAILED


async def test_rooms_go_live_by_themselves_where_that_is_set() -> None:
    world = await make_world(LiveLimits(auto=True))
    await world.publish("alice", sound())
    assert world.live.by_name == {}
    await world.publish("bob", picture("VP8"))
    assert world.live.by_name == {}
    await world.publish("carol", picture())
    assert world.live.find("demo").publishers == ["carol", "alice"]
    await close_world(world)


async def test_two_who_ask_at_once_get_one_stream(world: World) -> None:
    alice = await world.publish("alice", picture())
    first = await world.live.ensure_live(alice.room)
    assert await world.live.ensure_live(alice.room) is first
    assert world.packagers() == 1


async def test_a_server_that_stops_ends_its_streams(world: World) -> None:
    await world.publish("alice", picture())
    stream = await world.live.go_live("demo")
    await world.live.close()
    assert stream.ended is LiveEnd.SERVER_SHUTDOWN
    assert world.packagers() == 0


async def test_all_sound_is_mixed_where_that_is_asked_for(world: World) -> None:
    await world.publish("alice", sound(), picture())
    await world.publish("bob", sound())
    stream = await world.live.go_live("demo", sound=LiveSound.MIX)
    assert fed(stream) == {MediaKind.VIDEO: "alice"}
    assert stream.mix is not None
    assert stream.mix.hears == 2
    carol = await world.publish("carol", sound())
    assert stream.mix.hears == 3
    await world.rooms.end(carol)
    await world.settle()
    assert stream.mix.hears == 2
    (packager,) = [held for held in world.link.objects.values() if type(held).__name__ == "FakePackager"]
    assert stream.mix.output.id in {track.producer for track in packager.tracks.values()}  # type: ignore[union-attr]
    await world.live.end(stream)
    assert not any(type(held).__name__ in {"FakeMixer", "FakePackager"} for held in world.link.objects.values())


async def test_a_room_of_sound_alone_can_be_mixed_whatever_its_codec(world: World) -> None:
    await world.publish("alice", TrackOffer(MediaKind.AUDIO, (Codec(MediaKind.AUDIO, 0, "PCMU", 8000),), mid="0"))
    with pytest.raises(LiveError, match="PCMU, which needs transcoding"):
        await world.live.go_live("demo")
    stream = await world.live.go_live("demo", sound=LiveSound.MIX)
    assert stream.is_fed
    assert stream.feeds == []


async def test_a_mixer_that_the_engine_lost_ends_the_stream(world: World) -> None:
    await world.publish("alice", sound(), picture())
    stream = await world.live.go_live("demo", sound=LiveSound.MIX)
    assert stream.mix is not None
    await world.emit(MixerClosed(mixer=stream.mix.mixer.id, reason=EngineCloseReason.PEER_PANICKED))
    assert stream.ended is LiveEnd.MEDIA_FAILED


def kinds(stream: LiveStream) -> list[LiveEventKind]:
    return [event.kind for event in stream.events]


async def test_a_stream_is_pointed_at_another_source_with_picture_and_sound(world: World) -> None:
    await world.publish("alice", sound(), picture())
    await world.publish("bob", sound(), picture())
    stream = await world.live.go_live("demo")
    await world.start(stream)
    await world.live.point(stream, ["bob"])
    assert fed(stream) == {MediaKind.VIDEO: "bob", MediaKind.AUDIO: "bob"}
    assert len(stream.feeds) == 2
    assert (stream.state, stream.sources) == (LiveState.LIVE, ("bob",))
    assert [event.detail for event in stream.events if event.kind is LiveEventKind.SWITCHED] == ["bob"]
    await world.live.point(stream, [])
    assert fed(stream) == {MediaKind.VIDEO: "bob", MediaKind.AUDIO: "bob"}


async def test_what_is_shown_goes_on_until_its_successor_can_be(world: World) -> None:
    await world.publish("alice", sound(), picture())
    bob = await world.publish("bob", sound(), picture())
    stream = await world.live.go_live("demo")
    world.link.begin_packager(stream.packager.id)
    await world.start(stream)
    await world.live.point(stream, ["bob"])
    assert fed(stream) == {MediaKind.VIDEO: "bob", MediaKind.AUDIO: "bob"}
    assert LiveEventKind.TRACK_VACANT not in kinds(stream)
    (packager,) = [held for held in world.link.objects.values() if isinstance(held, FakePackager)]
    assert {track.producer for track in packager.tracks.values()} == {
        publication.producer.id for publication in bob.publications.values()
    }
    # One of whom there is no sound is shown without: what was heard is taken off.
    await world.publish("carol", picture())
    await world.live.point(stream, ["carol"])
    assert kinds(stream).count(LiveEventKind.TRACK_VACANT) == 1


async def test_a_source_that_cannot_be_shown_is_refused_and_all_stays(world: World) -> None:
    await world.publish("alice", sound(), picture())
    await world.publish("bob", picture("VP8"))
    stream = await world.live.go_live("demo")
    for nobody, refusal in (("bob", LiveRefusal.NEEDS_TRANSCODING), ("carol", LiveRefusal.NOTHING_PUBLISHED)):
        with pytest.raises(LiveError) as refused:
            await world.live.point(stream, [nobody])
        assert refused.value.refusal is refusal
        assert world.live.refused[refusal] == 1
    assert (stream.sources, fed(stream)[MediaKind.VIDEO]) == ((), "alice")


async def test_the_backup_is_shown_while_nothing_comes_of_the_primary(world: World) -> None:
    backup = await world.publish("backup", sound(), picture())
    primary = await world.publish("primary", sound(), picture())
    await flows(world, backup)
    await flows(world, primary)
    stream = await world.live.go_live("demo", "primary", backups=["backup"])
    await world.start(stream)
    both = {MediaKind.VIDEO: "primary", MediaKind.AUDIO: "primary"}
    assert fed(stream) == both
    await flows(world, primary, comes=False)
    assert fed(stream) == {MediaKind.VIDEO: "backup", MediaKind.AUDIO: "backup"}
    await flows(world, primary)
    assert fed(stream) == both
    await world.rooms.end(primary)
    await world.settle()
    assert (fed(stream)[MediaKind.VIDEO], stream.state) == ("backup", LiveState.LIVE)
    again = await world.publish("primary", sound(), picture())
    assert fed(stream)[MediaKind.VIDEO] == "backup"  # nothing has come of it yet
    await flows(world, again)
    assert fed(stream) == both
    assert kinds(stream).count(LiveEventKind.SWITCHED) == world.live.feeding.switches == 3


async def test_a_primary_that_is_made_when_somebody_takes_it_is_not_waited_for(world: World) -> None:
    await flows(world, await world.publish("backup", picture()))
    await world.publish("primary", replace(picture(), on_demand=True))
    stream = await world.live.go_live("demo", "primary", backups=["backup"])
    assert fed(stream) == {MediaKind.VIDEO: "primary"}


async def test_where_all_are_silent_what_is_shown_stays_until_one_comes(world: World) -> None:
    primary = await world.publish("primary", picture())
    await world.publish("other", picture())
    stream = await world.live.go_live("demo", "primary", backups=["backup"])
    await world.start(stream)
    await flows(world, primary)
    await flows(world, primary, comes=False)
    assert fed(stream) == {MediaKind.VIDEO: "primary"}
    await world.rooms.end(primary)
    await world.settle()
    assert stream.state is LiveState.WAITING  # who is none of its sources is not shown
    await flows(world, await world.publish("backup", picture()))
    assert (fed(stream), stream.state) == ({MediaKind.VIDEO: "backup"}, LiveState.LIVE)


async def test_a_track_that_the_engine_does_not_take_is_not_switched_to_again(world: World) -> None:
    await world.publish("alice", sound(), picture())
    stream = await world.live.go_live("demo")
    await world.start(stream)
    bob = await world.publish("bob", picture())
    (video,) = bob.publications
    stream.left_out.add(video)
    with pytest.raises(LiveError, match="cannot go on"):
        await world.live.point(stream, ["bob"])
    assert (fed(stream)[MediaKind.VIDEO], stream.sources) == ("alice", ())
    await flows(world, bob)
    await world.live.point(stream, ["bob", "alice"])
    assert fed(stream)[MediaKind.VIDEO] == "alice"
