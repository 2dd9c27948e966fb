"""An ear and a mouth of ours on one leg, before it is anywhere: tells tones and hears keys."""

from __future__ import annotations

import math
import struct
from functools import cache
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.media.bridge import feed, produce
from roomtone.control.calls.media.offering import keys_number, spoken_codec
from roomtone.control.calls.reasons import CallEnd
from roomtone.media import Mixer
from roomtone.media.values import MediaKind, MixerClip

if TYPE_CHECKING:
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.media import Router
    from roomtone.media.values import MixerId

RATE_HZ = 8_000
ASK = ((660.0, 180), (0.0, 60), (880.0, 180), (0.0, 60), (1_100.0, 300))
"""Enter something: three tones that rise; pairs of Hz and ms."""
WRONG = ((440.0, 220), (0.0, 80), (330.0, 420))
RIGHT = ((880.0, 120), (0.0, 40), (1_320.0, 200))
_LEVEL = 6_000


class Attendant:
    """Speaks to a leg by a mixer of its own on the call's router."""

    def __init__(self, mixer: Mixer) -> None:
        self._mixer = mixer

    @property
    def mixer(self) -> MixerId:
        """Whose keys are heard."""
        return self._mixer.id

    @classmethod
    async def open(cls, router: Router, leg: Leg) -> Attendant:
        """Connect a leg whose peer has answered or is answered; raise `CallError`."""
        stream = leg.media.streams[MediaKind.AUDIO]
        await leg.media.connect(MediaKind.AUDIO)
        await produce(stream)
        spoken = spoken_codec(stream.ours, stream.takes)
        if stream.producer is None or spoken is None:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "no codec that can be spoken to")
        mixer = await Mixer.open(router)
        # A phone that takes events sends them too; what of keys is heard beside them would count twice.
        inband = keys_number(stream.ours, stream.takes, spoken) is None
        heard = await mixer.add_input(stream.producer, inband_dtmf=inband)
        output = await mixer.add_output(spoken.to_parameters(), without=heard)
        number = spoken.payload_type
        await feed(stream, output, ((number, number),), flows=stream.peer_receives)
        return cls(mixer)

    async def say(self, tones: tuple[tuple[float, int], ...]) -> None:
        """Play tones once."""
        await self._mixer.add_source(MixerClip(rate_hz=RATE_HZ, samples=sound(tones)))

    async def close(self) -> None:
        """Say and hear no more."""
        await self._mixer.close()


@cache
def sound(tones: tuple[tuple[float, int], ...]) -> bytes:
    """Give tones as 16-bit samples, each swelling and fading for 5 ms so that it does not click."""
    samples: list[int] = []
    edge = RATE_HZ // 200
    for hertz, lasts_ms in tones:
        count = RATE_HZ * lasts_ms // 1_000
        for at in range(count):
            swell = min(1.0, at / edge, (count - 1 - at) / edge)
            samples.append(round(_LEVEL * swell * math.sin(math.tau * hertz * at / RATE_HZ)))
    return struct.pack(f"<{len(samples)}h", *samples)
