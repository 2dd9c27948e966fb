"""A real server in a process of its own, on ports the kernel chose, and foreign peers around it."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import jwt
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

READY_WITHIN_S = 90
PATIENCE_S = 40.0
"""How long a test waits for what must come; the machine may be busy."""
POLL_S = 0.1
T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]


def until(look: Callable[[], T], what: str, patience_s: float = PATIENCE_S) -> T:
    """Look again and again until there is something; the failure says what was seen last."""
    pause = threading.Event()
    end = time.monotonic() + patience_s
    while not (seen := look()):
        assert time.monotonic() < end, f"{what} did not come: {seen!r}"
        pause.wait(POLL_S)
    return seen


def token(room: str, identity: str, **grants: bool) -> str:
    """A room token as any LiveKit token library makes it, signed with the development key."""
    return sign(identity, {"roomJoin": True, "room": room, **grants})


def sign(identity: str, video: dict[str, Any]) -> str:
    """Sign a grant with the development key, whose secret is as short as LiveKit published it."""
    claims = {"iss": "devkey", "sub": identity, "exp": int(time.time()) + 3600, "video": video}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jwt.encode(claims, "secret", algorithm="HS256")


@dataclass
class Server:
    """A running `roomtone serve --dev`."""

    process: subprocess.Popen[str]
    http: str
    ready: dict[str, Any]
    log: list[str]
    reader: threading.Thread

    def room(self, room: str, what: str = "", method: str = "GET", body: Any = None) -> Any:
        """JSON of a path below a room in the API, asked with its administrator's token."""
        admin = sign("test", {"roomAdmin": True, "room": room})
        url = f"{self.http}/api/v1/rooms/{room}{what}"
        headers = {"Authorization": f"Bearer {admin}"}
        answer = httpx.request(method, url, headers=headers, json=body, timeout=PATIENCE_S)
        assert answer.is_success, f"{method} {url}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def identities(self, room: str) -> list[str]:
        """Who participates; nobody does where there is no room."""
        admin = sign("test", {"roomAdmin": True, "room": room})
        url = f"{self.http}/api/v1/rooms/{room}/participants"
        answer = httpx.get(url, headers={"Authorization": f"Bearer {admin}"}, timeout=PATIENCE_S)
        return [] if answer.status_code == httpx.codes.NOT_FOUND else [p["identity"] for p in answer.json()]

    def metrics(self) -> dict[str, float]:
        """Metrics by name, summed over the shards."""
        page = httpx.get(f"http://{self.ready['metrics'][0]}/metrics", timeout=PATIENCE_S).text
        sums: dict[str, float] = {}
        for line in page.splitlines():
            if not line.startswith("#"):
                key, value = line.rsplit(" ", 1)
                name = key.partition("{")[0]
                sums[name] = sums.get(name, 0) + float(value)
        return sums


def start_server(data_dir: Path, *arguments: str, **environment: str) -> Server:
    """Start a server and wait until it says that it is ready; its output is in the failure otherwise."""
    settings = {
        "ROOMTONE_HTTP__LISTEN": "127.0.0.1:0",
        "ROOMTONE_HTTP__TLS_LISTEN": "127.0.0.1:0",
        "ROOMTONE_METRICS__LISTEN": "127.0.0.1:0",
        "ROOMTONE_SIP__UDP_LISTEN": "127.0.0.1:0",
        "ROOMTONE_SIP__TCP_LISTEN": "127.0.0.1:0",
        "ROOMTONE_SIP__TLS_LISTEN": "127.0.0.1:0",
        "ROOMTONE_SRT__LISTEN": "127.0.0.1:0",
        "ROOMTONE_RTMP__LISTEN": "127.0.0.1:0",
        "ROOMTONE_RTMPS__LISTEN": "127.0.0.1:0",
        "ROOMTONE_RTP_INGEST__LISTEN": "127.0.0.1:0",
        "ROOMTONE_WEBRTC__PORTS": "0",
        "ROOMTONE_PLAIN__PORTS": "0",
        "ROOMTONE_LOG__FORMAT": "json",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "roomtone", "serve", "--dev", "--data-dir", str(data_dir), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **settings, **environment},
    )
    lines: queue.Queue[str] = queue.Queue()
    log: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            log.append(line)
            lines.put(line)
        lines.put("")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    while True:
        try:
            line = lines.get(timeout=READY_WITHIN_S)
        except queue.Empty:
            line = ""
        if not line:
            process.kill()
            process.wait()
            reader.join()
            if process.stdout is not None:
                process.stdout.close()
            pytest.fail("the server did not become ready:\n" + "".join(log))
        if not line.startswith("{"):
            continue
        event = json.loads(line)
        if event.get("event") == "ready":
            return Server(process, f"http://{event['http'][0]}", event, log, reader)


