"""The tone: a quiet hum with a beep at each full second, so that sound and picture can be compared."""

from __future__ import annotations

from typing import Any

import numpy as np

RATE = 48_000
FRAME_SAMPLES = 960
"""20 ms."""

TONE_HZ, BEEP_HZ = 440, 880
_TONE_LEVEL, _BEEP_LEVEL = 0.05, 0.3
_BEEP_SAMPLES = RATE // 10


def tone(first_sample: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Give 20 ms of sound from a sample number on; sample 0 is the start of a second."""
    samples = first_sample + np.arange(FRAME_SAMPLES)
    seconds = samples / RATE
    beeping = samples % RATE < _BEEP_SAMPLES
    wave = np.where(
        beeping,
        _BEEP_LEVEL * np.sin(2 * np.pi * BEEP_HZ * seconds),
        _TONE_LEVEL * np.sin(2 * np.pi * TONE_HZ * seconds),
    )
    return (wave * 32_767).astype(np.int16)
