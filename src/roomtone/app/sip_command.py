"""`roomtone sip account`: accounts that phones register with. A server that runs sees changes within seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.app.keys_command import with_people

if TYPE_CHECKING:
    from roomtone.app.people import People
    from roomtone.config import Settings
    from roomtone.protocols.sdp.telephony import MediaSecurity


def create_account(
    settings: Settings, username: str, password: str, *, name: str, security: MediaSecurity, algorithm: str
) -> None:
    """Make an account."""

    async def make(people: People) -> None:
        await people.phones.accounts.create(username, password, name=name, security=security, algorithm=algorithm)

    with_people(settings, make)


def delete_account(settings: Settings, username: str) -> None:
    """Delete an account."""

    async def end(people: People) -> None:
        await people.phones.delete_account(username)
        await people.phones.registrar.flush()

    with_people(settings, end)


def list_accounts(settings: Settings) -> list[str]:
    """Describe all accounts, one a line."""

    async def read(people: People) -> list[str]:
        book = people.phones
        now = book.clock()
        lines = []
        for account in book.accounts.list():
            phones = len(book.registrar.bindings(account.username, now))
            state = "disabled" if account.disabled else f"registered: {phones}"
            line = f"{account.username}  {state}, media security {account.security.value}  {account.name}"
            lines.append(line.rstrip())
        return lines

    return with_people(settings, read)
