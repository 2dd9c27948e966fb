"""Joins and leaves for hours: memory, descriptors, tasks and engine objects must come back to where they were.

Prints a line a minute and a verdict; exit code 1 when something grew.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Cell, drive, load_words, resident_bytes
from targets import BenchError, Target, cargo_build, release_tree, roomtone

if TYPE_CHECKING:
    from collections.abc import Sequence

OBJECTS = ("transports", "producers", "consumers", "routers")
# Growth over the whole soak that is still noise: a pool that fills once, a log line's buffer.
SLACK = {"descriptors": 8.0, "threads": 2.0, "tasks": 4.0, "objects": 2.0}
MEMORY_SLACK_KB = 4096.0
MEMORY_KB_A_JOIN = 0.25
SETTLE_S = 45.0  # a client killed hard is gone within 30 s
KILL_EVERY = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server holds when nobody is there."""

    joins: int
    resident_kb: float
    malloc_kb: float
    descriptors: float
    threads: float
    tasks: float
    objects: float

    def line(self) -> str:
        """One line for the log."""
        return (
            f"{self.joins:8,} joins: resident {self.resident_kb:,.0f} KB, C allocator {self.malloc_kb:,.0f} KB, "
            f"{self.descriptors:.0f} descriptors, {self.threads:.0f} threads, {self.tasks:.0f} tasks, "
            f"{self.objects:.0f} engine objects"
        )


def sample(target: Target, joins: int) -> Sample:
    """Look at the process."""
    held, counters = target.held(), target.counters()
    process = Path(f"/proc/{target.pid}")
    return Sample(
        joins=joins,
        resident_kb=resident_bytes(target.pid) / 1024,
        malloc_kb=held["malloc"] / 1024,
        descriptors=len(list((process / "fd").iterdir())),
        threads=len(list((process / "task").iterdir())),
        tasks=held["tasks"],
        objects=sum(counters.get(name, 0.0) for name in OBJECTS),
    )


def settled(target: Target, joins: int, quiet: Sample | None) -> Sample:
    """Sample once what was left is gone; sockets of HTTP clients and closing peers take a moment."""
    end = time.monotonic() + SETTLE_S
    now = sample(target, joins)
    while quiet is not None and time.monotonic() < end:
        if all(getattr(now, name) <= getattr(quiet, name) + slack for name, slack in SLACK.items()):
            return now
        time.sleep(1)
        now = sample(target, joins)
    return now


def verdict(samples: Sequence[Sample]) -> list[str]:
    """What grew, by comparing the first quarter's worst with the last quarter's best."""
    if len(samples) < 4:
        return [f"only {len(samples)} samples: let it run longer"]
    quarter = max(len(samples) // 4, 1)
    early, late = samples[1 : 1 + quarter], samples[-quarter:]
    grown = []
    for name, slack in SLACK.items():
        before, after = max(getattr(s, name) for s in early), min(getattr(s, name) for s in late)
        if after > before + slack:
            grown.append(f"{name} grew from {before:.0f} to {after:.0f}")
    joins = late[0].joins - early[-1].joins
    for name in ("resident_kb", "malloc_kb"):
        before, after = max(getattr(s, name) for s in early), min(getattr(s, name) for s in late)
        allowed = MEMORY_SLACK_KB + MEMORY_KB_A_JOIN * max(joins, 0)
        if after > before + allowed:
            grown.append(f"{name} grew from {before:,.0f} to {after:,.0f} over {joins:,} joins")
    return grown


def vanish(cell: Cell, target: Target) -> None:
    """Join, and be killed without a word: the server must notice by itself."""
    client = subprocess.Popen(
        [*load_words(cell, target), "--seconds", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + SETTLE_S
    try:
        while target.counters().get("transports", 0.0) <= cell.viewers and time.monotonic() < end:
            if client.poll() is not None:
                raise BenchError("the client ended before all had joined")
            time.sleep(0.2)
    finally:
        client.kill()
        client.wait()


def run(target: Target, *, seconds: float, viewers: int) -> list[Sample]:
    """Join and leave until the time is over."""
    samples: list[Sample] = []
    joins = cycles = 0
    shapes = (("filled", "gcm"), ("audio", "gcm"), ("split", "cm"))
    end = time.monotonic() + seconds
    next_line = time.monotonic()
    lost = 0
    while time.monotonic() < end:
        shape, srtp = shapes[cycles % len(shapes)]
        cell = Cell("roomtone", shape, viewers, srtp)
        if cycles % KILL_EVERY == KILL_EVERY - 1:
            vanish(cell, target)
        else:
            lost += drive(cell, target, 2)["lost_packets"]
        cycles += 1
        joins += viewers + 1
        samples.append(settled(target, joins, samples[1] if len(samples) > 1 else None))
        if time.monotonic() >= next_line:
            sys.stdout.write(f"{time.strftime('%H:%M:%S')} {samples[-1].line()}, {lost} packets lost\n")
            sys.stdout.flush()
            next_line = time.monotonic() + 60
    return samples


def main() -> int:
    """Start a server, soak it, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--viewers", type=int, default=40, help="viewers of each join-leave cycle")
    parser.add_argument("--tree", type=Path, help="Python sources with a release engine in them")
    parser.add_argument("--no-build", action="store_true", help="take the binaries that are there")
    words = parser.parse_args()
    if not words.no_build:
        cargo_build("roomtone-load")
    tree = words.tree or release_tree(build=not words.no_build)
    with roomtone(tree) as target:
        samples = run(target, seconds=words.hours * 3600, viewers=words.viewers)
        alive = Path(f"/proc/{target.pid}").exists()
    grown = verdict(samples) if alive else ["the server ended"]
    for sampled in (samples[0], samples[-1]):
        print(sampled.line())
    print("\n".join(f"GREW: {line}" for line in grown) if grown else f"steady over {samples[-1].joins:,} joins")
    return 1 if grown else 0


if __name__ == "__main__":
    os.environ.setdefault("ROOMTONE_LOG__LEVEL", "warning")
    try:
        sys.exit(main())
    except BenchError as failure:
        sys.exit(f"soak: {failure}")
