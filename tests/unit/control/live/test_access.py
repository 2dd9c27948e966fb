"""Who may watch live streams, and what a kick takes away."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass, field

import pytest

from roomtone.control.live import LiveAccess, LiveError, LiveRefusal, WatchRules
from roomtone.control.live import access as access_module
from roomtone.control.live.access import sign_grant
from roomtone.control.policy import AccessDenial, AccessError, KeyTable, VideoGrants
from roomtone.media.front import FrontViewer, KickRefusal, KickRefusedError

KEY, SECRET = "key", "a secret that is long enough for everybody"
NOW = 1_800_000_000.0


@dataclass
class Watched:
    """A front door that is told who watches."""

    there: dict[int, FrontViewer] = field(default_factory=dict)
    full: bool = False

    def viewers(self, name: str) -> list[FrontViewer]:
        return list(self.there.values()) if name == "tone" else []

    def audience(self) -> dict[str, int]:
        return {"tone": len(self.there)} if self.there else {}

    def kick(self, name: str, viewer: int) -> FrontViewer:
        if self.full:
            raise KickRefusedError(KickRefusal.FULL, "full")
        if name != "tone" or viewer not in self.there:
            raise KickRefusedError(KickRefusal.UNKNOWN, "nobody")
        return self.there.pop(viewer)


def viewer(id_: int, grant: int | None) -> FrontViewer:
    return FrontViewer(id=id_, grant=grant, address="192.0.2.1", agent="player", since_ms=0, seen_ms=0, playlists=1)


@pytest.fixture
def access() -> LiveAccess:
    return LiveAccess(KeyTable({KEY: SECRET}), WatchRules(grant_s=600), clock=lambda: NOW, key=bytes(range(32)))


def token(room: str = "tone", **grants: bool) -> str:
    return KeyTable({KEY: SECRET}).sign(KEY, "alice", VideoGrants(room_join=True, room=room, **grants), NOW)


def number_of(grant: str) -> tuple[int, int]:
    number, until = struct.unpack(">QI", base64.urlsafe_b64decode(grant + "==")[:12])
    return number, until


def test_a_grant_is_what_the_front_door_reads() -> None:
    # The same text is in the tests of crates/front.
    assert sign_grant(bytes(range(32)), "tone", 7, 2_000_000_000) == "AAAAAAAAAAd3NZQAy_JxYSZ5SzBeQk_2q1bSUw"


def test_a_token_that_may_subscribe_gets_a_grant_of_its_own(access: LiveAccess) -> None:
    first, second = access.admit("tone", token()), access.admit("tone", token())
    assert number_of(first.text) == (1, int(NOW) + 600)
    assert number_of(second.text) == (2, int(NOW) + 600)
    assert access.granted == 2


@pytest.mark.parametrize(
    ("shown", "denial"),
    [
        (None, AccessDenial.MISSING),
        ("no token", AccessDenial.MALFORMED),
        (token("tune"), AccessDenial.OTHER_ROOM),
        (token(can_subscribe=False), AccessDenial.NOT_GRANTED),
    ],
)
def test_whoever_may_not_is_refused_and_counted(access: LiveAccess, shown: str | None, denial: AccessDenial) -> None:
    with pytest.raises(AccessError) as refused:
        access.admit("tone", shown)
    assert refused.value.denial is denial
    assert access.refused == {denial: 1}
    assert access.granted == 0


def test_a_public_stream_takes_no_token_but_refuses_a_wrong_one(access: LiveAccess) -> None:
    assert access.admit("tone", None, public=True).text
    with pytest.raises(AccessError):
        access.admit("tone", token("tune"), public=True)


def test_viewers_are_named_by_the_token_they_showed(access: LiveAccess) -> None:
    assert access.viewers("tone") == []
    access.door = door = Watched()
    access.admit("tone", token())
    door.there = {10: viewer(10, 1), 11: viewer(11, None), 12: viewer(12, 99)}
    assert [one.identity for one in access.viewers("tone")] == ["alice", None, None]
    assert access.audience() == {"tone": 3}


def test_the_token_of_who_was_sent_away_opens_this_stream_no_more(access: LiveAccess) -> None:
    shown = token()
    access.door = door = Watched()
    access.admit("tone", shown)
    door.there = {10: viewer(10, 1)}
    access.kick("tone", 10)
    with pytest.raises(AccessError) as refused:
        access.admit("tone", shown)
    assert refused.value.denial is AccessDenial.SENT_AWAY
    assert access.admit("tone", token(can_publish=False)).text, "another token does"
    assert access.kicked == 1


def test_who_is_not_there_cannot_be_sent_away(access: LiveAccess) -> None:
    for door in (None, Watched()):
        access.door = door
        with pytest.raises(LiveError) as refused:
            access.kick("tone", 10)
        assert refused.value.refusal is LiveRefusal.NO_SUCH_VIEWER


def test_nobody_is_sent_away_where_no_more_can_be_kept_away(
    access: LiveAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    access.door = door = Watched({10: viewer(10, 1), 11: viewer(11, 2)}, full=True)
    with pytest.raises(LiveError) as refused:
        access.kick("tone", 10)
    assert refused.value.refusal is LiveRefusal.TOO_MANY_KICKED
    door.full = False
    monkeypatch.setattr(access_module, "MAX_KICKED", 1)
    access.admit("tone", token())
    access.kick("tone", 10)
    with pytest.raises(LiveError) as refused:
        access.kick("tone", 11)
    assert refused.value.refusal is LiveRefusal.TOO_MANY_KICKED
    assert 11 in door.there
    access.clock = lambda: NOW + 600
    access.kick("tone", 11)


def test_holders_are_remembered_up_to_a_limit(access: LiveAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "MAX_HOLDERS", 1)
    access.door = Watched({10: viewer(10, 1), 11: viewer(11, 2)})
    access.admit("tone", token())
    access.admit("tone", token())
    assert [one.identity for one in access.viewers("tone")] == [None, "alice"]
