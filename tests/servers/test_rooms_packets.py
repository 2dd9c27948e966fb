"""What a room forbids stops on the wire: plain RTP through the real engine, watched from outside.

Each test sends what must not arrive, and after it what must: when the last of that has come, nothing of the other has.
"""

from __future__ import annotations

import asyncio
import importlib.util
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest
from plain_rtp import SSRC, Packet, Sink

from roomtone.control.rooms import (
    JoinRequest,
    Participant,
    Permissions,
    PlainAddress,
    PlainConnection,
    Publication,
    RoomEventKind,
    RoomLimits,
    Rooms,
    SpeakerRules,
    Subscription,
    SubscriptionOffer,
    SubscriptionRules,
    TrackOffer,
    TrackSource,
)
from roomtone.media import CoreLink, Engine
from roomtone.media.values import EncodingParameters, EngineConfig, HeaderExtension, MediaKind
from roomtone.protocols.sdp import Codec
from roomtone.protocols.sdp.support import AUDIO_LEVEL

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)
PCMU = Codec(MediaKind.AUDIO, 0, "PCMU", 8000)
VOICE = TrackOffer(
    MediaKind.AUDIO,
    (PCMU,),
    encodings=(EncodingParameters(ssrc=SSRC),),
    extensions=(HeaderExtension(id=1, uri=AUDIO_LEVEL),),
    source=TrackSource.MICROPHONE,
)
HEAR = SubscriptionOffer(MediaKind.AUDIO, (PCMU,))
ROUNDS = 20


@pytest.fixture
async def rooms() -> AsyncIterator[Rooms]:
    engine = Engine(CoreLink(EngineConfig(shards=1, listen_ips=["127.0.0.1"], webrtc_ports=(0, 0), plain_ports=(0, 0))))
    await engine.start()
    rules = SpeakerRules(interval_ms=20, smoothing=1.0, hold_ms=0)
    rooms = Rooms(engine, RoomLimits(speakers=rules))
    rooms.start()
    yield rooms
    await rooms.close()
    await engine.close()


@dataclass
class Speaker:
    """A participant that sends packets nobody else sends."""

    participant: Participant
    connection: PlainConnection
    socket: Sink
    sent: int = 0

    @property
    def track(self) -> Publication:
        return next(iter(self.participant.publications.values()))

    def speak(self, level: int | None = None) -> bytes:
        """Send a packet; gives its payload."""
        self.sent += 1
        payload = f"{self.participant.identity} {self.sent}".encode()
        data = Packet(False, 0, self.sent, self.sent * 160, payload).encode()
        if level is not None:  # RFC 6464: voice activity, and how far below full scale
            data = (
                bytes([data[0] | 0x10]) + data[1:12] + struct.pack("!HHBBxx", 0xBEDE, 1, 0x10, 0x80 | level) + payload
            )
        self.socket.socket.sendto(data, ("127.0.0.1", self.connection.transport.port))
        return payload


@dataclass
class Listener:
    """A participant that gets tracks, and the socket they come to."""

    participant: Participant
    connection: PlainConnection
    socket: Sink
    subscriptions: list[Subscription] = field(default_factory=list)

    async def hear(self, last: bytes) -> list[bytes]:
        """Everything that comes, until this payload does."""
        got: list[bytes] = []
        while last not in got:
            got.append(Packet.decode(await self.socket.next()).payload)
        return got

    def take_waiting(self) -> list[bytes]:
        """RTP that has come already."""
        got = []
        with suppress(BlockingIOError):
            while True:
                data = self.socket.socket.recv(2048)
                if not 192 <= data[1] <= 223:
                    got.append(Packet.decode(data).payload)
        return got


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def sink(opened: ExitStack) -> Sink:
    made = Sink()
    opened.callback(made.socket.close)
    return made


async def speaker(rooms: Rooms, opened: ExitStack, identity: str) -> Speaker:
    participant, (connection,) = await rooms.publish_plain("demo", JoinRequest(identity), [(VOICE, PlainAddress())])
    return Speaker(participant, connection, sink(opened))


async def listener(rooms: Rooms, opened: ExitStack, identity: str, *sources: Speaker) -> Listener:
    return await listener_in(rooms, opened, "demo", identity, *(source.track for source in sources))


async def listener_in(rooms: Rooms, opened: ExitStack, room: str, identity: str, *sources: Publication) -> Listener:
    participant, socket = await rooms.join(room, JoinRequest(identity)), sink(opened)
    connection = await rooms.open_plain_connection(participant, PlainAddress("127.0.0.1", socket.port))
    made = Listener(participant, connection, socket)
    for source in sources:
        made.subscriptions.append(await rooms.subscribe(participant, connection, HEAR, source))
    return made


async def talk(ear: Listener, *speakers: Speaker) -> list[bytes]:
    """Let all speak in turn, round after round; gives all that this ear heard.

    A round ends when the ear has heard its last packet, so that of earlier rounds nothing is on its way any more.
    """
    heard: list[bytes] = []
    for _ in range(ROUNDS):
        for one in speakers:
            last = one.speak()
        heard += await ear.hear(last)
    return heard


def of(identity: str, payloads: list[bytes]) -> int:
    return sum(payload.startswith(identity.encode()) for payload in payloads)


