"""What fetches streams by HLS: where it connects to, and the times it gives."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from roomtone.workers.fetch import guarded
from roomtone.workers.fetch.guarded import FetchError, Guard
from roomtone.workers.fetch.relay import Pace

HOSTS = {"first.example": "127.0.0.1", "inside.example": "127.0.0.2"}


@pytest.fixture
def port() -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = {"/away": "inside.example", "/round": "first.example"}.get(self.path)
            self.send_response(200 if where is None else 302)
            if where is not None:
                self.send_header("Location", f"http://{where}:{server.server_port}{self.path}")
            body = b"" if where is not None else b"#EXTM3U"
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def guard(*, allow_private: bool = False) -> Guard:
    return Guard(allow_private=allow_private, resolver=lambda host, _port: [HOSTS[host]])


def test_an_address_that_is_not_public_is_not_connected_to(port: int) -> None:
    with pytest.raises(FetchError, match=r"first\.example is 127\.0\.0\.1: streams come from public addresses only"):
        guard().open(f"http://first.example:{port}/list")
    answer = guard(allow_private=True).open(f"http://first.example:{port}/list")
    assert (answer.read(100), answer.read(100)) == (b"#EXTM3U", b"")
    answer.close()


def test_a_redirect_does_not_lead_inside(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "is_public", lambda address: address == "127.0.0.1")
    one = guard()
    answer = one.open(f"http://first.example:{port}/list")
    answer.close()
    with pytest.raises(FetchError, match=r"inside\.example is 127\.0\.0\.2"):
        one.open(f"http://first.example:{port}/away")
    assert "inside.example" in one.last_error


def test_redirects_and_answers_end(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FetchError, match="more than 5 redirects"):
        guard(allow_private=True).open(f"http://first.example:{port}/round")
    monkeypatch.setattr(guarded, "MAX_BYTES", 3)
    answer = guard(allow_private=True).open(f"http://first.example:{port}/list")
    with pytest.raises(FetchError, match="over 3 bytes"):
        answer.read(100)
    answer.close()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "crypto+http://first.example/1", "ftp://first.example/", "http:///"]
)
def test_nothing_but_http_is_fetched(url: str) -> None:
    with pytest.raises(FetchError, match="http and https are"):
        guard(allow_private=True).open(url)


def test_times_begin_at_nothing_go_on_and_close_jumps() -> None:
    now = [100.0]
    pace = Pace(lambda: now[0])
    assert pace.place(5_000.0) == 0.0
    assert pace.place(5_001.0) == pytest.approx(1.0)
    assert pace.place(5_000.9) == pytest.approx(0.9)  # sound beside pictures
    assert pace.wait_s(1.0) == pytest.approx(1.0)
    now[0] = 101.5
    assert pace.wait_s(1.0) == 0.0
    assert pace.place(10.0) == pytest.approx(1.04)
    assert pace.place(11.0) == pytest.approx(2.04)
    now[0] = 200.0
    assert pace.wait_s(2.04) == 0.0
    assert pace.wait_s(3.04) == pytest.approx(1.0)  # what nobody made up for is behind
