"""LiveKit's Python SDK meets itself here: pictures, tones, data, mute, metadata and method calls."""

from __future__ import annotations

import pytest
from conftest import Server, token
from livekit import rtc
from livekit_peer import TONE_HZ, LiveKitPeer, hear_tone, see_colour

pytestmark = [pytest.mark.timeout(180), pytest.mark.filterwarnings("ignore::ResourceWarning")]
RED, BLUE = (210, 20, 20), (20, 20, 210)
VIDEO, AUDIO = rtc.TrackKind.KIND_VIDEO, rtc.TrackKind.KIND_AUDIO


@pytest.mark.parametrize("single", [False, True], ids=["dual", "single"])
async def test_two_participants_see_and_hear_each_other_and_talk(server: Server, *, single: bool) -> None:
    room = f"lk-{'single' if single else 'dual'}"
    async with LiveKitPeer() as alice, LiveKitPeer() as bob:
        grants = {"canUpdateOwnMetadata": True}
        await alice.connect(server.http, token(room, "alice", **grants), single=single)
        first = await alice.publish_picture(RED)
        await bob.connect(server.http, token(room, "bob", **grants), single=single)
        await bob.publish_picture(BLUE)
        await alice.publish_tone()

        seen = await bob.next_track(VIDEO)
        assert (seen.participant.identity, seen.publication.sid) == ("alice", first.sid)
        assert await see_colour(seen.track, RED) == (320, 180)
        assert await see_colour((await alice.next_track(VIDEO)).track, BLUE) == (320, 180)
        assert abs(await hear_tone((await bob.next_track(AUDIO)).track) - TONE_HZ) < 5

        await alice.room.local_participant.publish_data(b"to all", reliable=True, topic="news")
        packet = await bob.next_data()
        assert packet.participant is not None
        assert (packet.data, packet.topic, packet.participant.identity) == (b"to all", "news", "alice")
        await bob.room.local_participant.publish_data(b"quick", reliable=False, destination_identities=["alice"])
        assert (await alice.next_data()).data == b"quick"

        assert first.track is not None
        first.track.mute()
        assert (await bob.next_event("track_muted"))[0].identity == "alice"
        first.track.unmute()
        assert (await bob.next_event("track_unmuted"))[0].identity == "alice"

        await alice.room.local_participant.set_metadata("mood: good")
        assert (await bob.next_event("participant_metadata_changed"))[0].metadata == "mood: good"
        await alice.room.local_participant.set_attributes({"hand": "raised"})
        assert (await bob.next_event("participant_attributes_changed"))[0] == {"hand": "raised"}

        @bob.room.local_participant.register_rpc_method("greet")
        async def greet(call: rtc.RpcInvocationData) -> str:
            return f"hello {call.caller_identity}, {call.payload}"

        answer = await alice.room.local_participant.perform_rpc(
            destination_identity="bob", method="greet", payload="what is new?"
        )
        assert answer == "hello alice, what is new?"


async def test_who_leaves_is_gone_for_the_others_with_its_tracks(server: Server) -> None:
    async with LiveKitPeer() as bob:
        async with LiveKitPeer() as alice:
            await alice.connect(server.http, token("lk-gone", "alice"))
            await bob.connect(server.http, token("lk-gone", "bob"))
            await alice.publish_picture(RED)
            await see_colour((await bob.next_track(VIDEO)).track, RED)
        assert (await bob.next_event("track_unsubscribed"))[2].identity == "alice"
        assert (await bob.next_event("participant_disconnected"))[0].identity == "alice"
    assert server.identities("lk-gone") == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("not a token", "invalid authorization token"),
        (token("lk-refused", "eve") + "x", "invalid authorization token"),
        (token("lk-refused", "eve", roomJoin=False), "permissions denied"),
    ],
    ids=["no token", "bad signature", "no grant"],
)
async def test_a_bad_token_is_refused_with_the_servers_text(server: Server, given: str, expected: str) -> None:
    peer = LiveKitPeer()
    with pytest.raises(rtc.ConnectError, match=expected):
        await peer.connect(server.http, given)
