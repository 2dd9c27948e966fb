"""Whose picture a live stream shows that follows who speaks. Pure: who there is in, who is shown out.

Who dominates a room is told by the engine (Volfin and Cohen's measure, by RFC 6464 levels) and changes within words.
Pictures change at keyframes, behind a discontinuity where they are not made anew, so that they change more seldom:
whoever speaks has the picture after `SETTLE_S`, and keeps it for `HOLD_S` at least.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTLE_S = 1.0
"""Who has dominated for so long does speak: a cough does not."""
HOLD_S = 3.0
"""So long a picture is shown at least, while there is something to show of it."""


class Spotlight:
    """Of one stream. ``shown`` is the identity of who is shown, None before there was anybody."""

    def __init__(self) -> None:
        self.shown: str | None = None
        self._since = float("-inf")
        self._next: str | None = None
        self._next_since = float("-inf")

    def handle(self, dominant: str | None, showable: Sequence[str], now: float) -> None:
        """Note who dominates the room, and of whom there is a picture, those first who began first; seconds.

        Who has no picture, as a phone, leaves the one before. Where who is shown has none any more, who dominates
        follows at once, or else the first; where nobody has one, what is shown stays.
        """
        speaks = dominant if dominant in showable else None
        if showable and self.shown not in showable:
            self._show(speaks or showable[0], now)
        elif speaks is None or speaks == self.shown:
            self._next = None
        else:
            if speaks != self._next:
                self._next, self._next_since = speaks, now
            if self._due() <= now:
                self._show(speaks, now)

    def next_timeout(self) -> float | None:
        """When to call `handle` again, if nothing happens before; None: not at all."""
        return None if self._next is None else self._due()

    def _due(self) -> float:
        return max(self._next_since + SETTLE_S, self._since + HOLD_S)

    def _show(self, identity: str, now: float) -> None:
        self.shown, self._since, self._next = identity, now, None
