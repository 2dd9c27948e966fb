"""What the sound of phone calls costs, beside rtpengine: relayed, converted to Opus, and mixed; CPU time of the server.

`python benches/audio.py [--quick]` prints a table. The driver is the one of the peers' folder: it sets calls up by the
control protocol of rtpengine, which `media_front.py` speaks for our engine, sends a packet of 20 ms in both directions
of each call, evenly over time, and counts what comes out. rtpengine is Debian's, in user space, with two threads.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets import RIVALS, RIVALS_DIR, ROOT, BenchError, free_port, release_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

NG_PORT = 2223
DRIVER = RIVALS_DIR / "bin" / "rtp_relay"
LOST_PERCENT = 1.0
GOALS = {"relay": 0.5, "opus": 5.0}
"""Our part of rtpengine's CPU time a packet; times its calls a core."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured."""

    mode: str
    calls: int
    mix: int = 0

    @property
    def title(self) -> str:
        """In words."""
        if self.mix:
            return f"PCMU, {2 * self.calls} legs in mixes of {self.mix}"
        what = {"relay": "PCMU relayed", "opus": "PCMU to Opus and back"}[self.mode]
        return f"{what}, {self.calls} calls"


def cases(*, quick: bool) -> list[Case]:
    """All of them."""
    if quick:
        return [Case("relay", 100), Case("opus", 10), Case("relay", 50, mix=10)]
    mixes = [Case("relay", 50, mix=4), Case("relay", 50, mix=10), Case("relay", 50, mix=100)]
    return [Case("relay", 100), Case("relay", 300), Case("opus", 10), Case("opus", 25), *mixes]


def missing() -> dict[str, str]:
    """Say what cannot be measured, and why."""
    if not DRIVER.exists():
        return {"driver": f"{DRIVER} is not there: run install-drivers.sh of the peers' folder"}
    return {} if Path("/usr/bin/rtpengine").exists() else {"rtpengine": "run install-telephony.sh"}


@contextmanager
def ours(tree: Path, mix: int) -> Iterator[tuple[int, int]]:
    """Run our engine; its control port and its process."""
    port = free_port()
    words = [sys.executable, str(ROOT / "benches" / "media_front.py"), str(port), "--mix", str(mix)]
    process = subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(tree)}, stdout=subprocess.PIPE)
    try:
        if process.stdout is None or process.stdout.readline() != b"ready\n":
            raise BenchError("the front of our engine ended at start")
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def rtpengine() -> Iterator[tuple[int, int]]:
    """Run rtpengine; its control port and its process."""
    done = subprocess.run([str(RIVALS / "start-rtpengine.sh")], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise BenchError(f"rtpengine did not start: {done.stderr.strip() or done.stdout.strip()}")
    try:
        yield NG_PORT, int(done.stdout.split()[-1])
    finally:
        subprocess.run([str(RIVALS / "stop.sh"), "rtpengine"], check=False, timeout=60)


def drive(case: Case, port: int, pid: int, seconds: float) -> dict[str, Any]:
    """Run the driver; its figures."""
    words = [str(DRIVER), "-ng", f"127.0.0.1:{port}", "-calls", str(case.calls), "-mode", case.mode]
    words += ["-seconds", str(seconds), "-pid", str(pid)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds + 60, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise BenchError(f"the driver ended without figures: {done.stderr.strip()[-400:]}")
    found: dict[str, Any] = json.loads(lines[-1])
    if found.get("error"):
        raise BenchError(str(found["error"]))
    return found


def figures(tree: Path, *, quick: bool = False, seconds: float = 5, runs: int = 2) -> dict[str, Any]:
    """Measure all; raise `BenchError` where there is no driver."""
    absent = missing()
    if "driver" in absent:
        raise BenchError(absent["driver"])
    rows: dict[Case, dict[str, list[dict[str, Any]]]] = {}
    for _ in range(1 if quick else runs):
        for case in cases(quick=quick):
            both = rows.setdefault(case, {"roomtone": [], "rtpengine": []})
            with ours(tree, case.mix) as (port, pid):
                both["roomtone"].append(drive(case, port, pid, seconds))
            if not case.mix and not absent:
                with rtpengine() as (port, pid):
                    both["rtpengine"].append(drive(case, port, pid, seconds))
    return {"missing": absent, "rows": [_row(case, both) for case, both in rows.items()]}


def _row(case: Case, both: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    row: dict[str, Any] = {"title": case.title, "mode": "mix" if case.mix else case.mode}
    for server, runs in both.items():
        if runs:
            row[server] = {
                name: statistics.median(run[name] for run in runs)
                for name in ("cpu_us_per_packet", "calls_per_core", "loss_pct", "setup_cpu_ms_per_call")
            }
    return row


def page(result: dict[str, Any]) -> str:
    """Write the table and what is wanted."""
    lines = ["| what | server | CPU us a packet | calls a core | lost % | of rtpengine |", "|---|---|---|---|---|---|"]
    wanted = []
    for row in result["rows"]:
        peer = row.get("rtpengine")
        for server in ("roomtone", "rtpengine"):
            if (found := row.get(server)) is None:
                continue
            part = found["cpu_us_per_packet"] / peer["cpu_us_per_packet"] if peer and server == "roomtone" else None
            loss = f"{found['loss_pct']:.2f}{' **lossy**' if found['loss_pct'] > LOST_PERCENT else ''}"
            cells = [row["title"], server, f"{found['cpu_us_per_packet']:.2f}", f"{found['calls_per_core']:,.0f}", loss]
            lines.append(f"| {' | '.join(cells)} | {'' if part is None else f'{part:.2f}'} |")
        if peer:
            wanted.append(_goal(row, peer))
    if "rtpengine" in result["missing"]:
        lines += ["", f"rtpengine is not here: {result['missing']['rtpengine']}."]
    return "\n".join([*lines, "", *wanted])


def _goal(row: dict[str, Any], peer: dict[str, float]) -> str:
    if row["mode"] == "relay":
        value, goal = row["roomtone"]["cpu_us_per_packet"] / peer["cpu_us_per_packet"], GOALS["relay"]
        return f"- {row['title']}, part of rtpengine's CPU: {value:.2f}, goal {goal}: {_met(met=value <= goal)}"
    value, goal = row["roomtone"]["calls_per_core"] / peer["calls_per_core"], GOALS["opus"]
    return f"- {row['title']}, times rtpengine's calls a core: {value:.1f}, goal {goal:.0f}: {_met(met=value >= goal)}"


def _met(*, met: bool) -> str:
    return "met" if met else "**not met**"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one run of three cases")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--only", choices=("relay", "opus", "mix"), help="one case of ours, once")
    parser.add_argument("--calls", type=int, default=100, help="of that case")
    parser.add_argument("--mix", type=int, default=10, help="legs of a mix of that case")
    parser.add_argument("--peer", action="store_true", help="that case with rtpengine")
    parser.add_argument("--tree", type=Path, help="Python sources with a release engine in them")
    words = parser.parse_args()
    tree = words.tree or release_tree(build=not words.only)
    if words.only is None:
        print(page(figures(tree, quick=words.quick, seconds=words.seconds)))
        return
    mix = words.mix if words.only == "mix" else 0
    case = Case("relay" if mix else words.only, words.calls, mix)
    with rtpengine() if words.peer else ours(tree, mix) as (port, pid):
        print(json.dumps(drive(case, port, pid, words.seconds)))


if __name__ == "__main__":
    try:
        main()
    except BenchError as failure:
        sys.exit(f"audio: {failure}")
