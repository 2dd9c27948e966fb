"""A link through a socket pair: the same values, another side that may be any engine.

Messages travel over a SOCK_SEQPACKET pair in pieces; the first byte of a piece says what it belongs to and
whether more follow. The far side is a thread that owns the other link and polls both descriptors.
"""

from __future__ import annotations

import select
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING

from roomtone.media.errors import QueueFull
from roomtone.media.link import decode_request, encode
from roomtone.media.values import ErrorCode, Failed, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.media.link import Link

PIECE = 32_768
BUFFER = 1 << 20
FAR_BATCH = 64
MAX_UNSENT = 4096

_COMMAND, _ANSWER, _OUTBOUND = 0, 1, 2
_MORE = 0x80


class _Pieces:
    """Sends and receives whole messages over one end of the pair; never blocks."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self.sock = sock
        self._unsent: deque[bytes] = deque()
        self._partial = bytearray()

    @property
    def unsent(self) -> int:
        return len(self._unsent)

    def send(self, tag: int, message: bytes) -> None:
        count = max(1, -(-len(message) // PIECE))
        for number in range(count):
            more = _MORE if number < count - 1 else 0
            self._unsent.append(bytes([tag | more]) + message[number * PIECE : (number + 1) * PIECE])
        self.flush()

    def flush(self) -> None:
        while self._unsent:
            try:
                self.sock.send(self._unsent[0])
            except BlockingIOError:
                return
            self._unsent.popleft()

    def receive(self) -> tuple[int, bytes] | None:
        """Next whole message; None when nothing waits. Raises `EOFError` when the other end is gone."""
        while True:
            try:
                piece = self.sock.recv(PIECE + 1)
            except BlockingIOError:
                return None
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise EOFError
            self._partial += piece[1:]
            if not piece[0] & _MORE:
                message = bytes(self._partial)
                self._partial.clear()
                return piece[0], message


class SocketLink:
    """A `Link` whose engine is at the other end of a socket pair, here in a thread of this process."""

    def __init__(self, open_far_link: Callable[[], Link]) -> None:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._near = _Pieces(near)
        self._far = _FarSide(_Pieces(far), open_far_link())
        self._thread = threading.Thread(target=self._far.run, name="socket-link", daemon=True)
        self._thread.start()
        self._closed = False

    @property
    def far_link(self) -> Link:
        """The link at the other end."""
        return self._far.link

    def submit(self, command: bytes) -> None:
        """Send a `Request`; a full socket is a full queue."""
        if self._closed or self._near.unsent:
            self._flush_or_refuse()
        self._near.send(_COMMAND, command)

    def event_fd(self) -> int:
        """Give the near socket: readable while messages wait."""
        return self._near.sock.fileno()

    def drain(self, limit: int) -> list[bytes]:
        """Take at most ``limit`` outbound values."""
        if self._closed:
            return []
        self._near.flush()
        taken: list[bytes] = []
        while len(taken) < limit:
            try:
                message = self._near.receive()
            except EOFError:
                break
            if message is None:
                break
            taken.append(message[1])
        return taken

    def answer(self, answer: bytes) -> None:
        """Send an `Answer`."""
        if not self._closed:
            self._near.send(_ANSWER, answer)

    def close(self) -> None:
        """Close the far link and join its thread."""
        if self._closed:
            return
        self._closed = True
        self._near.sock.close()
        self._thread.join()

    def _flush_or_refuse(self) -> None:
        if self._closed:
            raise QueueFull("the link is closed")
        self._near.flush()
        if self._near.unsent:
            raise QueueFull("the socket is full")


class _FarSide:
    """The thread's loop: what comes from the socket goes to the link, what the link gives goes back."""

    def __init__(self, pieces: _Pieces, link: Link) -> None:
        self._pieces = pieces
        self.link = link

    def run(self) -> None:
        poller = select.poll()
        link_fd = self.link.event_fd()
        try:
            while True:
                socket_wants = select.POLLIN | (select.POLLOUT if self._pieces.unsent else 0)
                poller.register(self._pieces.sock, socket_wants)
                # A reader that is behind stops us from draining, so the far link's own queue policy takes over.
                poller.register(link_fd, select.POLLIN if self._pieces.unsent < MAX_UNSENT else 0)
                ready = dict(poller.poll())
                self._pieces.flush()
                if ready.get(link_fd):
                    for value in self.link.drain(FAR_BATCH):
                        self._pieces.send(_OUTBOUND, value)
                self._receive()
        except (EOFError, ConnectionError):  # reset: it went with something unread
            self._pieces.sock.close()
            self.link.close()

    def _receive(self) -> None:
        while (message := self._pieces.receive()) is not None:
            tag, data = message
            if tag == _ANSWER:
                self.link.answer(data)
            elif tag == _COMMAND:
                self._submit(data)

    def _submit(self, data: bytes) -> None:
        try:
            self.link.submit(data)
        except QueueFull as error:
            failed = Failed(code=ErrorCode.QUEUE_FULL, message=str(error))
            self._pieces.send(_OUTBOUND, encode(Reply(id=decode_request(data).id, result=failed)))
