"""Instructions a packet takes, forwarded, of a transport stream or of feedback (callgrind), held to a baseline.

A regression check that no neighbour disturbs. Of bursts the cache lines are counted too that they bring from memory:
callgrind is given caches so small (64 KB) that nothing of a viewer is left in them from its last burst.

`python benches/instructions.py` counts and compares; `--update` writes the baseline.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from targets import CARGO_TARGET, ROOT, BenchError, cargo_build

BASELINE = ROOT / "benches" / "instructions.json"
TOLERANCE = 0.05
GROWTH = 0.05
SUBSCRIBERS = (50, 100, 200)
# Two lengths of the same run: what both spend on setting up is taken off.
FRAMES = {"video": (60, 120), "audio": (50, 150), "adaptive": (60, 120), "grid": (60, 120)}
SCENES = [f"{kind}:{n}" for kind in ("video", "audio") for n in SUBSCRIBERS]
# Lines that are estimated; and thirty that publish, each watching nine.
ADAPTIVE = ["adaptive:100", "grid:30"]
# What such a scene may cost beside plain fan-out to a hundred.
ADAPTIVE_GROWTH = {"adaptive:100": 0.20, "grid:30": 0.25}
# Whose cache lines a burst are counted, in callgrind's caches of this form.
LINED = ["audio:100", "video:100", "adaptive:100"]
SMALL_CACHES = ("--cache-sim=yes", "--D1=32768,8,64", "--LL=65536,16,64")
# Only what these functions spend is counted, not the making of the traffic.
COUNTED = ("rtp", "rtcp", "next_burst", "timeout", "next_packet")
# Of transport streams: pictures of a short and a long run.
STREAMS = {"mpegts read": "read", "mpegts written": "write"}
PICTURES = (100, 200)
# Of an estimator: what it does for a packet that leaves, and for a feedback packet of thirteen.
ESTIMATED = {"estimator, a packet sent": "sent", "estimator, a feedback packet": "feedback"}
SECONDS = (20, 60)


def count_all(*, quick: bool = False) -> dict[str, float]:
    """Instructions a packet, by case ("video gcm 100")."""
    cases = [(scene, "gcm") for scene in SCENES + ADAPTIVE]
    cases += [] if quick else [(scene, "cm") for scene in SCENES]

    def one(case: tuple[str, str]) -> tuple[str, float]:
        scene, profile = case
        kind, size = scene.split(":")
        (few, few_packets), (many, many_packets) = (count(scene, profile, n) for n in FRAMES[kind])
        return f"{kind} {profile} {size}", (many - few) / (many_packets - few_packets)

    def stream(case: str) -> tuple[str, float]:
        (few, few_packets), (many, many_packets) = (count_stream(STREAMS[case], n) for n in PICTURES)
        return case, (many - few) / (many_packets - few_packets)

    def estimated(case: str) -> tuple[str, float]:
        (few, few_units), (many, many_units) = (count_estimated(ESTIMATED[case], n) for n in SECONDS)
        return case, (many - few) / (many_units - few_units)

    def burst(scene: str) -> tuple[str, float]:
        kind, size = scene.split(":")
        (few, few_bursts), (many, many_bursts) = (count_bursts(scene, n) for n in FRAMES[kind])
        return f"a burst, {kind} {size}", (many - few) / (many_bursts - few_bursts)

    def lines(scene: str) -> tuple[str, float]:
        kind, size = scene.split(":")
        (few, few_bursts), (many, many_bursts) = (count_lines(scene, n) for n in FRAMES[kind])
        return f"lines a burst, {kind} {size}", (many - few) / (many_bursts - few_bursts)

    # What is counted does not depend on what runs beside it.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(pool.map(one, cases)) | dict(pool.map(stream, STREAMS)) | dict(pool.map(estimated, ESTIMATED))
        return counts | dict(pool.map(burst, LINED)) | dict(pool.map(lines, LINED))


def count(scene: str, profile: str, frames: int) -> tuple[int, int]:
    """Instructions of one run, and the packets it forwarded."""
    counted, (packets, _, _) = count_path((), scene, profile, frames)
    return counted[0], packets


def count_bursts(scene: str, frames: int) -> tuple[int, int]:
    """Instructions of one run, and its bursts: router and cipher, and where lines are estimated the pacer."""
    counted, (_, bursts, _) = count_path((), scene, "gcm", frames)
    return counted[0], bursts


def count_lines(scene: str, frames: int) -> tuple[int, int]:
    """Cache lines of data that one run misses, and its bursts."""
    counted, (_, bursts, _) = count_path(SMALL_CACHES, scene, "gcm", frames)
    # The last two events: data missed in the last cache by reads and by writes.
    return sum(counted[-2:]), bursts


def count_path(options: tuple[str, ...], scene: str, profile: str, frames: int) -> tuple[list[int], tuple[int, ...]]:
    """What callgrind counts in one run of the packet path, and the packets, bursts and messages of it."""
    program = CARGO_TARGET / "release" / "roomtone-packet-path"
    functions = [f"roomtone_packet_path::counted::{name}" for name in COUNTED]
    counted, printed = callgrind(functions, str(program), scene, profile, str(frames), options=options)
    return counted, tuple(int(word) for word in printed.split())


def count_stream(function: str, pictures: int) -> tuple[int, int]:
    """Instructions of a transport stream that is read or written once, and its packets."""
    program = CARGO_TARGET / "release" / "examples" / "ts_cost"
    counted, printed = callgrind([f"ts_cost::counted::{function}*"], str(program), "count", str(pictures))
    return counted[0], int(printed.split()[0])


def count_estimated(function: str, seconds: int) -> tuple[int, int]:
    """Instructions of an estimator, and the packets or feedback packets that it was told of."""
    program = CARGO_TARGET / "release" / "examples" / "feedback_cost"
    words = (str(program), str(seconds), "count")
    counted, printed = callgrind([f"feedback_cost::counted::{function}*"], *words)
    return counted[0], int(printed.split()[0 if function == "sent" else 1])


def callgrind(functions: list[str], *program: str, options: tuple[str, ...] = ()) -> tuple[list[int], str]:
    """What a program spends in these functions, instructions first, and what it prints."""
    if shutil.which("valgrind") is None:
        raise BenchError("valgrind is not installed (Debian package valgrind)")
    with tempfile.TemporaryDirectory(prefix="roomtone-callgrind-") as folder:
        words = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", "--collect-atstart=no"]
        words += [*options, *(f"--toggle-collect={function}" for function in functions)]
        done = subprocess.run([*words, *program], capture_output=True, text=True, check=False, timeout=600)
    found = re.search(r"Collected : ([\d ]+)", done.stderr)
    if done.returncode != 0 or found is None:
        raise BenchError(f"callgrind of {program[0]}: {done.stderr.strip()[-500:]}")
    return [int(word) for word in found[1].split()], done.stdout


def nanoseconds() -> dict[str, float]:
    """Median nanoseconds a packet, with caches warm and with caches emptied before each frame."""
    program = str(CARGO_TARGET / "release" / "roomtone-packet-path")
    times = {}
    for kind in ("video", "audio"):
        for caches in ("hot", "cold"):
            done = subprocess.run(
                [program, f"{kind}:100", "gcm", "200", caches], capture_output=True, text=True, check=False, timeout=120
            )
            if done.returncode != 0:
                raise BenchError(f"roomtone-packet-path: {done.stderr.strip()}")
            times[f"{kind} {caches}"] = float(done.stdout)
    return times


def compare(counts: dict[str, float]) -> dict[str, Any]:
    """Hold counts to the baseline and to each other."""
    baseline: dict[str, float] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    lines, worse = [], []
    for case, now in counts.items():
        before = baseline.get(case)
        if before is None:
            lines.append(f"{case}: {now:,.0f} (no baseline)")
            worse.append(f"{case} has no baseline: run benches/instructions.py --update")
            continue
        change = now / before - 1
        lines.append(f"{case}: {now:,.0f} ({change:+.1%})")
        if change > TOLERANCE:
            worse.append(f"{case} took {change:+.1%} instructions against the baseline")
    for case in [case for case in counts if case.endswith(" 200")]:
        growth = counts[case] / counts[case.removesuffix("200") + "50"] - 1
        lines.append(f"{case.removesuffix(' 200')}, growth 50 -> 200: {growth:+.1%}")
        if growth > GROWTH:
            worse.append(f"{case.removesuffix(' 200')} grows by {growth:+.1%} from 50 to 200 subscribers")
    for scene, allowed in ADAPTIVE_GROWTH.items():
        case = scene.replace(":", " gcm ")
        if not {case, "video gcm 100"} <= counts.keys():
            continue
        growth = counts[case] / counts["video gcm 100"] - 1
        lines.append(f"{scene} beside plain fan-out: {growth:+.1%} (at most {allowed:+.0%})")
        if growth > allowed:
            worse.append(f"{scene} takes {growth:+.1%} instructions beside plain fan-out")
    return {"counts": counts, "lines": lines, "worse": worse}


def build() -> None:
    """Build the programs that are counted."""
    cargo_build("roomtone-packet-path")
    cargo_build("roomtone-mpegts", "roomtone-bandwidth", examples=True)


def main() -> int:
    """Count and compare, or write the baseline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the baseline")
    parser.add_argument("--quick", action="store_true", help="GCM only")
    parser.add_argument("--no-build", action="store_true", help="take the binary that is there")
    words = parser.parse_args()
    if not words.no_build:
        build()
    counts = count_all(quick=words.quick)
    if words.update:
        BASELINE.write_text(json.dumps({case: round(n) for case, n in counts.items()}, indent=1) + "\n")
    outcome = compare(counts)
    print("\n".join(outcome["lines"]))
    for line in outcome["worse"]:
        print(f"WORSE: {line}")
    return 1 if outcome["worse"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as failure:
        sys.exit(f"instructions: {failure}")
