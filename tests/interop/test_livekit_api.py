"""LiveKit's server SDK (`livekit-api`) governs rooms here, in which LiveKit's clients meet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from aiortc_peer import assert_is_the_picture, assert_sees_and_hears, live, publish, watch
from conftest import Server, token
from livekit import api, rtc
from livekit.protocol import models
from livekit.protocol import room as room_messages
from livekit_peer import PATIENCE_S, TONE_HZ, LiveKitPeer, hear_tone, pictures, see_colour

pytestmark = [pytest.mark.timeout(180), pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*HMAC key.*")]
RED, GREEN, BLUE = (210, 20, 20), (20, 160, 20), (20, 20, 210)
VIDEO, AUDIO = rtc.TrackKind.KIND_VIDEO, rtc.TrackKind.KIND_AUDIO


@pytest.fixture
async def lk(server: Server) -> AsyncIterator[api.LiveKitAPI]:
    client = api.LiveKitAPI(server.http, "devkey", "secret")
    yield client
    await client.aclose()


async def see_no_more(track: rtc.Track) -> None:
    """Wait until pictures, of which fifteen a second came, have not come for a while."""
    stream = rtc.VideoStream(track)
    try:
        async with asyncio.timeout(PATIENCE_S):
            with suppress(TimeoutError):
                while True:
                    await asyncio.wait_for(anext(stream), 2)
    finally:
        await stream.aclose()


async def call(lk: api.LiveKitAPI, method: str, request: Any, answer: Any) -> Any:
    """Call what the SDK has no method for."""
    header = lk.room._auth_header(api.VideoGrants(room_admin=True, room=request.room))
    return await lk.room._client.request("RoomService", method, request, header, answer)


async def test_rooms_are_made_listed_changed_and_deleted(lk: api.LiveKitAPI) -> None:
    made = await lk.room.create_room(api.CreateRoomRequest(name="sdk", empty_timeout=60, metadata="m"))
    assert (made.name, made.metadata, made.empty_timeout) == ("sdk", "m", 60)
    assert [held.sid for held in (await lk.room.list_rooms(api.ListRoomsRequest(names=["sdk"]))).rooms] == [made.sid]
    changed = await lk.room.update_room_metadata(api.UpdateRoomMetadataRequest(room="sdk", metadata="n"))
    assert changed.metadata == "n"
    await lk.room.delete_room(api.DeleteRoomRequest(room="sdk"))
    with pytest.raises(api.TwirpError) as caught:
        await lk.room.delete_room(api.DeleteRoomRequest(room="sdk"))
    assert (caught.value.code, caught.value.status) == ("not_found", 404)


async def test_people_are_seen_changed_muted_written_to_called_and_sent_out(server: Server, lk: api.LiveKitAPI) -> None:
    async with LiveKitPeer() as alice, LiveKitPeer() as bob:
        await bob.connect(server.http, token("sdk-people", "bob"), auto_subscribe=False)
        await alice.connect(server.http, token("sdk-people", "alice"))
        published = await alice.publish_picture(RED)
        await bob.next_event("track_published")

        listed = await lk.room.list_participants(api.ListParticipantsRequest(room="sdk-people"))
        assert {one.identity for one in listed.participants} == {"alice", "bob"}
        one = await lk.room.get_participant(api.RoomParticipantIdentity(room="sdk-people", identity="alice"))
        assert [track.sid for track in one.tracks] == [published.sid]

        await lk.room.update_subscriptions(
            api.UpdateSubscriptionsRequest(
                room="sdk-people", identity="bob", track_sids=[published.sid], subscribe=True
            )
        )
        assert await see_colour((await bob.next_track(VIDEO)).track, RED) == (320, 180)

        mute = api.MuteRoomTrackRequest(room="sdk-people", identity="alice", track_sid=published.sid, muted=True)
        assert (await lk.room.mute_published_track(mute)).track.muted
        assert (await bob.next_event("track_muted"))[0].identity == "alice"
        mute.muted = False
        assert not (await lk.room.mute_published_track(mute)).track.muted
        assert (await bob.next_event("track_unmuted"))[0].identity == "alice"

        update = api.UpdateParticipantRequest(room="sdk-people", identity="alice", metadata="new")
        assert (await lk.room.update_participant(update)).metadata == "new"
        assert (await bob.next_event("participant_metadata_changed"))[2] == "new"

        send = api.SendDataRequest(room="sdk-people", data=b"from outside", destination_identities=["bob"], topic="t")
        await lk.room.send_data(send)
        packet = await bob.next_data()
        assert (packet.data, packet.topic, packet.participant) == (b"from outside", "t", None)

        @bob.room.local_participant.register_rpc_method("greet")
        async def greet(invocation: rtc.RpcInvocationData) -> str:
            if invocation.payload == "fail":
                raise rtc.RpcError(1700, "no", "why")
            return f"hello {invocation.payload}"

        request = room_messages.PerformRpcRequest(
            room="sdk-people", destination_identity="bob", method="greet", payload="you"
        )
        assert (await call(lk, "PerformRpc", request, room_messages.PerformRpcResponse)).payload == "hello you"
        request.payload = "fail"
        with pytest.raises(api.TwirpError) as caught:
            await call(lk, "PerformRpc", request, room_messages.PerformRpcResponse)
        assert (caught.value.code, caught.value.message) == ("internal", "no")
        assert caught.value.metadata == {"rpc_code": "1700", "data": "why"}

        await lk.room.remove_participant(api.RoomParticipantIdentity(room="sdk-people", identity="alice"))
        assert (await bob.next_event("participant_disconnected"))[0].identity == "alice"
        assert server.identities("sdk-people") == ["bob"]


async def next_colour(peer: LiveKitPeer, colour: tuple[int, int, int], sid: str) -> None:
    """Wait for a track of an id, and for its picture."""
    while (seen := await peer.next_track(VIDEO)).publication.sid != sid:
        pass
    assert await see_colour(seen.track, colour) == (320, 180)


@pytest.mark.parametrize("single", [False, True])
async def test_who_is_moved_stays_connected_and_both_rooms_see_it(
    server: Server, lk: api.LiveKitAPI, *, single: bool
) -> None:
    here, there = f"sdk-here-{single}", f"sdk-there-{single}"
    async with LiveKitPeer() as alice, LiveKitPeer() as bob, LiveKitPeer() as carol:
        await bob.connect(server.http, token(there, "bob"), single=single)
        await alice.connect(server.http, token(here, "alice"), single=single)
        await carol.connect(server.http, token(here, "carol"))
        red, green = await bob.publish_picture(RED), await carol.publish_picture(GREEN)
        blue, tone = await alice.publish_picture(BLUE), await alice.publish_tone()
        await next_colour(alice, GREEN, green.sid)
        await next_colour(carol, BLUE, blue.sid)

        move = api.MoveParticipantRequest(room=here, identity="alice", destination_room=there)
        await lk.room.move_participant(move)
        await alice.next_event("moved")
        assert alice.room.name == there
        assert (await carol.next_event("participant_disconnected"))[0].identity == "alice"
        await next_colour(bob, BLUE, blue.sid)
        heard = await bob.next_track(AUDIO)
        assert heard.publication.sid == tone.sid
        assert abs(await hear_tone(heard.track) - TONE_HZ) < 3
        await next_colour(alice, RED, red.sid)
        speaking = await bob.next_event("active_speakers_changed")
        while [one.identity for one in speaking[0]] != ["alice"]:
            speaking = await bob.next_event("active_speakers_changed")
        await alice.room.local_participant.publish_data(b"still here", topic="t")
        assert (await bob.next_data()).data == b"still here"
        assert server.identities(here) == ["carol"]
        assert sorted(server.identities(there)) == ["alice", "bob"]

        # The room it came from ends, and with it all but the router that it is on.
        await lk.room.delete_room(api.DeleteRoomRequest(room=here))
        await carol.next_event("disconnected")
        later = await alice.publish_picture(GREEN)
        await next_colour(bob, GREEN, later.sid)
        await lk.room.mute_published_track(
            api.MuteRoomTrackRequest(room=there, identity="alice", track_sid=blue.sid, muted=True)
        )
        assert (await bob.next_event("track_muted"))[1].sid == blue.sid
        assert not {"reconnecting", "disconnected"} & {name for name, _ in alice.events._queue}


async def test_who_is_forwarded_is_seen_in_both_rooms_until_sent_out_of_the_other(
    server: Server, lk: api.LiveKitAPI
) -> None:
    async with LiveKitPeer() as alice, LiveKitPeer() as home, LiveKitPeer() as away:
        await away.connect(server.http, token("sdk-away", "away"))
        await alice.connect(server.http, token("sdk-home", "alice"))
        await home.connect(server.http, token("sdk-home", "home"))
        published = await alice.publish_picture(BLUE)
        assert await see_colour((await home.next_track(VIDEO)).track, BLUE) == (320, 180)

        forward = api.ForwardParticipantRequest(room="sdk-home", identity="alice", destination_room="sdk-away")
        await lk.room.forward_participant(forward)
        seen = await away.next_track(VIDEO)
        assert seen.participant.identity == "alice"
        assert await see_colour(seen.track, BLUE) == (320, 180)
        there = api.RoomParticipantIdentity(room="sdk-away", identity="alice")
        mirror = await lk.room.get_participant(there)
        assert list(mirror.kind_details) == [models.ParticipantInfo.KindDetail.FORWARDED]
        assert (mirror.tracks[0].width, mirror.tracks[0].height) == (320, 180)
        assert mirror.tracks[0].sid == seen.publication.sid != published.sid

        with pytest.raises(api.TwirpError) as caught:
            await lk.room.forward_participant(forward)
        assert (caught.value.code, caught.value.status) == ("already_exists", 409)

        mute = api.MuteRoomTrackRequest(room="sdk-home", identity="alice", track_sid=published.sid, muted=True)
        await lk.room.mute_published_track(mute)
        assert (await away.next_event("track_muted"))[0].identity == "alice"
        await see_no_more(seen.track)
        mute.muted = False
        await lk.room.mute_published_track(mute)
        assert (await away.next_event("track_unmuted"))[0].identity == "alice"
        assert await see_colour(seen.track, BLUE) == (320, 180)

        await lk.room.update_participant(api.UpdateParticipantRequest(room="sdk-home", identity="alice", metadata="m"))
        assert (await away.next_event("participant_metadata_changed"))[2] == "m"

        await lk.room.remove_participant(there)
        assert (await away.next_event("participant_disconnected"))[0].identity == "alice"
        assert server.identities("sdk-away") == ["away"]
        assert sorted(server.identities("sdk-home")) == ["alice", "home"]
        assert alice.room.isconnected()


async def test_who_publishes_by_whip_is_forwarded_to_livekit_and_whep(server: Server, lk: api.LiveKitAPI) -> None:
    async with LiveKitPeer() as bob:
        await bob.connect(server.http, token("whip-away", "bob"))
        publisher = await publish(server, "whip-home", "camera")
        await live(server, "whip-home")
        forward = api.ForwardParticipantRequest(room="whip-home", identity="camera", destination_room="whip-away")
        await lk.room.forward_participant(forward)
        viewer = await watch(server, "whip-away")
        try:
            await assert_sees_and_hears(viewer)
            seen = await bob.next_track(VIDEO)
            assert seen.participant.identity == "camera"
            async with pictures(seen.track) as decoded:
                assert_is_the_picture((await anext(decoded))[:, :, :3].mean(axis=2))
        finally:
            await viewer.close()
            await publisher.close()
        assert (await bob.next_event("participant_disconnected"))[0].identity == "camera"


async def test_who_publishes_by_whip_is_moved_to_livekit_and_whep(server: Server, lk: api.LiveKitAPI) -> None:
    async with LiveKitPeer() as bob:
        await bob.connect(server.http, token("whip-there", "bob"))
        publisher = await publish(server, "whip-here", "camera")
        await live(server, "whip-here")
        move = api.MoveParticipantRequest(room="whip-here", identity="camera", destination_room="whip-there")
        await lk.room.move_participant(move)
        await lk.room.delete_room(api.DeleteRoomRequest(room="whip-here"))
        viewer = await watch(server, "whip-there")
        try:
            await assert_sees_and_hears(viewer)
            seen = await bob.next_track(VIDEO)
            async with pictures(seen.track) as decoded:
                assert_is_the_picture((await anext(decoded))[:, :, :3].mean(axis=2))
        finally:
            await viewer.close()
            await publisher.close()
        assert (await bob.next_event("participant_disconnected"))[0].identity == "camera"


async def test_services_that_are_not_there_are_never_a_success(lk: api.LiveKitAPI) -> None:
    calls = [
        lk.egress.list_egress(api.ListEgressRequest()),
        lk.agent_dispatch.list_dispatch("sdk"),
    ]
    for asked in calls:
        with pytest.raises(api.TwirpError) as caught:
            await asked
        assert (caught.value.code, caught.value.status) == ("unimplemented", 501)


async def test_a_wrong_secret_opens_nothing(server: Server) -> None:
    async with api.LiveKitAPI(server.http, "devkey", "x" * 32) as stranger:
        with pytest.raises(api.TwirpError) as caught:
            await stranger.room.list_rooms(api.ListRoomsRequest())
    assert (caught.value.code, caught.value.status) == ("unauthenticated", 401)
