"""Has streams encrypted otherwise than before, by name: live ones from their next segment on, others from the first.

Inputs say how they are encrypted when they are opened, and are refused here: their streams come and go by themselves.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from roomtone.control.live.values import LiveError, LiveRefusal
from roomtone.media import EngineCommandError, set_encryption
from roomtone.media.values import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.live.ingests import Ingests
    from roomtone.control.live.listing import Listings, TermsWish
    from roomtone.control.live.streams import LiveStreams
    from roomtone.control.live.values import LiveTerms
    from roomtone.media import Engine
    from roomtone.media.values import PackagerId


class Sealing:
    """Changes how streams are encrypted; ``changed`` counts those that were live."""

    def __init__(
        self,
        engine: Engine,
        listings: Listings,
        live: LiveStreams,
        ingests: Ingests,
        is_input: Callable[[str], bool],
    ) -> None:
        self.changed = 0
        self._engine = engine
        self._listings = listings
        self._live = live
        self._ingests = ingests
        self._is_input = is_input
        self._one_at_a_time = asyncio.Lock()

    def terms_of(self, name: str) -> LiveTerms:
        """Give how the stream of a name is given to its audience, or would be."""
        stream = self._live.by_name.get(name)
        return self._listings.current(name) if stream is None else stream.terms

    def is_live(self, name: str) -> bool:
        """Whether there is a stream of a name."""
        return name in self._live.by_name or name in self._ingests.by_name

    async def change(self, name: str, wish: TermsWish) -> LiveTerms:
        """Encrypt the stream of a name so from now on, what is not said as the settings say; raise `LiveError`.

        Where it is live and cannot be encrypted so nothing is changed.
        """
        if self._is_input(name):
            detail = "an input says how its stream is encrypted when it is opened: close it, and open it anew"
            raise LiveError(LiveRefusal.ENCRYPTED_BY_INPUT, detail)
        async with self._one_at_a_time:
            await self._live.settle(name)
            before = self._listings.said_of(name)
            self._listings.say(name, wish)
            try:
                return await self._apply(name)
            except LiveError:
                self._listings.say(name, before)
                raise

    async def _apply(self, name: str) -> LiveTerms:
        wanted = self._listings.terms_of(name)
        terms = replace(self.terms_of(name), encryption=wanted.encryption, segments_per_key=wanted.segments_per_key)
        room, encoder = self._live.by_name.get(name), self._ingests.by_name.get(name)
        if room is not None:
            await self._tell(room.packager.id, terms)
            room.terms = terms
        elif encoder is not None:
            await self._tell(encoder.packager, terms)
        self._listings.renew(name, terms)
        return terms

    async def _tell(self, packager: PackagerId, terms: LiveTerms) -> None:
        try:
            await set_encryption(self._engine, packager, self._listings.of(terms).for_engine()["encryption"])
        except EngineCommandError as error:
            if error.code is ErrorCode.UNSUPPORTED:
                raise LiveError(LiveRefusal.CANNOT_ENCRYPT, error.message) from error
            if error.code is not ErrorCode.NOT_FOUND:
                raise  # otherwise it has ended meanwhile, and the next begins so
        else:
            self.changed += 1
