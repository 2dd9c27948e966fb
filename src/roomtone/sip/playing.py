"""Something that is played to the peer of a call."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from roomtone.media import EngineCommandError

if TYPE_CHECKING:
    from roomtone.media import Mixer
    from roomtone.media.values import MixerInputId, MixerSource


class Playing:
    """Something that is played to a peer: `wait` for its end, or `stop` it."""

    def __init__(self, source: MixerSource, mixer: Mixer, input_: MixerInputId) -> None:
        self.source = source
        self.input = input_
        self._mixer = mixer
        self._ended = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether it has played to its end, was stopped, or went with its call."""
        return self._ended.is_set()

    async def wait(self) -> None:
        """Wait for its end; what repeats has one only when it is stopped or the call ends."""
        await self._ended.wait()

    async def stop(self) -> None:
        """Stop it; nothing when it is over."""
        if not self._ended.is_set():
            self._ended.set()
            with suppress(EngineCommandError):  # it came to its end meanwhile
                await self._mixer.remove_input(self.input)

    async def move(self, mixer: Mixer) -> None:
        """Begin again on another mixer: the call speaks another codec now."""
        self._mixer, self.input = mixer, await mixer.add_source(self.source)

    def note_end(self) -> None:
        """Note that the engine has played it to its end."""
        self._ended.set()
