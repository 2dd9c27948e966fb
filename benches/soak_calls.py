"""Phone calls for hours at a fifth of what a core carries: memory, descriptors, tasks and engine objects stay flat.

Calls are made by SIPp for half a minute, over and over, with registrations between; a sample is taken when all have
ended and their transactions too. Prints a line for each, and a verdict; exit code 1 when something grew.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from calls import calls, registrations, whole_server
from phone_load import missing
from soak import Sample, sample, settled, verdict
from targets import BenchError, release_tree

RATE = 60
"""Calls a second: a fifth of what the bench finds, with room for slower machines."""
CYCLE_S = 30
TRANSACTIONS_S = 34
"""So long live the transactions of a call that has ended."""


def run(tree: Path, *, seconds: float, rate: int) -> tuple[list[Sample], bool]:
    """Make calls until the time is over; the samples, and whether the server is still there."""
    samples: list[Sample] = []
    made = 0
    with whole_server(tree) as server:
        target = server.whole
        assert target is not None
        samples.append(sample(target, made))
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(samples) < 5:
            made += calls(server, rate=rate, count=rate * CYCLE_S).done
            registrations(server, rate=rate, count=rate)
            time.sleep(TRANSACTIONS_S)
            samples.append(settled(target, made, samples[1] if len(samples) > 1 else None))
            sys.stdout.write(f"{time.strftime('%H:%M:%S')} {samples[-1].line().replace('joins', 'calls')}\n")
            sys.stdout.flush()
        alive = Path(f"/proc/{target.pid}").exists()
    return samples, alive


def main() -> int:
    """Start a server, soak it, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--rate", type=int, default=RATE, help="calls a second")
    parser.add_argument("--tree", type=Path, help="Python sources with a release engine in them")
    parser.add_argument("--no-build", action="store_true", help="take the engine that is there")
    words = parser.parse_args()
    if why := missing():
        raise BenchError(why)
    tree = words.tree or release_tree(build=not words.no_build)
    samples, alive = run(tree, seconds=words.hours * 3600, rate=words.rate)
    grown = verdict(samples) if alive else ["the server ended"]
    print("\n".join(f"GREW: {line}" for line in grown) if grown else f"steady over {samples[-1].joins:,} calls")
    return 1 if grown else 0


if __name__ == "__main__":
    os.environ.setdefault("ROOMTONE_LOG__LEVEL", "warning")
    try:
        sys.exit(main())
    except BenchError as failure:
        sys.exit(f"soak: {failure}")
