"""Firefox ESR as Debian has it, driven by WebDriver BiDi: the W3C's protocol, which it speaks itself on a WebSocket.

Pages have the few methods of Playwright's that the clients in pages use, so that the same clients run in both browsers.
Firefox runs no AudioContext where there is no audio device: what it says comes from its drawn microphone.
"""

from __future__ import annotations

import itertools
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from conftest import PATIENCE_S, until
from playwright.sync_api import Page
from websockets.sync.client import ClientConnection, connect

PROGRAM = "/usr/bin/firefox-esr"
# Drawn cameras and tones without questions; its candidates have addresses, not names.
PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


class FirefoxPage:
    """One tab."""

    def __init__(self, firefox: Firefox, context: str) -> None:
        self._firefox = firefox
        self._context = context

    def goto(self, url: str) -> None:
        """Load a page."""
        self._firefox.ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, script: str, argument: Any = None) -> Any:
        """Evaluate an expression, or call a function; what comes is JSON."""
        body = script.strip().rstrip(";")
        called = f"typeof it === 'function' ? await it({json.dumps(argument)}) : await it"
        expression = f"(async () => {{ const it = ({body}); return JSON.stringify(({called}) ?? null); }})()"
        answer = self._firefox.ask(
            "script.evaluate", expression=expression, target={"context": self._context}, awaitPromise=True
        )
        if answer["type"] != "success":
            raise AssertionError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def add_script_tag(self, path: str) -> None:
        """Run a script as if the page had it."""
        script = "text => { document.head.append(Object.assign(document.createElement('script'), { text })); }"
        self.evaluate(script, Path(path).read_text())

    def set_default_timeout(self, _timeout_ms: float) -> None:
        """Waits here have a patience of their own."""

    def wait_for_function(self, expression: str, arg: Any = None, timeout: float = 0, polling: float = 0) -> None:
        """Wait until a function gives something true."""
        del timeout, polling
        until(lambda: self.evaluate(expression, arg), expression, PATIENCE_S * 2)

    def wait_for_timeout(self, timeout_ms: float) -> None:
        """Let time pass in the page."""
        self.evaluate(f"new Promise(done => setTimeout(done, {timeout_ms}))")

    def close(self) -> None:
        """Close the tab."""
        self._firefox.ask("browsingContext.close", context=self._context)


class Firefox:
    """A browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.errors: list[str] = []
        self.version = self.ask("session.new", capabilities={})["capabilities"]["browserVersion"]
        self.ask("session.subscribe", events=["log.entryAdded"])

    def ask(self, method: str, **params: Any) -> Any:
        """Send a command and give its result; errors of pages that come meanwhile are noted."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE_S * 2))
            if message.get("method") == "log.entryAdded":
                entry = message["params"]
                if (entry["type"], entry["level"]) == ("javascript", "error"):
                    self.errors.append(str(entry["text"]))
            elif message.get("id") == number:
                assert message["type"] == "success", f"{method}: {message.get('error')}: {message.get('message')}"
                return message["result"]

    def open(self, url: str, *scripts: str) -> Page:
        """Open a page in a new tab; scripts run before its own."""
        context = self.ask("browsingContext.create", type="tab")["context"]
        for script in scripts:
            self.ask("script.addPreloadScript", functionDeclaration=f"() => {{ {script} }}", contexts=[context])
        page = FirefoxPage(self, context)
        page.goto(url)
        return cast("Page", page)


def own_address() -> str:
    """This machine's address: Firefox pairs none of its candidates with those of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        address: str = probe.getsockname()[0]
    return address


@contextmanager
def launched(profile: Path) -> Iterator[Firefox]:
    """Run a browser with an empty profile."""
    profile.mkdir()
    lines = [f'user_pref("{name}", {json.dumps(value)});' for name, value in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    command = [PROGRAM, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    log = profile / "log"
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            address = until(lambda: re.search(r"BiDi listening on (ws://\S+)", log.read_text()), "Firefox")[1]
            with connect(f"{address}/session", max_size=None) as connection:
                firefox = Firefox(connection)
                yield firefox
                firefox.ask("browser.close")
            process.wait(PATIENCE_S)
        finally:
            process.kill()
