"""Codecs of two phone legs compared: what both have passes through, payload types mapped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.codecs import Codec

if TYPE_CHECKING:
    from collections.abc import Sequence

EVENTS = "TELEPHONE-EVENT"
COMFORT_NOISE = "CN"
_BESIDE = frozenset({EVENTS, COMFORT_NOISE})
"""What stands beside a codec of speech and cannot be alone."""
# Parameters that two ends must have alike, since they change the form of payloads; with their defaults.
_ALIKE: dict[str, tuple[tuple[str, str], ...]] = {
    "AMR": (("octet-align", "0"), ("crc", "0"), ("robust-sorting", "0"), ("interleaving", "")),
    "AMR-WB": (("octet-align", "0"), ("crc", "0"), ("robust-sorting", "0"), ("interleaving", "")),
}


@dataclass(frozen=True, slots=True)
class SharedCodec:
    """One codec that both legs have, as each describes it: parameters say what each wants to receive."""

    ours: Codec
    theirs: Codec

    @property
    def is_speech(self) -> bool:
        """Whether it carries sound, and not events or noise beside it."""
        return is_speech(self.ours)


def is_speech(codec: Codec) -> bool:
    """Whether a codec carries sound or pictures, and not events or noise beside them."""
    return codec.name not in _BESIDE


def shared_codecs(ours: Sequence[Codec], theirs: Sequence[Codec]) -> tuple[SharedCodec, ...]:
    """Pair what both have, in our order; empty when there is nothing but events and noise."""
    key = id(ours), id(theirs)
    known = _PAIRED.get(key)
    if known is not None:
        return known[2]
    pairs = _shared(tuple(ours), tuple(theirs))
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        if len(_PAIRED) >= _REMEMBERED:
            _PAIRED.clear()
        _PAIRED[key] = ours, theirs, pairs
    return pairs


_REMEMBERED = 1_024
_PAIRED: dict[tuple[int, int], tuple[tuple[Codec, ...], tuple[Codec, ...], tuple[SharedCodec, ...]]] = {}
"""What was paired last, by the very lists: a call asks for the same ones twenty times. They are held, so no other list
can have their ids."""


@lru_cache(_REMEMBERED)  # the same few lists meet in every call
def _shared(ours: tuple[Codec, ...], theirs: tuple[Codec, ...]) -> tuple[SharedCodec, ...]:
    pairs: list[SharedCodec] = []
    taken: set[int] = set()
    for codec in ours:
        ranked = [(_match(other, codec), other) for other in theirs if other.payload_type not in taken]
        quality, best = max(ranked, key=lambda pair: pair[0], default=(0, None))
        if best is not None and quality:
            taken.add(best.payload_type)
            pairs.append(SharedCodec(codec, best))
    speech = {pair.ours.clock_rate for pair in pairs if pair.is_speech}
    # RFC 4733 section 2.1: events are of the clock of the codec they stand beside; others could not be timed.
    kept = tuple(pair for pair in pairs if pair.is_speech or pair.ours.clock_rate in speech)
    return kept if speech else ()


def passing(source: Sequence[Codec], sink: Sequence[Codec]) -> list[tuple[int, int]]:
    """Map the payload types a source sends to those a sink takes, as the engine wants them."""
    return [(pair.ours.payload_type, pair.theirs.payload_type) for pair in shared_codecs(source, sink)]


def first_choice(codecs: Sequence[Codec]) -> tuple[Codec, ...]:
    """Leave the first codec of speech and what stands beside it."""
    speech = next((codec for codec in codecs if is_speech(codec)), None)
    if speech is None:
        return ()
    return tuple(
        codec for codec in codecs if codec is speech or (not is_speech(codec) and codec.clock_rate == speech.clock_rate)
    )


@cache
def default_audio() -> tuple[Codec, ...]:
    """Codecs offered where no other leg says which: those nearly every phone has."""

    def audio(number: int, name: str, rate: int, channels: int = 1, **parameters: str | None) -> Codec:
        return Codec(MediaKind.AUDIO, number, name, rate, channels, tuple(parameters.items()))

    events = (("0-16", None),)
    return (
        audio(96, "OPUS", 48_000, 2, useinbandfec="1"),
        audio(9, "G722", 8_000),
        audio(0, "PCMU", 8_000),
        audio(8, "PCMA", 8_000),
        replace(audio(101, EVENTS, 8_000), parameters=events),
        replace(audio(102, EVENTS, 48_000), parameters=events),
    )


@cache
def decoded_audio() -> tuple[Codec, ...]:
    """Codecs that can be decoded here: those of our offers, and the comfort noise that others describe silence by."""
    return (*default_audio(), Codec(MediaKind.AUDIO, 13, COMFORT_NOISE, 8_000))


def _match(sink: Codec, stream: Codec) -> int:
    alike = _ALIKE.get(stream.name, ())
    same = all(sink.parameter(name, default) == stream.parameter(name, default) for name, default in alike)
    return sink.match_quality(stream) if same else 0
