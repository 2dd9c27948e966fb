"""Runs every test suite and ends with one line that counts over all of them: ``N passed, N failed, N skipped``."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import imageio_ffmpeg

ROOT = Path(__file__).resolve().parent.parent
FOREIGN = "interop"
"""The folder whose peers keep real time, and mostly wait: one browser at a time, and beside it peers that are none."""
PROCESSES = 2
APART = "--numprocesses=1"
"""In a process that is not pytest's own: where a peer's library breaks it off, one test has failed, and not all."""


@dataclass
class Outcome:
    """What a suite said: counts, and the reason of each skip."""

    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)

    def add(self, part: Outcome) -> None:
        """Count a part of a suite."""
        self.passed += part.passed
        self.failed += part.failed
        self.skipped += part.skipped


def main() -> int:
    """Run all suites; exit status 1 when anything failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", action="store_true", help="long forms too")
    long = parser.parse_args().long
    total = Outcome()
    for name, suite in (("Rust", rust), ("Python", python), ("pages", pages)):
        print(f"== {name}", flush=True)
        begun = time.monotonic()
        outcome = suite(long)
        print(f"-- {name}: {outcome.passed} passed, {outcome.failed} failed, {len(outcome.skipped)} skipped "
              f"in {time.monotonic() - begun:.0f} s", flush=True)  # fmt: skip
        total.add(outcome)
    for reason, count in Counter(total.skipped).items():
        print(f"skipped: {reason}" + (f" ({count} of them)" if count > 1 else ""))
    print(f"{total.passed} passed, {total.failed} failed, {len(total.skipped)} skipped")
    return 1 if total.failed or not total.passed else 0


def rust(long: bool) -> Outcome:
    """All crates; with ``long`` also the tests marked as ignored for their length."""
    command = ["cargo", "test", "--workspace", "--quiet", "--no-fail-fast"]
    command += ["--", "--include-ignored"] if long else []
    environment = os.environ | {"ROOMTONE_FFMPEG": imageio_ffmpeg.get_ffmpeg_exe()}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    # What was measured is for whoever runs the suites, and not only when it falls short.
    for row in scenario_rows(done.stdout):
        print(row)
    outcome = Outcome()
    for passed, failed, ignored in re.findall(
        r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", done.stdout
    ):
        outcome.passed += int(passed)
        outcome.failed += int(failed)
        outcome.skipped += ["Rust test of the long tier (make test-all)"] * int(ignored)
    if done.returncode:
        print(done.stdout[-12_000:], done.stderr[-6_000:])
        outcome.failed = max(1, outcome.failed)
    return outcome


def scenario_rows(output: str) -> list[str]:
    """Find the table of bad lines in what the tests wrote; rows may begin behind the dots of a quiet run."""
    return list(dict.fromkeys(re.findall(r"line \| .*", output)))


def python(long: bool) -> Outcome:
    """All pytest folders; what judges rates and times of foreign peers comes last and has the machine for itself."""
    tier = "" if long else " and not long"
    own = sorted(f"tests/{path.name}" for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != FOREIGN)
    foreign = f"tests/{FOREIGN}"
    outcome = Outcome()
    outcome.add(pytest([*own, f"--numprocesses={PROCESSES}", "--dist=loadfile", "-m", tier.removeprefix(" and ")]))
    with ThreadPoolExecutor(2) as at_once:
        for part in at_once.map(
            lambda kind: pytest([foreign, APART, "-m", f"{kind} and not alone{tier}"]), ("browser", "not browser")
        ):
            outcome.add(part)
    # Whoever drives a browser keeps the loop of its process.
    for kind in ("browser", "not browser"):
        outcome.add(pytest([foreign, APART, "-m", f"{kind} and alone{tier}"]))
    return outcome


def pytest(arguments: list[str]) -> Outcome:
    """Run pytest once; what it counted is read from its report. In which order is said, so that it can be had again."""
    seed = time.time_ns() % 10_000
    print(f"pytest --randomly-seed={seed} {' '.join(arguments)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        slow = ["--durations=40", "--durations-min=10"]
        order = f"--randomly-seed={seed}"
        command = [sys.executable, "-m", "pytest", "-q", *slow, order, f"--junitxml={report}", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        # All of it at its end: two of them may run at once.
        sys.stdout.write(done.stdout)
        sys.stdout.flush()
        outcome = Outcome()
        if not report.exists():
            outcome.failed = 1
            return outcome
        for case in ET.parse(report).iter("testcase"):  # noqa: S314 - our own report
            skip = case.find("skipped")
            if skip is not None:
                outcome.skipped.append(f"{case.get('classname')}.{case.get('name')}: {skip.get('message')}")
            elif case.find("failure") is not None or case.find("error") is not None:
                outcome.failed += 1
            else:
                outcome.passed += 1
    if done.returncode:
        outcome.failed = max(1, outcome.failed)
    return outcome


def pages(_long: bool) -> Outcome:
    """Run the unit tests of the pages."""
    done = subprocess.run(
        ["npx", "vitest", "run", "--reporter=json"],
        cwd=ROOT / "web", capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    start = done.stdout.find("{")
    if start < 0:
        print(done.stdout, done.stderr)
        return Outcome(failed=1)
    report = json.loads(done.stdout[start:])
    outcome = Outcome(passed=report["numPassedTests"], failed=report["numFailedTests"])
    outcome.skipped += ["page test marked as skipped"] * report["numPendingTests"]
    if done.returncode:
        print(done.stdout[-4_000:])
        outcome.failed = max(1, outcome.failed)
    return outcome


if __name__ == "__main__":
    raise SystemExit(main())
