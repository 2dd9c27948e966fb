"""Mixers: sound of several producers decoded, mixed, and encoded into new producers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.media.engine_object import EngineObject
from roomtone.media.objects import Producer
from roomtone.media.values import (
    AddMixerInput,
    AddMixerOutput,
    AddMixerSource,
    AnyCommand,
    CloseMixer,
    CodecParameters,
    MediaKind,
    MixerId,
    MixerInputAdded,
    MixerInputId,
    MixerOpened,
    MixerSource,
    OpenMixer,
    Produced,
    RemoveMixerInput,
    SendMixerDtmf,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.media.engine import Engine
    from roomtone.media.objects import Router
    from roomtone.media.values import ProducerId


class Mixer(EngineObject):
    """Hears producers of its router and gives out mixes, which are producers of the same router.

    What is heard is one of PCMU, PCMA, G722, L16, Opus, with telephone events and comfort noise beside it. Sound
    between two different codecs is a mixer with an input and an output for each side.
    """

    __slots__ = ("tick_ms",)

    @classmethod
    async def open(cls, router: Router, *, tick_ms: int = 20) -> Mixer:
        """Open a mixer on a router; refused as unsupported where no audio thread is configured.

        ``tick_ms`` is the time between two mixes, 10 or 20, and the shortest packet time of its outputs.
        """
        engine = router.engine
        opened = await engine.ask(OpenMixer(router=router.id, tick_ms=tick_ms), MixerOpened)
        return cls(engine, opened.mixer, tick_ms)

    def __init__(self, engine: Engine, id_: MixerId, tick_ms: int = 20) -> None:
        super().__init__(engine, id_)
        self.tick_ms = tick_ms

    @property
    def id(self) -> MixerId:
        """The mixer's id."""
        return MixerId(self._id)

    def _close_command(self) -> AnyCommand:
        return CloseMixer(mixer=self.id)

    async def add_input(self, producer: Producer, *, inband_dtmf: bool = False) -> MixerInputId:
        """Hear a producer; `DtmfReceived` events tell keys. Refused as unsupported where no codec can be decoded."""
        command = AddMixerInput(mixer=self.id, producer=producer.id, inband_dtmf=inband_dtmf)
        return (await self._engine.ask(command, MixerInputAdded)).input

    async def add_source(self, source: MixerSource) -> MixerInputId:
        """Play a tone or a clip; `MixerSourceEnded` tells the end of a clip."""
        return (await self._engine.ask(AddMixerSource(mixer=self.id, source=source), MixerInputAdded)).input

    async def remove_input(self, input_: MixerInputId) -> None:
        """Hear an input no more, or play a source no more."""
        await self._do(RemoveMixerInput(mixer=self.id, input=input_))

    async def add_output(
        self,
        codec: CodecParameters,
        *,
        ptime_ms: int = 20,
        events_payload_type: int | None = None,
        noise_payload_type: int | None = None,
        without: MixerInputId | None = None,
        only: Iterable[MixerInputId] | None = None,
    ) -> Producer:
        """Give out a mix of all inputs and sources but ``without``; or of ``only`` some, not sent in silence."""
        command = AddMixerOutput(
            mixer=self.id,
            codec=codec,
            ptime_ms=ptime_ms,
            events_payload_type=events_payload_type,
            noise_payload_type=noise_payload_type,
            without=without,
            only=None if only is None else list(only),
        )
        return Producer(self._engine, (await self._engine.ask(command, Produced)).producer, MediaKind.AUDIO)

    async def send_dtmf(self, output: ProducerId, digit: str, duration_ms: int = 100) -> None:
        """Send a key on an output that was made with a payload type for events."""
        await self._do(SendMixerDtmf(output=output, digit=digit, duration_ms=duration_ms))
