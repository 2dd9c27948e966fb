"""A room hears that a phone rings: a tone in its place, until it answers and speaks through the same mixer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.media import Mixer
from roomtone.media.values import MixerTone, ToneKind
from roomtone.protocols.sdp.repertoire import OPUS

if TYPE_CHECKING:
    from roomtone.media import Producer, Router
    from roomtone.media.values import MixerInputId

RINGS = OPUS
"""What the tone is encoded as on its way into the room."""


@dataclass(slots=True)
class Ringback:
    """A mixer in front of the room's: first a tone, then the phone."""

    mixer: Mixer
    tone: MixerInputId | None
    output: Producer

    @classmethod
    async def open(cls, router: Router, country: str) -> Ringback:
        """Begin to ring in the way of a country."""
        mixer = await Mixer.open(router)
        tone = await mixer.add_source(MixerTone(country=country, tone=ToneKind.RINGBACK))
        return cls(mixer, tone, await mixer.add_output(RINGS.to_parameters()))

    async def give_way(self, producer: Producer) -> None:
        """Let the phone be heard in the place of the tone."""
        await self.mixer.add_input(producer)
        if self.tone is not None:
            await self.mixer.remove_input(self.tone)
            self.tone = None
