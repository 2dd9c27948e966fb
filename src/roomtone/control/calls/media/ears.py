"""Ears for keys between two legs of which one takes telephone events and the other does not.

Their sound may pass as it is; a mixer without outputs hears both: the events of the one, and of the other the keys as
they sound. Nothing is encoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.calls.media.conversion import keys_of, spoken
from roomtone.media import EngineCommandError, Mixer
from roomtone.media.values import ErrorCode, MediaKind
from roomtone.observe import get_logger

if TYPE_CHECKING:
    from roomtone.control.calls.media.pipes import Pipes
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.media.values import MixerInputId

_log = get_logger(__name__)
_GONE = {ErrorCode.NOT_FOUND, ErrorCode.ENGINE_CLOSED}


def takes_keys(leg: Leg) -> bool:
    """Whether a leg's peer takes keys as events (RFC 4733)."""
    stream = leg.media.streams.get(MediaKind.AUDIO)
    codec = None if stream is None else spoken(stream)
    return stream is not None and codec is not None and keys_of(stream, codec) is not None


@dataclass(frozen=True, slots=True)
class Ears:
    """A mixer that hears the keys of two legs; None: what they speak cannot be heard."""

    mixer: Mixer | None
    made_for: tuple[int, int]
    heard: tuple[MixerInputId, ...] = ()
    """In the order of the legs."""

    async def close(self) -> None:
        """Hear no more."""
        if self.mixer is None:
            return
        try:
            await self.mixer.close()
        except EngineCommandError as error:
            if error.code not in _GONE:
                raise


async def listen(one: Leg, other: Leg, old: Ears | None, pipes: Pipes, *, converted: bool) -> Ears | None:
    """Hear keys where the legs differ in how they take them, unless a mixer hears them already; give the ears."""
    first, second = one.media.streams.get(MediaKind.AUDIO), other.media.streams.get(MediaKind.AUDIO)
    ends = None if first is None or second is None else (first.producer, second.producer)
    if converted or ends is None or ends[0] is None or ends[1] is None or takes_keys(one) is takes_keys(other):
        if old is not None:
            await old.close()
        return None
    made_for = ends[0].id, ends[1].id
    if old is not None:
        if old.made_for == made_for:
            return old
        await old.close()
    home = one.media.router
    mixer = await Mixer.open(home)
    try:
        heard = (
            await mixer.add_input(ends[0], inband_dtmf=not takes_keys(one)),
            await mixer.add_input(await pipes.at(home, ends[1], other.media.router), inband_dtmf=not takes_keys(other)),
        )
    except EngineCommandError as error:
        await mixer.close()
        if error.code is not ErrorCode.UNSUPPORTED:
            raise
        _log.info("keys cannot be heard between two legs that differ in how they take them: their codec is not decoded")
        return Ears(None, made_for)
    return Ears(mixer, made_for, heard)
