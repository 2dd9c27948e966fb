"""The HTTP front door: `roomtone._core.Front` and its configuration, as MessagePack."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from roomtone.media.core import CoreLink, core_module
from roomtone.media.errors import EngineStartError, MediaError

# The fields below mirror `crates/front/src/config.rs`; a field left out takes the default there.


class FrontBind(msgspec.Struct, frozen=True, kw_only=True):
    """One listening socket.

    ``http3``: the UDP port of the same number speaks HTTP/3, which needs ``tls``. ``optional``: an address in use
    leaves it out. ``only``: path prefixes that are served nowhere else.
    """

    name: str
    address: str
    tls: bool = False
    http3: bool = False
    only: list[str] = []
    optional: bool = False


class FrontTls(msgspec.Struct, frozen=True, kw_only=True):
    """Certificate and key, or the directory where a self-signed one is kept."""

    certificate: str | None = None
    key: str | None = None
    directory: str
    names: list[str] = []


class FrontStaticDir(msgspec.Struct, frozen=True, kw_only=True):
    """A directory of files under a path prefix."""

    prefix: str
    directory: str


class FrontLive(msgspec.Struct, frozen=True, kw_only=True):
    """Who may read live streams without a grant; ``grant_key`` signs grants, 64 hexadecimal digits."""

    public: bool = True
    open_to_loopback: bool = False
    grant_key: str = ""


class FrontViewer(msgspec.Struct, frozen=True, kw_only=True):
    """One who watches a live stream; times are milliseconds since the epoch, ``grant`` is the number of its grant."""

    id: int
    grant: int | None
    address: str
    agent: str
    since_ms: int
    seen_ms: int
    playlists: int


class FrontHeldTrack(msgspec.Struct, frozen=True, kw_only=True):
    """What of a track of a live stream can be fetched, ``stored`` of ``bytes`` from disk.

    ``late`` units came when their place was gone.
    """

    name: str
    listed_ms: int
    segments: int
    bytes: int
    stored: int
    late: int
    mean_bps: int


class FrontHeld(msgspec.Struct, frozen=True, kw_only=True):
    """What of a live stream is in memory, and how many requests wait for what is to come."""

    waiting: int
    tracks: list[FrontHeldTrack]


class KickRefusal(StrEnum):
    """Why a viewer was not sent away."""

    UNKNOWN = "unknown_viewer"
    FULL = "too_many_kicked"


class KickRefusedError(MediaError):
    """A viewer was not sent away."""

    def __init__(self, refusal: KickRefusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


class FrontConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the front door is told at start."""

    binds: list[FrontBind]
    application: str
    tls: FrontTls
    trusted_proxies: list[str] = []
    static_dirs: list[FrontStaticDir] = []
    live: FrontLive = FrontLive()
    limits: dict[str, int] = {}
    threads: int = 1


class FrontDoor:
    """A running front door; raises `EngineStartError` when it cannot listen or read its certificate.

    The live streams of ``engine`` are served below ``/live/``; with ``takes_media`` connections on TLS ports that do
    not speak TLS go to it.
    """

    def __init__(self, config: FrontConfig, engine: CoreLink | None = None, *, takes_media: bool = False) -> None:
        core = core_module()
        if not hasattr(core, "Front"):
            raise EngineStartError("this build of the media engine has no front door: run `make env` to build it anew")
        self._front: Any = core.Front()
        self._error: type[Exception] = core.FrontError
        try:
            binary = None if engine is None else engine.binary
            self._front.start(msgspec.msgpack.encode(config), binary, takes_media=takes_media)
        except self._error as error:
            raise EngineStartError(str(error.args[-1])) from error

    def addresses(self) -> dict[str, list[str]]:
        """Where it listens, by name of bind; a bind left out is missing."""
        listening: dict[str, list[str]] = {}
        for name, address in self._front.addresses():
            listening.setdefault(name, []).append(str(address))
        return listening

    def stats(self) -> dict[str, int]:
        """Counters since the start."""
        counters: dict[str, int] = msgspec.msgpack.decode(self._front.stats())
        return counters

    def viewers(self, name: str) -> list[FrontViewer]:
        """Give who watches a live stream now."""
        return msgspec.msgpack.decode(self._front.viewers(name), type=list[FrontViewer])

    def audience(self) -> dict[str, int]:
        """Give how many watch each live stream that is watched."""
        return msgspec.msgpack.decode(self._front.audience(), type=dict[str, int])

    def keyframe(self, name: str) -> bytes | None:
        """Give the last keyframe of a live stream as a file (MP4) of one picture."""
        file: bytes | None = self._front.keyframe(name)
        return file

    def held(self, name: str) -> FrontHeld | None:
        """Give what is in memory of a live stream."""
        held: bytes | None = self._front.held(name)
        return None if held is None else msgspec.msgpack.decode(held, type=FrontHeld)

    def kick(self, name: str, viewer: int) -> FrontViewer:
        """Send a viewer of a live stream away; raise `KickRefusedError`."""
        try:
            return msgspec.msgpack.decode(self._front.kick(name, viewer), type=FrontViewer)
        except self._error as error:
            raise KickRefusedError(KickRefusal(error.args[0]), str(error.args[-1])) from error

    def reload_certificate(self) -> None:
        """Read certificate and key again; when they are bad the old ones stay, and it raises `EngineStartError`."""
        try:
            self._front.reload_certificate()
        except self._error as error:
            raise EngineStartError(str(error.args[-1])) from error

    def close(self) -> None:
        """Stop accepting, let requests under way end, join the threads; waits."""
        self._front.close()
