"""Plain RTP in and plain RTP out: what is forwarded is what came in, packet by packet."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from conftest import PATIENCE_S, Server
from plain_peer import OPUS, VP8, Packet, is_rtcp, open_sink, open_source, receiving, stream

pytestmark = pytest.mark.timeout(120)
# RFC 7741: descriptor without extensions at the start of a partition; then the start of a keyframe of 320x240.
FIRST_OF_KEYFRAME = bytes.fromhex("10") + bytes.fromhex("1002009d012a4001f000")
FIRST_OF_FRAME = bytes.fromhex("10") + bytes.fromhex("110200")
LATER_IN_FRAME = bytes.fromhex("00")
SSRC = 0x1234_5678


def frames(rng: random.Random, first: int, count: int) -> list[Packet]:
    """VP8 frames of one to four packets, a keyframe first and every tenth; the sequence runs on from `first`."""
    made: list[Packet] = []
    for frame in range(count):
        parts = rng.randrange(1, 5)
        for part in range(parts):
            starts = FIRST_OF_FRAME if frame % 10 else FIRST_OF_KEYFRAME
            head = LATER_IN_FRAME if part else starts
            payload = head + rng.randbytes(rng.randrange(1, 1100))
            made.append(Packet(first + len(made), 4_294_960_000 + frame * 6000, payload, marker=part == parts - 1))
    return made


def receive(sink: socket.socket, count: int) -> list[Packet]:
    """The next RTP packets, RTCP left out."""
    sink.settimeout(PATIENCE_S)
    got: list[Packet] = []
    while len(got) < count:
        try:
            data = sink.recv(2048)
        except TimeoutError:
            pytest.fail(f"{len(got)} of {count} packets came")
        if not is_rtcp(data):
            got.append(Packet.read(data))
    return got


def nothing_more(sink: socket.socket) -> bool:
    """Whether no RTP lies in the socket."""
    sink.setblocking(False)
    while True:
        try:
            data = sink.recv(2048)
        except BlockingIOError:
            return True
        if not is_rtcp(data):
            return False


@pytest.fixture
def rng() -> random.Random:
    return random.Random(20261121)  # noqa: S311 - payloads, not keys


def forwarded(
    server: Server,
    room: str,
    packets: Sequence[Packet],
    expected: int,
    *,
    kind: str = "video",
    in_step: Callable[[Packet], bool] = lambda packet: packet.marker,
) -> list[Packet]:
    """What the sink gets of `packets`. The next are sent when those up to an `in_step` one have come out."""
    codec = VP8 if kind == "video" else OPUS
    with receiving() as sink, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        (opened,) = open_source(server, room, stream(kind, codec))
        source.connect(("127.0.0.1", opened["port"]))
        (out,) = open_sink(server, room, stream(kind, codec, ip="127.0.0.1", port=sink.getsockname()[1]))["streams"]
        got: list[Packet] = []
        waiting = 0
        for packet in packets:
            source.send(packet.write())
            waiting += bool(packet.payload)
            if in_step(packet):
                got += receive(sink, waiting)
                waiting = 0
        got += receive(sink, waiting)
        assert nothing_more(sink)
    assert len(got) == expected
    assert {packet.ssrc for packet in got} == {out["ssrc"]}
    return got


def assert_same_media(got: Sequence[Packet], sent: Sequence[Packet]) -> None:
    assert [packet.payload for packet in got] == [packet.payload for packet in sent]
    assert [packet.marker for packet in got] == [packet.marker for packet in sent]
    assert {packet.payload_type for packet in got} == {sent[0].payload_type}
    assert {packet.padding for packet in got} == {0}
    steps = [(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(got)]
    assert set(steps) == {1}
    took = [(packet.timestamp - got[0].timestamp) & 0xFFFF_FFFF for packet in got]
    assert took == [(packet.timestamp - sent[0].timestamp) & 0xFFFF_FFFF for packet in sent]


def test_payloads_markers_and_times_come_out_as_they_went_in(server: Server, rng: random.Random) -> None:
    # Sequence and timestamp wrap on the way.
    sent = frames(rng, first=65_500, count=60)
    assert sent[0].sequence <= 65_535 < sent[-1].sequence
    got = forwarded(server, "verbatim", sent, len(sent))
    assert_same_media(got, sent)


def test_padding_is_stripped_and_packets_of_padding_alone_are_closed_up(server: Server, rng: random.Random) -> None:
    media = frames(rng, first=1000, count=40)
    sent: list[Packet] = []
    for packet in media:
        sequence = 1000 + len(sent)
        padding = rng.choice([0, 0, 1, 4, 200])
        sent.append(Packet(sequence, packet.timestamp, packet.payload, packet.marker, padding=padding))
        if packet.marker:
            sent += [
                Packet(sequence + 1 + more, packet.timestamp, b"", padding=rng.randrange(1, 256))
                for more in range(rng.randrange(3))
            ]
    assert len(sent) > len(media) + 10
    assert any(packet.padding and packet.payload for packet in sent)
    got = forwarded(server, "padding", sent, len(media))
    assert_same_media(got, media)


def test_extensions_nobody_negotiated_are_left_out_and_the_payload_stays(server: Server, rng: random.Random) -> None:
    one_byte = (0xBEDE, bytes([0x10, 0xAA, 0x22, 1, 2, 3, 0, 0]))
    two_byte = (0x1000, bytes([1, 0, 200, 1, 0xFF, 0, 0, 0]))
    foreign = (0x4242, rng.randbytes(12))
    choices = [None, one_byte, two_byte, foreign]
    media = frames(rng, first=5, count=40)
    sent = [
        Packet(packet.sequence, packet.timestamp, packet.payload, packet.marker, extension=rng.choice(choices))
        for packet in media
    ]
    got = forwarded(server, "extensions", sent, len(media))
    assert_same_media(got, media)
    assert {packet.extension for packet in got} == {None}


def test_packets_out_of_order_come_out_under_their_own_numbers(server: Server, rng: random.Random) -> None:
    sent = frames(rng, first=30_000, count=30)
    swapped = list(sent)
    for at in range(8, len(swapped) - 1, 5):
        swapped[at], swapped[at + 1] = swapped[at + 1], swapped[at]
    got = forwarded(server, "reordered", swapped, len(sent), in_step=lambda packet: packet.sequence % 16 == 0)
    assert_same_media(sorted(got, key=lambda packet: (packet.sequence - got[0].sequence) & 0xFFFF), sent)


def test_sound_is_forwarded_packet_by_packet(server: Server, rng: random.Random) -> None:
    sent = [
        Packet(700 + n, n * 960, rng.randbytes(rng.randrange(1, 200)), marker=n == 0, payload_type=97)
        for n in range(200)
    ]
    got = forwarded(server, "sound", sent, len(sent), kind="audio", in_step=lambda packet: packet.sequence % 4 == 0)
    assert_same_media(got, sent)


def test_a_gap_stays_a_gap(server: Server, rng: random.Random) -> None:
    sent = frames(rng, first=100, count=40)
    lost = {sent[at].sequence for at in range(30, len(sent), 17)}
    kept = [packet for packet in sent if packet.sequence not in lost]
    got = forwarded(server, "gap", kept, len(kept), in_step=lambda packet: packet.sequence % 8 == 0)
    assert [packet.payload for packet in got] == [packet.payload for packet in kept]
    numbers = [(packet.sequence - got[0].sequence) & 0xFFFF for packet in got]
    assert numbers == [packet.sequence - sent[0].sequence for packet in kept]
