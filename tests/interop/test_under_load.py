"""Many viewers, many comings and goings, and garbage: nobody loses media, nothing is left behind."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from conftest import Server, start_server, stop_server, token, until
from plain_peer import OPUS, open_source, stream

ROOT = Path(__file__).resolve().parents[2]
BUILD_WITHIN_S = 1200
pytestmark = [pytest.mark.alone, pytest.mark.timeout(BUILD_WITHIN_S + 600)]
MOST_LOST = 0.001
"""Share of packets that may be lost on a machine that does other things beside."""
RAISED = {
    "ROOMTONE_LIMITS__JOINS_PER_SECOND": "1000",
    "ROOMTONE_LIMITS__SESSIONS_PER_ADDRESS": "5000",
    "ROOMTONE_ROOMS__EMPTY_TIMEOUT_S": "1",
    "ROOMTONE_ROOMS__DEPARTURE_TIMEOUT_S": "1",
}
STREAM_BPS = 1_200_000
JOINS_AT_ONCE = 25
GARBAGE_A_SECOND = 10_000
BEAT_S = 0.01


@pytest.fixture(scope="module")
def load_client() -> Path:
    target = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/roomtone/target"))
    subprocess.run(
        ["cargo", "build", "--quiet", "-p", "roomtone-load"],
        cwd=ROOT,
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
        check=True,
        timeout=BUILD_WITHIN_S,
    )
    return target / "debug/roomtone-load"


@pytest.fixture(scope="module")
def spacious(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("load"), **RAISED)
    yield running
    stop_server(running)


def drive(client: Path, server: Server, room: str, viewers: int, seconds: int, *more: str) -> dict[str, Any]:
    """Run the load client to its end; what it counted."""
    # fmt: off
    done = subprocess.run(
        [
            client, "--publish", f"{server.http}/whip/{room}", "--play", f"{server.http}/whep/{room}",
            "--publish-bearer", token(room, "load"), "--play-bearer", token(room, "viewer"),
            "--viewers", str(viewers), "--seconds", str(seconds), "--bps", str(STREAM_BPS),
            "--pid", str(server.process.pid), *more,
        ],
        capture_output=True, text=True, timeout=seconds + 300, check=False,
    )
    # fmt: on
    assert done.returncode == 0, done.stdout + done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def assert_all_were_served(outcome: dict[str, Any], viewers: int) -> None:
    assert outcome["viewers"] == viewers
    assert outcome["silent_viewers"] == 0
    assert outcome["decrypted_packets"] > 0
    assert outcome["failures"] == []
    assert outcome["in_packets"] > 100 * outcome["seconds"]
    assert outcome["out_packets"] > 0.9 * viewers * outcome["in_packets"]
    assert outcome["lost_packets"] <= MOST_LOST * outcome["out_packets"]


@pytest.mark.parametrize("viewers", [25, pytest.param(200, marks=pytest.mark.long)])
def test_every_viewer_of_one_publisher_gets_every_packet(
    load_client: Path, spacious: Server, viewers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = drive(load_client, spacious, f"load-{viewers}", viewers, 8)
    with capsys.disabled():
        lost, each = outcome["lost_packets"], outcome["memory_kb_per_viewer"]
        sys.stdout.write(f"\n{viewers} viewers: {each} kB each, {lost} packets lost\n")
    assert_all_were_served(outcome, viewers)
    # None where they take what others, who are gone, have left.
    assert outcome["memory_kb_per_viewer"] < 1024


OBJECTS = ("routers", "transports", "producers", "consumers", "channels")
COUNTS = (
    *(f"roomtone_engine_{name}" for name in OBJECTS),
    *(f"roomtone_{name}" for name in ("rooms", "participants", "viewers", "publications", "subscriptions")),
    "roomtone_connections",
    "roomtone_loop_tasks",
    "process_open_fds",
)


FILES = "process_open_fds"
POOLED_FILES = 10
"""The database's pool keeps up to five connections of two files each, opened when two tasks ask at once."""


def counts(server: Server) -> dict[str, float]:
    """What must not grow."""
    found = server.metrics()
    return {name: found[name] for name in COUNTS}


