"""Instructions a forwarded packet takes (callgrind), held to a baseline: a regression check that no neighbour disturbs.

`python benches/instructions.py` counts and compares; `--update` writes the baseline.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from targets import CARGO_TARGET, ROOT, BenchError, cargo_build

BASELINE = ROOT / "benches" / "instructions.json"
TOLERANCE = 0.05
GROWTH = 0.05
SUBSCRIBERS = (50, 100, 200)
# Two lengths of the same run: what both spend on setting up is taken off. A second of media, and three.
FRAMES = {"video": (30, 90), "audio": (50, 150)}


def count_all(*, quick: bool = False) -> dict[str, float]:
    """Instructions a packet, by case ("video gcm 100")."""
    profiles = ("gcm",) if quick else ("gcm", "cm")
    counts = {}
    for kind, frames in FRAMES.items():
        for profile in profiles:
            for subscribers in SUBSCRIBERS:
                (few, few_packets), (many, many_packets) = (count(subscribers, kind, profile, n) for n in frames)
                counts[f"{kind} {profile} {subscribers}"] = (many - few) / (many_packets - few_packets)
    return counts


def count(subscribers: int, kind: str, profile: str, frames: int) -> tuple[int, int]:
    """Instructions of one run, and the packets it forwarded."""
    if shutil.which("valgrind") is None:
        raise BenchError("valgrind is not installed (Debian package valgrind)")
    program = CARGO_TARGET / "release" / "roomtone-packet-path"
    with tempfile.TemporaryDirectory(prefix="roomtone-callgrind-") as folder:
        words = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        words += [str(program), str(subscribers), kind, profile, str(frames)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        raise BenchError(f"callgrind of the packet path: {done.stderr.strip()[-500:]}")
    return int(found[1]), int(done.stdout)


def nanoseconds() -> dict[str, float]:
    """Median nanoseconds a packet, with caches warm and with caches emptied before each frame."""
    program = str(CARGO_TARGET / "release" / "roomtone-packet-path")
    times = {}
    for kind in FRAMES:
        for caches in ("hot", "cold"):
            done = subprocess.run(
                [program, "100", kind, "gcm", "200", caches], capture_output=True, text=True, check=False, timeout=120
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
    return {"counts": counts, "lines": lines, "worse": worse}


def main() -> int:
    """Count and compare, or write the baseline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the baseline")
    parser.add_argument("--quick", action="store_true", help="GCM only")
    parser.add_argument("--no-build", action="store_true", help="take the binary that is there")
    words = parser.parse_args()
    if not words.no_build:
        cargo_build("roomtone-packet-path")
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
