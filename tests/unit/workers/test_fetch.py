"""What fetches streams by HLS: where it connects to, and the times it gives."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from roomtone.workers.fetch import guarded
from roomtone.workers.fetch.asked import Body
from roomtone.workers.fetch.guarded import FetchError, Guard
from roomtone.workers.fetch.relay import Pace

HOSTS = {"first.example": "127.0.0.1", "inside.example": "127.0.0.2"}
KEY, IV = bytes(range(16)), bytes(range(100, 116))
SERVED: dict[str, bytes] = {}
"""What there is beside playlists that end at once, by path."""


@pytest.fixture
def port() -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            moved = {"/away": "inside.example/away", "/round": "first.example/round"}
            moved["/moved.m3u8"] = "first.example/there/list.m3u8"
            where, _, at = moved.get(path, "").partition("/")
            body = b"" if where else SERVED.get(path, b"#EXTM3U")
            piece = None if query else re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if piece is not None:
                body = body[int(piece[1]) : int(piece[2]) + 1]
            self.send_response(302 if where else 206 if piece is not None else 200)
            if where:
                self.send_header("Location", f"http://{where}:{server.server_port}/{at}")
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


@pytest.mark.parametrize("url", ["file:///etc/passwd", "crypto+file:///etc/passwd", "ftp://first.example/", "http:///"])
def test_nothing_but_http_is_fetched(url: str) -> None:
    with pytest.raises(FetchError, match="http and https are"):
        guard(allow_private=True).open(url, 0, {"key": "00" * 16, "iv": "00" * 16})


def whole(body: Body) -> bytes:
    """Read a body in pieces that fit no block."""
    return b"".join(iter(lambda: body.read(23), b""))


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 4000])
def test_what_is_encrypted_by_aes_128_is_read_as_it_was(port: int, length: int) -> None:
    clear = bytes(at % 251 for at in range(length))
    padder, encryptor = PKCS7(128).padder(), Cipher(algorithms.AES128(KEY), modes.CBC(IV)).encryptor()
    SERVED["/segment"] = encryptor.update(padder.update(clear) + padder.finalize()) + encryptor.finalize()
    url = f"http://first.example:{port}/segment"
    asked = {"key": KEY.hex(), "iv": IV.hex().upper()}
    assert whole(guard(allow_private=True).open(f"crypto+{url}", 0, asked)) == clear
    assert whole(guard(allow_private=True).open(url)) == SERVED["/segment"]
    # Of what was encrypted by another key the padding is wrong; that it is right by chance is one in 255 keys.
    with pytest.raises(OSError, match="cannot be decrypted by its key"):
        whole(guard(allow_private=True).open(f"crypto+{url}", 0, asked | {"key": bytes(16).hex()}))


@pytest.mark.parametrize("options", [{}, {"key": "00", "iv": "00" * 16}, {"key": "00" * 16, "iv": "no digits"}])
def test_without_a_key_nothing_is_decrypted(port: int, options: dict[str, str]) -> None:
    with pytest.raises(FetchError):
        guard(allow_private=True).open(f"crypto+http://first.example:{port}/segment", 0, options)


def test_a_piece_is_asked_for_as_one_and_nothing_else_is_taken_for_it(port: int) -> None:
    SERVED["/file"] = bytes(range(100))
    url = f"http://first.example:{port}/file"
    assert whole(guard(allow_private=True).open(url, 0, {"offset": "10", "end_offset": "14"})) == bytes(range(10, 14))
    with pytest.raises(FetchError, match="answers 200"):
        guard(allow_private=True).open(f"{url}?no-ranges", 0, {"offset": "10", "end_offset": "14"})


def test_addresses_of_a_playlist_are_those_of_where_it_was_found(port: int) -> None:
    SERVED["/there/list.m3u8"] = (
        b'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x1\n#EXT-X-MAP:URI="/i.mp4",BYTERANGE="5@0"\n'
        b"#EXTINF:4,a name of a segment\na/s.m4s\n#EXTINF:4,\nhttps://other.example/s.m4s\n"
    )
    base = f"http://first.example:{port}"
    read = whole(guard(allow_private=True).open(f"{base}/moved.m3u8")).decode()
    assert read.splitlines() == [
        "#EXTM3U",
        f'#EXT-X-KEY:METHOD=AES-128,URI="{base}/there/k",IV=0x1',
        f'#EXT-X-MAP:URI="{base}/i.mp4",BYTERANGE="5@0"',
        "#EXTINF:4,a name of a segment",
        f"{base}/there/a/s.m4s",
        "#EXTINF:4,",
        "https://other.example/s.m4s",
    ]


def test_what_nobody_here_can_decrypt_is_not_fetched(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    SERVED["/list.m3u8"] = b'#EXTM3U\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"\n#EXTINF:4,\ns.m4s\n'
    one = guard(allow_private=True)
    with pytest.raises(FetchError, match="SAMPLE-AES"):
        one.open(f"http://first.example:{port}/list.m3u8")
    assert "SAMPLE-AES" in one.last_error
    monkeypatch.setattr(guarded, "MAX_PLAYLIST", 20)
    with pytest.raises(FetchError, match="over 20 bytes"):
        one.open(f"http://first.example:{port}/list.m3u8")


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
