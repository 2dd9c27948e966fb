"""What an operator says over HTTP happens to media: seen in packets, through a server in a process of its own."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import httpx
import pytest
from conftest import PATIENCE_S, Server, sign
from plain_peer import OPUS, VP8, Packet, is_rtcp, open_source, receiving, stream

pytestmark = pytest.mark.timeout(120)
ROUNDS = 10


@dataclass
class Voice:
    """A plain RTP source, and a sink that follows it."""

    source: socket.socket
    sink: socket.socket
    ssrc: int
    sent: int = 0

    def speak(self) -> bytes:
        """Send a packet; gives its payload."""
        self.sent += 1
        payload = struct.pack("!II", self.ssrc, self.sent)
        packet = Packet(self.sent, self.sent * 960, payload, payload_type=97, ssrc=self.ssrc)
        with suppress(ConnectionRefusedError):  # the port of who was kicked is closed
            self.source.send(packet.write())
        return payload

    def hears(self, payload: bytes) -> None:
        """Wait at the sink for this payload."""
        self.sink.settimeout(PATIENCE_S)
        while is_rtcp(data := self.sink.recv(2048)) or Packet.read(data).payload != payload:
            pass

    def waiting(self) -> int:
        """Take what has come to the sink, and count the RTP in it."""
        self.sink.setblocking(False)
        count = 0
        while True:
            try:
                count += not is_rtcp(self.sink.recv(2048))
            except BlockingIOError:
                return count


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def voice(server: Server, sockets: ExitStack, room: str, identity: str, ssrc: int) -> Voice:
    source = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sink = sockets.enter_context(receiving())
    body = {"identity": identity, "publish": [stream("audio", OPUS) | {"ssrc": ssrc}]}
    (opened,) = server.room(room, "/plain", "POST", body)["streams"]
    source.connect(("127.0.0.1", opened["port"]))
    followed = {
        "participant": identity,
        "subscribe": [stream("audio", OPUS, ip="127.0.0.1", port=sink.getsockname()[1])],
    }
    server.room(room, "/plain", "POST", followed)
    return Voice(source, sink, ssrc)


def heard(voice: Voice, witness: Voice) -> bool:
    """Whether what one sends arrives, while what the witness sends does."""
    for _ in range(2):  # the first time takes what was on its way
        voice.waiting()
        for _ in range(ROUNDS):
            voice.speak()
            witness.hears(witness.speak())
    return voice.waiting() >= ROUNDS - 1


def test_mute_and_lost_permissions_stop_media_and_unmuting_lets_it_on(server: Server, sockets: ExitStack) -> None:
    room = "operated"
    alice, bob = (voice(server, sockets, room, name, ssrc) for name, ssrc in (("alice", 1111), ("bob", 2222)))
    path = "/participants/alice"
    assert heard(alice, bob)
    for muted in (True, False):
        server.room(room, f"{path}/muted", "PUT", {"muted": muted})
        assert heard(alice, bob) is not muted
    (track,) = server.room(room, path, "PATCH", {"permissions": {"can_publish": True}})["tracks"]
    assert track["source"] == "microphone"
    changed = server.room(room, path, "PATCH", {"permissions": {"publish_sources": ["camera"]}})
    assert (changed["tracks"], changed["permissions"]["publish_sources"]) == ([], ["camera"])
    assert not heard(alice, bob)


def test_who_is_kicked_is_heard_no_longer(server: Server, sockets: ExitStack) -> None:
    room = "kicked"
    alice, bob = (voice(server, sockets, room, name, ssrc) for name, ssrc in (("alice", 1111), ("bob", 2222)))
    assert heard(alice, bob)
    server.room(room, "/participants/alice", "DELETE")
    (ended,) = server.room(room, "/ended")
    assert (ended["participant"], ended["reason"]) == ("alice", "removed")
    assert not heard(alice, bob)


def test_a_room_made_for_one_codec_takes_no_other_and_a_lock_keeps_people_out(server: Server) -> None:
    room = "narrow"
    maker = {"Authorization": f"Bearer {sign('test', {'roomCreate': True})}"}
    body = {"name": room, "codecs": ["opus"]}
    made = httpx.post(f"{server.http}/api/v1/rooms", json=body, headers=maker, timeout=PATIENCE_S)
    assert (made.status_code, made.json()["options"]["codecs"]) == (201, ["OPUS"])
    with pytest.raises(AssertionError, match=r"406 .*codec_not_allowed"):
        open_source(server, room, stream("video", VP8))
    open_source(server, room, stream("audio", OPUS))
    server.room(room, "", "PATCH", {"locked": True})
    stranger = {"Authorization": f"Bearer {sign('eve', {'roomJoin': True, 'room': room})}"}
    refused = httpx.post(f"{server.http}/api/v1/rooms/{room}/knock", headers=stranger, timeout=PATIENCE_S)
    assert (refused.status_code, refused.json()["code"]) == (403, "room_locked")
