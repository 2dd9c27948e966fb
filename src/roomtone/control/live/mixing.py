"""All sound of a room as one track of its live stream, decoded, mixed and encoded again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from roomtone.control.rooms import RoomError
from roomtone.media import EngineCommandError, Mixer
from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.repertoire import OPUS

if TYPE_CHECKING:
    from roomtone.control.rooms import Publication, Room, Rooms, TrackId
    from roomtone.media import Producer
    from roomtone.media.values import MixerInputId

_log = logging.getLogger(__name__)


class StreamMix:
    """The mixer of a live stream, on the home router of its room; `follow` keeps it in step with the room's tracks."""

    def __init__(self, rooms: Rooms, room: Room, mixer: Mixer, output: Producer) -> None:
        self.mixer = mixer
        self.output = output
        self.inputs: dict[TrackId, MixerInputId | None] = {}
        """Tracks that are mixed; None: one that cannot be."""
        self._rooms = rooms
        self._room = room

    @classmethod
    async def open(cls, rooms: Rooms, room: Room) -> StreamMix:
        """Open a mixer that hears nobody yet; raise `EngineCommandError`."""
        mixer = await Mixer.open(room.router)
        try:
            output = await mixer.add_output(OPUS.to_parameters())
        except EngineCommandError:
            await mixer.close()
            raise
        return cls(rooms, room, mixer, output)

    @property
    def hears(self) -> int:
        """How many tracks are mixed."""
        return sum(input_ is not None for input_ in self.inputs.values())

    async def follow(self) -> int:
        """Hear what is published now and nothing else; gives how many tracks could not be added."""
        tracks = {
            publication.id: publication
            for participant in self._room.visible()
            for publication in participant.publications.values()
            if publication.offer.kind is MediaKind.AUDIO
        }
        for id_ in self.inputs.keys() - tracks.keys():
            input_ = self.inputs.pop(id_)
            if input_ is not None:
                await self._remove(input_)
        failed = 0
        for id_, publication in tracks.items():
            if id_ not in self.inputs:
                self.inputs[id_] = await self._add(publication)
                failed += self.inputs[id_] is None
        return failed

    async def close(self) -> None:
        """Mix no more."""
        await self.mixer.close()

    async def _add(self, publication: Publication) -> MixerInputId | None:
        try:
            producer = await self._rooms.routers.producer_on(publication, self._room.router)
            return await self.mixer.add_input(producer)
        except (EngineCommandError, RoomError) as error:
            if publication.id in publication.participant.publications:
                _log.warning("live stream %s mixes without a track: %s", self._room.name, error)
            return None

    async def _remove(self, input_: MixerInputId) -> None:
        try:
            await self.mixer.remove_input(input_)
        except EngineCommandError as error:
            _log.debug("an input of a mix had ended already: %s", error)
