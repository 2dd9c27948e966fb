"""LiveKit's Python SDK, the long form: codecs, layers, encryption, streams, permissions, many tracks, TCP."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from conftest import Server, token, until
from livekit import rtc
from livekit_peer import TONE_HZ, LiveKitPeer, hear_tone, pictures, see_colour

pytestmark = [pytest.mark.long, pytest.mark.timeout(240), pytest.mark.filterwarnings("ignore::ResourceWarning")]
RED = (210, 20, 20)
LOW, HIGH = rtc.VideoQuality.VIDEO_QUALITY_LOW, rtc.VideoQuality.VIDEO_QUALITY_HIGH
VIDEO, AUDIO = rtc.TrackKind.KIND_VIDEO, rtc.TrackKind.KIND_AUDIO
PATIENCE_S = 40


@pytest.mark.parametrize("codec", ["H264", "VP9", "AV1"])
async def test_other_codecs_are_decoded(server: Server, codec: str) -> None:
    async with LiveKitPeer() as alice, LiveKitPeer() as bob:
        await bob.connect(server.http, token(f"lk-{codec}", "bob"))
        await alice.connect(server.http, token(f"lk-{codec}", "alice"), single=True)
        await alice.publish_picture(RED, video_codec=getattr(rtc.VideoCodec, codec))
        seen = await bob.next_track(VIDEO)
        assert await see_colour(seen.track, RED) == (320, 180)
        assert seen.publication.mime_type == f"video/{codec}"


async def test_a_subscriber_gets_the_layer_it_asks_for(server: Server) -> None:
    async with LiveKitPeer() as alice, LiveKitPeer() as bob:
        await alice.connect(server.http, token("lk-window", "alice"))
        await bob.connect(server.http, token("lk-window", "bob"))
        await alice.publish_picture(RED, size=(1280, 720), simulcast=True)
        seen = await bob.next_track(VIDEO)
        for quality, fits in ((LOW, lambda width: width == 320), (HIGH, lambda width: width > 320)):
            seen.publication.set_video_quality(quality)
            async with pictures(seen.track) as shown:
                async for picture in shown:
                    if fits(picture.shape[1]):
                        break


@pytest.mark.parametrize("single", [False, True], ids=["dual", "single"])
async def test_five_talk_and_each_hears_all_others(server: Server, *, single: bool) -> None:
    room = f"lk-five-{single}"
    tones = [300 + 100 * number for number in range(5)]
    peers = [LiveKitPeer() for _ in tones]
    try:
        for number, peer in enumerate(peers):
            await peer.connect(server.http, token(room, f"p{number}"), single=single)
            await peer.publish_tone(tones[number])
        for number, peer in enumerate(peers):
            heard = [await hear_tone((await peer.next_track(AUDIO)).track) for _ in range(4)]
            others = [tone for other, tone in enumerate(tones) if other != number]
            assert sorted(round(tone / 100) * 100 for tone in heard) == others
    finally:
        for peer in peers:
            await peer.__aexit__(None, None, None)


async def test_what_is_encrypted_from_end_to_end_is_decoded_by_who_has_the_key(server: Server) -> None:
    key = secrets.token_bytes(16)
    options = rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(shared_key=key))
    async with LiveKitPeer() as alice, LiveKitPeer() as bob:
        await alice.connect(server.http, token("lk-e2ee", "alice"), encryption=options)
        await bob.connect(server.http, token("lk-e2ee", "bob"), encryption=options)
        await alice.publish_picture(RED)
        await alice.publish_tone()
        assert await see_colour((await bob.next_track(VIDEO)).track, RED) == (320, 180)
        assert abs(await hear_tone((await bob.next_track(AUDIO)).track) - TONE_HZ) < 5
        await alice.room.local_participant.publish_data(b"secret")
        assert (await bob.next_data()).data == b"secret"


async def test_layers_of_what_is_encrypted_from_end_to_end_are_chosen_unread(server: Server) -> None:
    options = rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(shared_key=secrets.token_bytes(16)))
    async with LiveKitPeer() as alice, LiveKitPeer() as bob:
        await alice.connect(server.http, token("lk-e2ee-layers", "alice"), encryption=options)
        await bob.connect(server.http, token("lk-e2ee-layers", "bob"), encryption=options)
        await alice.publish_picture(RED, size=(1280, 720), simulcast=True)
        seen = await bob.next_track(VIDEO)
        (track,) = server.room("lk-e2ee-layers", "/tracks")
        assert len(track["rids"]) > 1
        for quality, fits in ((LOW, lambda width: width == 320), (HIGH, lambda width: width > 320)):
            seen.publication.set_video_quality(quality)
            async with pictures(seen.track) as shown:
                async for picture in shown:
                    if fits(picture.shape[1]):
                        break


async def test_transcriptions_of_an_agent_come_to_others(server: Server) -> None:
    async with LiveKitPeer() as alice, LiveKitPeer() as bob, LiveKitPeer() as agent:
        await alice.connect(server.http, token("lk-words", "alice"))
        await bob.connect(server.http, token("lk-words", "bob"))
        await agent.connect(server.http, token("lk-words", "agent", agent=True))
        said = await alice.publish_tone()
        await bob.next_track(AUDIO)
        segment = rtc.TranscriptionSegment(id="s1", text="a tone", start_time=0, end_time=1, language="en", final=True)
        words = rtc.Transcription(participant_identity="alice", track_sid=said.sid, segments=[segment])
        await agent.room.local_participant.publish_transcription(words)
        segments, participant, publication = await bob.next_event("transcription_received")
        assert [one.text for one in segments] == ["a tone"]
        assert (participant.identity, publication.sid) == ("alice", said.sid)


async def test_text_and_byte_streams_arrive_whole(server: Server) -> None:
    async with LiveKitPeer() as alice, LiveKitPeer() as bob:
        await alice.connect(server.http, token("lk-streams", "alice"))
        await bob.connect(server.http, token("lk-streams", "bob"))
        texts: asyncio.Queue[str] = asyncio.Queue()
        files: asyncio.Queue[bytes] = asyncio.Queue()
        reading = []

        def on_text(reader: rtc.TextStreamReader, _identity: str) -> None:
            async def read() -> None:
                texts.put_nowait(await reader.read_all())

            reading.append(asyncio.ensure_future(read()))

        def on_bytes(reader: rtc.ByteStreamReader, _identity: str) -> None:
            async def read() -> None:
                files.put_nowait(b"".join([chunk async for chunk in reader]))

            reading.append(asyncio.ensure_future(read()))

        bob.room.register_text_stream_handler("notes", on_text)
        bob.room.register_byte_stream_handler("files", on_bytes)
        long_text = "wörd " * 20_000
        await alice.room.local_participant.send_text(long_text, topic="notes")
        assert await asyncio.wait_for(texts.get(), PATIENCE_S) == long_text
        content = secrets.token_bytes(2_000_000)
        writer = await alice.room.local_participant.stream_bytes("blob.bin", topic="files", total_size=len(content))
        await writer.write(content)
        await writer.aclose()
        assert await asyncio.wait_for(files.get(), PATIENCE_S) == content


async def test_a_publisher_keeps_its_track_from_whom_it_does_not_name(server: Server) -> None:
    async with LiveKitPeer() as alice, LiveKitPeer() as bob, LiveKitPeer() as carol:
        await alice.connect(server.http, token("lk-rules", "alice"))
        await bob.connect(server.http, token("lk-rules", "bob"))
        await carol.connect(server.http, token("lk-rules", "carol"))
        await alice.publish_picture(RED)
        tracks = [(await peer.next_track(VIDEO)).track for peer in (bob, carol)]
        for track in tracks:
            await see_colour(track, RED)
        alice.room.local_participant.set_track_subscription_permissions(
            allow_all_participants=False,
            participant_permissions=[
                rtc.ParticipantTrackPermission(participant_identity="carol", allow_all=True, allowed_track_sids=[])
            ],
        )
        # The SDK says nothing of it to its user: what is sent to whom is seen in the server's statistics.
        await asyncio.to_thread(until, lambda: sent_to(server, "lk-rules") == {"carol"}, "carol alone gets the track")
        await see_colour(tracks[1], RED)


def sent_to(server: Server, room: str) -> set[str]:
    """Who is sent any track."""
    people = server.room(room, "/statistics")["participants"]
    return {one["identity"] for one in people if one["subscriptions"]}


async def test_who_subscribes_by_hand_gets_only_that(server: Server) -> None:
    async with LiveKitPeer() as alice, LiveKitPeer() as bob:
        await alice.connect(server.http, token("lk-hand", "alice"))
        await bob.connect(server.http, token("lk-hand", "bob"), auto_subscribe=False)
        await alice.publish_tone()
        video = await alice.publish_picture(RED)
        publication = None
        while publication is None:
            await bob.next_event("track_published")
            publication = bob.room.remote_participants["alice"].track_publications.get(video.sid)
        publication.set_subscribed(True)
        seen = await bob.next_track(VIDEO)
        assert seen.publication.sid == video.sid
        await see_colour(seen.track, RED)
        publication.set_subscribed(False)
        await bob.next_event("track_unsubscribed")
        publication.set_subscribed(True)
        await see_colour((await bob.next_track(VIDEO)).track, RED)
        assert bob.subscribed.empty()


async def test_who_speaks_is_told(server: Server) -> None:
    async with LiveKitPeer() as alice, LiveKitPeer() as bob:
        await alice.connect(server.http, token("lk-speak", "alice"))
        await bob.connect(server.http, token("lk-speak", "bob"))
        await alice.publish_tone()
        speakers: list[str] = []
        while "alice" not in speakers:
            (present,) = await bob.next_event("active_speakers_changed")
            speakers = [one.identity for one in present]  # type: ignore[attr-defined]


@pytest.mark.parametrize("single", [False, True], ids=["dual", "single"])
async def test_all_of_it_goes_over_tcp_alone(tcp_only: Server, *, single: bool) -> None:
    async with LiveKitPeer() as alice, LiveKitPeer() as bob:
        await alice.connect(tcp_only.http, token("lk-tcp", "alice"), single=single)
        await bob.connect(tcp_only.http, token("lk-tcp", "bob"), single=single)
        await alice.publish_picture(RED)
        await see_colour((await bob.next_track(VIDEO)).track, RED)
        await alice.room.local_participant.publish_data(b"over TCP")
        assert (await bob.next_data()).data == b"over TCP"
