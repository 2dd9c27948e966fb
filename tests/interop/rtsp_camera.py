"""A camera that speaks RTSP: FFmpeg makes its RTP, and this hands it on, interleaved or in datagrams."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from aiortc_peer import TONE_HZ
from test_live_lists import PICTURE, RIGHT_HALF

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
HOST = "127.0.0.1"
ELSEWHERE = "127.0.0.2"
"""An address of this machine at which a camera may say that it sends from."""
BITS, BLOCK = 16, 20
_EMPTY_REPORT = 8
_BIT = f"mod(floor(N/pow(2,{BITS - 1}-floor(X/{BLOCK}))),2)"
_STRIP = f"color=s=320x{BLOCK}:r=25,geq=lum='if({_BIT},235,16)':cb=128:cr=128,format=yuv420p"
_CARD = f"{PICTURE},{RIGHT_HALF}[card];{_STRIP}[strip];[card][strip]overlay=0:0[out0]"
_AAC = "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=119056E500"
# fmt: off
_SOURCE = (
    "-re", "-f", "lavfi", "-i", _CARD,
    "-re", "-f", "lavfi", "-i", f"sine=frequency={TONE_HZ}:sample_rate=48000",
    "-pix_fmt", "yuv420p", "-g", "25", "-ac", "2",
)
_H264 = ("-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-payload_type", "96")
_SOUNDS = {
    "aac": ("-map", "1:a", "-c:a", "aac", "-b:a", "96k", "-payload_type", "97"),
    "opus": ("-map", "1:a", "-c:a", "libopus", "-b:a", "96k", "-payload_type", "97"),
    "pcma": ("-map", "1:a", "-c:a", "pcm_alaw", "-ar", "8000", "-ac", "1", "-payload_type", "8"),
}
_DESCRIBED = {
    "aac": ("m=audio 0 RTP/AVP 97", "a=rtpmap:97 MPEG4-GENERIC/48000/2", f"a=fmtp:97 {_AAC}"),
    "opus": ("m=audio 0 RTP/AVP 97", "a=rtpmap:97 opus/48000/2"),
    "pcma": ("m=audio 0 RTP/AVP 8",),
}
# fmt: on


def number_of(grey: np.ndarray) -> int:
    """Read the number of a decoded picture."""
    middle = grey[BLOCK // 2, BLOCK // 2 :: BLOCK][:BITS]
    return int("".join("1" if value > 128 else "0" for value in middle), 2)


@dataclass
class Camera:
    """What it is like; and what it has been asked for and told."""

    login: tuple[str, str] | None = None
    scheme: str = "Digest"
    sound: str = "aac"
    redirect: str = ""
    says_elsewhere: bool = False
    port: int = 0
    requests: list[str] = field(default_factory=list)
    reports: int = 0
    """Datagrams and packets of RTCP that came for it."""
    astray: int = 0
    """Datagrams that came to where it says that it sends from."""

    @property
    def url(self) -> str:
        """Where it is, without a login."""
        return f"rtsp://{HOST}:{self.port}/live"

    def sdp(self) -> str:
        video = ("m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=control:trackID=0")
        head = ("v=0", "o=- 0 0 IN IP4 10.9.8.7", "s=Camera", "c=IN IP4 10.9.8.7", "t=0 0", "a=control:*")
        return "\r\n".join((*head, *video, *_DESCRIBED[self.sound], "a=control:trackID=1", ""))

    def lets_in(self, method: str, headers: dict[str, str]) -> bool:
        """Whether a request shows the login."""
        if self.login is None:
            return True
        shown = headers.get("authorization", "")
        user, word = self.login
        if self.scheme == "Basic":
            return shown == "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode()
        given = dict(re.findall(r'(\w+)="([^"]*)"', shown))
        secret = hashlib.md5(f"{user}:camera:{word}".encode()).hexdigest()  # noqa: S324 - RFC 2617
        what = hashlib.md5(f"{method}:{given.get('uri')}".encode()).hexdigest()  # noqa: S324 - likewise
        wanted = hashlib.md5(f"{secret}:nonce:{what}".encode()).hexdigest()  # noqa: S324 - likewise
        return given.get("nonce") == "nonce" and given.get("response") == wanted


def _pair() -> tuple[socket.socket, socket.socket]:
    """Bind two ports, the lower even."""
    while True:
        first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        # A burst of a picture, on a busy machine.
        first.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        first.bind((HOST, 0))
        port = first.getsockname()[1]
        with suppress(OSError):
            if port % 2 == 0:
                second.bind((HOST, port + 1))
                return first, second
        first.close()
        second.close()


class _Player:
    """One connection, and where what it has set up goes."""

    def __init__(self, camera: Camera, connection: socket.socket, stack: ExitStack) -> None:
        self.playing = False
        self._camera = camera
        self._connection = connection
        self._lock = threading.Lock()
        self._stack = stack
        self._ways: dict[int, tuple[socket.socket, tuple[str, int]] | int] = {}

    def give(self, channel: int, packet: bytes) -> None:
        """Send a packet of RTP (even) or RTCP (odd)."""
        way = self._ways.get(channel)
        if not self.playing or way is None:
            return
        with suppress(OSError):
            if isinstance(way, int):
                self.write(b"$" + bytes([way]) + len(packet).to_bytes(2, "big") + packet)
            else:
                way[0].sendto(packet, way[1])

    def write(self, data: bytes) -> None:
        with self._lock:
            self._connection.sendall(data)

    def run(self) -> None:
        """Answer until the connection is over."""
        with suppress(OSError), self._connection, self._connection.makefile("rb") as file:
            while first := file.read(1):
                if first == b"$":
                    head = file.read(3)
                    file.read(int.from_bytes(head[1:], "big"))
                    self._camera.reports += head[0] % 2
                    continue
                lines = [(first + file.readline()).decode().strip()]
                while line := file.readline().decode().strip():
                    lines.append(line)
                self._camera.requests.append(lines[0])
                pairs = (line.split(":", 1) for line in lines[1:])
                headers = {name.lower(): value.strip() for name, value in pairs}
                status, more, body = self._answer(lines[0].split()[0], lines[0].split()[1], headers)
                head_lines = [f"RTSP/1.0 {status}", f"CSeq: {headers['cseq']}", *more, f"Content-Length: {len(body)}"]
                self.write("\r\n".join([*head_lines, "", body]).encode())
                self.playing = self.playing or lines[0].startswith("PLAY")
        self.playing = False

    def _answer(self, method: str, uri: str, headers: dict[str, str]) -> tuple[str, list[str], str]:
        camera = self._camera
        if camera.redirect and method == "DESCRIBE":
            return "302 Moved Temporarily", [f"Location: {camera.redirect}"], ""
        if method == "OPTIONS":
            return "200 OK", ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER"], ""
        if not camera.lets_in(method, headers):
            asked = 'realm="camera"' + (', nonce="nonce"' if camera.scheme == "Digest" else "")
            return "401 Unauthorized", [f"WWW-Authenticate: {camera.scheme} {asked}"], ""
        if method == "DESCRIBE":
            return "200 OK", [f"Content-Base: {uri}/", "Content-Type: application/sdp"], camera.sdp()
        if method == "SETUP":
            return "200 OK", ["Session: 7;timeout=4", self._set_up(uri, headers["transport"])], ""
        return "200 OK", [], ""

    def _set_up(self, uri: str, transport: str) -> str:
        channel = 2 * int(uri[-1])
        if asked := re.search(r"interleaved=(\d+)-(\d+)", transport):
            # Not those that were asked for.
            self._ways |= {channel: 10 + int(asked[1]), channel + 1: 10 + int(asked[2])}
            return f"Transport: RTP/AVP/TCP;unicast;interleaved={10 + int(asked[1])}-{10 + int(asked[2])}"
        asked = re.search(r"client_port=(\d+)-(\d+)", transport)
        assert asked is not None
        pair = _pair()
        for at, one in enumerate(pair):
            self._stack.enter_context(one)
            self._ways[channel + at] = (one, (HOST, int(asked[1 + at])))
        threading.Thread(target=self._hear, args=(pair[1],), daemon=True).start()
        port = pair[0].getsockname()[1]
        source = ""
        if self._camera.says_elsewhere:
            trap = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            trap.bind((ELSEWHERE, port + 1))
            threading.Thread(target=self._miss, args=(trap,), daemon=True).start()
            source = f";source={ELSEWHERE}"
        return f"Transport: RTP/AVP;unicast;client_port={asked[1]}-{asked[2]};server_port={port}-{port + 1}{source}"

    def _hear(self, rtcp: socket.socket) -> None:
        with suppress(OSError):
            while datagram := rtcp.recv(2048):
                # A shorter one only opens the way.
                self._camera.reports += len(datagram) > _EMPTY_REPORT

    def _miss(self, trap: socket.socket) -> None:
        with suppress(OSError):
            while trap.recv(2048):
                self._camera.astray += 1


@contextmanager
def running(camera: Camera, log: Path, port: int) -> Iterator[Camera]:
    """Run it until the end, its listener at this port; then all it had is gone as if it were unplugged."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, port)))
        # Closing it alone would leave it listening for as long as somebody waits at it.
        stack.callback(listener.shutdown, socket.SHUT_RDWR)
        camera.port = port
        players: list[_Player] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    stack.callback(connection.close)
                    stack.callback(lambda one=connection: one.shutdown(socket.SHUT_RDWR) if one.fileno() >= 0 else None)
                    players.append(_Player(camera, connection, stack))
                    threading.Thread(target=players[-1].run, daemon=True).start()

        def relay(made: socket.socket, channel: int) -> None:
            with suppress(OSError):
                while packet := made.recv(65_536):
                    for player in players:
                        player.give(channel, packet)

        made = [_pair(), _pair()]
        for at, one in enumerate(one for pair in made for one in pair):
            stack.enter_context(one)
            threading.Thread(target=relay, args=(one, at), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        video, sound = (f"rtp://{HOST}:{pair[0].getsockname()[1]}" for pair in made)
        arguments = (*_SOURCE, *_H264, "-f", "rtp", video, *_SOUNDS[camera.sound], "-f", "rtp", sound)
        out = stack.enter_context(log.open("wb"))
        process = subprocess.Popen(
            [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "warning", *arguments], stdout=out, stderr=out
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        yield camera
