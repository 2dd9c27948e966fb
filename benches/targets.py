"""Servers under load: ours, the peers of this machine, and any other by URL."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roomtone"
CARGO_TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")
# Beside the clone, or further up where it is a work tree.
RIVALS = next(
    (folder for above in ROOT.parents if (folder := above / "shared" / "rivals").is_dir()), ROOT.parent / "rivals"
)
RIVALS_DIR = Path(os.environ.get("RIVALS_DIR") or CACHE.parent / "rivals")
PATIENCE_S = 30


class BenchError(Exception):
    """Why a figure cannot be had."""


@dataclass(slots=True)
class Target:
    """A running server."""

    name: str
    publish: str
    play: str
    pid: int
    publish_bearer: str = ""
    play_bearer: str = ""
    kind: str = "whip"
    base: str = ""
    metrics: str = ""
    ready_s: float = 0.0
    probe: Path | None = None
    log: Path | None = None

    def counters(self) -> dict[str, float]:
        """Sum of each engine metric over the shards; empty for a peer."""
        if not self.metrics:
            return {}
        sums: dict[str, float] = {}
        for line in get(self.metrics).splitlines():
            found = re.match(r"(roomtone_engine_[a-z0-9_]+?)(?:_total)?(?:\{.*\})? ([-+.e0-9]+)$", line)
            if found:
                name = found[1].removeprefix("roomtone_engine_")
                sums[name] = sums.get(name, 0.0) + float(found[2])
        return sums

    def held(self) -> dict[str, float]:
        """What `serve_probe.py` says of the process; empty for a peer."""
        if self.probe is None:
            return {}
        self.probe.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR1)
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if self.probe.exists():
                figures: dict[str, float] = json.loads(self.probe.read_text())
                return figures
            time.sleep(0.02)
        raise BenchError("the server does not answer SIGUSR1")


def get(url: str) -> str:
    """Fetch a page of loopback."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - the URL is one of ours
        text: str = answer.read().decode()
    return text


def free_port() -> int:
    """Give a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def cargo_build(*packages: str, examples: bool = False) -> None:
    """Build release binaries of the workspace, or their examples; nothing to do costs a second."""
    words = [word for package in packages for word in ("-p", package)]
    if examples:
        words.append("--examples")
    done = subprocess.run(
        ["cargo", "build", "--release", "--quiet", *words],
        cwd=ROOT,
        env=os.environ | {"CARGO_TARGET_DIR": str(CARGO_TARGET)},
        check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"cargo could not build {', '.join(packages)}")


def release_tree(*, build: bool) -> Path:
    """Give a copy of the Python sources with the engine's release build in it; the working tree keeps its own."""
    tree = CACHE / "bench" / "src"
    if build or not tree.exists():
        cargo_build("roomtone-pymod")
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(ROOT / "src", tree, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        shutil.copy2(CARGO_TARGET / "release" / "lib_core.so", tree / "roomtone" / "_core.abi3.so")
    return tree


@contextmanager
def roomtone(tree: Path, *, shards: int = 1, settings: dict[str, str] | None = None) -> Iterator[Target]:
    """Run `roomtone serve --dev` from a source tree until the block ends."""
    http, metrics = free_port(), free_port()
    base = f"http://127.0.0.1:{http}"
    with tempfile.TemporaryDirectory(prefix="roomtone-bench-") as folder:
        probe, log = Path(folder) / "probe.json", Path(folder) / "log"
        env = os.environ | {
            "PYTHONPATH": str(tree),
            "ROOMTONE_ENGINE__SHARDS": str(shards),
            "ROOMTONE_HTTP__LISTEN": f"127.0.0.1:{http}",
            "ROOMTONE_HTTP__TLS_LISTEN": "",
            "ROOMTONE_METRICS__LISTEN": f"127.0.0.1:{metrics}",
            "ROOMTONE_SIP__UDP_LISTEN": "",
            "ROOMTONE_SRT__ENABLED": "false",
            "ROOMTONE_RTMP__ENABLED": "false",
            "ROOMTONE_SIP__TCP_LISTEN": "",
            "ROOMTONE_SIP__TLS_LISTEN": "",
            "ROOMTONE_LIMITS__JOINS_PER_SECOND": "100000",
            "ROOMTONE_LIMITS__SESSIONS_PER_ADDRESS": "100000",
            "ROOMTONE_PROBE": str(probe),
            **(settings or {}),
        }
        words = [sys.executable, str(ROOT / "benches" / "serve_probe.py"), "serve", "--dev", "--data-dir", folder]
        began = time.monotonic()
        with log.open("w") as out:
            process = subprocess.Popen(words, env=env, stdout=out, stderr=subprocess.STDOUT)
        try:
            wait_ready(f"{base}/readyz", process, log)
            ready = time.monotonic() - began
            yield Target(
                name="roomtone",
                publish=f"{base}/whip/load",
                play=f"{base}/whep/load",
                pid=process.pid,
                publish_bearer=dev_token(base, "publisher"),
                play_bearer=dev_token(base, "viewer"),
                base=base,
                metrics=f"http://127.0.0.1:{metrics}/metrics",
                ready_s=ready,
                probe=probe,
                log=log,
            )
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the page answers 200."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise BenchError(f"the server ended at start: {log.read_text()[-2000:]}")
        try:
            get(url)
        except (urllib.error.URLError, OSError):
            time.sleep(0.01)
        else:
            return
    raise BenchError(f"{url} is not ready: {log.read_text()[-2000:]}")


def dev_token(base: str, identity: str) -> str:
    """Ask the development-only route for a token of the room `load`."""
    request = urllib.request.Request(f"{base}/dev/token?room=load&identity={identity}", method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own server
        value: str = json.load(answer)["token"]
    return value


def rival_installed(name: str) -> str:
    """Say why a peer cannot be measured here; empty when it can."""
    if not RIVALS.is_dir():
        return f"{RIVALS} is not there"
    if name == "mediasoup":
        return "" if (RIVALS_DIR / "bin" / "mediasoup-worker").exists() else "run install-mediasoup.sh"
    if name == "janus":
        if shutil.which("janus") is None:
            return "run install-janus.sh"
        return "" if (RIVALS_DIR / "bin" / "whep_fanout").exists() else "run install-drivers.sh"
    return "unknown"


@contextmanager
def rival(name: str) -> Iterator[Target]:
    """Run a peer with the scripts of its folder; one that runs already is used and left running."""
    pid_file = RIVALS_DIR / "run" / f"{name}.pid"
    running = pid_file.exists() and Path(f"/proc/{pid_file.read_text().strip()}").exists()
    if running:
        pid = int(pid_file.read_text())
    else:
        done = subprocess.run(
            [str(RIVALS / f"start-{name}.sh")], capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode != 0:
            raise BenchError(f"{name} did not start: {done.stderr.strip() or done.stdout.strip()}")
        pid = int(done.stdout.split()[-1])
    try:
        if name == "mediasoup":
            base = "http://127.0.0.1:18100"
            yield Target(name, f"{base}/whip/load", f"{base}/whep/load", pid)
        else:
            yield Target(name, "", "http://127.0.0.1:18088/janus", pid, kind="janus")
    finally:
        if not running:
            subprocess.run([str(RIVALS / "stop.sh"), name], check=False, timeout=60)
