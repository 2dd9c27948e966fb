"""Where streams may be fetched from."""

from __future__ import annotations

import pytest

from roomtone.clients.targets import GuardedTargets
from roomtone.control.live import PullRefusal, PullRefusedError

NAMES = {"public.example": ["93.184.215.14", "10.0.0.1"], "private.example": ["10.0.0.1", "::1"]}


async def resolve(host: str, port: int) -> list[str]:
    del port
    if host not in NAMES:
        raise OSError(f"no such name: {host}")
    return NAMES[host]


async def test_addresses_that_are_not_public_are_left_out() -> None:
    targets = GuardedTargets(allow_private=False, resolver=resolve)
    assert await targets.find("public.example", 1935) == ["93.184.215.14"]
    with pytest.raises(PullRefusedError, match=r"private\.example is 10\.0\.0\.1") as caught:
        await targets.find("private.example", 1935)
    assert caught.value.refusal is PullRefusal.PRIVATE


async def test_they_may_be_allowed() -> None:
    targets = GuardedTargets(allow_private=True, resolver=resolve)
    assert await targets.find("private.example", 1935) == ["10.0.0.1", "::1"]


async def test_a_name_that_is_not_there_is_no_refusal() -> None:
    with pytest.raises(OSError, match="no such name"):
        await GuardedTargets(allow_private=False, resolver=resolve).find("nowhere.example", 1935)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "::1", "169.254.169.254", "0.0.0.0"])
async def test_odd_forms_of_this_machine_and_its_neighbours_are_seen_through(host: str) -> None:
    with pytest.raises(PullRefusedError):
        await GuardedTargets(allow_private=False).find(host, 80)