def resident_kb(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize(("cycles", "may_grow_kb"), [(50, 8_000), pytest.param(1000, 12_000, marks=pytest.mark.long)])
def test_joining_and_leaving_leaves_nothing_behind(
    load_client: Path, spacious: Server, cycles: int, may_grow_kb: int
) -> None:
    def join_and_leave(room: str) -> None:
        outcome = drive(load_client, spacious, room, JOINS_AT_ONCE, 1, "--warm", "1")
        assert outcome["silent_viewers"] == 0

    def is_as_before() -> bool:
        now = counts(spacious)
        files = now.pop(FILES) - before[FILES]
        return files <= POOLED_FILES and now == {name: count for name, count in before.items() if name != FILES}

    # Twice for what is made once: caches, pools, threads of the standard library.
    for _ in range(2):
        join_and_leave("cycle")
    until(lambda: spacious.metrics()["roomtone_rooms"] == 0, "the end of the empty room")
    before, resident = counts(spacious), resident_kb(spacious)
    assert before["roomtone_engine_transports"] == 0
    joined = spacious.metrics()["roomtone_boundary_commands_total"]
    for _ in range(cycles // JOINS_AT_ONCE):
        join_and_leave("cycle")
    assert spacious.metrics()["roomtone_boundary_commands_total"] > joined + 3 * cycles
    try:
        until(is_as_before, "the counts of before")
    except AssertionError as error:
        raise AssertionError(f"{before} became {counts(spacious)}") from error
    grown = resident_kb(spacious) - resident
    assert grown < may_grow_kb, f"grew by {grown} kB from {resident} kB"


def udp_sockets(server: Server) -> dict[int, int]:
    """The server's IPv4 UDP ports, and what the kernel dropped at each since its buffer was full."""
    table = Path(f"/proc/{server.process.pid}/net/udp").read_text()
    inodes = set()
    for entry in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            inodes.add(entry.readlink().name)
        except OSError:
            continue
    lines = (line.split() for line in table.splitlines()[1:])
    return {int(line[1].rpartition(":")[2], 16): int(line[12]) for line in lines if f"socket:[{line[9]}]" in inodes}


def media_ports(server: Server) -> set[int]:
    """The ports of the server's media. Those of SIP and HTTP/3 see to what they drop by themselves."""
    others = (address for name in ("sip_udp", "https") for address in server.ready.get(name, []))
    return udp_sockets(server).keys() - {int(address.rpartition(":")[2]) for address in others}


def unread(server: Server, ports: set[int]) -> int:
    """What the kernel dropped at these ports before the engine could read it."""
    return sum(drops for port, drops in udp_sockets(server).items() if port in ports)


def garbage(rng: random.Random) -> bytes:
    """Noise, or the start of something that a media port takes, with noise after it."""
    noise = rng.randbytes(rng.choice([0, 1, 3, 11, 12, 20, 100, 1200]))
    stun = struct.pack("!HHI", rng.choice([0x0001, 0x0101, 0x0011]), len(noise) & 0xFFFC, 0x2112A442)
    ssrc = rng.getrandbits(32)
    starts = [
        b"",
        stun + rng.randbytes(12),
        bytes([22, 254, 253]) + bytes(8) + struct.pack("!H", len(noise)),
        struct.pack("!BBHII", 0x80, rng.choice([96, 111]), rng.getrandbits(16), rng.getrandbits(32), ssrc),
        struct.pack("!BBHI", 0x80, rng.choice([200, 201, 205, 206]), rng.getrandbits(8), ssrc),
    ]
    return rng.choice(starts) + noise


class Garbage:
    """Sends garbage from several sockets until it is stopped, and makes good what it was late with."""

    def __init__(self, ports: set[int]) -> None:
        self.sent = 0
        self.seconds = 0.0
        self._stop = threading.Event()
        self._ports = sorted(ports)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        rng = random.Random(20261121)  # noqa: S311 - noise, not keys
        ready = [garbage(rng) for _ in range(1000)]
        sources = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
        begun = time.monotonic()
        while not self._stop.is_set():
            self.seconds = time.monotonic() - begun
            # A beat ahead, so that the rate holds whenever it is looked at.
            for _ in range(int(GARBAGE_A_SECOND * (self.seconds + 2 * BEAT_S)) - self.sent):
                port = self._ports[self.sent % len(self._ports)]
                rng.choice(sources).sendto(rng.choice(ready), ("127.0.0.1", port))
                self.sent += 1
            self.seconds = time.monotonic() - begun
            self._stop.wait(BEAT_S / 2)
        for source in sources:
            source.close()


def dropped(server: Server) -> float:
    return sum(value for name, value in server.metrics().items() if name.startswith("roomtone_engine_dropped_"))


@pytest.mark.parametrize(
    ("viewers", "seconds"), [(5, 8), pytest.param(50, 60, marks=pytest.mark.long, id="50-for-a-minute")]
)
def test_ten_thousand_garbage_datagrams_a_second_change_nothing(
    load_client: Path, spacious: Server, viewers: int, seconds: int
) -> None:
    drive(load_client, spacious, "garbage", 1, 1)
    ports = media_ports(spacious)
    assert ports
    before = dropped(spacious) + unread(spacious, ports)
    with Garbage(ports) as noise:
        outcome = drive(load_client, spacious, "garbage", viewers, seconds)
    assert noise.seconds >= seconds
    assert noise.sent / noise.seconds >= GARBAGE_A_SECOND
    assert_all_were_served(outcome, viewers)

    def accounted() -> float:
        return dropped(spacious) + unread(spacious, ports) - before

    until(lambda: accounted() >= noise.sent, f"all of {noise.sent} in the counters")
    assert spacious.metrics()["roomtone_engine_peers_panicked_total"] == 0


def test_garbage_at_a_plain_port_is_counted_and_makes_no_stream(spacious: Server) -> None:
    (opened,) = open_source(spacious, "plain-garbage", stream("audio", OPUS, ip="127.0.0.1", port=9))
    ports = {opened["port"]}
    before = dropped(spacious) + unread(spacious, ports)
    with Garbage(ports) as noise:
        until(lambda: noise.seconds > 2, "garbage")
    assert noise.sent / noise.seconds >= GARBAGE_A_SECOND
    until(
        lambda: dropped(spacious) + unread(spacious, ports) - before >= noise.sent,
        f"all of {noise.sent} in the counters",
    )
    (track,) = spacious.room("plain-garbage", "/tracks")
    assert track["active_encodings"] == []
    assert spacious.identities("plain-garbage") == ["plain"]
    # The next test counts what is left on this server.
    spacious.room("plain-garbage", "/participants/plain", "DELETE")
