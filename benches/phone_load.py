"""SIPp's side of `calls.py`: scenarios, runs of them, and what a server spent meanwhile."""

from __future__ import annotations

import csv
import itertools
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from targets import ROOT, BenchError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCENARIOS = ROOT / "benches" / "sipp"
HOLD_MS = 500
PATIENCE_S = 60
_ports = itertools.count(15_100)


def missing() -> str:
    """Say why there is no load; empty when there can be."""
    return "" if shutil.which("sipp") else "sipp is not installed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run."""

    done: int
    failed: int
    repeated: int
    """Messages that SIPp sent again: the server, or SIPp, did not keep up."""
    cpu_us: float
    """Of the server, for each of ``done``."""
    p50_ms: float
    p99_ms: float
    """From the first INVITE to its 200."""

    @property
    def per_cpu_s(self) -> float:
        """How many fit into a second of the server's CPU time."""
        return 1e6 / self.cpu_us


def tree_cpu_s(pid: int) -> float:
    """CPU time of a process and of all that descend from it, in seconds."""
    found: dict[int, tuple[int, float]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        found[int(path.parent.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return sum(spent for one, (_, spent) in found.items() if pid in _line_of(one, found))


def _line_of(pid: int, found: dict[int, tuple[int, float]]) -> Iterator[int]:
    while pid in found:
        yield pid
        pid = found[pid][0]


def scenario(name: str, folder: Path, **words: str | bool) -> Path:
    """Write a scenario with its words filled in; of a word that is a truth value, what it encloses stays or goes."""
    text = (SCENARIOS / f"{name}.xml").read_text()
    for word, value in words.items():
        mark = f"@{word}@"
        if isinstance(value, str):
            text = text.replace(mark, value)
        else:
            before, *rest = text.split(f"{mark}\n")
            text = before
            for number, part in enumerate(rest):
                text += part if value or number % 2 else ""
    path = folder / f"{name}.xml"
    path.write_text(text)
    return path


@contextmanager
def called(port: int, rings_ms: int = 100) -> Iterator[None]:
    """Have somebody answer calls at a port."""
    with tempfile.TemporaryDirectory() as folder:
        path = scenario("called", Path(folder), RINGS_MS=str(rings_ms))
        words = ["sipp", "-sf", str(path), "-i", "127.0.0.1", "-p", str(port), "-nostdin", "-buff_size", "4194304"]
        process = subprocess.Popen(
            words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            time.sleep(0.5)
            yield
        finally:
            process.kill()
            process.wait()


def run(
    name: str,
    target: str,
    pid: int,
    *,
    rate: int,
    count: int,
    hold_ms: int = HOLD_MS,
    challenged: bool = True,
    account: str = "caller",
    port: int = 0,
) -> Outcome:
    """Run a scenario some times at a rate a second; raise `BenchError` when any failed."""
    with tempfile.TemporaryDirectory() as folder:
        last = {"INVITE": "second", "CSEQ": "2"} if challenged else {"INVITE": "first", "CSEQ": "1"}
        path = scenario(name, Path(folder), AUTHENTICATED=challenged, ACCOUNT=account, **last)
        words = ["sipp", "-sf", str(path), target, "-i", "127.0.0.1", "-p", str(port or next(_ports)), "-nostdin"]
        words += ["-r", str(rate), "-m", str(count), "-d", str(hold_ms), "-l", str(max(1_000, rate * 30))]
        words += ["-trace_stat", "-stf", "stat.csv", "-fd", "1", "-trace_rtt", "-rtt_freq", "1"]
        words += ["-recv_timeout", "8000", "-timeout", f"{PATIENCE_S}s", "-buff_size", "4194304"]
        before = tree_cpu_s(pid)
        subprocess.run(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=2 * PATIENCE_S,
            check=False,
        )
        time.sleep(0.3)
        spent = tree_cpu_s(pid) - before
        return _outcome(Path(folder), count, spent)


def _outcome(folder: Path, count: int, spent_s: float) -> Outcome:
    try:
        with (folder / "stat.csv").open() as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
    except (OSError, IndexError) as error:
        raise BenchError("sipp ended without figures") from error
    done, failed = int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])
    if failed or done < count:
        raise BenchError(f"of {count} calls {done} were made and {failed} failed")
    times = sorted(_times(folder)) or [0.0]
    return Outcome(
        done=done,
        failed=failed,
        repeated=int(last["Retransmissions(C)"]),
        cpu_us=spent_s * 1e6 / done,
        p50_ms=statistics.median(times),
        p99_ms=times[len(times) * 99 // 100],
    )


def _times(folder: Path) -> Iterator[float]:
    for path in folder.glob("*_rtt.csv"):
        for line in path.read_text().splitlines()[1:]:
            yield float(line.split(";")[1])
