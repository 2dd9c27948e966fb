"""CPU time per unit of work, beside the peers found on this machine: one table, and artefacts/bench.json.

All figures are CPU time of the server (user and system, every thread and child) from /proc, so that they can be
compared on a machine that others use too. Runs are interleaved, and the median counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import audio
import bad_lines
import boundary
import calls
import grid
import instructions
import signalling
from measure import Cell, Options, measure, memory
from report import report
from targets import CARGO_TARGET, ROOT, BenchError, Target, cargo_build, release_tree, rival_installed

VIEWERS = (50, 100, 200)


def main() -> int:
    """Measure, print, write; 1 when something could not be measured or an instruction count grew."""
    words = parse()
    if not words.no_build:
        cargo_build("roomtone-load", "roomtone-sendto", "roomtone-lines")
        instructions.build()
    tree = words.tree or release_tree(build=not words.no_build)
    peers = tuple(parse_peer(text) for text in words.peer)
    options = Options(seconds=words.seconds, tree=tree, peers=peers)
    result: dict[str, Any] = {"load_before": os.getloadavg(), "runs": words.runs, "seconds": words.seconds}
    note(f"machine load {load()}; {words.runs} runs of {words.seconds} s")
    result["missing"] = {name: why for name in ("mediasoup", "janus") if (why := rival_installed(name))}
    rows: list[dict[str, Any]] = []
    sendto: list[dict[str, Any]] = []
    failures: list[str] = []
    plan = cells([name for name in ("mediasoup", "janus") if name not in result["missing"]], peers, words)
    for run in range(1, words.runs + 1):
        sendto += bare_sends(failures)
        for cell in plan if run == 1 else [cell for cell in plan if cell.every_run]:
            note(f"run {run}, load {load()}: {cell.title}")
            try:
                rows.append(measure(cell, options) | {"run": run})
            except BenchError as error:
                failures.append(f"{cell.title}: {error}")
                note(f"  failed: {error}")
    result |= {"rows": rows, "sendto": sendto, "load_after": os.getloadavg()}
    steps = (
        ()
        if words.cells_only
        else (
            ("memory", lambda: memory(50 if words.quick else 200, options)),
            ("grid", lambda: grid.figures(tree, seconds=max(words.seconds, 6))),
            ("boundary", lambda: boundary.figures(tree, quick=words.quick)),
            ("signalling", lambda: signalling.figures(tree, quick=words.quick)),
            ("calls", lambda: calls.figures(tree, quick=words.quick)),
            ("audio", lambda: audio.figures(tree, quick=words.quick)),
            ("lines", lambda: bad_lines.figures(seeds=2 if words.quick else 10)),
            ("path_ns", instructions.nanoseconds),
            ("instructions", lambda: instructions.compare(instructions.count_all(quick=words.quick))),
        )
    )
    for name, step in steps:
        note(name)
        try:
            result[name] = step()
        except BenchError as error:
            failures.append(f"{name}: {error}")
    result["failures"] = failures
    print(report(result))
    if "lines" in result:
        print(f"\nBad lines:\n\n{bad_lines.page(result['lines'])}")
    for name, page in (("calls", calls.page), ("audio", audio.page)):
        if name in result:
            print(f"\nPhones, {name}:\n\n{page(result[name])}")
    words.out.parent.mkdir(parents=True, exist_ok=True)
    words.out.write_text(json.dumps(result, indent=1))
    return 1 if failures or result.get("instructions", {}).get("worse") else 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2, help="interleaved runs, of side questions one (default 2)")
    parser.add_argument("--seconds", type=int, default=4, help="measured seconds of each (default 4)")
    parser.add_argument("--quick", action="store_true", help="one run of the most telling cells")
    parser.add_argument("--only", choices=("roomtone", "mediasoup", "janus"), help="one server")
    parser.add_argument("--cells-only", action="store_true", help="packets and nothing else, for many runs of them")
    parser.add_argument("--full", action="store_true", help="the peers at every number of viewers too")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=WHIP,WHEP,PID", help="a server that runs already"
    )
    parser.add_argument("--tree", type=Path, help="Python sources with a release engine in them")
    parser.add_argument("--no-build", action="store_true", help="take the binaries that are there")
    parser.add_argument("--out", type=Path, default=ROOT / "artefacts" / "bench.json")
    words = parser.parse_args()
    if words.quick:
        words.runs = 1
    return words


def parse_peer(text: str) -> Target:
    """Read NAME=WHIP_URL,WHEP_URL,PID."""
    name, _, rest = text.partition("=")
    parts = rest.split(",")
    if len(parts) != 3 or not parts[2].isdecimal():
        raise SystemExit(f"--peer {text}: write NAME=WHIP_URL,WHEP_URL,PID")
    return Target(name, parts[0], parts[1], int(parts[2]))


def cells(rivals: list[str], peers: tuple[Target, ...], words: argparse.Namespace) -> list[Cell]:
    """What is measured in each run, the servers side by side."""
    ours: list[Cell] = []
    whip_peers = [name for name in rivals if name != "janus"] + [peer.name for peer in peers]
    for viewers in VIEWERS:
        wide = words.full or viewers == 100
        for shape in ("filled", "split", "audio"):
            if words.quick and (shape == "split") == (viewers == 100):
                continue
            ours.append(Cell("roomtone", shape, viewers, every_run=shape != "split"))
            if wide and (words.full or shape != "split"):
                ours += [Cell(name, shape, viewers) for name in whip_peers]
    if not words.quick:
        ours += [Cell(name, "filled", 100, gro=False) for name in ("roomtone", *whip_peers)]
        for shape in ("filled", "audio"):
            ours += [Cell(name, shape, 100, "cm", every_run=False) for name in ("roomtone", *whip_peers)]
    if "janus" in rivals:
        ours += [Cell(name, "clip", 100, driver="whep_fanout", gro=False) for name in ("janus", "roomtone")]
    return [cell for cell in ours if words.only in {None, cell.server}]


def bare_sends(failures: list[str]) -> list[dict[str, Any]]:
    """What the kernel takes, by case and rhythm; a case whose datagrams did not all arrive is a failure."""
    # Destinations, rounds of the hot rhythm, milliseconds of the paced one.
    words = [str(CARGO_TARGET / "release" / "roomtone-sendto"), "100", "300", "1000"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    failures += [f"roomtone-sendto: {line}" for line in done.stderr.splitlines()]
    return [json.loads(line) for line in done.stdout.splitlines()]


def load() -> str:
    """Load average of the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def note(text: str) -> None:
    """Say on standard error what goes on."""
    sys.stderr.write(f"# {text}\n")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as failure:
        sys.exit(f"bench: {failure}")
