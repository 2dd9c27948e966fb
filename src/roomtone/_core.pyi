# ruff: noqa: PYI021 - the docstrings are the boundary's reference, held to the binary by stubtest
"""Binary half of roomtone: media engine and front door (Rust, `crates/pymod`).

Bytes are MessagePack maps: those of the engine are the values of `roomtone.media.values`, those of the front door of
`roomtone.media.front`. Only `roomtone.media` imports this module.
"""

from typing import TypedDict, final, type_check_only

__all__ = ["Engine", "EngineError", "Front", "FrontError", "QueueFull", "build_info", "mirror"]

@type_check_only
class _BuildInfo(TypedDict):
    version: str
    profile: str
    target: str

class EngineError(Exception):
    """The engine did not start."""

class QueueFull(Exception):  # noqa: N818 - named as the façade names it
    """Too many commands wait, or their replies do, or the engine is closed."""

class FrontError(Exception):
    """The front door did not start, or is not started; ``args`` are code and message."""

@final
class Engine:
    """Media threads. All calls may come from any thread; none waits for media but the constructor and ``close``."""

    def __new__(cls, config: bytes) -> Engine:
        """Bind sockets and start threads; ``config`` is an `EngineConfig`. Raises `EngineError`."""

    def submit(self, command: bytes) -> None:
        """Take a `Request`; its `Reply` comes out of ``drain``.

        Raises `QueueFull`, also when closed, and `ValueError` for what is no request.
        """

    def event_fd(self) -> int:
        """Give a descriptor that is readable while values wait; valid as long as the engine lives."""

    def drain(self, limit: int) -> list[bytes]:
        """Take at most ``limit`` values: `Reply`, `EventOut` or `Question`."""

    def answer(self, answer: bytes) -> None:
        """Take an `Answer`; one that nobody waits for is ignored and counted."""

    def close(self) -> None:
        """Tell the peers, end the threads and wait for them. What was said last can still be drained."""

@final
class Front:
    """The HTTP front door. Made idle; ``start`` binds and serves."""

    def __new__(cls) -> Front: ...
    def start(self, config: bytes, engine: Engine | None = None, *, takes_media: bool = False) -> None:
        """Bind, load the certificate and serve; ``config`` is a `FrontConfig`. Raises `FrontError`.

        With ``engine``, its live streams are served below ``/live/``; with ``takes_media`` too, connections on TLS
        ports that are not TLS are media for it.
        """

    def addresses(self) -> list[tuple[str, str]]:
        """Name and address (``ip:port``) of each bind; an optional bind left out is missing."""

    def stats(self) -> bytes:
        """Give counters and gauges by name, as a MessagePack map."""

    def viewers(self, name: str) -> bytes:
        """Give who watches a live stream now, as a MessagePack list of maps."""

    def audience(self) -> bytes:
        """Give how many watch each live stream that is watched, as a MessagePack map."""

    def keyframe(self, name: str) -> bytes | None:
        """Give the last keyframe of a live stream as a file (MP4) of one picture."""

    def held(self, name: str) -> bytes | None:
        """Give what is in memory of a live stream, as a MessagePack map of ``waiting`` and ``tracks``."""

    def kick(self, name: str, viewer: int) -> bytes:
        """Send a viewer of a live stream away, and give it; `FrontError`: ``unknown_viewer``, ``too_many_kicked``."""

    def reload_certificate(self) -> None:
        """Read certificate and key again; on `FrontError` the old ones stay in use."""

    def drain(self) -> None:
        """Stop accepting; connections end after the request they are at. Returns at once."""

    def close(self) -> None:
        """Drain, wait for requests under way up to the deadline, join all threads. Again: nothing."""

def build_info() -> _BuildInfo:
    """How this module was built: ``version``, ``profile`` ("release" or "debug") and ``target``."""

def mirror(kind: str, data: bytes) -> bytes:
    """Read a boundary value and write it again, to prove that both sides mean the same.

    ``kind`` is "config", "request", "outbound" or "answer". Raises `ValueError` for what is none.
    """
