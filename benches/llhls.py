"""What a request for a live stream costs: `python benches/llhls.py`; `--quick` is short, `--only waits` is one row.

The front door alone serves a synthetic stream (the example `live_origin` of `crates/front`). Players follow picture and
sound with blocking reloads and fetch every part: by HTTP/1.1 those of the driver in the folder of peers (`llhls_rps`)
where it is installed, so that gohlslib, the muxer of MediaMTX, is asked by the same in the same run; by HTTP/2 those of
`live_load`, a connection for each list. CPU time is that of the server's process, from /proc; net is without what it
takes to make the stream while nobody asks. `benches/gohlslib` is built with
`go build -o ~/.cache/rivals/bin/gohlslib_origin .`
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from targets import CARGO_TARGET, RIVALS_DIR, BenchError, cargo_build

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/live/bench"
PLAYERS = 400
WAITERS = 1000
EXAMPLES = CARGO_TARGET / "release" / "examples"
DRIVER = RIVALS_DIR / "bin" / "llhls_rps"
PEER = RIVALS_DIR / "bin" / "gohlslib_origin"


@dataclass
class Origin:
    """A running `live_origin`."""

    process: subprocess.Popen[str]
    addresses: dict[str, str]
    parts_ns: list[int] = field(default_factory=list)

    def cpu_s(self) -> float:
        """Its CPU time so far."""
        with open(f"/proc/{self.process.pid}/stat") as stat:  # noqa: PTH123 - no file
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[Origin]:
    """Serve until the block ends."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    made = Origin(process, json.loads(process.stdout.readline()))
    reader = threading.Thread(target=_read_parts, args=(made,), daemon=True)
    reader.start()
    try:
        yield made
    finally:
        process.stdin.close()
        process.wait(timeout=20)
        reader.join(timeout=5)


@contextlib.contextmanager
def origin(*words: str) -> Iterator[Origin]:
    """Run ours."""
    with (
        tempfile.TemporaryDirectory(prefix="roomtone-llhls-") as folder,
        running([str(EXAMPLES / "live_origin"), "--directory", folder, *words]) as made,
    ):
        yield made


def _read_parts(made: Origin) -> None:
    assert made.process.stdout is not None
    for line in made.process.stdout:
        made.parts_ns.append(json.loads(line)["at_ns"])


def load(made: Origin, seconds: int, *words: str, tls: bool = False) -> dict[str, Any]:
    """Let players ask; give what they counted, and the server's CPU time meanwhile."""
    address = made.addresses["https" if tls else "http"]
    command = [str(EXAMPLES / "live_load"), address, PATH, "--seconds", str(seconds), *words]
    asking = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert asking.stdout is not None
    asking.stdout.readline()
    before, began = made.cpu_s(), time.monotonic()
    counted = asking.stdout.readline()
    cpu_s, took_s = made.cpu_s() - before, time.monotonic() - began
    if asking.wait(timeout=20) or not counted:
        raise BenchError("the players ended before they were done")
    return json.loads(counted) | {"cpu_s": cpu_s, "seconds": took_s}


def idle(made: Origin) -> float:
    """CPU seconds a second that making the stream takes."""
    time.sleep(4)
    before = made.cpu_s()
    time.sleep(4)
    return (made.cpu_s() - before) / 4


def players(name: str, seconds: int, speaks: str) -> dict[str, Any]:
    """One row of players of our own that follow the stream."""
    with origin() as made:
        alone = idle(made)
        words = ("--clients", str(PLAYERS), "--speaks", speaks)
        counted = load(made, seconds, *words, tls=speaks.startswith("tls"))
    requests = max(1, counted["requests"])
    return {
        "what": name,
        "requests_s": round(counted["requests"] / counted["seconds"]),
        "failed": counted["failed"],
        "mbytes": round(counted["bytes"] / 1e6, 1),
        "us_a_request": round(counted["cpu_s"] / requests * 1e6, 1),
        "us_a_request_net": round((counted["cpu_s"] - alone * counted["seconds"]) / requests * 1e6, 1),
    }


