"""Plain RTP with SRTP keys given by hand: libsrtp seals what goes in and opens what comes out."""

from __future__ import annotations

import base64
import os
import random
import socket
import struct

import pytest
from conftest import PATIENCE_S, Server, until
from plain_peer import OPUS, Packet, is_rtcp, open_sink, open_source, receiving, stream
from pylibsrtp import Error, Policy, Session

pytestmark = pytest.mark.timeout(120)
SUITES = {
    "AES_CM_128_HMAC_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "AES_CM_128_HMAC_SHA1_32": (Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 30),
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
}


def outbound(suite: str, key: bytes) -> Session:
    return Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=SUITES[suite][0]))


def inbound(suite: str, key: bytes) -> Session:
    return Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=SUITES[suite][0]))


def body(suite: str, key: bytes) -> dict[str, str]:
    return {"suite": suite, "key": base64.b64encode(key).decode()}


@pytest.mark.parametrize("suite", SUITES)
def test_what_libsrtp_seals_is_forwarded_so_that_libsrtp_opens_it(server: Server, suite: str) -> None:
    keys = [os.urandom(SUITES[suite][1]) for _ in range(4)]
    source_key, source_local, sink_key, sink_local = keys
    rng = random.Random(20261121)  # noqa: S311 - payloads, not keys
    sent = [
        Packet(65_500 + n, n * 960, rng.randbytes(rng.randrange(1, 200)), payload_type=97, marker=n == 0)
        for n in range(100)
    ]
    room = f"srtp-{suite}"
    with receiving() as sink, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        secured = {"srtp": body(suite, source_key), "local_srtp": body(suite, source_local)}
        (opened,) = open_source(server, room, stream("audio", OPUS, **secured))
        source.connect(("127.0.0.1", opened["port"]))
        at = {"ip": "127.0.0.1", "port": sink.getsockname()[1]}
        secured = {"srtp": body(suite, sink_key), "local_srtp": body(suite, sink_local)}
        open_sink(server, room, stream("audio", OPUS, **at, **secured))
        sealing, opening = outbound(suite, source_key), inbound(suite, sink_local)
        sink.settimeout(PATIENCE_S)
        got: list[Packet] = []
        reports = 0
        for packet in sent:
            source.send(sealing.protect(packet.write()))
            while len(got) <= sent.index(packet):
                data = sink.recv(2048)
                if is_rtcp(data):
                    assert opening.unprotect_rtcp(data)[1] in {200, 201, 202}
                    reports += 1
                    continue
                assert packet.payload not in data or len(packet.payload) < 8, "sealed"
                got.append(Packet.read(opening.unprotect(data)))
        # Our reports to the source are sealed with the key named for that direction, and no other.
        receiver = inbound(suite, source_local)
        source.settimeout(PATIENCE_S)
        report = source.recv(2048)
        with pytest.raises(Error):
            inbound(suite, source_key).unprotect_rtcp(report)
        assert receiver.unprotect_rtcp(report)[1] in {200, 201}
    assert [packet.payload for packet in got] == [packet.payload for packet in sent]
    assert [(packet.sequence - got[0].sequence) & 0xFFFF for packet in got] == list(range(len(sent)))


def test_packets_in_the_clear_or_under_another_key_are_counted_and_not_forwarded(server: Server) -> None:
    suite = "AES_CM_128_HMAC_SHA1_80"
    key, other = os.urandom(30), os.urandom(30)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        (opened,) = open_source(
            server, "forged", stream("audio", OPUS, srtp=body(suite, key), local_srtp=body(suite, other))
        )
        source.connect(("127.0.0.1", opened["port"]))
        before = server.metrics()["roomtone_engine_dropped_srtp_total"]
        wrong = outbound(suite, other)
        for n in range(50):
            packet = Packet(n, n * 960, struct.pack("!I", n) * 20, payload_type=97).write()
            source.send(packet)
            source.send(wrong.protect(packet))
        until(lambda: server.metrics()["roomtone_engine_dropped_srtp_total"] >= before + 100, "the count")
        (track,) = server.room("forged", "/tracks")
        assert track["active_encodings"] == []
        # The right key still works: what was forged has moved nothing.
        right = outbound(suite, key)
        for n in range(10):
            source.send(right.protect(Packet(n, n * 960, b"sound", payload_type=97).write()))
        until(lambda: server.room("forged", "/tracks")[0]["active_encodings"] == [0], "the stream")
