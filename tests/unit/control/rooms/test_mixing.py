"""Who is heard and hears by a mix: phones in rooms."""

from __future__ import annotations

import pytest
from rooms_world import AUDIO, HEAR, PEER, VIDEO, World

from roomtone.control.rooms import (
    CloseReason,
    JoinRequest,
    MixCount,
    ParticipantKind,
    ParticipantState,
    Permissions,
    Protocol,
    Refusal,
    RoomError,
    RoomOptions,
    Seat,
)
from roomtone.media import Producer
from roomtone.media.fake_objects import FakeMixer, FakeProducer
from roomtone.media.values import EngineCloseReason, EngineConfig, MediaKind, MixerClosed, MixerId
from roomtone.protocols.sdp import Codec

PCMU = Codec(MediaKind.AUDIO, 0, "PCMU", 8000)
G729 = Codec(MediaKind.AUDIO, 18, "G729", 8000)


async def phone(world: World, identity: str = "phone", codec: Codec = PCMU, **request: object) -> tuple[Seat, Producer]:
    """Seat a phone in the room "demo": its transport is its call's, not the room's."""
    wanted = JoinRequest(identity, kind=ParticipantKind.SIP, protocol=Protocol.SIP, **request)  # type: ignore[arg-type]
    participant = await world.rooms.join("demo", wanted)
    transport = await participant.room.router.open_plain_transport()
    heard = await transport.produce(MediaKind.AUDIO, [codec.to_parameters()])
    seat = await world.rooms.seat(participant, heard, codec)
    await world.settle()
    return seat, heard


def mixer(world: World) -> FakeMixer:
    (found,) = world.link.find(FakeMixer)
    return found


async def test_a_phone_is_a_track_all_can_take_and_hears_all_but_itself(world: World) -> None:
    alice, _ = await world.rooms.join_with_tracks("demo", JoinRequest("alice"), PEER, [AUDIO, VIDEO])
    seat, heard = await phone(world)
    (spoken,) = [track for track in alice.publications.values() if track.offer.kind is MediaKind.AUDIO]
    inputs = mixer(world).inputs
    assert sorted(inputs.values()) == sorted([heard.id, spoken.producer.id])
    outputs = mixer(world).outputs
    assert outputs[seat.mix.id].codec.name == "PCMU"
    assert outputs[seat.mix.id].without == seat.input
    assert outputs[seat.track.producer.id].codec.name == "OPUS"
    assert outputs[seat.track.producer.id].only == [seat.input]
    assert inputs[seat.input] == heard.id
    connection = await world.rooms.open_connection(alice, PEER)
    await world.rooms.subscribe(alice, connection, HEAR, seat.track)
    assert seat.participant.state is ParticipantState.ACTIVE


async def test_the_mix_follows_the_tracks_of_the_room(world: World) -> None:
    seat, heard = await phone(world)
    assert list(mixer(world).inputs.values()) == [heard.id]
    alice, _ = await world.rooms.join_with_tracks("demo", JoinRequest("alice"), PEER, [AUDIO])
    await world.settle()
    (spoken,) = alice.publications.values()
    assert sorted(mixer(world).inputs.values()) == sorted([heard.id, spoken.producer.id])
    await world.rooms.end(alice)
    await world.settle()
    assert mixer(world).inputs == {seat.input: heard.id}


async def test_two_phones_share_a_mixer_which_ends_with_the_last(world: World) -> None:
    before = world.objects()
    one, _ = await phone(world, "one")
    two, _ = await phone(world, "two")
    assert one.mixer is two.mixer
    assert len(mixer(world).inputs) == 2
    await world.rooms.end(one.participant)
    await world.settle()
    assert list(mixer(world).inputs) == [two.input]
    assert len(mixer(world).outputs) == 4  # what has gone is no producer any more
    await world.rooms.end(two.participant)
    await world.settle()
    assert world.objects()["Mixer"] == before["Mixer"] == 0
    assert world.rooms.mixes == {}
    assert world.rooms.mix_counts == {MixCount.SEATED: 2, MixCount.LEFT: 2}


async def test_a_muted_phone_is_in_no_mix(world: World) -> None:
    seat, heard = await phone(world)
    await world.rooms.mute(seat.track, muted=True, by_server=True)
    await world.settle()
    said = world.link.objects[heard.id]
    assert isinstance(said, FakeProducer)
    assert said.paused
    await world.rooms.mute(seat.track, muted=False, by_server=True)
    await world.settle()
    assert not said.paused


async def test_a_phone_is_refused_where_nobody_may_hear(world: World) -> None:
    await world.rooms.create("demo", RoomOptions(e2ee=True))
    with pytest.raises(RoomError) as caught:
        await phone(world)
    assert caught.value.refusal is Refusal.ROOM_IS_ENCRYPTED
    assert not world.link.find(FakeMixer)


async def test_a_phone_that_may_not_publish_or_whose_codec_cannot_be_mixed_leaves_nothing(world: World) -> None:
    with pytest.raises(RoomError) as caught:
        await phone(world, permissions=Permissions(can_publish=False))
    assert caught.value.refusal is Refusal.NOT_PERMITTED
    with pytest.raises(RoomError):
        await phone(world, "other", codec=G729)
    await world.settle()
    assert not world.link.find(FakeMixer)
    assert world.rooms.mixes == {}


async def test_an_engine_without_audio_threads_refuses(make_world: object) -> None:
    world: World = await make_world(config=EngineConfig(audio_threads=0))  # type: ignore[operator]
    with pytest.raises(RoomError):
        await phone(world)


async def test_a_mixer_that_breaks_ends_who_hears_by_it(world: World) -> None:
    seat, _ = await phone(world)
    broken = MixerClosed(mixer=MixerId(seat.mixer.id), reason=EngineCloseReason.PEER_PANICKED)
    world.link.emit(broken)
    await world.settle()
    assert seat.participant.closed is CloseReason.MEDIA_FAILED
    assert world.rooms.mixes == {}


async def test_a_room_that_closes_takes_its_mixer_along(world: World) -> None:
    seat, _ = await phone(world)
    await world.rooms.close_room(seat.participant.room)
    await world.settle()
    assert world.rooms.mixes == {}
    assert not world.link.find(FakeMixer)
