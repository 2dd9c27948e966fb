"""Functions of tuples that remember what they gave, by the very tuples and not by what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

REMEMBERED = 1_024
"""Of each function; beyond it all is forgotten."""


def by_identity(function: Callable[P, R]) -> Callable[P, R]:
    """Remember what a function of tuples has given; its result is not to be changed.

    The same few lists of codecs meet in every call, a dozen times each, and their hashes cost more than the answer.
    What is remembered holds its tuples, so that no other one can have their ids.
    """
    known: dict[tuple[int, ...], tuple[tuple[object, ...], R]] = {}

    def remembering(*values: P.args, **named: P.kwargs) -> R:
        key = tuple(map(id, values))
        found = known.get(key)
        if found is None:
            if len(known) >= REMEMBERED:
                known.clear()
            found = known[key] = values, function(*values, **named)
        return found[1]

    return remembering
