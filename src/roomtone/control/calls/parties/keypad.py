"""Keys on the way to a phone: as events where it takes them (RFC 4733), else by INFO, else as they sound."""

from __future__ import annotations

import asyncio
import re
from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.media import EngineCommandError
from roomtone.observe import get_logger

if TYPE_CHECKING:
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.rooms import Seat

KEYS = frozenset("0123456789*#ABCD")
KEY_MS = 160
GAP_MS = 100
WAIT_MS = 500
RELAY, PLAIN = "application/dtmf-relay", "application/dtmf"
_SIGNAL = re.compile(rb"^\s*Signal\s*=\s*([0-9A-Da-d*#])\s*$", re.IGNORECASE | re.MULTILINE)
_DURATION = re.compile(rb"^\s*Duration\s*=\s*(\d{1,5})\s*$", re.IGNORECASE | re.MULTILINE)
_OK = 200
_log = get_logger(__name__)


class KeyKind(StrEnum):
    """How a key is told."""

    EVENT = "event"
    """By telephone events (RFC 4733)."""
    INFO = "info"
    SOUND = "sound"
    """By its two tones (ITU-T Q.23)."""


class KeyFilter:
    """Takes each press once, of a peer that tells it in more than one way."""

    def __init__(self, same_s: float = 0.5) -> None:
        self._same_s = same_s
        self._last: tuple[str, KeyKind, float] | None = None

    def accept(self, key: str, kind: KeyKind, now: float) -> bool:
        """Whether a key is a new press, and not the last one told again in another way."""
        last = self._last
        if last is not None and last[0] == key and last[1] is not kind and now - last[2] < self._same_s:
            return False
        self._last = key, kind, now
        return True


def read_info(content_type: str, body: bytes) -> tuple[str, int] | None:
    """Read a key and how long it was pressed, in ms, from INFO; None where it is about something else."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == PLAIN:
        key = body.strip().decode("ascii", "replace").upper()
        return (key, KEY_MS) if key in KEYS else None
    if kind != RELAY:
        return None
    found, lasted = _SIGNAL.search(body), _DURATION.search(body)
    if found is None:
        return None
    return found[1].decode().upper(), KEY_MS if lasted is None else min(max(int(lasted[1]), 40), 10_000)


def write_info(key: str, duration_ms: int = KEY_MS) -> tuple[str, bytes]:
    """Write a key as the body of INFO, and its type."""
    return RELAY, f"Signal={key}\r\nDuration={duration_ms}\r\n".encode()


async def press_all(keys: str, leg: Leg, seat: Seat | None) -> None:
    """Press keys one after the other for a phone in a room; a ``w`` waits half a second."""
    for key in keys.upper():
        if key == "W":
            await asyncio.sleep(WAIT_MS / 1000)
            continue
        if not await press(key, leg, seat):
            _log.warning("a key was not taken by the phone", key=key)
        await asyncio.sleep((KEY_MS + GAP_MS) / 1000)


async def press(key: str, leg: Leg, seat: Seat | None) -> bool:
    """Press one key; whether the phone took it."""
    if seat is not None and seat.takes_keys:
        try:
            await seat.mixer.send_dtmf(seat.mix.id, key, KEY_MS)
        except EngineCommandError as error:
            _log.info("a key could not be pressed", code=error.code.value)
            return False
        return True
    answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def reply(status: int) -> None:
        if not answered.done():
            answered.set_result(status)

    leg.signal.send_info(*write_info(key), reply)
    return await answered == _OK
