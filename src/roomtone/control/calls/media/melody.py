"""What is heard on hold unless something else is set: a quiet tune, made of sines."""

from __future__ import annotations

import math
import struct
from functools import cache

from roomtone.media.values import MixerClip

RATE_HZ = 8_000
_BEAT_S = 0.4
_LEVEL = 5_000
"""Of the loudest moment of a note; full scale is 32,767."""
_CONCERT_PITCH_HZ, _CONCERT_PITCH = 440.0, 69
# Notes by their MIDI number, one a beat, broken chords of four bars: C, A minor, F, G. 0 is a rest.
_NOTES = (
    *(60, 64, 67, 72, 67, 64),
    *(57, 60, 64, 69, 64, 60),
    *(53, 57, 60, 65, 60, 57),
    *(55, 59, 62, 67, 62, 0),
)
_SECOND, _THIRD = 0.3, 0.1
"""Shares of the overtones at twice and three times a note's frequency."""
_ATTACK_S, _FADES_PER_S = 0.02, 5.0


@cache
def melody() -> MixerClip:
    """Give the tune, to be repeated for as long as somebody waits."""
    count = int(RATE_HZ * _BEAT_S)
    # A note dies away to nothing at its end, so that notes follow each other without a click.
    loudness = [
        _LEVEL * min(1.0, at / RATE_HZ / _ATTACK_S) * math.exp(-_FADES_PER_S * at / RATE_HZ) * (1 - at / count)
        for at in range(count)
    ]
    notes = {note: _note(note, loudness) for note in set(_NOTES)}
    return MixerClip(rate_hz=RATE_HZ, samples=b"".join(notes[note] for note in _NOTES), repeat=True)


def _note(number: int, loudness: list[float]) -> bytes:
    if not number:
        return bytes(2 * len(loudness))
    turn = math.tau * _CONCERT_PITCH_HZ * 2 ** ((number - _CONCERT_PITCH) / 12) / RATE_HZ
    samples = []
    for at, level in enumerate(loudness):
        sine, cosine = math.sin(turn * at), math.cos(turn * at)
        # sin 2x = 2 sin x cos x, sin 3x = 3 sin x - 4 (sin x)^3: every start of a server waits for this.
        wave = sine * (1 + 2 * _SECOND * cosine + _THIRD * (3 - 4 * sine * sine))
        samples.append(round(level * wave))
    return struct.pack(f"<{len(samples)}h", *samples)
