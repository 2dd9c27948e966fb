"""Where accounts can be reached (RFC 3261 section 10): served from memory, written to SQL in batches.

A process that is killed loses what it had not written yet: a phone then registers once more. A binding that has
expired is never used, whatever the table still has.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from roomtone.control.calls.directory.bindings import (
    Binding,
    BindingChange,
    BindingEvent,
    Contact,
    RegistrarRules,
    Registration,
    bind,
    binding_of,
    record_of,
    told,
)
from roomtone.control.calls.directory.gruus import Gruus, new_mark
from roomtone.control.calls.errors import BindingError, BindingRefusal
from roomtone.protocols.sip.flow import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.control.calls.ports import BindingTable
    from roomtone.protocols.sip.flow import Flow


class Registrar:
    """Bindings of all accounts.

    Inputs: `register`, `unregister_all`, `sweep`, with the time. Outputs: `bindings`, `all`, `flush`; ``on_change`` is
    called with an account and what happened to its bindings. Limits: `RegistrarRules`; ``evicted`` counts bindings
    that made way for others.
    """

    def __init__(
        self, table: BindingTable, rules: RegistrarRules | None = None, *, gruu_key: bytes | None = None
    ) -> None:
        self.rules = rules or RegistrarRules()
        self.evicted = 0
        self.registered = 0
        self.write_failures = 0
        self._table = table
        self._accounts: dict[str, dict[str, Binding]] = {}
        self._written: dict[str, float] = {}
        """Expiry of each binding as the table has it."""
        self._changed: dict[str, Binding | None] = {}
        self._gruus = Gruus(secrets.token_bytes(32) if gruu_key is None else gruu_key)
        self.on_change: Callable[[str, Sequence[BindingChange]], None] = lambda *_: None
        self._due: list[tuple[float, str]] = []
        """When bindings of an account may expire, as a heap: mostly one entry an account, which refreshes leave."""
        self._looked_at: dict[str, float] = {}
        """The earliest entry of each account."""
        self._by_connection: dict[int, set[tuple[str, str]]] = {}
        """Account and key of flows, by the number of their connection."""

    def __len__(self) -> int:
        """Count bindings, those included that expired a moment ago."""
        return sum(map(len, self._accounts.values()))

    async def load(self, now: float) -> None:
        """Read what the table has; raise `StoreError`."""
        for record in await self._table.load(now):
            binding = binding_of(record)
            self._written[binding.key] = binding.expires_at
            if binding.flow.transport in {Transport.WS, Transport.WSS}:
                # Its connection ended with the server that had it, and nobody can make another to a browser.
                self._changed[binding.key] = None
                continue
            self._accounts.setdefault(binding.account, {})[binding.key] = binding
            self._look_at(binding.account, binding.expires_at)
            if binding.mark:
                self._gruus.note(binding.mark, binding.account, binding.instance)

    def bindings(self, account: str, now: float) -> list[Binding]:
        """Give where an account can be reached, the preferred first, the newest first among equals."""
        self._expire(account, now)
        held = self._accounts.get(account, {}).values()
        return sorted(held, key=lambda binding: (-binding.q, -binding.registered_at))

    def all(self, now: float) -> list[Binding]:
        """Give all bindings, by account."""
        return [binding for account in sorted(self._accounts) for binding in self.bindings(account, now)]

    def register(self, registration: Registration, contacts: Sequence[Contact], now: float) -> list[Binding]:
        """Take a REGISTER: all its contacts or, with `BindingError`, none. Gives what the account has then."""
        account = registration.account
        self._expire(account, now)
        held = self._accounts.setdefault(account, {})
        wanted = [(self._key(account, contact), contact, self._granted(contact)) for contact in contacts]
        for key, _, _ in wanted:
            before = held.get(key)
            if before is not None and before.call_id == registration.call_id and registration.cseq <= before.cseq:
                raise BindingError(BindingRefusal.OUT_OF_ORDER)
        changes = []
        for key, contact, seconds in wanted:
            before = held.get(key)
            if not seconds:
                self._drop(held, key)
                changes += [] if before is None else [BindingChange(before, BindingEvent.UNREGISTERED)]
                continue
            mark = self._mark(held, key, registration, contact) if contact.instance else ""
            binding = bind(registration, key, contact, now=now, seconds=seconds, mark=mark)
            self._keep(held, binding)
            changes.append(BindingChange(binding, BindingEvent.REFRESHED if before else BindingEvent.CREATED))
        changes += self._make_room(held)
        if not held:
            del self._accounts[account]
        self._tell(account, changes)
        return self.bindings(account, now)

    def temporary_gruu(self, binding: Binding) -> str:
        """Make a temporary GRUU of a binding: the user part of its URI; empty where it has none."""
        return self._gruus.make(binding.mark) if binding.mark else ""

    def of_temporary(self, user: str) -> tuple[str, str] | None:
        """Give account and instance of a temporary GRUU."""
        return self._gruus.find(user)

    def of_instance(self, account: str, instance: str, now: float) -> list[Binding]:
        """Give where one device of an account can be reached, the flow registered last first."""
        return [binding for binding in self.bindings(account, now) if binding.instance == instance]

    def flow_closed(self, flow: Flow, now: float) -> None:
        """Take out what was registered by a connection that is gone (RFC 5626 section 5.3)."""
        for account, key in tuple(self._by_connection.pop(flow.connection, ())):
            binding = self._accounts.get(account, {}).get(key)
            if binding is not None and binding.flow.connection == flow.connection:
                self.flow_failed(binding, now)

    def flow_failed(self, binding: Binding, now: float) -> None:
        """Take out a flow that leads nowhere any more; one that was registered again meanwhile stays."""
        self._expire(binding.account, now)
        held = self._accounts.get(binding.account, {})
        if held.get(binding.key) != binding:
            return
        self._drop(held, binding.key)
        if not held:
            del self._accounts[binding.account]
        self._tell(binding.account, [BindingChange(binding, BindingEvent.REJECTED)])

    def unregister_all(self, account: str, event: BindingEvent = BindingEvent.UNREGISTERED) -> None:
        """Forget all bindings of an account."""
        held = self._accounts.pop(account, {})
        gone = [BindingChange(binding, event) for binding in held.values()]
        for key in tuple(held):
            self._drop(held, key)
        self._tell(account, gone)

    def sweep(self, now: float) -> None:
        """Take out what has expired, so that who watches is told in time."""
        while self._due and self._due[0][0] <= now:
            _, account = heapq.heappop(self._due)
            self._looked_at.pop(account, None)
            self._expire(account, now)
            held = self._accounts.get(account)
            if held:
                self._look_at(account, min(binding.expires_at for binding in held.values()))

    def _look_at(self, account: str, when: float) -> None:
        if when < self._looked_at.get(account, math.inf):
            self._looked_at[account] = when
            heapq.heappush(self._due, (when, account))

    def _tell(self, account: str, changes: Sequence[BindingChange]) -> None:
        if changes:
            self.on_change(account, changes)

    def forget_flow(self, account: str, flow: Flow) -> None:
        """Forget the bindings of an account that lived on a connection that is gone (RFC 5626 section 5.3)."""
        held = self._accounts.get(account, {})
        gone = [binding for binding in held.values() if binding.flow == flow]
        for binding in gone:
            self._drop(held, binding.key)
        if not held:
            self._accounts.pop(account, None)
        self._tell(account, [BindingChange(binding, BindingEvent.REJECTED) for binding in gone])

    async def flush(self) -> None:
        """Write what changed; raise `StoreError`, and then try the same again the next time."""
        if not self._changed:
            return
        changed, self._changed = self._changed, {}
        kept = [binding for binding in changed.values() if binding is not None]
        gone = [key for key, binding in changed.items() if binding is None]
        try:
            await self._table.write([record_of(binding) for binding in kept], gone)
        except BaseException:
            self.write_failures += 1
            self._changed = {**changed, **self._changed}
            raise
        for binding in kept:
            self._written[binding.key] = binding.expires_at
        for key in gone:
            if self._changed.get(key) is None:
                self._written.pop(key, None)

    def _granted(self, contact: Contact) -> int:
        rules = self.rules
        if contact.expires_s is None:
            return rules.default_expires_s
        if 0 < contact.expires_s < rules.min_expires_s:
            raise BindingError(BindingRefusal.TOO_BRIEF)
        return min(contact.expires_s, rules.max_expires_s)

    def _keep(self, held: dict[str, Binding], binding: Binding) -> None:
        before = held.get(binding.key)
        held[binding.key] = binding
        if binding.is_flow and binding.flow.connection:
            self._by_connection.setdefault(binding.flow.connection, set()).add((binding.account, binding.key))
        self.registered += 1
        self._look_at(binding.account, binding.expires_at)
        # Neither Call-ID nor CSeq is worth a write: a REGISTER that comes twice over a restart changes nothing.
        only_refreshed = before is not None and told(before) == told(binding)
        written = self._written.get(binding.key, 0.0)
        half = binding.registered_at + (binding.expires_at - binding.registered_at) / 2
        if not only_refreshed or written < half:
            self._changed[binding.key] = binding

    def _mark(self, held: dict[str, Binding], key: str, registration: Registration, contact: Contact) -> str:
        """Give the mark of a device: another where it begins anew, so that its old names end (RFC 5627 section 5.1)."""
        same = [one for one in held.values() if one.instance == contact.instance]
        mark = next((one.mark for one in same if one.mark), "")
        before = held.get(key)
        begins_anew = before is not None and before.call_id != registration.call_id
        if mark and not begins_anew:
            return mark
        self._gruus.forget(mark)
        if not registration.wants_gruu:
            mark = ""
        else:
            mark = new_mark()
            self._gruus.note(mark, registration.account, contact.instance)
        for one in same:
            if one.key != key and one.mark != mark:
                held[one.key] = self._changed[one.key] = replace(one, mark=mark)
        return mark

    def _drop(self, held: dict[str, Binding], key: str) -> None:
        binding = held.pop(key, None)
        if binding is not None and binding.instance:
            if all(one.instance != binding.instance for one in held.values()):
                self._gruus.forget(binding.mark)
            self._by_connection.get(binding.flow.connection, set()).discard((binding.account, key))
        if key in self._written or key in self._changed:
            self._changed[key] = None

    def _make_room(self, held: dict[str, Binding]) -> list[BindingChange]:
        gone = []
        while len(held) > self.rules.max_bindings:
            oldest = min(held.values(), key=lambda binding: binding.registered_at)
            self._drop(held, oldest.key)
            gone.append(BindingChange(oldest, BindingEvent.DEACTIVATED))
            self.evicted += 1
        return gone

    def _expire(self, account: str, now: float) -> None:
        held = self._accounts.get(account)
        if held is None:
            return
        gone = [binding for binding in held.values() if binding.expires_at <= now]
        for binding in gone:
            self._drop(held, binding.key)
        if not held:
            del self._accounts[account]
        self._tell(account, [BindingChange(binding, BindingEvent.EXPIRED) for binding in gone])

    @staticmethod
    def _key(account: str, contact: Contact) -> str:
        if not contact.uri:
            raise BindingError(BindingRefusal.BAD_CONTACT)
        named = f"instance {contact.instance};{contact.reg_id}" if contact.instance else f"uri {contact.uri}"
        return hashlib.sha256(f"{account}\0{named}".encode()).hexdigest()
