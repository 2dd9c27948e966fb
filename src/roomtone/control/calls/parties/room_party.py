"""The phone of a call whose other side is a room: its seat, its offers and answers, its end.

The phone hears the mix of all others in the room and is heard as a track. Its ports are on the router of the call,
which may be another than the room's: then its sound crosses by two pipes. The participant ends with the call, and the
call with the participant, whoever ends first.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.media.bridge import feed, produce
from roomtone.control.calls.media.conversion import noise_of, numbers_of
from roomtone.control.calls.media.offering import check_still_spoken, keys_number, read_sdp, spoken_codec
from roomtone.control.calls.media.ringback import RINGS, Ringback
from roomtone.control.calls.parties.changing import take_reanswer
from roomtone.control.calls.parties.commands import Hold, Mute, PressKeys, checked_keys, settle
from roomtone.control.calls.parties.keypad import KEY_MS
from roomtone.control.calls.parties.pressing import PressingCall
from roomtone.control.calls.parties.room_ends import ENDS, FAREWELLS, call_refusal
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.rooms import CloseReason, ParticipantKind, Protocol, RoomError
from roomtone.media import EngineCommandError
from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.telephony_codecs import decoded_audio, first_choice

if TYPE_CHECKING:
    import asyncio

    from roomtone.control.calls.parties.commands import Command
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.parties.parts import CallParts
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.values import Acknowledged, Invitation, Offered, Reanswered
    from roomtone.control.rooms import JoinRequest, Participant, Rooms, Seat
    from roomtone.media import Producer
    from roomtone.protocols.sdp import Codec
    from roomtone.protocols.sdp.telephony import PhoneDescription

KIND, PROTOCOL = ParticipantKind.SIP, Protocol.SIP
_ANSWERED = range(200, 300)


class RoomParty(PressingCall):
    """A call whose other side is a room."""

    def __init__(self, parts: CallParts, rooms: Rooms, room: str, invitation: Invitation, signal: Signal) -> None:
        super().__init__(parts, invitation, signal)
        self.room = room
        self.participant: Participant | None = None
        self.seat: Seat | None = None
        self._rooms = rooms
        self._shares_router = False
        """Whether its ports are on the room's own router."""
        self._piped: list[Producer] = []
        self._mix: tuple[Producer, tuple[tuple[int, int], ...]] | None = None
        """What the phone hears of the room, on its own router, and by which payload types."""
        self._ringback: Ringback | None = None

    @abstractmethod
    def _request(self, status: str) -> JoinRequest:
        """Say who joins; attributes are named as LiveKit names them, ``status`` its `sip.callStatus`."""

    async def _join(self, status: str = "active") -> Participant:
        """Let the phone into the room; raise `CallError`."""
        try:
            participant = self.participant = await self._rooms.join(self.room, self._request(status))
        except RoomError as error:
            raise call_refusal(error) from error
        participant.when_closed(self._on_participant_closed)
        return participant

    async def _tell_status(self, status: str) -> None:
        if self.participant is not None and self.participant.closed is None:
            with contextlib.suppress(RoomError):
                await self._rooms.update(self.participant, attributes={"sip.callStatus": status})

    def _on_participant_closed(self, reason: CloseReason) -> None:
        self.ask_to_end(ENDS.get(reason, CallEnd.REMOVED))

    # --- its seat ---

    def _answer(self, leg: Leg, phone: PhoneDescription) -> str:
        """Choose the phone's first codec that can be mixed, and write the answer; pictures are not mixed."""
        stream = leg.media.streams.get(MediaKind.AUDIO)
        codecs = () if stream is None else first_choice(leg.media.agree(MediaKind.AUDIO, decoded_audio()))
        if stream is None or not codecs:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "no codec that can be mixed")
        stream.ours = codecs
        return leg.media.answer(phone)

    async def _sit_down(self, leg: Leg) -> None:
        """Give the phone its seat in the room's mix, once both sides know each other's media."""
        stream, participant = leg.media.streams[MediaKind.AUDIO], self.participant
        if participant is None:
            raise CallError(CallEnd.FAILED, "nobody has joined")
        await leg.media.connect(MediaKind.AUDIO)
        await produce(stream)
        spoken = spoken_codec(stream.ours, stream.takes)
        if stream.producer is None or spoken is None:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "no codec that can be mixed")
        keys = keys_number(stream.ours, stream.takes, spoken)
        noise = noise_of(stream, spoken)
        seat = await self._seat_for(participant, stream.producer, spoken, keys, noise)
        self._mix = await self._from_room(seat.mix, participant), numbers_of(spoken, keys, noise)
        await self.floor.tell(leg, *self._mix)
        self.codec = f"{spoken.name}/{spoken.clock_rate}"

    async def _seat_for(
        self, participant: Participant, producer: Producer, spoken: Codec, keys: int | None, noise: int | None
    ) -> Seat:
        """Give the phone a seat, or that in which it was heard to ring."""
        try:
            if self._ringback is not None and self.seat is not None:
                await self._ringback.give_way(producer)
                await self._rooms.change_mix(self.seat, spoken, keys=keys, noise=noise)
                return self.seat
            heard = await self._to_room(producer, participant)
            name = participant.name
            self.seat = await self._rooms.seat(participant, heard, spoken, name=name, keys=keys, noise=noise)
        except RoomError as error:
            raise call_refusal(error) from error
        return self.seat

    async def _ring_in_room(self, country: str) -> None:
        """Have the room hear that the phone rings."""
        participant = self.participant
        assert participant is not None  # noqa: S101 - it joined early
        assert self.router is not None  # noqa: S101
        self._ringback = await Ringback.open(self.router, country)
        heard = await self._to_room(self._ringback.output, participant)
        try:
            self.seat = await self._rooms.seat(participant, heard, RINGS, name=participant.name)
        except RoomError as error:
            raise call_refusal(error) from error

    def _is_elsewhere(self, participant: Participant) -> bool:
        """Whether the phone's ports are on another router than the room's; who comes back may be where it was."""
        return self.router is not None and self.router.id != participant.room.router.id

    async def _to_room(self, producer: Producer, participant: Participant) -> Producer:
        if not self._is_elsewhere(participant) or self.router is None:
            return producer
        piped = await self.router.pipe_to(producer, participant.room.router)
        self._piped.append(piped)
        return piped

    async def _from_room(self, producer: Producer, participant: Participant) -> Producer:
        if not self._is_elsewhere(participant) or self.router is None:
            return producer
        return await participant.room.router.pipe_to(producer, self.router)

    # --- what the phone asks for on the way ---

    async def _on_offered(self, leg: Leg, event: Offered) -> None:
        stream = leg.media.streams.get(MediaKind.AUDIO)
        if stream is None or stream.consumer is None:
            leg.signal.refuse_offer(event.offer, CallEnd.MEDIA_INCOMPATIBLE)
            return
        if event.sdp is None:
            leg.offered = True
            leg.signal.answer_offer(event.offer, leg.media.describe())
            return
        try:
            phone = read_sdp(event.sdp)
            check_still_spoken(stream.ours, phone)
            await leg.media.take_reoffer(phone)
            sdp = leg.media.answer(phone)
        except CallError as error:
            leg.signal.refuse_offer(event.offer, error.end)
            return
        await self._arrange()
        leg.signal.answer_offer(event.offer, sdp)

    async def _on_acknowledged(self, leg: Leg, event: Acknowledged) -> None:
        if not leg.offered:
            return
        leg.offered = False
        if event.sdp is None:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "our offer was acknowledged without an answer")
        await leg.media.take_answer(read_sdp(event.sdp))
        if leg.media.streams[MediaKind.AUDIO].consumer is None:
            await self._on_first_answer(leg)
        else:
            await self._arrange()

    async def _on_reanswered(self, leg: Leg, event: Reanswered) -> None:
        """Take what came of an offer that was made before the phone came here."""
        await take_reanswer(leg, event)
        await self._arrange()

    async def _on_first_answer(self, leg: Leg) -> None:
        """Go on once a phone that wanted an offer of ours has answered it."""
        await self._sit_down(leg)

    @property
    def _phone(self) -> Leg | None:
        """The leg whose other side is the room."""
        return self.answered_by or self.caller

    async def _arrange(self) -> None:
        """Send the mix, or hold it back, as the phone and whoever holds it say."""
        leg = self._phone
        if leg is None or leg.is_over:
            return
        stream = leg.media.streams[MediaKind.AUDIO]
        if self._mix is not None:
            await self.floor.tell(leg, *self._mix)
        elif stream.consumer is not None:  # it is spoken to before it is in the room
            await feed(stream, stream.fed, stream.mapped, flows=stream.peer_receives)

    # --- what is asked of it from outside ---

    async def _do(self, command: Command, reply: asyncio.Future[None]) -> None:
        match command:
            case Hold():
                await self._hold(*self._seated(command.leg), on=command.on)
            case Mute():
                leg, seat = self._seated(command.leg)
                await self._mute(seat, on=command.on, by_server=True)
                leg.muted = command.on
            case PressKeys():
                await self._press(self._seated(command.leg)[0], checked_keys(command.keys), reply)
                return  # the answer follows when they are out
            case _:
                await super()._do(command, reply)
        settle(reply)

    def _seated(self, leg_id: str) -> tuple[Leg, Seat]:
        """Give the phone, if it is meant and in the room; raise `PhoneError`."""
        leg = next((one for one in self.legs if one.id == leg_id), None)
        if leg is None:
            raise PhoneError(PhoneRefusal.NO_SUCH_LEG, f"the call has no leg {leg_id!r}")
        if leg is not self._phone or self.seat is None or self.answered_at is None:
            raise PhoneError(PhoneRefusal.WRONG_STATE, "this phone is not in the room yet")
        return leg, self.seat

    async def _hold(self, leg: Leg, seat: Seat, *, on: bool) -> None:
        """Have the phone hear music and the room nothing of it, which sees the track muted; or end that."""
        await self._mute(seat, on=on, by_server=False)
        leg.held = on
        await self._arrange()

    async def _mute(self, seat: Seat, *, on: bool, by_server: bool) -> None:
        try:
            await self._rooms.mute(seat.track, muted=on, by_server=by_server)
        except RoomError as error:
            raise PhoneError(PhoneRefusal.NOT_POSSIBLE, error.message) from error

    async def _press_as_events(self, leg: Leg, keys: str) -> None:
        """Send keys beside the mix; on hold in the place of the music."""
        seat = self.seat
        if leg.held or seat is None or not seat.takes_keys:
            await super()._press_as_events(leg, keys)
            return
        for key in keys:
            await seat.mixer.send_dtmf(seat.mix.id, key, KEY_MS)

    # --- its end ---

    async def _finish(self, end: CallEnd) -> None:
        if self._shares_router:
            self.router = None  # it is the room's
            with contextlib.suppress(EngineCommandError):
                await self.floor.clear()
        await self._tell_status("hangup")
        await super()._finish(end)
        if self.participant is not None:
            await self._rooms.end(self.participant, FAREWELLS.get(end, CloseReason.CALL_FAILED))
        for piped in self._piped:
            with contextlib.suppress(EngineCommandError):
                await piped.close()
