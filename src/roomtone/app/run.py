"""Run a server in this process: logs, loop, signals, and what is told on the terminal."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import uvloop

from roomtone.app.began import BEGAN
from roomtone.app.listeners import HTTP, HTTPS
from roomtone.app.server import DEMO_ROOM, Server
from roomtone.observe import configure_logs, get_logger

if TYPE_CHECKING:
    from roomtone.config import Settings

_log = get_logger(__name__)

EXIT_SECOND_SIGNAL = 130
GC_THRESHOLDS = (5_000, 1_000, 50)
"""When cycles are looked for, as `gc.set_threshold` has it: among the young, the older, and all that there is.

A look takes half a microsecond for each object that lives, and everybody waits for it: among 50,000 young ones it was
15 to 30 ms, and the set-up of one call in a hundred met it. The young are looked through once, however often that is
done; the older ones would be again and again, and hold hardly any cycles, so that is done seldom.
"""


def run(settings: Settings) -> None:
    """Serve until a signal comes; raise `StartError` when the server cannot start."""
    configure_logs(settings.log.level, settings.log.format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Start, wait for SIGTERM or SIGINT, stop; a signal during the start undoes it."""
    stop = asyncio.Event()
    server = Server(settings)
    _catch_signals(stop, server)
    starting = asyncio.create_task(server.start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return
    await starting
    seconds = time.monotonic() - BEGAN
    _log.info("ready", start_s=round(seconds, 3), engine=server.profile, **server.addresses)
    _settle_memory()
    tell(settings, server.addresses, seconds, [] if server.people is None else server.people.first_start.lines())
    await stopping
    _log.info("stopping")
    await server.close()
    _log.info("stopped")


def _settle_memory() -> None:
    """Look for cycles in short steps, and never among what is there for good: calls and rooms leave hardly any."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(*GC_THRESHOLDS)


def tell(settings: Settings, addresses: dict[str, list[str]], seconds: float, more: list[str]) -> None:
    """Say on standard output where to go."""
    base = page_url(addresses)
    lines = [f"Roomtone is ready after {seconds:.1f} s: {base}/"]
    if settings.server.demo:
        lines.append(f"Watch the test picture: {base}/watch/?room={DEMO_ROOM}")
        if addresses.get("rtmp"):
            lines.append(f"The same as HLS:        {base}/play/?room={DEMO_ROOM}")
    if settings.server.dev:
        lines.append(f"Meet others:            {base}/room/?room={DEMO_ROOM}")
        lines.append(f"Publish your camera:    {base}/publish/?room={DEMO_ROOM}")
    lines += more
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def page_url(addresses: dict[str, list[str]]) -> str:
    """Address of the pages: on loopback by plain HTTP, where browsers allow cameras too, else by HTTPS."""
    for name in (HTTP, HTTPS):
        if found := addresses.get(name):
            host, _, port = found[0].rpartition(":")
            shown = "localhost" if host in {"127.0.0.1", "0.0.0.0", "[::]", "[::1]"} else host  # noqa: S104 - shown
            return f"{name}://{shown}:{port}"
    return "http://localhost"


def _catch_signals(stop: asyncio.Event, server: Server) -> None:
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            sys.stderr.write("roomtone: second signal, ending at once\n")
            sys.stderr.flush()
            os._exit(EXIT_SECOND_SIGNAL)
        _log.info("signal", signal=number.name)
        stop.set()

    reloads: set[asyncio.Task[None]] = set()

    def on_reload() -> None:
        reload = asyncio.ensure_future(server.reload_certificate())
        reloads.add(reload)
        reload.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, on_reload)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
