"""Typed values of attributes that name streams and group them: SSRC, RID, simulcast, BUNDLE; see `attributes`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from roomtone.protocols.sdp.attributes import parse_number, parse_token

_RID = re.compile(r"[0-9A-Za-z_\-]{1,255}\Z")
_MAX_U32 = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class SsrcAttribute:
    """``a=ssrc`` (RFC 5576 section 4.1)."""

    ssrc: int
    name: str
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> SsrcAttribute:
        """Parse what stands behind ``a=ssrc:``."""
        number, _, rest = text.partition(" ")
        name, colon, value = rest.strip().partition(":")
        return cls(parse_number(number, _MAX_U32, "SSRC"), name, value if colon else None)

    def serialize(self) -> str:
        """Write what stands behind ``a=ssrc:``."""
        return f"{self.ssrc} {self.name}" + ("" if self.value is None else f":{self.value}")


@dataclass(frozen=True, slots=True)
class SsrcGroup:
    """``a=ssrc-group`` (RFC 5576 section 4.2)."""

    semantics: str
    ssrcs: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> SsrcGroup:
        """Parse what stands behind ``a=ssrc-group:``."""
        words = text.split()
        if not words:
            raise ValueError("ssrc-group has no semantics")
        ssrcs = tuple(parse_number(word, _MAX_U32, "SSRC") for word in words[1:])
        return cls(parse_token(words[0], "ssrc-group semantics"), ssrcs)

    def serialize(self) -> str:
        """Write what stands behind ``a=ssrc-group:``."""
        return " ".join([self.semantics, *map(str, self.ssrcs)])


@dataclass(frozen=True, slots=True)
class Rid:
    """``a=rid`` (RFC 8851 section 10)."""

    id: str
    direction: str
    restrictions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Rid:
        """Parse what stands behind ``a=rid:``."""
        words = text.split(None, 2)
        if len(words) < 2 or words[1] not in {"send", "recv"}:  # noqa: PLR2004
            raise ValueError("rid is not ID send|recv")
        restrictions: list[tuple[str, str]] = []
        for part in words[2].split(";") if len(words) > 2 else ():  # noqa: PLR2004
            name, _, value = part.strip().partition("=")
            if name:
                restrictions.append((name, value))
        return cls(_parse_rid(words[0]), words[1], tuple(restrictions))

    def serialize(self) -> str:
        """Write what stands behind ``a=rid:``."""
        rest = ";".join(f"{name}={value}" if value else name for name, value in self.restrictions)
        return f"{self.id} {self.direction}" + (f" {rest}" if rest else "")


def _parse_rid(text: str) -> str:
    if not _RID.match(text):
        raise ValueError("RID is not letters, digits, '-' or '_'")
    return text


@dataclass(frozen=True, slots=True)
class Simulcast:
    """``a=simulcast`` (RFC 8853 section 5.1): streams by direction, each a list of alternatives; ``~`` is kept off."""

    send: tuple[tuple[str, ...], ...] = ()
    recv: tuple[tuple[str, ...], ...] = ()
    paused: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Simulcast:
        """Parse what stands behind ``a=simulcast:``."""
        words = text.split()
        if len(words) not in {2, 4}:
            raise ValueError("simulcast is not DIRECTION LIST")
        lists: dict[str, tuple[tuple[str, ...], ...]] = {}
        paused: set[str] = set()
        for direction, listed in zip(words[::2], words[1::2], strict=True):
            if direction not in {"send", "recv"} or direction in lists:
                raise ValueError("simulcast direction is not send or recv, once each")
            streams = [[word for word in stream.split(",") if word] for stream in listed.split(";")]
            paused |= {_parse_rid(word[1:]) for stream in streams for word in stream if word.startswith("~")}
            lists[direction] = tuple(
                tuple(_parse_rid(word.removeprefix("~")) for word in stream) for stream in streams if stream
            )
        return cls(lists.get("send", ()), lists.get("recv", ()), frozenset(paused))

    def serialize(self) -> str:
        """Write what stands behind ``a=simulcast:``."""
        parts: list[str] = []
        for direction, streams in (("send", self.send), ("recv", self.recv)):
            if streams:
                texts = (",".join(("~" if rid in self.paused else "") + rid for rid in stream) for stream in streams)
                parts += [direction, ";".join(texts)]
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Group:
    """``a=group`` (RFC 5888)."""

    semantics: str
    mids: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Group:
        """Parse what stands behind ``a=group:``."""
        words = text.split()
        if not words:
            raise ValueError("group has no semantics")
        return cls(parse_token(words[0], "group semantics"), tuple(parse_token(word, "mid") for word in words[1:]))

    def serialize(self) -> str:
        """Write what stands behind ``a=group:``."""
        return " ".join([self.semantics, *self.mids])


@dataclass(frozen=True, slots=True)
class Msid:
    """``a=msid`` (RFC 8830); ``stream`` is ``-`` for none."""

    stream: str
    track: str | None = None

    @classmethod
    def parse(cls, text: str) -> Msid:
        """Parse what stands behind ``a=msid:``."""
        words = text.split()
        if not words:
            raise ValueError("msid is empty")
        return cls(words[0], words[1] if len(words) > 1 else None)

    def serialize(self) -> str:
        """Write what stands behind ``a=msid:``."""
        return self.stream if self.track is None else f"{self.stream} {self.track}"
