"""Readers of live streams by SRT: who may, what is known of them, and how they are sent away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from kept_in_memory import KeptKeys

from roomtone.control.live import (
    Ingests,
    LiveAccess,
    LiveError,
    LiveRefusal,
    Playouts,
    PlayRights,
    PublishRights,
    StreamKeys,
    WatchRules,
)
from roomtone.control.policy import AccessDenial, AccessError, KeyTable, Role, VideoGrants
from roomtone.media import Engine, FakeLink, IngestListener
from roomtone.media.values import Answer, Denial, IngestProtocol, PackagerId, PlayoutEnd, PlayoutId, Question

KEY, SECRET = "key", "a secret that is long enough for everybody"
HERE, THERE = "127.0.0.1:40000", "192.0.2.7:40000"


async def accounts(login: str, password: str, address: str) -> Role:
    assert address == "192.0.2.7"
    if password != "a password":
        raise AccessError(AccessDenial.WRONG_PASSWORD, "user name or password is wrong")
    return Role(login)


@dataclass
class Stage:
    link: FakeLink
    ingests: Ingests
    playouts: Playouts
    access: LiveAccess
    stream_keys: StreamKeys
    public: set[str]
    listener: IngestListener
    packager: PackagerId

    async def asked(
        self, credential: str | None = None, user: str | None = None, *, name: str = "stage", remote: str = THERE
    ) -> Answer:
        return await self.ingests.decide(
            Question(
                id=1,
                deadline_ms=1_000,
                topic="play",
                subject=name,
                credential=credential,
                user=user,
                protocol=IngestProtocol.SRT,
                remote=remote,
            )
        )

    async def begin(self, remote: str = THERE) -> PlayoutId:
        playout = self.link.begin_playout(self.listener.id, self.packager, "stage", remote)
        async with asyncio.timeout(40):
            while playout not in self.playouts.by_id:  # noqa: ASYNC110 - a dictionary tells nobody
                await asyncio.sleep(0)
        return playout

    async def ended(self, playout: PlayoutId) -> None:
        async with asyncio.timeout(40):
            while playout in self.playouts.by_id:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0)


@pytest.fixture
async def stage(link: FakeLink, engine: Engine) -> AsyncIterator[Stage]:
    keys = KeyTable({KEY: SECRET})
    stream_keys = StreamKeys(KeptKeys(), time.time)
    rights = PublishRights(keys, time.time, stream_keys=stream_keys, accounts=accounts)
    access = LiveAccess(keys, WatchRules(open_to_loopback=True))
    public: set[str] = set()
    ingests = Ingests(engine, rights)
    playouts = ingests.playouts = Playouts(PlayRights(access, rights, public.__contains__), max_readers=2)
    listener = await ingests.listen(IngestProtocol.SRT, "127.0.0.1:0")
    packager = link.begin_ingest(listener.id, "stage")
    yield Stage(link, ingests, playouts, access, stream_keys, public, listener, packager)
    await ingests.close()


def token(room: str = "stage", **grants: bool) -> str:
    grants = {"room_join": True, **grants}
    return KeyTable({KEY: SECRET}).sign(KEY, "ann", VideoGrants(room=room, **grants), time.time())


async def test_what_opens_playlists_opens_reading_too(stage: Stage) -> None:
    for credential, user in ((token(), None), (token(), "anybody"), (SECRET, KEY), ("a password", "member")):
        assert (await stage.asked(credential, user)).allowed
    key = await stage.stream_keys.create("stage", "", "ann")
    assert (await stage.asked(key.key)).allowed
    assert stage.playouts.accepted == 5


@pytest.mark.parametrize(
    ("credential", "user", "denial"),
    [
        (None, None, Denial.CREDENTIAL),
        ("no token", None, Denial.CREDENTIAL),
        ("sk_unknown", None, Denial.CREDENTIAL),
        ("wrong", KEY, Denial.CREDENTIAL),
        ("wrong", "member", Denial.CREDENTIAL),
        (token("other"), None, Denial.RIGHTS),
        (token(can_subscribe=False), None, Denial.RIGHTS),
    ],
)
async def test_what_does_not_is_refused_and_says_of_what_sort_it_is(
    stage: Stage, credential: str | None, user: str | None, denial: Denial
) -> None:
    answer = await stage.asked(credential, user)
    assert (answer.allowed, answer.denial) == (False, denial)
    assert answer.detail
    assert sum(stage.playouts.refused.values()) == 1


async def test_nothing_is_to_be_shown_for_public_streams_and_on_this_machine_in_development(stage: Stage) -> None:
    assert (await stage.asked(remote=HERE)).allowed
    assert not (await stage.asked("a wrong one", remote=HERE)).allowed
    stage.public.add("stage")
    assert (await stage.asked()).allowed
    assert not (await stage.asked(name="other")).allowed


async def test_a_reader_is_known_with_its_identity_until_it_is_gone(stage: Stage) -> None:
    assert (await stage.asked(token())).allowed
    mine, other = await stage.begin(), await stage.begin("192.0.2.8:40000")
    assert [(one.id, one.identity, one.remote) for one in stage.playouts.of("stage")] == [
        (mine, "ann", THERE),
        (other, None, "192.0.2.8:40000"),
    ]
    assert stage.playouts.of("other") == []
    stage.link.lose_reader(mine, PlayoutEnd.SILENT)
    await stage.ended(mine)
    stage.link.give_up_ingest(stage.packager)
    await stage.ended(other)
    assert stage.playouts.ended == {PlayoutEnd.SILENT: 1, PlayoutEnd.STREAM_ENDED: 1}


async def test_who_is_sent_away_does_not_come_back_with_the_same_token(stage: Stage) -> None:
    mine = token()
    assert (await stage.asked(mine)).allowed
    reader = await stage.begin()
    with pytest.raises(LiveError) as refused:
        await stage.playouts.kick("other", reader)
    assert refused.value.refusal is LiveRefusal.NO_SUCH_VIEWER
    await stage.playouts.kick("stage", reader)
    await stage.ended(reader)
    assert stage.playouts.ended == {PlayoutEnd.REQUESTED: 1}
    again = await stage.asked(mine)
    assert (again.allowed, again.denial) == (False, Denial.RIGHTS)
    assert (await stage.asked(token(can_publish=False))).allowed
    assert stage.playouts.kicked == 1


async def test_one_reader_more_than_there_may_be_is_refused_as_too_many(stage: Stage) -> None:
    await stage.begin()
    await stage.begin("192.0.2.8:40000")
    answer = await stage.asked(token())
    assert (answer.allowed, answer.denial) == (False, Denial.LIMIT)
    assert stage.playouts.refused == {LiveRefusal.TOO_MANY_READERS: 1}
