"""Where a dialled number leads: rules by number, then accounts by name."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, assert_never

from roomtone.control.calls.errors import CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import Target
from roomtone.protocols.sip.uri import SipUri, make_sip_uri, parse_uri
from roomtone.store import DispatchRuleRecord, StoreError, StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.control.calls.accounts import PhoneAccounts
    from roomtone.control.calls.ports import RuleTable
    from roomtone.control.calls.registrar import Registrar
    from roomtone.control.calls.trunks import Trunks

MAX_NUMBERS = 1_000
MAX_GROUP = 50
MAX_RULES = 10_000
MAX_NUMBER = 64
_NUMBER = re.compile(r"[A-Za-z0-9+._#*~-]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")


class TargetKind(StrEnum):
    """What a rule leads to."""

    ACCOUNT = "account"
    GROUP = "group"
    URI = "uri"
    ROOM = "room"
    TRUNK = "trunk"


@dataclass(frozen=True, slots=True)
class RuleTarget:
    """What a rule leads to: accounts by name, a URI, a room, or numbers behind a trunk."""

    kind: TargetKind
    accounts: tuple[str, ...] = ()
    uri: str = ""
    room: str = ""
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


class Dispatch:
    """All rules, and the accounts behind them. An exact number comes before a beginning, a longer one first."""

    def __init__(
        self,
        table: RuleTable,
        accounts: PhoneAccounts,
        registrar: Registrar,
        clock: Callable[[], float] = time.time,
        trunks: Trunks | None = None,
    ) -> None:
        self._table = table
        self._accounts = accounts
        self._registrar = registrar
        self._clock = clock
        self._trunks = trunks
        self._rules: dict[str, DispatchRule] = {}

    async def load(self) -> None:
        """Read what the table has; raise `StoreError`."""
        self._rules = {record.name: _read(record) for record in await self._table.list()}

    def rules(self) -> list[DispatchRule]:
        """Give all rules, the oldest first."""
        return list(self._rules.values())

    async def create(self, name: str, numbers: Sequence[str], target: RuleTarget) -> DispatchRule:
        """Make a rule; raise `PhoneError`."""
        self._check(name, numbers, target)
        rule = DispatchRule(name, tuple(dict.fromkeys(numbers)), target, self._clock())
        try:
            await self._table.add(_record(rule))
        except StoreError as error:
            if error.failure is not StoreFailure.TAKEN:
                raise
            raise PhoneError(PhoneRefusal.RULE_EXISTS, f"there is a rule {name!r} already") from error
        self._rules[name] = rule
        return rule

    async def delete(self, name: str) -> None:
        """Delete a rule; raise `PhoneError`."""
        if not await self._table.delete(name):
            raise PhoneError(PhoneRefusal.NO_SUCH_RULE, f"there is no rule {name!r}")
        self._rules.pop(name, None)

    def room_of(self, number: str) -> str | None:
        """Give the room that a number leads to; None where it leads elsewhere."""
        rule = self._rule_for(number)
        return rule.target.room if rule is not None and rule.target.kind is TargetKind.ROOM else None

    def targets(self, number: str, *, by_trunk: bool = False) -> list[Target]:
        """Give all ways to whom a number leads, to be called at once; raise `CallError` where there is none.

        What came ``by_trunk`` goes out by none: strangers would call the world at our cost.
        """
        rule = self._rule_for(number)
        if rule is None:
            return self._of_accounts((number,))
        match rule.target.kind:
            case TargetKind.ACCOUNT | TargetKind.GROUP:
                return self._of_accounts(rule.target.accounts)
            case TargetKind.URI:
                return [Target(rule.target.uri)]
            case TargetKind.ROOM:
                raise CallError(CallEnd.UNSUPPORTED, f"{number} leads to a room, which has no phone")
            case TargetKind.TRUNK if by_trunk:
                raise CallError(CallEnd.FORBIDDEN, f"{number} leads from one trunk to another")
            case TargetKind.TRUNK:
                return [self.by_trunk(rule.target.prefix + number[rule.target.strip :], rule.target.trunk)]
        assert_never(rule.target.kind)

    def by_trunk(self, wanted: str, name: str) -> Target:
        """Give the way to a number by a trunk; raise `CallError` where there is none."""
        trunk = None if self._trunks is None else self._trunks.find(name)
        if self._trunks is None or trunk is None:
            raise CallError(CallEnd.UNREACHABLE, f"there is no trunk {name!r}")
        if not trunk.uri:
            raise CallError(CallEnd.UNREACHABLE, f"the trunk {name!r} has no uri: it takes no calls")
        if not self._trunks.life(trunk.name).is_usable:
            raise CallError(CallEnd.UNREACHABLE, f"the trunk {trunk.name!r} is down")
        if not wanted:
            raise CallError(CallEnd.NOT_FOUND, "nothing is left of the number")
        server = trunk.server
        uri = make_sip_uri(server.host, user=wanted, port=server.port, secure=server.secure, params=server.params)
        return Target(uri.serialize(), security=trunk.security, large_by_stream=trunk.large_by_tcp, trunk=trunk)

    def _of_accounts(self, names: tuple[str, ...]) -> list[Target]:
        known = [account for name in names if (account := self._accounts.find(name)) is not None]
        if not known:
            raise CallError(CallEnd.NOT_FOUND, f"no account {' or '.join(names)}")
        now = self._clock()
        found = [
            Target(binding.contact, binding.path, binding.flow, account.username, account.security)
            for account in known
            for binding in self._registrar.bindings(account.username, now)
        ]
        if not found:
            raise CallError(CallEnd.NOT_REGISTERED, f"no phone of {' or '.join(names)} is registered")
        return found

    def _rule_for(self, number: str) -> DispatchRule | None:
        best: tuple[int, DispatchRule] | None = None
        for rule in self._rules.values():
            for wanted in rule.numbers:
                if wanted == number:
                    return rule
                fits = wanted.endswith("*") and number.startswith(wanted[:-1])
                if fits and (best is None or len(wanted) > best[0]):
                    best = (len(wanted), rule)
        return None if best is None else best[1]

    def _check(self, name: str, numbers: Sequence[str], target: RuleTarget) -> None:
        if len(self._rules) >= MAX_RULES:
            raise PhoneError(PhoneRefusal.BAD_RULE, f"there are {MAX_RULES} rules already")
        if _NAME.fullmatch(name) is None:
            raise PhoneError(PhoneRefusal.BAD_RULE, "a rule's name is 1 to 64 letters, digits, spaces, '.', '_' or '-'")
        if not 0 < len(numbers) <= MAX_NUMBERS or not all(_NUMBER.fullmatch(number) for number in numbers):
            detail = f"numbers are 1 to {MAX_NUMBERS} texts of 1 to 64 digits, letters or + . _ # * ~ -"
            raise PhoneError(PhoneRefusal.BAD_RULE, detail)
        self._check_target(target)

    def _check_target(self, target: RuleTarget) -> None:
        match target.kind:
            case TargetKind.ACCOUNT | TargetKind.GROUP:
                most = 1 if target.kind is TargetKind.ACCOUNT else MAX_GROUP
                if not 0 < len(target.accounts) <= most:
                    raise PhoneError(PhoneRefusal.BAD_RULE, f"the target names 1 to {most} accounts")
                for account in target.accounts:
                    if self._accounts.find(account) is None:
                        raise PhoneError(PhoneRefusal.NO_SUCH_ACCOUNT, f"there is no account {account!r}")
            case TargetKind.URI:
                if not _is_sip(target.uri):
                    raise PhoneError(PhoneRefusal.BAD_RULE, "the target's uri is a SIP URI")
            case TargetKind.ROOM:
                if not target.room:
                    raise PhoneError(PhoneRefusal.BAD_RULE, "the target names no room")
            case TargetKind.TRUNK:
                self._check_trunk(target)

    def _check_trunk(self, target: RuleTarget) -> None:
        trunk = None if self._trunks is None else self._trunks.find(target.trunk)
        if trunk is None:
            raise PhoneError(PhoneRefusal.NO_SUCH_TRUNK, f"there is no trunk {target.trunk!r}")
        if not trunk.uri:
            raise PhoneError(PhoneRefusal.BAD_RULE, f"the trunk {trunk.name!r} has no uri: it takes no calls")
        if not 0 <= target.strip <= MAX_NUMBER or (target.prefix and _NUMBER.fullmatch(target.prefix) is None):
            detail = f"strip is 0 to {MAX_NUMBER}, prefix at most {MAX_NUMBER} digits, letters or + . _ # * ~ -"
            raise PhoneError(PhoneRefusal.BAD_RULE, detail)


def _is_sip(uri_text: str) -> bool:
    try:
        return isinstance(parse_uri(uri_text), SipUri)
    except ValueError:
        return False


def _record(rule: DispatchRule) -> DispatchRuleRecord:
    target: dict[str, Any] = {"kind": rule.target.kind.value}
    for name in ("accounts", "uri", "room", "trunk", "strip", "prefix"):
        if value := getattr(rule.target, name):
            target[name] = value
    return DispatchRuleRecord(rule.name, json.dumps(rule.numbers), json.dumps(target), rule.created_at)


def _read(record: DispatchRuleRecord) -> DispatchRule:
    target = json.loads(record.target)
    made = RuleTarget(
        kind=TargetKind(target["kind"]),
        accounts=tuple(target.get("accounts", ())),
        uri=target.get("uri", ""),
        room=target.get("room", ""),
        trunk=target.get("trunk", ""),
        strip=target.get("strip", 0),
        prefix=target.get("prefix", ""),
    )
    return DispatchRule(record.name, tuple(json.loads(record.numbers)), made, record.created_at)
