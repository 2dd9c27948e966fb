"""Tones as samples: 16 bits, mono, little endian."""

from __future__ import annotations

import math
import struct

RATE_HZ = 8_000
_ROWS, _COLUMNS = (697, 770, 852, 941), (1_209, 1_336, 1_477, 1_633)
_KEYPAD = ("123A", "456B", "789C", "*0#D")


def tone(parts: tuple[float, ...], count: int, amplitude: float) -> bytes:
    """Make a tone of some frequencies, each of this amplitude (1 is full scale)."""
    turns = [2 * math.pi * hertz / RATE_HZ for hertz in parts]
    scale = 32_767 * amplitude
    return struct.pack(
        f"<{count}h", *(round(scale * sum(math.sin(turn * at) for turn in turns)) for at in range(count))
    )


def key_tone(key: str, milliseconds: int) -> bytes:
    """Make the two tones of a key (ITU-T Q.23); the key is one of 0-9, *, #, A-D."""
    row = next(at for at, keys in enumerate(_KEYPAD) if key in keys)
    parts = float(_ROWS[row]), float(_COLUMNS[_KEYPAD[row].index(key)])
    return tone(parts, RATE_HZ * milliseconds // 1_000, 0.2)
