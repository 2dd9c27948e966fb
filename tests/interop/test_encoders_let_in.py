"""Encoders let in by stream keys, by accounts, and by a hook that is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import PATIENCE_S, Server, sign, start_server, stop_server, until
from test_encoders import H264, encoder, ingests, rtmp, srt

pytestmark = pytest.mark.timeout(240)


class Hook(ThreadingHTTPServer):
    """Lets in who shows the word that it knows, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Decide)
        self.asked: list[tuple[str, dict[str, Any]]] = []


class _Decide(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Hook)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.headers["Authorization"], body))
        self.send_response(200 if body["credential"] == "a-word-of-theirs" else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    made = Hook()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture(scope="module")
def asking(hook: Hook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(
        tmp_path_factory.mktemp("asking"),
        ROOMTONE_LIVE__PUBLISH_HOOK=f"http://127.0.0.1:{hook.server_port}/may",
        ROOMTONE_WEBHOOKS__ALLOW_PRIVATE="true",
    )
    yield running
    stop_server(running)


def keys(server: Server, name: str, one: str = "", method: str = "GET", body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {sign('host', {'roomAdmin': True, 'room': name})}"}
    url = f"{server.http}/api/v1/streams/{name}/keys{one}"
    answer = httpx.request(method, url, headers=headers, json=body, timeout=PATIENCE_S)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def is_let_in(server: Server, name: str) -> bool:
    return bool(until(lambda: (seen := ingests(server, name)) and seen["publishing"], "an encoder that is let in"))


def is_refused(log: Path, url: str) -> str:
    """Try to publish and give what FFmpeg prints when it has given up."""
    with encoder(log, url, *H264) as process:
        process.wait(PATIENCE_S)
        assert process.returncode != 0
    return log.read_text()


def test_a_stream_key_lets_in_by_rtmp_and_srt_until_it_is_revoked(server: Server, tmp_path: Path) -> None:
    made = keys(server, "keyed", method="POST", body={"label": "camera"})
    with encoder(tmp_path / "rtmp", f"{rtmp(server, 'keyed')}?token={made['key']}", *H264):
        assert is_let_in(server, "keyed")
    ingests(server, "keyed", "DELETE")
    with encoder(tmp_path / "srt", srt(server, f"publish:keyed:any:{made['key']}"), *H264):
        assert is_let_in(server, "keyed")
    keys(server, "keyed", f"/{made['id']}", "DELETE")
    assert keys(server, "keyed") == []
    told = is_refused(tmp_path / "late", f"{rtmp(server, 'keyed')}?token={made['key']}")
    assert "no key of this stream" in told


def test_an_account_publishes_by_its_password(server: Server, tmp_path: Path) -> None:
    with encoder(tmp_path / "right", f"{rtmp(server, 'account')}?user=admin&pass=secret", *H264):
        assert is_let_in(server, "account")
    assert "rtmp" in is_refused(tmp_path / "wrong", f"{rtmp(server, 'account')}?user=admin&pass=wrong").lower()


def test_a_hook_decides_what_the_server_does_not_know(asking: Server, hook: Hook, tmp_path: Path) -> None:
    with encoder(tmp_path / "right", f"{rtmp(asking, 'hooked')}?token=a-word-of-theirs", *H264):
        assert is_let_in(asking, "hooked")
    authorization, body = hook.asked[0]
    assert authorization.count(".") == 2, "signed as webhooks are"
    assert (body["event"], body["stream"], body["protocol"]) == ("publish", "hooked", "rtmp")
    told = is_refused(tmp_path / "wrong", f"{rtmp(asking, 'other')}?token=another-word")
    assert "status 403" in told
