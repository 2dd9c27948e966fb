"""What registrations and calls cost, beside Sippy: CPU time of the server, with SIPp at both ends.

`python benches/calls.py [--quick]` prints a table. Calls of ours are those of desk phones: digest, a record in SQL and
two legs of media in the engine each, though nobody speaks. *Stack* is the same stack as a bridge of signalling only,
which is what `b2bua_simple` of Sippy is, and Sippy's environment is that of the peers' folder. SIPp answers the
challenge by MD5, so that is what is offered. All of it is on loopback, over UDP.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
from measure import resident_bytes
from phone_load import Outcome, called, missing, run
from targets import RIVALS, RIVALS_DIR, ROOT, BenchError, Target, free_port, release_tree, roomtone

if TYPE_CHECKING:
    from collections.abc import Iterator

SIPPY_PORT, SIPPY_CALLS = 15060, 15080
SECRET = "caller-secret"  # noqa: S105 - of accounts that live as long as a run
IDLE_AFTER_S = 36
"""Transactions of an INVITE live 32 s after its 200; a call is idle when they have ended."""
HOLD_MS = 45_000
REGISTRATIONS_A_S = 2_000
"""Two thirds of what a core is to take: below, each finds the caches cold, and costs half as much again."""
GOALS = {"register": 3_000.0, "calls": 6.0, "stack": 12.0, "p99_ms": 20.0, "idle_kb": 20.0}
"""Registrations a CPU second; times Sippy's calls; set-up at half load; Python's memory for a call."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that takes calls."""

    name: str
    target: str
    pid: int
    called: int
    """Port that it calls."""
    challenges: bool
    whole: Target | None = None


def sippy_missing() -> str:
    """Say why Sippy cannot be measured; empty when it can."""
    if not RIVALS.is_dir():
        return f"{RIVALS} is not there"
    return "" if (RIVALS_DIR / "sippy-py" / "bin" / "b2bua_simple").exists() else "run install-telephony.sh"


@contextmanager
def whole_server(tree: Path, *, trace: bool = False) -> Iterator[Server]:
    """Run our server with two accounts; the called one is registered at a port."""
    sip, called_port = free_port(), free_port()
    settings = {
        "ROOMTONE_SIP__UDP_LISTEN": f"127.0.0.1:{sip}",
        "ROOMTONE_SIP__DIGEST_ALGORITHMS": '["MD5"]',
        "ROOMTONE_LOG__LEVEL": "warning",
    }
    if trace:
        settings["ROOMTONE_PROBE_TRACE"] = "1"
    with roomtone(tree, settings=settings) as target:
        for name in ("caller", "called"):
            _account(target.base, name)
        run("register", f"127.0.0.1:{sip}", target.pid, rate=1, count=1, account="called", port=called_port)
        yield Server("roomtone", f"127.0.0.1:{sip}", target.pid, called_port, challenges=True, whole=target)


def _account(base: str, name: str) -> None:
    claims = {"iss": "devkey", "sub": "bench", "exp": int(time.time()) + 600, "sip": {"admin": True}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the published secret is short
        token = jwt.encode(claims, "secret", algorithm="HS256")
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{base}/api/v1/sip-accounts",
        json.dumps({"username": name, "password": SECRET}).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - likewise
        answer.read()


@contextmanager
def stack(tree: Path) -> Iterator[Server]:
    """Run the stack alone."""
    sip, called_port = free_port(), free_port()
    words = [sys.executable, str(ROOT / "benches" / "phone_bridge.py"), str(sip), str(called_port)]
    process = subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(tree)}, stdout=subprocess.PIPE)
    try:
        if process.stdout is None or process.stdout.readline() != b"ready\n":
            raise BenchError("the stack's bridge ended at start")
        yield Server("stack", f"127.0.0.1:{sip}", process.pid, called_port, challenges=False)
    finally:
        process.kill()
        process.wait()


