"""All that is known of phones before anybody calls: accounts, bindings, rules, records."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.calls.directory.accounts import PhoneAccounts
from roomtone.control.calls.directory.bindings import BindingEvent, RegistrarRules
from roomtone.control.calls.directory.dispatch import Dispatch
from roomtone.control.calls.directory.records import CallRecords
from roomtone.control.calls.directory.registrar import Registrar
from roomtone.control.calls.directory.trunks import Trunks

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.calls.ports import (
        BindingTable,
        CallRecordTable,
        RuleTable,
        Secrets,
        SipAccountTable,
        TrunkTable,
    )


@dataclass(frozen=True, slots=True)
class PhoneTables:
    """The tables of phones."""

    accounts: SipAccountTable
    bindings: BindingTable
    rules: RuleTable
    records: CallRecordTable
    trunks: TrunkTable


@dataclass(frozen=True, slots=True)
class PhoneBook:
    """What is known of phones."""

    accounts: PhoneAccounts
    registrar: Registrar
    dispatch: Dispatch
    records: CallRecords
    trunks: Trunks
    clock: Callable[[], float]

    async def load(self) -> None:
        """Read the tables; raise `StoreError`."""
        await self.accounts.load()
        await self.trunks.load()
        await self.dispatch.load()
        await self.registrar.load(self.clock())

    async def delete_account(self, username: str) -> None:
        """Delete an account, and forget where it is; raise `PhoneError`."""
        await self.accounts.delete(username)
        self.registrar.unregister_all(username, BindingEvent.DEACTIVATED)


def open_book(
    tables: PhoneTables,
    secrets: Secrets,
    rules: RegistrarRules | None = None,
    clock: Callable[[], float] = time.time,
) -> PhoneBook:
    """Make the book of these tables, empty until `PhoneBook.load`."""
    accounts = PhoneAccounts(tables.accounts, secrets, clock)
    registrar = Registrar(tables.bindings, rules, gruu_key=bytes.fromhex(secrets.derive("temporary GRUUs")))
    trunks = Trunks(tables.trunks, secrets, clock)
    dispatch = Dispatch(tables.rules, accounts, registrar, clock, trunks, sealing=secrets)
    return PhoneBook(accounts, registrar, dispatch, CallRecords(tables.records), trunks, clock)