def driven(name: str, seconds: int, made: Origin) -> dict[str, Any]:
    """One row of players of the peers' driver."""
    url = f"http://{made.addresses['http']}{PATH}/index.m3u8"
    command = [
        str(DRIVER),
        "-url",
        url,
        "-clients",
        str(PLAYERS),
        "-seconds",
        str(seconds),
        "-pid",
        str(made.process.pid),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    if done.returncode:
        raise BenchError(f"{name}: {done.stderr or done.stdout}")
    counted = json.loads(done.stdout)
    return {
        "what": name,
        "requests_s": counted["requests_s"],
        "failed": counted["failed"],
        "mbytes": counted["mbytes"],
        "us_a_request": counted["cpu_us_per_request"],
        "us_a_request_net": counted["cpu_us_per_request_net"],
    }


def ours_and_peer(seconds: int) -> Iterator[dict[str, Any]]:
    """Rows of the same driver at ours and, where it is, the peer."""
    for part_ms in (333, 500):
        with origin("--part-ms", str(part_ms)) as made:
            yield driven(f"{PLAYERS} players, HTTP/1.1, parts of {part_ms} ms", seconds, made)
    if PEER.exists():
        with running([str(PEER)]) as made:
            yield driven(f"gohlslib: {PLAYERS} players, HTTP/1.1, parts of 500 ms", seconds, made)


def flood(name: str, seconds: int, speaks: str) -> dict[str, Any]:
    """One row of clients that ask for the same playlist as fast as they get it."""
    with origin() as made:
        time.sleep(4)
        words = ("--clients", "8", "--streams", "32", "--speaks", speaks, "--flood")
        counted = load(made, seconds, *words, tls=speaks.startswith("tls"))
    return {
        "what": name,
        "requests_s": round(counted["requests"] / counted["seconds"]),
        "failed": counted["failed"],
        "us_a_request": round(counted["cpu_s"] / max(1, counted["requests"]) * 1e6, 1),
        "requests_a_cpu_second": round(counted["requests"] / counted["cpu_s"]),
    }


def waits(seconds: int) -> dict[str, Any]:
    """How long after a part is there the last of those that waited for it has the playlist, in milliseconds."""
    with origin() as made:
        time.sleep(4)
        counted = load(made, seconds, "--clients", str(WAITERS), "--waits")
        parts = sorted(made.parts_ns)
    spans = []
    for count, first, last in counted["answers"]:
        begun = max((at for at in parts if at <= first), default=None)
        if count == WAITERS and begun is not None:
            spans.append((last - begun) / 1e6)
    if not spans:
        raise BenchError("no playlist was waited for by all")
    five = [statistics.median(spans[at::5]) for at in range(5) if spans[at::5]]
    return {
        "what": f"{WAITERS} that wait, the last has it after ms",
        "playlists": len(spans),
        "median": round(statistics.median(spans), 1),
        "medians": [round(one, 1) for one in five],
        "worst": round(max(spans), 1),
    }


def note(text: str) -> None:
    """Say what is under way."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--no-build", action="store_true")
    words = parser.parse_args()
    if not words.no_build:
        cargo_build("roomtone-front", examples=True)
    seconds = 6 if words.quick else 15
    rows = {
        "http1": lambda: [players(f"{PLAYERS} players, HTTP/1.1", seconds, "http1")],
        "driver": lambda: ours_and_peer(seconds),
        "tls2": lambda: [players(f"{PLAYERS} players, TLS and HTTP/2", seconds, "tls2")],
        "flood": lambda: [flood("one playlist, TLS and HTTP/2", seconds, "tls2")],
        "waits": lambda: [waits(seconds)],
    }
    if not DRIVER.exists():
        rows.pop("driver")
    note(f"machine load {os.getloadavg()}")
    for name, some in rows.items():
        if name.startswith(words.only):
            for row in some():
                print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
