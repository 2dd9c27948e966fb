"""The parts of accounts that need no database: one-time passwords, hashing, withdrawn tokens."""

from __future__ import annotations

import asyncio

import pytest

from roomtone.control.accounts import AccountError, AccountRefusal, PasswordHasher, WithdrawnTokens, totp
from roomtone.control.accounts.passwords import require_strength

# RFC 4226 appendix D: secret and the passwords of the counters 0 to 9.
RFC4226_SECRET = b"12345678901234567890"
RFC4226 = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
# RFC 6238 appendix B, SHA-1: times and passwords of eight digits.
RFC6238 = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}


def test_passwords_of_rfc_4226() -> None:
    assert [totp.hotp(RFC4226_SECRET, counter) for counter in range(10)] == RFC4226


@pytest.mark.parametrize(("now", "code"), RFC6238.items())
def test_passwords_of_rfc_6238(now: int, code: str) -> None:
    assert totp.hotp(RFC4226_SECRET, totp.step_at(now), digits=8) == code
    assert totp.matching_step(RFC4226_SECRET, code[2:], now) == now // 30


def test_a_password_is_taken_one_step_early_or_late_and_no_more() -> None:
    code = totp.hotp(RFC4226_SECRET, 100)
    taken = [step for step in range(95, 106) if totp.matching_step(RFC4226_SECRET, code, step * 30 + 29) is not None]
    assert taken == [99, 100, 101]
    for wrong in ("", "12345", "1234567", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666"):
        assert totp.matching_step(RFC4226_SECRET, wrong, 3000) is None


def test_a_secret_is_written_as_apps_read_it() -> None:
    assert totp.secret_text(RFC4226_SECRET) == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for secret in (b"x", b"xy", b"xyz", RFC4226_SECRET):
        assert totp.secret_bytes(totp.secret_text(secret)) == secret
    assert totp.provisioning_uri(b"x", "a@b:c", "A B").startswith(
        "otpauth://totp/A%20B:a%40b%3Ac?secret=PA&issuer=A%20B"
    )


@pytest.fixture
def hasher() -> PasswordHasher:
    return PasswordHasher(4, threads=1)


async def test_every_byte_of_a_password_counts(hasher: PasswordHasher) -> None:
    long = "x" * 100
    hashed = await hasher.hash(long)
    assert await hasher.verify(long, hashed)
    assert not await hasher.verify(long[:-1], hashed), "bcrypt alone would stop at 72 bytes"
    assert not await hasher.verify("x\0y", await hasher.hash("x\0z")), "bcrypt alone would stop at the zero"
    assert await hasher.verify("пароль 🦆", await hasher.hash("пароль 🦆"))


async def test_nobody_has_no_password_and_that_takes_one_run_too(hasher: PasswordHasher) -> None:
    assert not await hasher.verify("", None)
    assert not await hasher.verify("secret", None)
    assert hasher.hashed == 2


async def test_a_hash_of_another_cost_is_stale(hasher: PasswordHasher) -> None:
    hashed = await hasher.hash("x")
    assert not hasher.is_stale(hashed)
    assert PasswordHasher(5).is_stale(hashed)
    assert hasher.is_stale("nonsense")


async def test_more_checks_than_may_wait_are_refused_and_counted() -> None:
    hasher = PasswordHasher(4, threads=1, max_waiting=2)
    outcomes = await asyncio.gather(*(hasher.verify("x", None) for _ in range(5)), return_exceptions=True)
    busy = [outcome for outcome in outcomes if isinstance(outcome, AccountError)]
    assert [error.refusal for error in busy] == [AccountRefusal.BUSY] * 3
    assert all(error.retryable for error in busy)
    assert (hasher.refused, hasher.hashed) == (3, 2)
    assert not await hasher.verify("x", None), "there is place again"


@pytest.mark.parametrize("weak", ["short", "password123", "PassWord123", "abababababab", "ada@example.org", "x" * 1025])
def test_a_password_that_is_guessed_first_is_refused(weak: str) -> None:
    with pytest.raises(AccountError) as caught:
        require_strength(weak, 10, "ada", "ada@example.org")
    assert caught.value.refusal is AccountRefusal.WEAK_PASSWORD
    assert weak not in caught.value.message


def test_tokens_older_than_their_withdrawal_are_refused_and_newer_ones_good() -> None:
    gate = WithdrawnTokens(100)
    gate.withdraw("a1", 50)
    assert gate.refuses("a1", "f1", 49.9)
    assert not gate.refuses("a1", "f1", 50)
    assert not gate.refuses("a2", "f1", 0)
    gate.withdraw("a1", 40)
    assert gate.refuses("a1", "f1", 49.9), "an older withdrawal takes nothing back"


def test_a_log_in_that_ended_stays_so() -> None:
    gate = WithdrawnTokens(100)
    gate.withdraw("f1", 50)
    assert gate.refuses("a1", "f1", 60)


def test_a_withdrawal_is_forgotten_when_no_token_can_be_that_old() -> None:
    gate = WithdrawnTokens(100)
    gate.withdraw("f1", 0)
    gate.withdraw("f2", 100)
    assert len(gate) == 2
    gate.withdraw("f3", 101)
    assert len(gate) == 2
    assert not gate.refuses("a1", "f1", 0)


def test_when_full_all_older_tokens_are_refused_rather_than_one_let_through() -> None:
    gate = WithdrawnTokens(1_000, max_withdrawn=2)
    for number, name in enumerate(("f1", "f2", "f3")):
        gate.withdraw(name, 10.0 + number)
    assert (len(gate), gate.evicted) == (2, 1)
    assert gate.refuses("anybody", "else", 9.9)
    assert not gate.refuses("anybody", "else", 10)
    assert gate.refuses("a", "f3", 99)
