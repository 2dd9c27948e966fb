"""The messages between the engine and this process, as `crates/frames/src/exchange.rs` describes them. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_MESSAGE = 8 << 20
_LENGTH = struct.Struct("!I")
_FORMAT = struct.Struct("!BIB")
_UNIT = struct.Struct("!Bqq")
_TIME = struct.Struct("!q")
_KEYFRAME = 1


class Codec(IntEnum):
    """Codecs by their numbers."""

    H264 = 1
    HEVC = 2
    AV1 = 3
    AAC = 4
    OPUS = 5
    VP8 = 6
    VP9 = 7
    MP3 = 8
    AC3 = 9
    EAC3 = 10
    PCMU = 11
    PCMA = 12


class _Kind(IntEnum):
    FORMAT = 1
    UNIT = 2
    BREAK = 3
    SKIPPED = 4
    KEYFRAME = 5
    TIME = 6
    OUTPUTS = 16
    OUTPUT_FORMAT = 17
    OUTPUT_UNIT = 18
    OUTPUT_BREAK = 19


@dataclass(frozen=True, slots=True)
class Format:
    """How units are coded; ``clock_rate`` is ticks a second of their times."""

    codec: Codec
    clock_rate: int
    channels: int = 0
    config: bytes = b""


@dataclass(frozen=True, slots=True)
class Unit:
    """One coded picture or frame of sound."""

    dts: int
    pts: int
    keyframe: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """What follows does not go on from what came before."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """So many units were left out, as this process is behind."""

    units: int


@dataclass(frozen=True, slots=True)
class Keyframe:
    """The next picture that is made is to be a keyframe."""


@dataclass(frozen=True, slots=True)
class Time:
    """Where the program is now, in ticks of 90 kHz."""

    at: int


Told = Format | Unit | Break | Skipped | Keyframe | Time


class MessageError(ValueError):
    """The engine sent what is no message."""


class Reader:
    """Messages out of a stream of bytes: `feed` what has come, then `poll` until there is None."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes, cut anywhere."""
        self._held += data

    def poll(self) -> Told | None:
        """Give the next message; raise `MessageError`."""
        if len(self._held) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._held)
        if not 1 <= length <= MAX_MESSAGE:
            raise MessageError(f"a message of {length} bytes")
        end = _LENGTH.size + length
        if len(self._held) < end:
            return None
        body = bytes(self._held[_LENGTH.size : end])
        del self._held[:end]
        return _read(body)


def _read(body: bytes) -> Told:
    kind, rest = body[0], body[1:]
    try:
        if kind == _Kind.UNIT:
            flags, dts, pts = _UNIT.unpack_from(rest)
            return Unit(dts, pts, bool(flags & _KEYFRAME), rest[_UNIT.size :])
        if kind == _Kind.FORMAT:
            codec, clock_rate, channels = _FORMAT.unpack_from(rest)
            return Format(Codec(codec), clock_rate, channels, rest[_FORMAT.size :])
        if kind == _Kind.SKIPPED:
            return Skipped(*_LENGTH.unpack(rest))
        if kind == _Kind.TIME:
            return Time(*_TIME.unpack(rest))
    except (struct.error, ValueError) as error:
        raise MessageError(f"a message of kind {kind} is not whole: {error}") from error
    if kind == _Kind.BREAK:
        return Break()
    if kind == _Kind.KEYFRAME:
        return Keyframe()
    raise MessageError(f"a message of kind {kind}")


def outputs(names: Iterable[tuple[str, bool]]) -> bytes:
    """Write what is made: names, and whether each is video; their numbers are their places."""
    body = b"".join(
        bytes((number, is_video, len(name))) + name.encode() for number, (name, is_video) in enumerate(names)
    )
    return _message(_Kind.OUTPUTS, body)


def output_format(number: int, format_: Format) -> bytes:
    """Write how an output is coded; of Opus the configuration is its pre-skip in two bytes."""
    head = _FORMAT.pack(format_.codec, format_.clock_rate, format_.channels)
    return _message(_Kind.OUTPUT_FORMAT, bytes((number,)) + head + format_.config)


def output_unit(number: int, unit: Unit) -> bytes:
    """Write a unit of an output."""
    head = _UNIT.pack(_KEYFRAME if unit.keyframe else 0, unit.dts, unit.pts)
    return _message(_Kind.OUTPUT_UNIT, bytes((number,)) + head + unit.data)


def output_break(number: int) -> bytes:
    """Write that what follows of an output does not go on from what came before."""
    return _message(_Kind.OUTPUT_BREAK, bytes((number,)))


def _message(kind: _Kind, body: bytes) -> bytes:
    return _LENGTH.pack(len(body) + 1) + bytes((kind,)) + body
