"""One measurement: a client puts load on a server, and the server's own CPU time tells the cost."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from targets import CARGO_TARGET, RIVALS_DIR, BenchError, Target, rival, roomtone

FEW_VIEWERS = 5
HISTORY_S = 10
"""In that time a publisher sends more packets than are kept."""
LEAVING_S = 60
LEAST_SHARE = 0.95
"""Of what was published, viewers are sent so much at least, or the run says nothing."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured: a server under one kind of traffic."""

    server: str
    shape: str
    viewers: int
    srtp: str = "gcm"
    driver: str = "roomtone-load"
    gro: bool = True
    """Viewers take runs of datagrams whole (`UDP_GRO`); the peers' driver cannot."""
    every_run: bool = True
    """Measured in each run; else in the first only."""

    @property
    def payload(self) -> str:
        """Bytes and shape, as printed."""
        return {"filled": "1,100 B filled", "split": "1,100 B split", "audio": "120 B audio", "clip": "clip"}[
            self.shape
        ]

    @property
    def title(self) -> str:
        """All of it in a line."""
        plain = "" if self.gro else ", no UDP_GRO"
        return f"{self.server} {self.payload} 1 -> {self.viewers} {self.srtp}{plain}"


@dataclass(frozen=True, slots=True)
class Options:
    """How long and with what."""

    seconds: int
    tree: Path
    peers: tuple[Target, ...] = ()


def measure(cell: Cell, options: Options) -> dict[str, Any]:
    """Start the server, put the load on it, stop it; one row of figures."""
    with started(cell, options) as target:
        before = target.counters()
        outcome = drive(cell, target, options.seconds)
        after = target.counters()
        row: dict[str, Any] = asdict(cell) | outcome | {"ready_s": target.ready_s}
        if after:
            row |= engine_figures(before, after)
        return row


def memory(viewers: int, options: Options) -> dict[str, float]:
    """What a viewer of ours holds; a pass of its own, since looking costs CPU time.

    A few are there before: what a publisher holds, its packets kept for repairs above all, is no viewer's.
    """
    with roomtone(options.tree) as target:
        few = holding(target, FEW_VIEWERS)
        many = holding(target, FEW_VIEWERS + viewers)
    return {
        "viewers": viewers,
        "malloc_kb_per_viewer": (many["malloc"] - few["malloc"]) / 1024 / viewers,
        "process_kb_per_viewer": (many["resident"] - few["resident"]) / 1024 / viewers,
    }


def holding(target: Target, viewers: int) -> dict[str, float]:
    """What the server holds with a publisher and so many viewers, once the publisher's history is full."""
    idle = target.counters().get("transports", 0.0)
    words = [*load_words(Cell("roomtone", "filled", viewers), target), "--seconds", "30"]
    client = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while client.poll() is None and target.counters().get("transports", 0.0) - idle <= viewers:
            time.sleep(0.2)
        time.sleep(HISTORY_S)
        there = target.counters().get("transports", 0.0) - idle
        held = target.held() | {"resident": float(resident_bytes(target.pid))}
        if client.poll() is not None or there <= viewers:
            raise BenchError("the viewers left before the memory was read")
    finally:
        client.terminate()
        client.wait()
    end = time.monotonic() + LEAVING_S
    while target.counters().get("transports", 0.0) > idle:
        if time.monotonic() > end:
            raise BenchError("the viewers' transports did not go when they left")
        time.sleep(0.2)
    return held


def resident_bytes(pid: int) -> int:
    """Resident set of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def started(cell: Cell, options: Options) -> AbstractContextManager[Target]:
    """Give the server of a cell, running."""
    for peer in options.peers:
        if peer.name == cell.server:
            return nullcontext(peer)
    return roomtone(options.tree) if cell.server == "roomtone" else rival(cell.server)


def drive(cell: Cell, target: Target, seconds: int) -> dict[str, Any]:
    """Run the client; its JSON line."""
    if cell.driver == "whep_fanout":
        words = [*fanout_words(cell, target), "-seconds", str(seconds)]
    else:
        words = [*load_words(cell, target), "--seconds", str(seconds)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds + 120, check=False)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{cell.driver} did not end in time") from error
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise BenchError(f"{cell.driver} against {cell.server}: {(done.stderr or done.stdout).strip()[-600:]}")
    outcome: dict[str, Any] = json.loads(lines[-1])
    outcome.setdefault("cpu_us_per_packet", outcome.get("cpu_us_per_pkt"))
    failures = outcome.get("failures") or ([outcome["error"]] if outcome.get("error") else [])
    # Who is paused misses nothing: its packets are not lost, and would make the others look dear.
    if not failures and outcome.get("expected_ratio", 1.0) < LEAST_SHARE:
        failures = [f"viewers were sent {outcome['expected_ratio']:.0%} of what was published"]
    if failures or not outcome["cpu_us_per_packet"]:
        raise BenchError(f"{cell.driver} against {cell.server}: {failures or 'no packet arrived'}")
    for taken in ("server", "shape", "viewers", "packet"):
        outcome.pop(taken, None)
    return outcome


def load_words(cell: Cell, target: Target) -> list[str]:
    """Words of our own client."""
    words = [str(CARGO_TARGET / "release" / "roomtone-load"), "--name", cell.server]
    words += ["--publish", target.publish, "--play", target.play, "--pid", str(target.pid)]
    words += ["--viewers", str(cell.viewers), "--shape", cell.shape, "--warm", "2"]
    words += ["--srtp", cell.srtp, "--gro", "on" if cell.gro else "off"]
    if target.publish_bearer:
        words += ["--publish-bearer", target.publish_bearer]
    if target.play_bearer:
        words += ["--play-bearer", target.play_bearer]
    return words


def fanout_words(cell: Cell, target: Target) -> list[str]:
    """Words of the peers' driver, which speaks Janus too."""
    words = ["ip", "netns", "exec", "rivals"] if target.kind == "janus" else []
    words += [str(RIVALS_DIR / "bin" / "whep_fanout"), "-name", cell.server, "-viewers", str(cell.viewers)]
    words += ["-pid", str(target.pid), "-play", target.play]
    if target.kind == "janus":
        return [*words, "-kind", "janus", "-ip", "127.0.5.1"]
    words += ["-publish", target.publish]
    return [*words, "-bearer", target.publish_bearer] if target.publish_bearer else words


def engine_figures(before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
    """What the engine counted: how many packets left with one system call."""
    grown = {name: after[name] - before.get(name, 0.0) for name in after}
    packets, calls = grown.get("datagrams_sent", 0.0), grown.get("send_calls", 0.0)
    segments, runs = grown.get("gso_segments", 0.0), grown.get("gso_runs", 0.0)
    # One call may hand over several messages; each of them is a run of equal packets or a packet alone.
    messages = packets - segments + runs
    return {
        "packets_per_call": packets / calls if calls else None,
        "packets_per_message": packets / messages if messages else None,
        "mean_gso_run": segments / runs if runs else None,
        "messages_per_rtp": messages / grown["rtp_sent"] if grown.get("rtp_sent") else None,
        "engine_drops": {name: value for name, value in grown.items() if "dropped" in name and value},
    }