def stop_server(server: Server) -> None:
    """Ask it to end and see that it does so in order."""
    server.process.send_signal(signal.SIGTERM)
    try:
        code = server.process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        server.process.kill()
        pytest.fail("the server did not end on SIGTERM:\n" + "".join(server.log[-50:]))
    server.reader.join(timeout=10)
    assert server.process.stdout is not None
    server.process.stdout.close()
    assert code == 0, "".join(server.log[-50:])
    panics = [line for line in server.log if "panicked" in line]
    assert panics == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("data"))
    yield running
    stop_server(running)


@pytest.fixture(scope="module")
def tcp_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("tcp"), ROOMTONE_WEBRTC__UDP="false")
    yield running
    stop_server(running)


@pytest.fixture(scope="module")
def ipv6_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("ipv6"), ROOMTONE_WEBRTC__LISTEN_IPS="::1")
    yield running
    stop_server(running)


@pytest.fixture
def run() -> Iterator[Run[Any]]:
    """Await something in another thread's loop, beside pages that are driven from this one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(120)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


# Not for the session: Playwright keeps an event loop running in this thread, beside which no asynchronous test can run.
# So a module holds either tests of pages or asynchronous ones.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                # Who shares a screen shares the tab that asks, in its own pixels: there is no screen here.
                "--use-fake-device-for-media-stream=display-media-type=browser",
                "--use-fake-ui-for-media-stream",
                "--autoplay-policy=no-user-gesture-required",
                # Loopback addresses as they are, instead of mDNS names that nobody resolves here.
                "--disable-features=WebRtcHideLocalIpsWithMdns",
            ],
        )
        yield chromium
        chromium.close()


# Keeps the page's peer connections and the URLs of its resources for the test to look at.
OBSERVE = """
(() => {
  const Connection = window.RTCPeerConnection, send = window.fetch;
  window.peers = [];
  window.resources = [];
  window.RTCPeerConnection = class extends Connection {
    constructor(...given) { super(...given); window.peers.push(this); }
  };
  window.fetch = async (url, options) => {
    const answer = await send(url, options);
    const location = answer.headers.get("Location");
    if (answer.status === 201 && location !== null && answer.headers.get("Content-Type") === "application/sdp") {
      const { Authorization } = options.headers;
      window.resources.push({ url: new URL(location, url).href, Authorization, etag: answer.headers.get("ETag") });
    }
    return answer;
  };
})();
"""


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[Callable[..., Page]]:
    """Open a page of the server in a context of its own; the console's errors fail the test."""
    contexts = []
    errors: list[str] = []

    def open_(path: str, at: Server | None = None, *scripts: str, secure: bool = False) -> Page:
        # The certificate that a server makes for itself is nobody's acquaintance.
        context = browser.new_context(permissions=["camera", "microphone"], ignore_https_errors=secure)
        contexts.append(context)
        for script in (*scripts, OBSERVE):
            context.add_init_script(script)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        where = at or server
        page.goto((f"https://{where.ready['https'][0]}" if secure else where.http) + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []


def statistic(page: Page, name: str) -> str:
    """The value of a line in the page's table of statistics; empty before it is there."""
    return page.evaluate("name => document.querySelector(`[data-stat=\"${name}\"]`)?.textContent ?? ''", name)


def wait_for_statistic(page: Page, name: str, condition: str, timeout_s: float = 25) -> str:
    """Wait until the JavaScript `condition` on `value` holds for the statistic; it says what it saw otherwise."""
    expression = (
        "name => { const value = document.querySelector(`[data-stat=\"${name}\"]`)?.textContent ?? ''; return "
        + condition
        + "; }"
    )
    try:
        page.wait_for_function(expression, arg=name, timeout=timeout_s * 1000, polling=200)
    except Exception as error:  # Playwright's own time-out says nothing of the page
        table = page.evaluate("[...document.querySelectorAll('tr')].map(row => row.textContent).join('; ')")
        status = page.evaluate("document.querySelector('[data-status]')?.textContent ?? ''")
        raise AssertionError(f"{name} did not become {condition}: {status!r}; {table}") from error
    return statistic(page, name)


def selected_pair(page: Page) -> dict[str, Any]:
    """The remote and local candidate of the pair in use, as W3C statistics name them."""
    found = page.evaluate(
        """async () => {
          const reports = [...(await peers.at(-1).getStats()).values()];
          const transport = reports.find(report => report.type === "transport");
          const of = id => reports.find(report => report.id === id);
          const pair = of(transport?.selectedCandidatePairId);
          return pair && { local: of(pair.localCandidateId), remote: of(pair.remoteCandidateId) };
        }"""
    )
    assert found is not None, "no candidate pair is selected"
    return found
