"""What can be asked of a call from outside: by an operator, by a program."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import PhoneError, PhoneRefusal

if TYPE_CHECKING:
    import asyncio

    from roomtone.control.calls.parties.call import Call

MAX_KEYS = 32
_KEYS = re.compile(rf"[0-9A-D*#]{{1,{MAX_KEYS}}}")


@dataclass(frozen=True, slots=True)
class Hold:
    """A leg is put on hold: it hears music, nobody hears it, and it hears nobody. Or that is over."""

    leg: str
    on: bool


@dataclass(frozen=True, slots=True)
class Mute:
    """Nobody is to hear a leg; or that is over."""

    leg: str
    on: bool


@dataclass(frozen=True, slots=True)
class PressKeys:
    """A leg is to get keys."""

    leg: str
    keys: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """A leg is to talk to another number; the other side leaves once that has answered."""

    leg: str
    to: str


@dataclass(frozen=True, slots=True)
class Redirect:
    """A call that rings is to ring at another number instead."""

    to: str


@dataclass(frozen=True, slots=True)
class Merge:
    """The parties of another call are to join this one."""

    other: Call


Command = Hold | Mute | PressKeys | Transfer | Redirect | Merge


def checked_keys(keys: str) -> str:
    """Give keys as they are sent; raise `PhoneError`."""
    wanted = keys.upper()
    if _KEYS.fullmatch(wanted) is None:
        raise PhoneError(PhoneRefusal.BAD_KEYS, f"keys are 1 to {MAX_KEYS} of 0-9, A-D, * and #")
    return wanted


def settle(reply: asyncio.Future[None], error: PhoneError | None = None) -> None:
    """Answer who gave a command, unless that has been done or nobody waits."""
    if reply.done():
        return
    if error is None:
        reply.set_result(None)
    else:
        reply.set_exception(error)
