"""Sound between two legs without a codec in common: a mixer that hears both and gives each the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roomtone.media import Mixer
from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.remembered import by_identity
from roomtone.protocols.sdp.telephony_codecs import COMFORT_NOISE, EVENTS, default_audio, is_speech, shared_codecs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.control.calls.media.pipes import Pipes
    from roomtone.control.calls.media.streams import LegMedia, Stream
    from roomtone.media import Producer, Router
    from roomtone.media.values import MixerInputId
    from roomtone.protocols.sdp import Codec

_DYNAMIC = range(96, 128)
_TICK_MS = 20
_NOISE_CLOCK_HZ = 8_000
"""The clock of codecs that comfort noise stands beside under its number."""
_PTIMES_MS = (10, 20, 40, 60)
"""Times in one packet that a mixer can do."""


@dataclass(frozen=True, slots=True)
class Side:
    """What a leg is given: the sound of the other, in its own codec."""

    heard: MixerInputId
    """What it says itself."""
    output: Producer
    """The mixer's."""
    given: Producer
    """The same, on the leg's own router."""
    mapped: tuple[tuple[int, int], ...]
    takes_keys: bool


@dataclass(frozen=True, slots=True)
class Conversion:
    """A mixer between two legs; made anew when either changes what it sends or takes."""

    mixer: Mixer
    made_for: tuple[object, ...]
    first: Side
    second: Side


def spoken(stream: Stream) -> Codec | None:
    """Give the codec a leg speaks, as its peer describes it."""
    pairs = shared_codecs(stream.ours, stream.takes)
    return next((pair.theirs for pair in pairs if is_speech(pair.ours)), None)


def convertible(codecs: Sequence[Codec]) -> bool:
    """Whether any of these codecs can be converted."""
    return bool(shared_codecs(codecs, default_audio()))


@by_identity
def with_convertible(codecs: tuple[Codec, ...], /) -> tuple[Codec, ...]:
    """Add to what passes as it is what it can be converted to, behind it, under numbers that are free."""
    if not convertible(codecs):
        return codecs
    found = list(codecs)
    for codec in default_audio():
        if any((one.name, one.clock_rate) == (codec.name, codec.clock_rate) for one in found):
            continue
        taken = {one.payload_type for one in found}
        number = codec.payload_type
        if number in taken:
            number = next((free for free in _DYNAMIC if free not in taken), -1)
        if number >= 0:
            found.append(replace(codec, payload_type=number))
    return tuple(found)


async def convert(one: LegMedia, other: LegMedia, old: Conversion | None, pipes: Pipes) -> Conversion | None:
    """Give the conversion between two legs, the old one where it still fits; None where there is no sound yet."""
    first, second = one.streams[MediaKind.AUDIO], other.streams[MediaKind.AUDIO]
    codec, far = spoken(first), spoken(second)
    if codec is None or far is None or first.producer is None or second.producer is None:
        return old
    made_for = (first.producer.id, second.producer.id, codec, far, ptime_of(first), ptime_of(second))
    if old is not None:
        if old.made_for == made_for:
            return old
        await old.mixer.close()
    mixer = await Mixer.open(one.router, tick_ms=min(ptime_of(first), ptime_of(second), _TICK_MS))
    heard = (
        await mixer.add_input(first.producer, inband_dtmf=keys_of(first, codec) is None),
        await mixer.add_input(
            await pipes.at(one.router, second.producer, other.router), inband_dtmf=keys_of(second, far) is None
        ),
    )
    return Conversion(
        mixer,
        made_for,
        await side_of(mixer, heard[0], first, codec),
        await carried(await side_of(mixer, heard[1], second, far), one.router, other.router, pipes),
    )


async def carried(side: Side, home: Router, other: Router, pipes: Pipes) -> Side:
    """Give a leg its sound of a mixer at home on the leg's own router."""
    return replace(side, given=await pipes.at(other, side.output, home))


async def side_of(mixer: Mixer, heard: MixerInputId, stream: Stream, codec: Codec) -> Side:
    """Give a leg all that a mixer hears but itself, in its own codec."""
    keys, noise = keys_of(stream, codec), noise_of(stream, codec)
    number = None if keys is None else keys.payload_type
    given = await mixer.add_output(
        codec.to_parameters(),
        ptime_ms=max(ptime_of(stream), mixer.tick_ms),
        events_payload_type=number,
        noise_payload_type=noise,
        without=heard,
    )
    return Side(heard, given, given, numbers_of(codec, number, noise), keys is not None)


def keys_of(stream: Stream, codec: Codec) -> Codec | None:
    """Give the events (RFC 4733) that a peer takes beside a codec; None where it takes none."""
    pairs = shared_codecs(stream.ours, stream.takes)
    return next(
        (one.theirs for one in pairs if one.ours.name == EVENTS and one.ours.clock_rate == codec.clock_rate), None
    )


def noise_of(stream: Stream, codec: Codec) -> int | None:
    """Give the payload type by which silence is described to a peer (RFC 3389); None where it is sent as sound."""
    if not stream.describes_silence or codec.clock_rate != _NOISE_CLOCK_HZ:
        return None
    pairs = shared_codecs(stream.ours, stream.takes)
    return next((one.theirs.payload_type for one in pairs if one.ours.name == COMFORT_NOISE), None)


def numbers_of(codec: Codec, *beside: int | None) -> tuple[tuple[int, int], ...]:
    """Map the payload types of a mixer's output, those of keys and noise among them: they are the peer's already."""
    return tuple((one, one) for one in (codec.payload_type, *beside) if one is not None)


def ptime_of(stream: Stream) -> int:
    """Give the time in one packet that a peer asks for (RFC 4566 section 6), or the nearest shorter one there is."""
    remote = stream.remote
    if remote is None:
        return _TICK_MS
    wanted = min(remote.ptime_ms or _TICK_MS, remote.max_ptime_ms or _PTIMES_MS[-1])
    return max((one for one in _PTIMES_MS if one <= wanted), default=_PTIMES_MS[0])
