"""Tokens, rates, ICE credentials."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import jwt
import pytest

from roomtone.control.policy import (
    AccessDenial,
    AccessError,
    Grant,
    IceServerRule,
    JoinLimiter,
    KeyTable,
    RateError,
    VideoGrants,
    ice_servers,
    require,
)
from roomtone.control.policy.rates import RateReason

SECRET = "a secret long enough for HS512 too, so that only the algorithm is what is refused"
KEYS = KeyTable({"key1": SECRET, "devkey": "secret"})
NOW = 1_800_000_000.0


def token(**claims: object) -> str:
    base = {"iss": "key1", "sub": "alice", "exp": NOW + 60, "video": {"room": "demo", "roomJoin": True}}
    return encode({**base, **claims})


def encode(claims: object, secret: str = SECRET) -> str:
    """Sign anything at all, as a hostile holder of a key could."""
    return jwt.PyJWS().encode(json.dumps(claims).encode(), secret, algorithm="HS256")


def denial(text: str | None, keys: KeyTable = KEYS) -> AccessDenial:
    with pytest.raises(AccessError) as caught:
        keys.verify(text, NOW)
    return caught.value.denial


def test_a_token_in_livekits_form_is_read() -> None:
    access = KEYS.verify(token(name="Alice", metadata="m", attributes={"a": "b"}), NOW)
    assert (access.identity, access.name, access.metadata, access.attributes) == ("alice", "Alice", "m", (("a", "b"),))
    assert access.grants == VideoGrants(room="demo", room_join=True)


def test_what_is_signed_here_is_read_here_with_the_short_development_secret_too() -> None:
    grants = VideoGrants(room="demo", room_join=True, can_publish=False, room_admin=True)
    access = KEYS.verify(KEYS.sign("devkey", "bob", grants, NOW), NOW)
    assert (access.identity, access.grants) == ("bob", grants)


def test_absent_permissions_are_granted() -> None:
    access = KEYS.verify(token(), NOW)
    require(access, "demo", Grant.PUBLISH)
    require(access, "demo", Grant.SUBSCRIBE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, AccessDenial.MISSING),
        ("", AccessDenial.MISSING),
        ("nonsense", AccessDenial.MALFORMED),
        ("x" * 9000, AccessDenial.MALFORMED),
        (token(exp=NOW - 3600), AccessDenial.EXPIRED),
        (token(nbf=NOW + 3600, exp=NOW + 7200), AccessDenial.NOT_YET_VALID),
        (token(exp=None), AccessDenial.MALFORMED),
        (token(exp="soon"), AccessDenial.MALFORMED),
        (token(exp=NOW + 10**9), AccessDenial.LIVES_TOO_LONG),
        (token(iss="other"), AccessDenial.UNKNOWN_KEY),
        (token(iss=7), AccessDenial.UNKNOWN_KEY),
        (token(video=[]), AccessDenial.MALFORMED),
        (token(video={"room": 3}), AccessDenial.MALFORMED),
        (token(video={"room": "demo", "roomJoin": "yes"}), AccessDenial.MALFORMED),
        (token(sub=5), AccessDenial.MALFORMED),
        (token(x=1).rpartition(".")[0] + "." + token().rpartition(".")[2], AccessDenial.BAD_SIGNATURE),
        (
            jwt.encode({"iss": "key1", "exp": NOW + 60}, "another secret of thirty-two characters"),
            AccessDenial.BAD_SIGNATURE,
        ),
        (jwt.encode({"iss": "key1", "exp": NOW + 60}, SECRET, algorithm="HS512"), AccessDenial.MALFORMED),
    ],
)
def test_a_bad_token_is_refused_for_its_reason(text: str | None, reason: AccessDenial) -> None:
    assert denial(text) is reason
    assert not reason.is_forbidden


def test_an_unsigned_token_is_refused() -> None:
    parts = [{"alg": "none", "typ": "JWT"}, {"iss": "key1", "exp": NOW + 60}]
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    assert denial(f"{head}.{body}.") in {AccessDenial.MALFORMED, AccessDenial.BAD_SIGNATURE}


@pytest.mark.parametrize(
    ("video", "grant", "reason"),
    [
        ({"roomJoin": True, "room": "other"}, Grant.PUBLISH, AccessDenial.OTHER_ROOM),
        ({"roomJoin": True}, Grant.PUBLISH, AccessDenial.OTHER_ROOM),
        ({"room": "demo"}, Grant.PUBLISH, AccessDenial.NOT_GRANTED),
        (None, Grant.SUBSCRIBE, AccessDenial.NOT_GRANTED),
        ({"roomJoin": True, "room": "demo", "canPublish": False}, Grant.PUBLISH, AccessDenial.NOT_GRANTED),
        ({"roomJoin": True, "room": "demo", "canSubscribe": False}, Grant.SUBSCRIBE, AccessDenial.NOT_GRANTED),
        ({"roomJoin": True, "room": "demo"}, Grant.ADMINISTER, AccessDenial.NOT_GRANTED),
        ({"roomAdmin": True, "room": "other"}, Grant.ADMINISTER, AccessDenial.OTHER_ROOM),
        ({"roomAdmin": True, "room": "demo"}, Grant.LIST, AccessDenial.NOT_GRANTED),
    ],
)
def test_a_good_token_opens_only_what_it_grants(video: object, grant: Grant, reason: AccessDenial) -> None:
    with pytest.raises(AccessError) as caught:
        require(KEYS.verify(token(video=video), NOW), "demo", grant)
    assert caught.value.denial is reason
    assert reason.is_forbidden


def test_secrets_are_in_no_representation() -> None:
    assert SECRET not in repr(KEYS)
    assert "hush" not in repr(IceServerRule(("turn:x",), secret="hush", credential="hush"))


def test_joins_are_counted_by_second_and_refilled() -> None:
    limiter = JoinLimiter(10, 0)
    for _ in range(10):
        limiter.take("a", 0.0).release()
    with pytest.raises(RateError) as caught:
        limiter.take("a", 0.05)
    assert (caught.value.reason, caught.value.retry_after_s) == (RateReason.JOINS, 1)
    limiter.take("b", 0.05)
    limiter.take("a", 0.2)
    assert limiter.refused[RateReason.JOINS] == 1


def test_what_an_address_holds_is_limited_until_released_once() -> None:
    limiter = JoinLimiter(0, 2)
    first, _ = limiter.take("a", 0), limiter.take("a", 0)
    with pytest.raises(RateError) as caught:
        limiter.take("a", 0)
    assert caught.value.reason is RateReason.HELD
    first.release()
    first.release()
    assert limiter.held("a") == 1
    limiter.take("a", 0)


def test_idle_addresses_are_forgotten_and_busy_ones_share_a_count() -> None:
    limiter = JoinLimiter(0, 1, max_addresses=2)
    limiter.take("a", 0).release()
    limiter.take("b", 0)
    limiter.take("c", 0)  # "a" holds nothing and makes way
    assert limiter.held("a") == 0
    limiter.take("d", 0)  # all are busy: counted with further ones
    with pytest.raises(RateError):
        limiter.take("e", 0)


def test_turn_credentials_are_made_as_coturn_reads_them() -> None:
    rule = IceServerRule(("turn:t.example.org", "stun:s.example.org"), secret="north", ttl_s=60)
    turn, stun = ice_servers([rule], "alice", 1000.7)
    assert turn.username == "1060:alice"
    expected = hmac.new(b"north", b"1060:alice", hashlib.sha1).digest()
    assert base64.b64decode(turn.credential or "") == expected
    assert (stun.username, stun.credential) == (None, None)


def test_fixed_credentials_are_given_as_they_are() -> None:
    (server,) = ice_servers([IceServerRule(("turn:t",), "u", "c")], "alice", 0)
    assert (server.username, server.credential) == ("u", "c")
