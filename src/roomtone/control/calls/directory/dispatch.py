"""Where a dialled number leads: rules by number, then accounts by name."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, assert_never

from roomtone.control.calls.directory.rules import (
    MAX_GROUP,
    MAX_NUMBER,
    MAX_RULES,
    NUMBER,
    ROOM_KINDS,
    DispatchRule,
    Entry,
    RuleTarget,
    TargetKind,
    check_shape,
    how_well,
    read_rule,
    room_name,
    rule_record,
)
from roomtone.control.calls.errors import CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import Caller, Target
from roomtone.protocols.sip.uri import SipUri, make_sip_uri, parse_uri
from roomtone.store import StoreError, StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.control.calls.directory.accounts import PhoneAccount, PhoneAccounts
    from roomtone.control.calls.directory.bindings import Binding
    from roomtone.control.calls.directory.registrar import Registrar
    from roomtone.control.calls.directory.trunks import Trunks
    from roomtone.control.calls.ports import RuleTable, Secrets


class Dispatch:
    """All rules, and the accounts behind them. An exact number comes before a beginning, a longer one first."""

    def __init__(
        self,
        table: RuleTable,
        accounts: PhoneAccounts,
        registrar: Registrar,
        clock: Callable[[], float] = time.time,
        trunks: Trunks | None = None,
        *,
        sealing: Secrets | None = None,
    ) -> None:
        self._sealing = sealing
        self._table = table
        self._accounts = accounts
        self._registrar = registrar
        self._clock = clock
        self._trunks = trunks
        self._rules: dict[str, DispatchRule] = {}

    async def load(self) -> None:
        """Read what the table has; raise `StoreError`."""
        self._rules = {record.name: read_rule(record, self._unseal) for record in await self._table.list()}

    def rules(self) -> list[DispatchRule]:
        """Give all rules, the oldest first."""
        return list(self._rules.values())

    async def create(self, name: str, numbers: Sequence[str], target: RuleTarget, **more: Any) -> DispatchRule:
        """Make a rule, ``more`` being further fields of it; raise `PhoneError`."""
        rule = DispatchRule(name, tuple(dict.fromkeys(numbers)), target, self._clock(), **more)
        self._check(rule)
        try:
            await self._table.add(rule_record(rule, self._seal))
        except StoreError as error:
            if error.failure is not StoreFailure.TAKEN:
                raise
            raise PhoneError(PhoneRefusal.RULE_EXISTS, f"there is a rule {name!r} already") from error
        self._rules[name] = rule
        return rule

    async def change(self, rule: DispatchRule) -> DispatchRule:
        """Put a rule in the place of that of the same name; raise `PhoneError`."""
        before = self.find(rule.name)
        self._check(rule, is_new=False)
        await self._table.replace(rule_record(rule, self._seal))
        self._rules[before.name] = rule
        return rule

    def find(self, name: str) -> DispatchRule:
        """Give the rule of a name; raise `PhoneError`."""
        rule = self._rules.get(name)
        if rule is None:
            raise PhoneError(PhoneRefusal.NO_SUCH_RULE, f"there is no rule {name!r}")
        return rule

    async def delete(self, name: str) -> None:
        """Delete a rule; raise `PhoneError`."""
        if not await self._table.delete(name):
            raise PhoneError(PhoneRefusal.NO_SUCH_RULE, f"there is no rule {name!r}")
        self._rules.pop(name, None)

    def entries(self, caller: Caller, number: str) -> list[Entry]:
        """Give the rooms that a call may lead to; none where it leads elsewhere.

        More than one only where PINs tell them apart: rules of the same numbers that each have one.
        """
        rules = self._rules_for(number, caller)
        if not rules or rules[0].target.kind not in ROOM_KINDS:
            return []
        asking = [rule for rule in rules if rule.pin and rule.target.kind in ROOM_KINDS]
        chosen = asking if rules[0].pin else rules[:1]
        return [Entry(room_name(rule.target, caller, number), rule) for rule in chosen]

    def targets(self, number: str, caller: Caller | None = None) -> list[Target]:
        """Give all ways to whom a number leads, to be called at once; raise `CallError` where there is none.

        What came by a trunk goes out by none: strangers would call the world at our cost.
        """
        caller = caller or Caller("")
        rule = next(iter(self._rules_for(number, caller)), None)
        if rule is None:
            return self._of_accounts((number,))
        match rule.target.kind:
            case TargetKind.ACCOUNT | TargetKind.GROUP:
                return self._of_accounts(rule.target.accounts)
            case TargetKind.URI:
                return [Target(rule.target.uri)]
            case TargetKind.ROOM | TargetKind.ROOM_OF_CALLER | TargetKind.ROOM_OF_NUMBER:
                raise CallError(CallEnd.UNSUPPORTED, f"{number} leads to a room, which has no phone")
            case TargetKind.TRUNK if caller.trunk:
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
            target
            for account in known
            for target in targets_of(account, self._registrar.bindings(account.username, now))
        ]
        if not found:
            raise CallError(CallEnd.NOT_REGISTERED, f"no phone of {' or '.join(names)} is registered")
        return found

    def device(self, name: str, instance: str) -> list[Target]:
        """Give the way to one device of an account; raise `CallError` where there is none."""
        account = self._accounts.find(name)
        if account is None:
            raise CallError(CallEnd.NOT_FOUND, f"no account {name}")
        found = targets_of(account, self._registrar.of_instance(name, instance, self._clock()))
        if not found:
            raise CallError(CallEnd.NOT_REGISTERED, f"this device of {name} is not registered")
        return found

    def _rules_for(self, number: str, caller: Caller) -> list[DispatchRule]:
        """Give the rules that fit a number best, the oldest first; those of a trunk come before those for all calls."""
        best, found = (-1, False), list[DispatchRule]()
        for rule in self._rules.values():
            if not rule.is_for(caller):
                continue
            fit = (max((how_well(wanted, number) for wanted in rule.numbers), default=-1), bool(rule.trunks))
            if fit[0] >= 0 and fit > best:
                best, found = fit, [rule]
            elif fit[0] >= 0 and fit == best:
                found.append(rule)
        return found

    def _check(self, rule: DispatchRule, *, is_new: bool = True) -> None:
        if is_new and len(self._rules) >= MAX_RULES:
            raise PhoneError(PhoneRefusal.BAD_RULE, f"there are {MAX_RULES} rules already")
        check_shape(rule)
        self._check_target(rule.target)

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
            case TargetKind.ROOM | TargetKind.ROOM_OF_CALLER | TargetKind.ROOM_OF_NUMBER:
                pass  # rooms are made when they are called
            case TargetKind.TRUNK:
                self._check_trunk(target)

    def _check_trunk(self, target: RuleTarget) -> None:
        trunk = None if self._trunks is None else self._trunks.find(target.trunk)
        if trunk is None:
            raise PhoneError(PhoneRefusal.NO_SUCH_TRUNK, f"there is no trunk {target.trunk!r}")
        if not trunk.uri:
            raise PhoneError(PhoneRefusal.BAD_RULE, f"the trunk {trunk.name!r} has no uri: it takes no calls")
        if not 0 <= target.strip <= MAX_NUMBER or (target.prefix and NUMBER.fullmatch(target.prefix) is None):
            detail = f"strip is 0 to {MAX_NUMBER}, prefix at most {MAX_NUMBER} digits, letters or + . _ # * ~ -"
            raise PhoneError(PhoneRefusal.BAD_RULE, detail)

    def _seal(self, pin: str) -> str:
        if self._sealing is None:
            raise PhoneError(PhoneRefusal.BAD_RULE, "PINs cannot be sealed here")
        return self._sealing.seal(pin)

    def _unseal(self, sealed: str) -> str:
        return "" if self._sealing is None else self._sealing.unseal(sealed)


def targets_of(account: PhoneAccount, bindings: Sequence[Binding]) -> list[Target]:
    """Give the ways to an account's phones: one for each device, which may have several flows (RFC 5626)."""
    devices: dict[str, list[Target]] = {}
    for binding in bindings:
        target = Target(
            binding.contact, binding.path, binding.flow, account.username, account.security, binding=binding
        )
        devices.setdefault(f"{binding.instance} by flows" if binding.is_flow else binding.key, []).append(target)
    return [first if not more else replace(first, others=tuple(more)) for first, *more in devices.values()]


def _is_sip(uri_text: str) -> bool:
    try:
        return isinstance(parse_uri(uri_text), SipUri)
    except ValueError:
        return False
