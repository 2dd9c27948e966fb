"""Keys as they sound (ITU-T Q.23), for peers that take them in no other way."""

from __future__ import annotations

import math
import struct
from functools import cache

from roomtone.control.calls.parties.keypad import KEY_MS
from roomtone.media.values import MixerClip

BETWEEN_KEYS_MS = 60
"""As the engine leaves between two events."""
_RATE_HZ = 8_000
_LOW_HZ = (697, 770, 852, 941)
_HIGH_HZ = (1_209, 1_336, 1_477, 1_633)
_ROWS = ("123A", "456B", "789C", "*0#D")
_LEVEL = 8_000
"""Of each of the two tones; full scale is 32,767."""


def sound_of(keys: str) -> MixerClip:
    """Give keys as sound."""
    gap = bytes(2 * _RATE_HZ * BETWEEN_KEYS_MS // 1_000)
    return MixerClip(rate_hz=_RATE_HZ, samples=b"".join(_tone(key) + gap for key in keys))


@cache
def _tone(key: str) -> bytes:
    row = next(number for number, names in enumerate(_ROWS) if key in names)
    low, high = _LOW_HZ[row], _HIGH_HZ[_ROWS[row].index(key)]
    count = _RATE_HZ * KEY_MS // 1_000
    both = (math.sin(math.tau * low * at / _RATE_HZ) + math.sin(math.tau * high * at / _RATE_HZ) for at in range(count))
    return struct.pack(f"<{count}h", *(round(_LEVEL * value) for value in both))
