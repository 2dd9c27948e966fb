"""Commands done together, as the fake engine does them: what one opens has an id in those that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from roomtone.media.fake_state import Refused
from roomtone.media.values import OPENED, ErrorCode, OpenRouter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.media.values import AnyResult, OpeningCommand

MAX_TOGETHER = 64
_PLACES = ("router", "transport", "producer")
_OPENED_BY = ("transport", "router", "producer", "consumer")


def put_in(command: OpeningCommand, opened: Sequence[int | None]) -> OpeningCommand:
    """Put the ids of what was opened into the places where they are stood for; raise `Refused`."""
    if isinstance(command, OpenRouter) and opened:
        raise Refused(ErrorCode.UNSUPPORTED, "a router can only be opened first")
    found = {name: getattr(command, name, None) for name in _PLACES}
    given = {name: _found(id_, opened) for name, id_ in found.items() if id_ is not None and id_ & OPENED}
    return replace(command, **given) if given else command


def _found(id_: int, opened: Sequence[int | None]) -> int:
    place = id_ & ~OPENED
    found = opened[place] if place < len(opened) else None
    if found is None:
        raise Refused(ErrorCode.INVALID, f"command {place} has opened nothing")
    return found


def id_in(result: AnyResult) -> int | None:
    """Give the id of what a command has opened."""
    return next((id_ for name in _OPENED_BY if (id_ := getattr(result, name, None)) is not None), None)
