"""Grants in LiveKit's form, roles, and tokens that speak for an account."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
import warnings

import pytest
from livekit import api as livekit

from roomtone.control.policy import (
    ACCOUNT_ISSUER,
    ROLES,
    ROOM_ISSUER,
    Ability,
    AccessDenial,
    AccessError,
    Grant,
    KeyTable,
    OwnKeys,
    Role,
    VideoGrants,
    may,
    require,
    require_ability,
    room_grants,
)

SECRET = "0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000.0
EVERYTHING = VideoGrants(
    room="demo",
    room_join=True,
    can_publish=False,
    can_subscribe=False,
    can_publish_data=True,
    can_publish_sources=("camera", "screen_share"),
    can_update_own_metadata=True,
    room_create=True,
    room_list=True,
    room_record=True,
    room_admin=True,
    ingress_admin=True,
    hidden=True,
    recorder=True,
    agent=True,
    can_subscribe_metrics=True,
    destination_room="other",
)


class Gate:
    """Withdraws what it is told to."""

    def __init__(self) -> None:
        self.withdrawn: set[str] = set()

    def refuses(self, account_id: str, family: str, issued_at: float) -> bool:
        return bool(self.withdrawn & {account_id, family, str(issued_at)})


GATE = Gate()
KEYS = KeyTable({"key1": SECRET}, own=OwnKeys("a" * 64, "r" * 64, GATE))


def test_every_grant_survives_a_token() -> None:
    assert KEYS.verify(KEYS.sign("key1", "ada", EVERYTHING, NOW), NOW).grants == EVERYTHING


def test_a_token_of_livekits_own_library_is_read_whole() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        text = (
            livekit.AccessToken("key1", SECRET)
            .with_identity("ada")
            .with_name("Ada")
            .with_metadata("m")
            .with_attributes({"a": "b"})
            .with_kind("agent")
            .with_sha256("abc=")
            .with_ttl(dt.timedelta(minutes=5))
            .with_grants(
                livekit.VideoGrants(
                    room_join=True,
                    room="demo",
                    can_publish=True,
                    can_publish_data=False,
                    can_publish_sources=["camera"],
                    can_update_own_metadata=True,
                    hidden=True,
                    agent=True,
                )
            )
            .with_room_config(livekit.RoomConfiguration(max_participants=7, metadata="x"))
            .to_jwt()
        )
    token = KEYS.verify(text, time.time())
    assert (token.identity, token.name, token.metadata, token.kind, token.sha256) == (
        "ada",
        "Ada",
        "m",
        "agent",
        "abc=",
    )
    assert token.attributes == (("a", "b"),)
    assert token.grants == VideoGrants(
        room="demo",
        room_join=True,
        can_publish_data=False,
        can_publish_sources=("camera",),
        can_update_own_metadata=True,
        hidden=True,
        agent=True,
    )
    assert not token.grants.may_publish_data
    assert token.room_config is not None
    assert token.room_config["maxParticipants"] == 7


def test_data_follows_publishing_where_a_token_does_not_say() -> None:
    assert VideoGrants(can_publish=True).may_publish_data
    assert not VideoGrants(can_publish=False).may_publish_data
    assert VideoGrants(can_publish=False, can_publish_data=True).may_publish_data


@pytest.mark.parametrize(
    "more",
    [
        {"video": {"canPublishSources": "camera"}},
        {"video": {"canPublishSources": [1]}},
        {"video": {"destinationRoom": 1}},
        {"video": {"hidden": "yes"}},
        {"kind": 1},
        {"sha256": []},
        {"sip": "admin"},
        {"roomConfig": []},
    ],
)
def test_a_malformed_claim_is_refused(more: dict[str, object]) -> None:
    with pytest.raises(AccessError) as caught:
        KEYS.verify(KEYS.sign("key1", "ada", VideoGrants(), NOW, **more), NOW)
    assert caught.value.denial is AccessDenial.MALFORMED


@pytest.mark.parametrize(
    ("grant", "grants"),
    [
        (Grant.CREATE, VideoGrants(room_create=True)),
        (Grant.RECORD, VideoGrants(room_record=True)),
        (Grant.INGEST, VideoGrants(ingress_admin=True)),
        (Grant.LIST, VideoGrants(room_list=True)),
        (Grant.LIST, VideoGrants(room_admin=True)),
        (Grant.JOIN, VideoGrants(room_join=True, room="demo", can_publish=False, can_subscribe=False)),
    ],
)
def test_each_grant_opens_its_own_door_only(grant: Grant, grants: VideoGrants) -> None:
    token = KEYS.verify(KEYS.sign("key1", "ada", grants, NOW), NOW)
    require(token, "demo", grant)
    for other in (Grant.CREATE, Grant.RECORD, Grant.INGEST, Grant.PUBLISH, Grant.SUBSCRIBE):
        if other is not grant:
            with pytest.raises(AccessError):
                require(token, "demo", other)


def account(role: str = "admin", **more: object) -> str:
    claims = {"iat": NOW, "account": "a1", "family": "f1", "role": role} | more
    return KEYS.sign(ACCOUNT_ISSUER, "a1", VideoGrants(), NOW, **claims)


@pytest.mark.parametrize(
    ("role", "opens"),
    [
        (Role.ADMIN, {Grant.LIST, Grant.ADMINISTER, Grant.CREATE, Grant.RECORD, Grant.INGEST}),
        (Role.MODERATOR, {Grant.LIST, Grant.ADMINISTER}),
        (Role.MEMBER, set()),
    ],
)
def test_an_accounts_token_opens_what_its_role_may_in_every_room(role: Role, opens: set[Grant]) -> None:
    token = KEYS.verify(account(role.value), NOW)
    assert (token.account_id, token.role, token.family) == ("a1", role, "f1")
    opened = set()
    for grant in Grant:
        with contextlib.suppress(AccessError):
            require(token, "any-room", grant)
            opened.add(grant)
    assert opened == opens


def test_a_withdrawn_account_or_log_in_opens_nothing() -> None:
    room = KEYS.sign(ROOM_ISSUER, "ada", room_grants(Role.MEMBER, "demo"), NOW, iat=NOW, account="a1", family="f1")
    for withdrawn in ("a1", "f1"):
        GATE.withdrawn = {withdrawn}
        for token in (account(), room):
            with pytest.raises(AccessError) as caught:
                KEYS.verify(token, NOW)
            assert caught.value.denial is AccessDenial.WITHDRAWN
            assert not caught.value.denial.is_forbidden
    GATE.withdrawn = set()
    read = KEYS.verify(room, NOW)
    assert (read.account_id, read.role, read.grants) == ("a1", None, room_grants(Role.MEMBER, "demo"))


@pytest.mark.parametrize("wrong", [{"role": "emperor"}, {"account": ""}, {"account": 3}, {"iat": None}, {"iat": "x"}])
def test_an_accounts_token_without_its_claims_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(AccessError) as caught:
        KEYS.verify(account(**wrong), NOW)  # type: ignore[arg-type]
    assert caught.value.denial is AccessDenial.MALFORMED


def test_a_key_of_a_server_cannot_speak_for_an_account() -> None:
    token = KEYS.sign("key1", "x", VideoGrants(), NOW, iat=NOW, account="a1", family="f", role="admin")
    read = KEYS.verify(token, NOW)
    assert (read.account_id, read.role) == (None, None)


def test_without_accounts_the_servers_own_names_are_unknown_keys() -> None:
    with pytest.raises(AccessError) as caught:
        KeyTable({"key1": SECRET}).verify(account(), NOW)
    assert caught.value.denial is AccessDenial.UNKNOWN_KEY


def test_a_key_that_leaves_the_table_opens_nothing_from_then_on() -> None:
    secrets = {"key1": SECRET}
    keys = KeyTable(secrets)
    token = keys.sign("key1", "ada", VideoGrants(), NOW)
    keys.verify(token, NOW)
    del secrets["key1"]
    with pytest.raises(AccessError) as caught:
        keys.verify(token, NOW)
    assert caught.value.denial is AccessDenial.UNKNOWN_KEY
    with pytest.raises(KeyError):
        keys.sign("key1", "ada", VideoGrants(), NOW)


def test_each_role_may_what_the_one_below_may_and_more() -> None:
    assert ROLES[Role.MEMBER] < ROLES[Role.MODERATOR] < ROLES[Role.ADMIN] == frozenset(Ability)
    assert not may(None, Ability.JOIN_ROOMS)
    require_ability(Role.ADMIN, Ability.MANAGE_KEYS)
    for role in (Role.MODERATOR, Role.MEMBER, None):
        with pytest.raises(AccessError) as caught:
            require_ability(role, Ability.MANAGE_KEYS)
        assert caught.value.denial is AccessDenial.NOT_GRANTED


def test_secrets_are_in_no_representation() -> None:
    assert "a" * 64 not in repr(KEYS)
    assert SECRET not in repr(KEYS)


def test_a_renewed_room_token_of_an_account_is_withdrawn_with_the_first() -> None:
    gate = Gate()
    keys = KeyTable({"key1": SECRET}, own=OwnKeys("a" * 64, "r" * 64, gate))
    grants = room_grants(Role.MEMBER, "demo")
    first = keys.verify(keys.sign(ROOM_ISSUER, "ada", grants, NOW, iat=NOW, account="a1", family="f1"), NOW)
    renewed = keys.renew(first, "ada", grants, NOW + 600, 60, name="Ada")
    read = keys.verify(renewed, NOW + 600)
    assert (read.account_id, read.issued_at, read.expires_at, read.name) == ("a1", NOW, NOW + 660, "Ada")
    gate.withdrawn = {str(NOW)}
    with pytest.raises(AccessError):
        keys.verify(renewed, NOW + 600)
    with pytest.raises(KeyError):
        keys.renew(first, "ada", grants, NOW + 600, 60)


def test_a_renewed_token_of_a_key_is_signed_with_that_key() -> None:
    first = KEYS.verify(KEYS.sign("key1", "ada", VideoGrants(room="demo", room_join=True), NOW), NOW)
    again = KEYS.verify(KEYS.renew(first, "ada", VideoGrants(room="other"), NOW, 60), NOW)
    assert (again.key, again.account_id, again.grants.room) == ("key1", None, "other")


def test_what_an_account_got_when_it_logged_in_makes_a_room_token_of_its_own() -> None:
    gate = Gate()
    keys = KeyTable({"key1": SECRET}, own=OwnKeys("a" * 64, "r" * 64, gate))
    log_in = keys.verify(
        keys.sign(ACCOUNT_ISSUER, "ada", VideoGrants(), NOW, iat=NOW, account="a1", family="f1", role="admin"), NOW
    )
    read = keys.verify(keys.renew(log_in, "ada", room_grants(Role.MEMBER, "demo"), NOW, 60), NOW)
    assert (read.key, read.account_id, read.family, read.role) == (ROOM_ISSUER, "a1", "f1", None)
    assert (read.grants.room, read.grants.room_admin) == ("demo", False)
