"""Phones in rooms: who cannot take every codec hears one mix of the room, and is heard as a track that all can take.

A room has one mixer, on its home router, from the first seat to the last. It hears each sound track of the room, and
of each seat what its phone says; a seat has a mix of all but itself, in its phone's codec, and a track of itself alone.

Limits: those of a mixer; a track that it cannot hear is left out, and ``mix_counts`` says so.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.forwarding import RoomForwardings
from roomtone.control.rooms.held import HeldRouter
from roomtone.control.rooms.reasons import CloseReason, RoomError
from roomtone.control.rooms.tables import quietly
from roomtone.control.rooms.tracks import Publication
from roomtone.control.rooms.values import ParticipantState, TrackOffer, TrackSource
from roomtone.media import EngineCommandError, Mixer
from roomtone.media.values import ErrorCode, MediaKind
from roomtone.protocols.sdp.repertoire import OPUS

if TYPE_CHECKING:
    from collections import Counter

    from roomtone.control.rooms.events import RoomEvent
    from roomtone.control.rooms.model import Participant, Room
    from roomtone.control.rooms.values import RoomId, TrackId
    from roomtone.media import Producer, Router
    from roomtone.media.values import MixerId, MixerInputId
    from roomtone.protocols.sdp import Codec

_log = logging.getLogger(__name__)
_CHANGES = frozenset({RoomEventKind.TRACK_PUBLISHED, RoomEventKind.TRACK_UNPUBLISHED})
_MUTES = frozenset({RoomEventKind.TRACK_MUTED, RoomEventKind.TRACK_UNMUTED})


class MixCount(StrEnum):
    """What became of seats, and of tracks that were to be mixed."""

    SEATED = "seated"
    LEFT = "left"
    TRACK_MIXED = "track_mixed"
    TRACK_FAILED = "track_failed"


@dataclass(eq=False, slots=True)
class Seat:
    """A participant that hears a mix."""

    participant: Participant
    mixer: Mixer
    input: MixerInputId
    """What it says, for the mixer; its keys are told by events about it."""
    mix: Producer
    """What it is to hear, in its codec."""
    track: Publication
    """What the others hear of it."""
    heard: Producer
    """What it says; paused while its track is muted, so that no mix has it either."""
    takes_keys: bool = False
    """Whether keys can be sent to it by events beside its mix."""


@dataclass(eq=False, slots=True)
class RoomMix:
    """The mixer of a room."""

    room: Room
    mixer: Mixer
    seats: list[Seat] = field(default_factory=list)
    coming: int = 0
    """Seats that are being made."""
    inputs: dict[TrackId, MixerInputId | None] = field(default_factory=dict)
    """Tracks that are mixed; None: one that cannot be."""
    under_way: bool = False
    again: bool = False


class RoomMixes(RoomForwardings):
    """Rooms with a mixer where somebody needs one."""

    mixes: dict[RoomId, RoomMix]
    mix_counts: Counter[MixCount]

    async def seat(
        self,
        participant: Participant,
        heard: Producer,
        codec: Codec,
        *,
        name: str = "",
        keys: int | None = None,
        noise: int | None = None,
    ) -> Seat:
        """Mix in what a participant says, publish it, and give it a mix of all others in its codec.

        ``heard`` is a producer on the room's home router, ``keys`` the payload type by which it takes keys, ``noise``
        that by which silence is described to it, instead of being sent.
        The seat ends with the participant. Raise `RoomError`.
        """
        room = participant.room
        self.require_clear(room, "a phone")
        offer = TrackOffer(MediaKind.AUDIO, (OPUS,), source=TrackSource.MICROPHONE, name=name)
        self._check_may_publish(participant, offer)
        mix = await self._mix_of(room)
        mix.coming += 1
        try:
            seat = await self._make_seat(mix, participant, heard, codec, offer, keys=keys, noise=noise)
        finally:
            mix.coming -= 1
            self._end_empty(mix)
        participant.when_closed(lambda _reason: self._leave(mix, seat))
        self._enter_track(seat.track)
        if participant.state is ParticipantState.JOINED:
            participant.state = ParticipantState.ACTIVE
            participant.emit(RoomEventKind.PARTICIPANT_CONNECTED)
        self._announce(seat.track)
        self.switching.refresh(room)
        return seat

    async def change_mix(self, seat: Seat, codec: Codec, *, keys: int | None = None, noise: int | None = None) -> None:
        """Give a seat its mix in another codec; what carried the old one is to be switched over. Raise `RoomError`."""
        self._check_open(seat.participant)
        with self.commands():
            mix = await seat.mixer.add_output(
                codec.to_parameters(), events_payload_type=keys, noise_payload_type=noise, without=seat.input
            )
        old, seat.mix, seat.takes_keys = seat.mix, mix, keys is not None
        await quietly(old.close)

    def hold_router(self, router: Router) -> HeldRouter:
        """Keep a room's router for a phone that leaves the room and keeps its ports."""
        self.routers.hold(router)

        async def give_back() -> None:
            if self.routers.let_go(router):
                await quietly(router.close)

        return HeldRouter(router, give_back)

    def follow_mixed(self, room: Room) -> None:
        """Keep a room's mixer in step with its tracks; called with each new room."""
        room.events.listen(partial(self._on_track, room))

    async def _make_seat(
        self,
        mix: RoomMix,
        participant: Participant,
        heard: Producer,
        codec: Codec,
        offer: TrackOffer,
        *,
        keys: int | None,
        noise: int | None,
    ) -> Seat:
        async with AsyncExitStack() as undo:
            with self.commands():
                input_ = await mix.mixer.add_input(heard)
                undo.push_async_callback(self._unmix, mix, input_)
                track = await mix.mixer.add_output(OPUS.to_parameters(), only=[input_])
                undo.push_async_callback(quietly, track.close)
                heard_mix = await mix.mixer.add_output(
                    codec.to_parameters(), events_payload_type=keys, noise_payload_type=noise, without=input_
                )
                undo.push_async_callback(quietly, heard_mix.close)
            self._check_open(participant)
            self._check_may_publish(participant, offer)
            undo.pop_all()
        publication = Publication(self.new_track_id(), participant, offer, track, mix.room.router)
        seat = Seat(participant, mix.mixer, input_, heard_mix, publication, heard, keys is not None)
        mix.seats.append(seat)
        self.mix_counts[MixCount.SEATED] += 1
        return seat

    async def _mix_of(self, room: Room) -> RoomMix:
        """Give a room's mixer, made with the first seat."""
        await self._need_media(room)
        async with room.placing:
            mix = self.mixes.get(room.id)
            if mix is None:
                with self.commands():
                    mix = RoomMix(room, await Mixer.open(room.router))
                self.mixes[room.id] = mix
                self._refresh_mix(mix)
        return mix

    def _leave(self, mix: RoomMix, seat: Seat) -> None:
        if seat not in mix.seats:
            return
        mix.seats.remove(seat)
        self.mix_counts[MixCount.LEFT] += 1
        self.spawn(self._unseat(mix, seat))
        self._end_empty(mix)

    async def _unseat(self, mix: RoomMix, seat: Seat) -> None:
        await self._unmix(mix, seat.input)
        await quietly(seat.mix.close)
        await quietly(seat.track.producer.close)

    def _end_empty(self, mix: RoomMix) -> None:
        if mix.seats or mix.coming or self.mixes.get(mix.room.id) is not mix:
            return
        del self.mixes[mix.room.id]
        self.spawn(quietly(mix.mixer.close))

    async def _unmix(self, mix: RoomMix, input_: MixerInputId) -> None:
        try:
            await mix.mixer.remove_input(input_)
        except EngineCommandError as error:
            if error.code not in {ErrorCode.NOT_FOUND, ErrorCode.ENGINE_CLOSED}:
                _log.warning("room %s goes on mixing what has ended: %s", mix.room.name, error)

    def on_mixer_closed(self, mixer: MixerId) -> None:
        """End all seats of a mixer that the engine has lost: silence must not pass for a call."""
        for mix in tuple(self.mixes.values()):
            if mix.mixer.id == mixer:
                del self.mixes[mix.room.id]
                for seat in tuple(mix.seats):
                    self.spawn(self.end(seat.participant, CloseReason.MEDIA_FAILED))

    # --- the room's other tracks ---

    def _on_track(self, room: Room, event: RoomEvent) -> None:
        mix = self.mixes.get(room.id)
        if mix is None:
            return
        if event.kind in _CHANGES:
            self._refresh_mix(mix)
        elif event.kind in _MUTES:
            for seat in mix.seats:
                if seat.track.id == event.track:
                    self.spawn(self._mute_seat(seat))

    async def _mute_seat(self, seat: Seat) -> None:
        try:
            await (seat.heard.pause() if seat.track.muted else seat.heard.resume())
        except EngineCommandError as error:
            if seat.participant.closed is None:
                # What is said to be muted must not be heard in any mix.
                _log.warning("room %s: a phone's mute failed: %s", seat.participant.room.name, error)
                await self.end(seat.participant, CloseReason.MEDIA_FAILED)

    def _refresh_mix(self, mix: RoomMix) -> None:
        mix.again = True
        if not mix.under_way:
            mix.under_way = True
            self.spawn(self._follow(mix))

    async def _follow(self, mix: RoomMix) -> None:
        try:
            while mix.again and self.mixes.get(mix.room.id) is mix:
                mix.again = False
                await self._bring_in_step(mix)
        finally:
            mix.under_way = False

    async def _bring_in_step(self, mix: RoomMix) -> None:
        own = {seat.track.id for seat in mix.seats}
        tracks = {
            publication.id: publication
            for participant in mix.room.participants.values()
            for publication in participant.publications.values()
            if publication.offer.kind is MediaKind.AUDIO and publication.id not in own
        }
        for id_ in mix.inputs.keys() - tracks.keys():
            input_ = mix.inputs.pop(id_)
            if input_ is not None:
                await self._unmix(mix, input_)
        for id_, publication in tracks.items():
            if id_ not in mix.inputs:
                mix.inputs[id_] = await self._mix_in(mix, publication)

    async def _mix_in(self, mix: RoomMix, publication: Publication) -> MixerInputId | None:
        """Have a track heard; None, counted and logged, where that cannot be."""
        try:
            with self.commands():
                producer = await self.routers.producer_on(publication, mix.room.router)
                input_ = await mix.mixer.add_input(producer)
        except RoomError as error:
            if publication.id in publication.participant.publications and mix.room.closed is None:
                self.mix_counts[MixCount.TRACK_FAILED] += 1
                _log.warning("room %s mixes without a track: %s", mix.room.name, error)
            return None
        self.mix_counts[MixCount.TRACK_MIXED] += 1
        return input_
