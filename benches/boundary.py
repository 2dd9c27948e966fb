"""What crossing between Python and the engine costs: commands, events.

`python benches/boundary.py` prints one JSON line; PYTHONPATH names the tree whose engine is meant.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from targets import BenchError

IN_FLIGHT = 256
TRANSPORTS = 8
CONSUMERS = 500


def figures(tree: Path, *, quick: bool = False) -> dict[str, Any]:
    """Measure in a process of its own, with the engine of ``tree``."""
    words = [sys.executable, str(Path(__file__).resolve()), "--rounds", "2000" if quick else "20000"]
    env = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise BenchError(f"boundary: {done.stderr.strip()[-800:]}")
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


async def measure(rounds: int) -> dict[str, Any]:
    """Time commands one after another, commands together, and the events of closing."""
    from roomtone.media.core import CoreLink, core_module  # noqa: PLC0415 - only this process loads the engine
    from roomtone.media.engine import Engine  # noqa: PLC0415
    from roomtone.media.values import EngineConfig  # noqa: PLC0415

    began = time.perf_counter()
    config = EngineConfig(listen_ips=["127.0.0.1"], webrtc_ports=(0, 0), plain_ports=(0, 0))
    engine = Engine(CoreLink(config))
    await engine.start()
    started = time.perf_counter() - began
    try:
        alone, together = await commands(engine, rounds)
        rate, count = await events(engine)
    finally:
        await engine.close()
    return {
        "profile": core_module().build_info()["profile"],
        "engine_start_ms": started * 1e3,
        "round_trip_p50_us": statistics.median(alone) * 1e6,
        "round_trip_p99_us": statistics.quantiles(alone, n=100)[98] * 1e6,
        "rounds": rounds,
        "in_flight": IN_FLIGHT,
        "commands_per_s": together,
        "events": count,
        "events_per_s": rate,
    }


async def commands(engine: Any, rounds: int) -> tuple[list[float], float]:
    """Round trips of a command that a shard carries out, and how many a second with many in flight."""
    router = await engine.open_router()
    transport = await router.open_plain_transport()
    consumer = await consume(transport)
    for _ in range(200):
        await consumer.pause()
    alone = []
    for number in range(rounds):
        step = consumer.pause if number % 2 else consumer.resume
        began = time.perf_counter()
        await step()
        alone.append(time.perf_counter() - began)
    began = time.perf_counter()
    batches = max(rounds // IN_FLIGHT, 1)
    for _ in range(batches):
        await asyncio.gather(*(consumer.pause() for _ in range(IN_FLIGHT)))
    together = batches * IN_FLIGHT / (time.perf_counter() - began)
    await router.close()
    return alone, together


async def events(engine: Any) -> tuple[float, int]:
    """Events a second: a router closes, and every object in it says so."""
    router = await engine.open_router()
    transports = [await router.open_plain_transport() for _ in range(TRANSPORTS)]
    for transport in transports:
        await asyncio.gather(*(consume(transport) for _ in range(CONSUMERS)))
    expected = TRANSPORTS * (CONSUMERS + 1)
    before = engine.counters.events
    began = time.perf_counter()
    await router.close()
    while engine.counters.events - before < expected and time.perf_counter() - began < 20:  # noqa: ASYNC110 - no mailbox
        await asyncio.sleep(0)
    spent = time.perf_counter() - began
    count = engine.counters.events - before
    if count < expected:
        raise BenchError(f"{count} of {expected} events came")
    return count / spent, count


async def consume(transport: Any) -> Any:
    """Open a consumer without a source."""
    from roomtone.media.values import MediaKind  # noqa: PLC0415 - as above

    return await transport.consume(kind=MediaKind.AUDIO, producer=None, payload_types=[(111, 111)])


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000)
    words = parser.parse_args()
    try:
        print(json.dumps(asyncio.run(measure(words.rounds))))
    except BenchError as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