@contextmanager
def sippy() -> Iterator[Server]:
    """Run Sippy's simple bridge."""
    done = subprocess.run([str(RIVALS / "start-sippy.sh")], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise BenchError(f"sippy did not start: {done.stderr.strip() or done.stdout.strip()}")
    try:
        pid = int(done.stdout.split()[-1])
        yield Server("Sippy", f"127.0.0.1:{SIPPY_PORT}", pid, SIPPY_CALLS, challenges=False)
    finally:
        subprocess.run([str(RIVALS / "stop.sh"), "sippy"], check=False, timeout=60)


def calls(server: Server, *, rate: int, count: int, rings_ms: int = 100, hold_ms: int = 500) -> Outcome:
    """Make calls through a server."""
    with called(server.called, rings_ms):
        return run(
            "caller",
            server.target,
            server.pid,
            rate=rate,
            count=count,
            hold_ms=hold_ms,
            challenged=server.challenges,
        )


def registrations(server: Server, *, rate: int, count: int) -> Outcome:
    """Register."""
    return run("register", server.target, server.pid, rate=rate, count=count)


def idle_memory(tree: Path, count: int) -> dict[str, float]:
    """What a call holds that nobody does anything with: in Python, as it counts itself, and in the process."""
    held: dict[str, float] = {}
    for trace in (True, False):
        with whole_server(tree, trace=trace) as server, called(server.called, 0):
            target = server.whole
            assert target is not None
            run("caller", server.target, server.pid, rate=50, count=20, hold_ms=0)
            before = target.held(), resident_bytes(server.pid)
            with ThreadPoolExecutor(1) as aside:
                words = {"rate": 100, "count": count, "hold_ms": HOLD_MS}
                held_calls = aside.submit(run, "caller", server.target, server.pid, **words)
                time.sleep(count / 100 + IDLE_AFTER_S)
                after = target.held(), resident_bytes(server.pid)
                held_calls.result()
        if trace:
            held["python_kb"] = (after[0]["traced"] - before[0]["traced"]) / 1024 / count
        else:
            held["resident_kb"] = (after[1] - before[1]) / 1024 / count
    return held | {"calls": count}


def figures(tree: Path, *, quick: bool = False, runs: int = 3) -> dict[str, Any]:
    """Measure all; raise `BenchError` when there is no load."""
    if why := missing():
        raise BenchError(why)
    result: dict[str, Any] = {"missing": sippy_missing()}
    runs = 1 if quick else runs
    rows: dict[str, list[Outcome]] = {}
    with whole_server(tree) as server, stack(tree) as bare:
        for _ in range(runs):
            if not result["missing"]:
                with sippy() as other:
                    rows.setdefault("Sippy", []).append(calls(other, rate=150, count=450 if quick else 900))
            rows.setdefault("stack", []).append(calls(bare, rate=300, count=1_500 if quick else 3_000))
            rows.setdefault("calls", []).append(calls(server, rate=200, count=1_000 if quick else 2_000))
            rows.setdefault("register", []).append(
                registrations(server, rate=REGISTRATIONS_A_S, count=6_000 if quick else 20_000)
            )
        half = int(statistics.median(one.per_cpu_s for one in rows["calls"]) / 2)
        result["half_load"] = half
        rows["set-up"] = [calls(server, rate=half, count=half * 5, rings_ms=0)]
    result["rows"] = {
        name: {
            "per_cpu_s": statistics.median(one.per_cpu_s for one in outcomes),
            "cpu_us": statistics.median(one.cpu_us for one in outcomes),
            "p50_ms": statistics.median(one.p50_ms for one in outcomes),
            "p99_ms": statistics.median(one.p99_ms for one in outcomes),
            "repeated": sum(one.repeated for one in outcomes),
            "done": sum(one.done for one in outcomes),
        }
        for name, outcomes in rows.items()
    }
    if not quick:
        result["memory"] = idle_memory(tree, 500)
    return result


def table(result: dict[str, Any]) -> str:
    """Write it."""
    rows = result["rows"]
    words = {
        "register": "Roomtone: REGISTER, challenged",
        "calls": "Roomtone: call with digest, record, two media legs",
        "set-up": f"the same, {result['half_load']:,} calls a second, answered at once",
        "stack": "Roomtone's stack: call, signalling only",
        "Sippy": "Sippy `b2bua_simple`: call, signalling only",
    }
    lines = ["| what | CPU us | per CPU second | set-up p50 / p99 ms | times Sippy |", "|---|---|---|---|---|"]
    peer = rows.get("Sippy")
    for name, text in words.items():
        row = rows.get(name)
        if row is None:
            continue
        times = f"{row['per_cpu_s'] / peer['per_cpu_s']:.1f}" if peer and name in {"calls", "stack"} else ""
        set_up = f"{row['p50_ms']:.1f} / {row['p99_ms']:.1f}" if name == "set-up" else ""
        again = f" ({row['repeated']} messages repeated)" if row["repeated"] else ""
        lines.append(f"| {text}{again} | {row['cpu_us']:,.0f} | {row['per_cpu_s']:,.0f} | {set_up} | {times} |")
    if result["missing"]:
        lines += ["", f"Sippy is not here: {result['missing']}."]
    if "memory" in result:
        memory = result["memory"]
        held = f"{memory['python_kb']:.1f} KB in Python and {memory['resident_kb']:.0f} KB in the process"
        lines += ["", f"An idle call holds {held} (of {memory['calls']})."]
    return "\n".join(lines)


def goals(result: dict[str, Any]) -> list[str]:
    """Compare with what is wanted."""
    rows = result["rows"]
    peer = rows.get("Sippy")
    found = [("registrations a CPU second", rows["register"]["per_cpu_s"], GOALS["register"], True)]
    if peer:
        for name, text in (("calls", "calls with all that belongs to them"), ("stack", "signalling only")):
            found.append((f"{text}, times Sippy's", rows[name]["per_cpu_s"] / peer["per_cpu_s"], GOALS[name], True))
    found.append(("p99 of the set-up at half load, ms", rows["set-up"]["p99_ms"], GOALS["p99_ms"], False))
    if "memory" in result:
        found.append(("KB in Python of an idle call", result["memory"]["python_kb"], GOALS["idle_kb"], False))
    return [
        f"- {text}: {value:,.1f}, wanted {'at least' if more else 'at most'} {wanted:,.0f}: "
        f"{'met' if (value >= wanted) is more else 'MISSED'}"
        for text, value, wanted, more in found
    ]


def page(result: dict[str, Any]) -> str:
    """Write all of it."""
    return "\n".join([table(result), "", *goals(result)])


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one run, a quarter of the calls, no memory")
    parser.add_argument("--only", choices=("register", "calls", "stack", "sippy"), help="one row, once")
    parser.add_argument("--rate", type=int, default=200, help="of that row, a second")
    parser.add_argument("--count", type=int, default=2_000, help="of that row")
    parser.add_argument("--tree", type=Path, help="Python sources with a release engine in them")
    words = parser.parse_args()
    tree = words.tree or release_tree(build=not words.only)
    if words.only is None:
        result = figures(tree, quick=words.quick)
        print(page(result))
        return
    made = {"register": lambda: whole_server(tree), "calls": lambda: whole_server(tree)}
    made |= {"stack": lambda: stack(tree), "sippy": sippy}  # type: ignore[dict-item]
    with made[words.only]() as server:
        does = registrations if words.only == "register" else calls
        print(does(server, rate=words.rate, count=words.count))


if __name__ == "__main__":
    try:
        main()
    except BenchError as failure:
        sys.exit(f"calls: {failure}")
