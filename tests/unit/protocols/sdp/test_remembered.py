"""What is remembered of functions of tuples: by the very tuples, and no more than so much of it."""

from __future__ import annotations

from roomtone.protocols.sdp.remembered import REMEMBERED, by_identity


def test_the_same_tuples_are_asked_for_once() -> None:
    asked: list[tuple[object, object]] = []

    @by_identity
    def pair(one: tuple[int, ...], other: tuple[int, ...], /) -> list[int]:
        asked.append((one, other))
        return [*one, *other]

    first, second, alike = tuple([1, 2]), tuple([3]), tuple([1, 2])  # noqa: C409 - constants would be one object
    assert pair(first, second) is pair(first, second)
    assert len(asked) == 1
    assert pair(second, first) == [3, 1, 2]
    assert pair(alike, second) == [1, 2, 3]
    assert len(asked) == 3, "what is only alike is asked for by itself"


def test_tuples_that_are_gone_are_not_taken_for_others() -> None:
    @by_identity
    def total(numbers: tuple[int, ...], /) -> int:
        return sum(numbers)

    for n in range(3 * REMEMBERED):  # each may have the place in memory of one before
        assert total(tuple([n, 1])) == n + 1  # noqa: C409 - likewise
