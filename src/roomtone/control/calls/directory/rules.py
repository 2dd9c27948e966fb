"""Dispatch rules: which numbers lead where, and under which conditions."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from roomtone.control.calls.errors import PhoneError, PhoneRefusal
from roomtone.store import DispatchRuleRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.calls.values import Caller

MAX_NUMBERS = 1_000
MAX_GROUP = 50
MAX_RULES = 10_000
MAX_NUMBER = 64
MAX_RULE_TRUNKS = 100
ANY_TRUNK = "*"
_EXACT = MAX_NUMBER + 1
NUMBER = re.compile(r"[A-Za-z0-9+._#*~-]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")
_PIN = re.compile(r"[0-9]{1,32}")
PREFIX = re.compile(r"[A-Za-z0-9._-]{0,64}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")
_MORE = ("trunks", "callers", "hides_number", "metadata", "attributes", "note")


class TargetKind(StrEnum):
    """What a rule leads to."""

    ACCOUNT = "account"
    GROUP = "group"
    URI = "uri"
    ROOM = "room"
    ROOM_OF_CALLER = "room_of_caller"
    """A room for who calls alone."""
    ROOM_OF_NUMBER = "room_of_number"
    """A room for each number that is dialled."""
    TRUNK = "trunk"


ROOM_KINDS = frozenset({TargetKind.ROOM, TargetKind.ROOM_OF_CALLER, TargetKind.ROOM_OF_NUMBER})


@dataclass(frozen=True, slots=True)
class RuleTarget:
    """What a rule leads to: accounts by name, a URI, a room, or numbers behind a trunk."""

    kind: TargetKind
    accounts: tuple[str, ...] = ()
    uri: str = ""
    room: str = ""
    """Of a room for a caller or number: what its name begins with."""
    is_random: bool = False
    """Whether the name of such a room has something in it that nobody guesses."""
    trunk: str = ""
    strip: int = 0
    """How many characters are taken off the beginning of the number."""
    prefix: str = ""
    """What is then put before it."""


@dataclass(frozen=True, slots=True)
class DispatchRule:
    """Calls to these numbers go there. A number that ends in ``*`` stands for all that begin so."""

    name: str
    numbers: tuple[str, ...]
    target: RuleTarget
    created_at: float = 0.0
    pin: str = field(default="", repr=False)
    """Digits that who calls has to enter before they are in the room."""
    trunks: tuple[str, ...] = ()
    """Only calls by these; `ANY_TRUNK` stands for all. Empty: all calls."""
    callers: tuple[str, ...] = ()
    """Only calls of these numbers; empty: all calls."""
    hides_number: bool = False
    """Whether the room is not told the number that calls."""
    metadata: str = ""
    """Of the participant."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Of the participant."""
    note: str = ""
    """What another protocol keeps with the rule."""

    def is_for(self, caller: Caller) -> bool:
        """Whether it is for calls of somebody."""
        if self.callers and caller.account not in self.callers:
            return False
        trunk = caller.trunk
        return not self.trunks or bool(trunk and (trunk in self.trunks or ANY_TRUNK in self.trunks))


@dataclass(frozen=True, slots=True)
class Entry:
    """A room that a call may lead to, by a rule."""

    room: str
    rule: DispatchRule


def check_shape(rule: DispatchRule) -> None:
    """Refuse a rule that is none, wherever it leads; raise `PhoneError`."""
    if _NAME.fullmatch(rule.name) is None:
        raise PhoneError(PhoneRefusal.BAD_RULE, "a rule's name is 1 to 64 letters, digits, spaces, '.', '_' or '-'")
    numbers = rule.numbers
    if not 0 < len(numbers) <= MAX_NUMBERS or not all(NUMBER.fullmatch(number) for number in numbers):
        detail = f"numbers are 1 to {MAX_NUMBERS} texts of 1 to 64 digits, letters or + . _ # * ~ -"
        raise PhoneError(PhoneRefusal.BAD_RULE, detail)
    if rule.pin and _PIN.fullmatch(rule.pin) is None:
        raise PhoneError(PhoneRefusal.BAD_RULE, "a pin is 1 to 32 digits")
    if rule.pin and rule.target.kind not in ROOM_KINDS:
        raise PhoneError(PhoneRefusal.BAD_RULE, "only a rule that leads to a room has a pin")
    if rule.target.kind is TargetKind.ROOM and not rule.target.room:
        raise PhoneError(PhoneRefusal.BAD_RULE, "the target names no room")
    if rule.target.kind in ROOM_KINDS and PREFIX.fullmatch(rule.target.room) is None:
        raise PhoneError(PhoneRefusal.BAD_RULE, "a room's name, or what it begins with, is of A-Z a-z 0-9 . _ -")
    if len(rule.trunks) > MAX_RULE_TRUNKS:
        raise PhoneError(PhoneRefusal.BAD_RULE, f"a rule names at most {MAX_RULE_TRUNKS} trunks")


def rule_record(rule: DispatchRule, seal: Callable[[str], str]) -> DispatchRuleRecord:
    """Write a rule as the table has it."""
    target: dict[str, Any] = {"kind": rule.target.kind.value}
    for name in ("accounts", "uri", "room", "is_random", "trunk", "strip", "prefix"):
        if value := getattr(rule.target, name):
            target[name] = value
    more: dict[str, Any] = {name: value for name in _MORE if (value := getattr(rule, name))}
    if rule.pin:
        more["pin_sealed"] = seal(rule.pin)
    if more:
        target["rule"] = more
    return DispatchRuleRecord(rule.name, json.dumps(rule.numbers), json.dumps(target), rule.created_at)


def read_rule(record: DispatchRuleRecord, unseal: Callable[[str], str]) -> DispatchRule:
    """Read a rule of the table."""
    target = json.loads(record.target)
    more = target.get("rule", {})
    made = RuleTarget(
        kind=TargetKind(target["kind"]),
        accounts=tuple(target.get("accounts", ())),
        uri=target.get("uri", ""),
        room=target.get("room", ""),
        is_random=target.get("is_random", False),
        trunk=target.get("trunk", ""),
        strip=target.get("strip", 0),
        prefix=target.get("prefix", ""),
    )
    return DispatchRule(
        record.name,
        tuple(json.loads(record.numbers)),
        made,
        record.created_at,
        pin=unseal(more["pin_sealed"]) if "pin_sealed" in more else "",
        trunks=tuple(more.get("trunks", ())),
        callers=tuple(more.get("callers", ())),
        hides_number=more.get("hides_number", False),
        metadata=more.get("metadata", ""),
        attributes=tuple((key, value) for key, value in more.get("attributes", ())),
        note=more.get("note", ""),
    )


def how_well(wanted: str, number: str) -> int:
    """Give how well a rule's number fits what was dialled: its length, above all others where it is exact; -1: not."""
    if wanted == number:
        return _EXACT
    return len(wanted) - 1 if wanted.endswith("*") and number.startswith(wanted[:-1]) else -1


def room_name(target: RuleTarget, caller: Caller, number: str) -> str:
    """Give the room that a call leads to."""
    if target.kind is TargetKind.ROOM:
        return target.room
    who = caller.account if target.kind is TargetKind.ROOM_OF_CALLER else number
    parts = [target.room, who, secrets.token_hex(6) if target.is_random else ""]
    name = "_".join(part for part in parts if part)
    return _NOT_IN_NAMES.sub("-", name)[:MAX_NUMBER]
