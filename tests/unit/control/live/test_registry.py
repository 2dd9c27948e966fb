"""Names that several servers share: claimed, kept while there is a stream, and given back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from live_world import World, picture, sound

from roomtone.control.live import Ingests, LiveError, LiveRefusal, NameKeeper, PublishRights
from roomtone.control.policy import KeyTable
from roomtone.media import Engine
from roomtone.media.values import IngestProtocol, Question

OTHER = "https://other.example.org"


class Names:
    """A registry in memory, of which another server has some names."""

    def __init__(self, *theirs: str) -> None:
        self.theirs = set(theirs)
        self.ours: set[str] = set()
        self.failures = 0

    async def claim(self, name: str) -> str:
        if name in self.theirs:
            return OTHER
        self.ours.add(name)
        return ""

    async def keep(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if await self.claim(name)]

    async def release(self, name: str) -> None:
        self.ours.discard(name)

    async def owner(self, name: str) -> str:
        return OTHER if name in self.theirs else ""


async def test_what_another_server_has_is_not_published_here(engine: Engine) -> None:
    ingests = Ingests(engine, PublishRights(KeyTable({"key": "s" * 32}), lambda: 0.0, open_to_loopback=True))
    names = ingests.registry = Names("taken")

    async def ask(name: str, remote: str) -> tuple[bool, str]:
        question = Question(
            id=1, deadline_ms=1_000, topic="publish", subject=name, protocol=IngestProtocol.RTMP, remote=remote
        )
        answer = await ingests.decide(question)
        return answer.allowed, answer.detail

    assert await ask("free", "127.0.0.1:1") == (True, "")
    assert await ask("taken", "127.0.0.1:1") == (False, f"{OTHER} has a live stream of this name")
    assert ingests.refused == {"published_elsewhere": 1}
    # Who may not publish claims nothing.
    assert not (await ask("stranger", "192.0.2.1:1"))[0]
    assert names.ours == {"free"}
    await ingests.close()


async def test_a_room_does_not_go_live_under_what_another_server_has(world: World) -> None:
    await world.publish("alice", sound(), picture())
    names = world.live.registry = Names("demo")
    with pytest.raises(LiveError, match=OTHER) as refused:
        await world.live.go_live("demo")
    assert refused.value.refusal is LiveRefusal.ALREADY_LIVE
    assert world.packagers() == 0
    names.theirs.clear()
    await world.live.go_live("demo")
    assert names.ours == {"demo"}


async def test_names_are_kept_while_there_is_a_stream_and_a_conflict_is_told_once() -> None:
    there, names = {"one", "two"}, Names()
    keeper = NameKeeper(names, lambda: there)
    await keeper.keep()
    assert names.ours == {"one", "two"}
    there.remove("two")
    await keeper.keep()
    assert names.ours == {"one"}
    names.theirs.add("one")
    for _ in range(3):
        await keeper.keep()
    assert keeper.conflicts == 1
    await keeper.close()
    assert names.ours == set()