async def test_a_muted_track_is_not_sent_and_comes_again_when_both_sides_let_it(
    rooms: Rooms, opened: ExitStack
) -> None:
    alice, bob = await speaker(rooms, opened, "alice"), await speaker(rooms, opened, "bob")
    ear = await listener(rooms, opened, "ear", alice, bob)
    assert of("alice", await talk(ear, alice, bob)) >= ROUNDS - 1
    await rooms.mute(alice.track, muted=True, by_server=True)
    await talk(ear, bob)  # what was on its way has come
    assert of("alice", await talk(ear, alice, bob)) == 0
    await rooms.mute(alice.track, muted=True, by_server=False)
    await rooms.mute(alice.track, muted=False, by_server=True)
    assert of("alice", await talk(ear, alice, bob)) == 0
    await rooms.mute(alice.track, muted=False, by_server=False)
    assert of("alice", await talk(ear, alice, bob)) >= ROUNDS - 1


async def test_who_may_publish_no_longer_is_heard_no_longer(rooms: Rooms, opened: ExitStack) -> None:
    alice, bob = await speaker(rooms, opened, "alice"), await speaker(rooms, opened, "bob")
    ear = await listener(rooms, opened, "ear", alice, bob)
    assert of("alice", await talk(ear, alice, bob)) >= ROUNDS - 1
    only_pictures = Permissions(publish_sources=frozenset({TrackSource.CAMERA}))
    await rooms.update(alice.participant, permissions=only_pictures)
    assert alice.participant.closed is None
    await talk(ear, bob)
    assert of("alice", await talk(ear, alice, bob)) == 0


@pytest.mark.parametrize("loss", ["permission", "rules", "kick"])
async def test_who_loses_a_subscription_hears_nothing_while_others_do(
    rooms: Rooms, opened: ExitStack, loss: str
) -> None:
    alice = await speaker(rooms, opened, "alice")
    ear = await listener(rooms, opened, "ear", alice)
    witness = await listener(rooms, opened, "witness", alice)
    assert len(await talk(ear, alice)) == ROUNDS
    assert len(await talk(witness, alice)) == 2 * ROUNDS
    match loss:
        case "permission":
            await rooms.update(ear.participant, permissions=Permissions(can_subscribe=False))
        case "rules":
            await rooms.set_subscription_permissions(
                alice.participant, SubscriptionRules(all=False, tracks={"witness": None})
            )
        case _:
            await rooms.remove(ear.participant)
    await talk(witness, alice)
    ear.take_waiting()  # what was on its way has come
    assert len(await talk(witness, alice)) == ROUNDS
    assert ear.take_waiting() == []


async def test_who_is_kicked_is_heard_no_longer(rooms: Rooms, opened: ExitStack) -> None:
    alice, bob = await speaker(rooms, opened, "alice"), await speaker(rooms, opened, "bob")
    ear = await listener(rooms, opened, "ear", alice, bob)
    assert of("alice", await talk(ear, alice, bob)) >= ROUNDS - 1
    await rooms.remove(alice.participant)
    await talk(ear, bob)
    assert of("alice", await talk(ear, alice, bob)) == 0
    assert ear.subscriptions[0].closed is not None


async def test_who_sends_loud_audio_is_said_to_speak_until_it_is_soft(rooms: Rooms, opened: ExitStack) -> None:
    alice, bob = await speaker(rooms, opened, "alice"), await speaker(rooms, opened, "bob")
    room = alice.participant.room
    seen: list[dict[str, float]] = []
    with room.events.open() as mailbox:

        async def talk_on() -> None:
            while True:
                alice.speak(20 if len(seen) < 1 else 127)
                bob.speak(127)
                await asyncio.sleep(0.005)

        talking = asyncio.ensure_future(talk_on())
        async with asyncio.timeout(40):
            while len(seen) < 2:
                event = await mailbox.get()
                assert event is not None
                if event.kind is RoomEventKind.SPEAKERS_CHANGED and event.speakers is not None:
                    seen.append({one.identity: one.level for one in event.speakers if one.active})
        talking.cancel()
    assert seen == [{"alice": 0.1}, {}]


async def test_who_is_forwarded_is_heard_in_the_other_room_until_muted_or_sent_out_there(
    rooms: Rooms, opened: ExitStack
) -> None:
    alice, bob = await speaker(rooms, opened, "alice"), await speaker(rooms, opened, "bob")
    mirror = await rooms.forward(alice.participant, "other")
    witness = await rooms.forward(bob.participant, "other")
    tracks = [next(iter(one.publications.values())) for one in (mirror, witness)]
    ear = await listener_in(rooms, opened, "other", "ear", *tracks)
    home = await listener(rooms, opened, "home", alice, bob)
    assert of("alice", await talk(ear, alice, bob)) >= ROUNDS - 1
    await rooms.mute(alice.track, muted=True, by_server=False)
    await talk(ear, bob)  # what was on its way has come
    assert of("alice", await talk(ear, alice, bob)) == 0
    await rooms.mute(alice.track, muted=False, by_server=False)
    await rooms.drain()
    assert not tracks[0].muted
    assert of("alice", await talk(ear, alice, bob)) >= ROUNDS - 1
    await rooms.remove(mirror)
    await talk(ear, bob)
    assert of("alice", await talk(ear, alice, bob)) == 0
    home.take_waiting()
    assert of("alice", await talk(home, alice, bob)) >= ROUNDS - 1
    assert alice.participant.closed is None


async def test_who_is_forwarded_is_said_to_speak_in_both_rooms(rooms: Rooms, opened: ExitStack) -> None:
    alice = await speaker(rooms, opened, "alice")
    mirror = await rooms.forward(alice.participant, "other")
    with mirror.room.events.open() as mailbox:

        async def talk_on() -> None:
            while True:
                alice.speak(20)
                await asyncio.sleep(0.005)

        talking = asyncio.ensure_future(talk_on())
        async with asyncio.timeout(40):
            while (event := await mailbox.get()) is not None:
                if event.kind is RoomEventKind.SPEAKERS_CHANGED:
                    break
        talking.cancel()
    assert [one.identity for one in mirror.room.speakers] == ["alice"]
