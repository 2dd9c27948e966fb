"""What a room was made with, and what of it can change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.protocols.sdp.support import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.protocols.sdp import Codec

COMPANIONS = frozenset({"RED", "RTX", "CN", "TELEPHONE-EVENT", "ULPFEC", "FLEXFEC-03"})
"""Codecs that only go along with others; a room's list of codecs does not name them."""


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """Options of one room. Zero, None and empty leave a matter to the server's settings."""

    metadata: str = ""
    empty_timeout_s: float | None = None
    """How long it lives while nobody ever came."""
    departure_timeout_s: float | None = None
    """How long it lives after the last has left."""
    max_participants: int = 0
    max_publications: int = 0
    """Tracks of all participants together."""
    codecs: frozenset[str] = frozenset()
    """Upper-case names of the codecs that may be published; empty: all."""
    locked: bool = False
    """Nobody further gets in, but moderators and those it lets back in."""
    lobby: bool = False
    """Who is no moderator asks to enter."""
    e2ee: bool = False
    """Media is encrypted from end to end; fixed for the room's life."""

    def unknown_codecs(self) -> list[str]:
        """Names among its codecs that nothing could ever be published with."""
        return sorted(self.codecs - {known.name for known in FORMATS})

    def takes(self, codec: Codec) -> bool:
        """Whether the codec may be published."""
        return not self.codecs or codec.name in self.codecs or codec.name in COMPANIONS

    def refused(self, codecs: Iterable[Codec]) -> list[str]:
        """Names of those codecs that may not be published."""
        return list(dict.fromkeys(codec.name for codec in codecs if not self.takes(codec)))
