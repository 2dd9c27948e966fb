"""How often something may be tried, counted in memory."""

from __future__ import annotations

import pytest

from roomtone.control.policy.attempts import AttemptKind, AttemptLimiter, AttemptsError, MemoryBuckets, Rate

FIVE = Rate(5, 60)


async def allowed(buckets: MemoryBuckets, now: float, attempts: int, subject: str = "ada") -> int:
    return sum([await buckets.take(subject, FIVE, now) == 0 for _ in range(attempts)])


async def test_a_burst_is_free_and_then_one_each_interval() -> None:
    buckets = MemoryBuckets()
    assert await allowed(buckets, 0, 9) == 5
    assert await allowed(buckets, 11.9, 3) == 0
    assert await allowed(buckets, 12, 3) == 1
    assert await allowed(buckets, 36, 9) == 2
    assert await allowed(buckets, 10_000, 9) == 5
    assert await allowed(buckets, 10_000, 9, "bob") == 5


async def test_the_wait_is_told_and_refused_attempts_do_not_lengthen_it() -> None:
    buckets = MemoryBuckets()
    await allowed(buckets, 0, 5)
    assert [await buckets.take("ada", FIVE, now) for now in (0, 2, 2, 4)] == [12, 10, 10, 8]


async def test_a_clock_that_is_set_back_locks_nobody_out_for_longer_than_a_period() -> None:
    buckets = MemoryBuckets()
    await allowed(buckets, 1_000_000, 5)
    assert await buckets.take("ada", FIVE, 0) == 12
    assert await allowed(buckets, 60, 9) == 5


async def test_when_full_the_subject_that_tried_longest_ago_is_forgotten_and_counted() -> None:
    buckets = MemoryBuckets(max_subjects=2)
    for subject in ("a", "b", "a", "c"):
        await buckets.take(subject, FIVE, 0)
    assert (len(buckets), buckets.forgotten) == (2, 1)
    assert await allowed(buckets, 0, 9, "a") == 3, "the one that tried since is remembered"
    for subject in ("d", "e"):
        await buckets.take(subject, FIVE, 1_000)
    assert buckets.forgotten == 1, "those forgotten now had recovered"


async def test_every_subject_counts_and_the_longest_wait_is_told() -> None:
    limiter = AttemptLimiter(MemoryBuckets())
    subjects = [("account:ada", Rate(1, 60)), ("address:x", Rate(2, 600))]
    await limiter.take(AttemptKind.LOGIN, subjects, 0)
    with pytest.raises(AttemptsError) as caught:
        await limiter.take(AttemptKind.LOGIN, subjects, 0)
    assert caught.value.retry_after_s == 60
    with pytest.raises(AttemptsError) as caught:
        await limiter.take(AttemptKind.LOGIN, subjects, 60.5)
    assert caught.value.retry_after_s == 240
    await limiter.take(AttemptKind.RESET, subjects, 60.5)
    assert limiter.refused == {AttemptKind.LOGIN: 2}
