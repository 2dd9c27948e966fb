"""Who may publish: stream keys, accounts, and the hook that has the last word."""

from __future__ import annotations

import time

import pytest
from kept_in_memory import KeptKeys

from roomtone.control.live import LiveError, LiveRefusal, PublishRights, StreamKeys
from roomtone.control.live import stream_keys as keys_module
from roomtone.control.policy import AccessDenial, AccessError, KeyTable, Role, VideoGrants
from roomtone.media.values import IngestProtocol, Question

KEY, SECRET = "key", "a secret that is long enough for everybody"
THERE = "192.0.2.7:40000"


async def accounts(login: str, password: str, address: str) -> Role:
    assert address == "192.0.2.7"
    if (login, password) != ("ann", "her password"):
        raise AccessError(AccessDenial.WRONG_PASSWORD, "user name or password is wrong")
    return Role.MEMBER


@pytest.fixture
def kept() -> KeptKeys:
    return KeptKeys()


@pytest.fixture
def rights(kept: KeptKeys) -> PublishRights:
    return PublishRights(KeyTable({KEY: SECRET}), time.time, stream_keys=StreamKeys(kept, time.time), accounts=accounts)


def question(credential: str | None, user: str | None = None, name: str = "stage") -> Question:
    return Question(
        id=1,
        deadline_ms=1_000,
        topic="publish",
        subject=name,
        credential=credential,
        user=user,
        protocol=IngestProtocol.RTMP,
        remote=THERE,
    )


async def denial(rights: PublishRights, asked: Question) -> AccessDenial:
    with pytest.raises(AccessError) as refused:
        await rights.require(asked)
    return refused.value.denial


async def test_a_stream_key_opens_its_name_until_it_is_revoked(rights: PublishRights, kept: KeptKeys) -> None:
    assert rights.stream_keys is not None
    made = await rights.stream_keys.create("stage", " camera 1 ", "ann")
    assert made.key.startswith("sk_")
    assert made.record.label == "camera 1"
    assert made.key not in repr(kept.records)
    await rights.require(question(made.key))
    await rights.require(question(made.key, user="anybody"))
    assert await denial(rights, question(made.key, name="other")) is AccessDenial.WRONG_STREAM_KEY
    assert await denial(rights, question(made.key + "x")) is AccessDenial.WRONG_STREAM_KEY
    await rights.stream_keys.revoke("stage", made.record.id)
    assert await denial(rights, question(made.key)) is AccessDenial.WRONG_STREAM_KEY
    with pytest.raises(LiveError) as refused:
        await rights.stream_keys.revoke("stage", made.record.id)
    assert refused.value.refusal is LiveRefusal.NO_SUCH_KEY


async def test_a_stream_has_so_many_keys_and_no_more(rights: PublishRights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "MAX_KEYS", 1)
    assert rights.stream_keys is not None
    await rights.stream_keys.create("stage", "", "ann")
    await rights.stream_keys.create("other", "", "ann")
    with pytest.raises(LiveError) as refused:
        await rights.stream_keys.create("stage", "", "ann")
    assert refused.value.refusal is LiveRefusal.TOO_MANY_KEYS


async def test_whoever_cannot_be_looked_up_is_refused(rights: PublishRights, kept: KeptKeys) -> None:
    kept.broken = True
    assert await denial(rights, question("sk_x")) is AccessDenial.UNDECIDED


async def test_an_account_publishes_by_its_password(rights: PublishRights) -> None:
    await rights.require(question("her password", user="ann"))
    assert await denial(rights, question("wrong", user="ann")) is AccessDenial.WRONG_PASSWORD
    assert await denial(rights, question(None, user="ann")) is AccessDenial.WRONG_PASSWORD
    rights.accounts = None
    assert await denial(rights, question("her password", user="ann")) is AccessDenial.WRONG_PASSWORD


async def test_the_hook_is_asked_for_what_opens_nothing_here(rights: PublishRights) -> None:
    asked: list[Question] = []
    answers = iter(["", "the hook does not let this be published: status 403"])

    async def hook(question: Question) -> str:
        asked.append(question)
        return next(answers)

    rights.hook = hook
    token = rights.keys.sign(KEY, "encoder", VideoGrants(room_join=True, room="stage"), time.time())
    await rights.require(question(token))
    assert asked == [], "what the server knows it decides itself"
    await rights.require(question("a key of theirs"))
    assert asked[0].credential == "a key of theirs"
    assert await denial(rights, question(None)) is AccessDenial.HOOK_REFUSED
