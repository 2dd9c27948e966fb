"""The phone of a call whose other side is a room: its seat, its offers and answers, its end.

The phone hears the mix of all others in the room and is heard as a track. Its ports are on the router of the call,
which may be another than the room's: then its sound crosses by two pipes. The participant ends with the call, and the
call with the participant, whoever ends first.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from typing import TYPE_CHECKING

from roomtone.control.calls.bridge import produce
from roomtone.control.calls.call import Call
from roomtone.control.calls.errors import CallError
from roomtone.control.calls.offering import read_sdp
from roomtone.control.calls.reasons import CallEnd, end_of_status
from roomtone.control.calls.ringback import RINGS, Ringback
from roomtone.control.rooms import CloseReason, ParticipantKind, Protocol, Refusal, RoomError
from roomtone.media import EngineCommandError
from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.telephony_codecs import EVENTS, default_audio, first_choice, is_speech, shared_codecs

if TYPE_CHECKING:
    from roomtone.control.calls.call import CallParts
    from roomtone.control.calls.legs import Leg
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.values import Acknowledged, Invitation, Offered
    from roomtone.control.rooms import JoinRequest, Participant, Rooms, Seat
    from roomtone.media import Producer
    from roomtone.protocols.sdp import Codec
    from roomtone.protocols.sdp.telephony import PhoneDescription

KIND, PROTOCOL = ParticipantKind.SIP, Protocol.SIP
_ANSWERED = range(200, 300)
_ENDS = {
    CloseReason.REMOVED: CallEnd.REMOVED,
    CloseReason.ROOM_CLOSED: CallEnd.COMPLETED,
    CloseReason.MEDIA_FAILED: CallEnd.MEDIA_LOST,
    CloseReason.SERVER_SHUTDOWN: CallEnd.SERVER_SHUTDOWN,
}
"""What the end of a participant is to its call; any other: it was removed."""
_REFUSALS = {
    Refusal.BAD_NAME: CallEnd.BAD_REQUEST,
    Refusal.BAD_IDENTITY: CallEnd.BAD_REQUEST,
    Refusal.TOO_LARGE: CallEnd.BAD_REQUEST,
    Refusal.ROOM_LOCKED: CallEnd.FORBIDDEN,
    Refusal.MUST_ASK: CallEnd.FORBIDDEN,
    Refusal.NOT_PERMITTED: CallEnd.FORBIDDEN,
    Refusal.CODEC_NOT_ALLOWED: CallEnd.MEDIA_INCOMPATIBLE,
    Refusal.ROOM_IS_ENCRYPTED: CallEnd.ROOM_IS_ENCRYPTED,
    Refusal.TOO_MANY_PARTICIPANTS: CallEnd.OVERLOADED,
    Refusal.TOO_MANY_TRACKS: CallEnd.OVERLOADED,
    Refusal.TOO_MANY_ROOMS: CallEnd.OVERLOADED,
}
"""What a room's refusal is to a call; any other is a failure of the engine's."""
_FAREWELLS = {
    CallEnd.BUSY: CloseReason.CALLEE_REJECTED,
    CallEnd.DECLINED: CloseReason.CALLEE_REJECTED,
    CallEnd.NO_ANSWER: CloseReason.CALLEE_UNAVAILABLE,
    CallEnd.NOT_REGISTERED: CloseReason.CALLEE_UNAVAILABLE,
    CallEnd.COMPLETED: CloseReason.LEFT,
    CallEnd.TRANSFERRED: CloseReason.LEFT,
    CallEnd.REMOVED: CloseReason.REMOVED,
    CallEnd.SERVER_SHUTDOWN: CloseReason.SERVER_SHUTDOWN,
    CallEnd.LEG_LOST: CloseReason.CONNECTION_LOST,
    CallEnd.MEDIA_LOST: CloseReason.MEDIA_FAILED,
}
"""What the end of a call is to its participant; any other: the call failed."""


def call_refusal(error: RoomError) -> CallError:
    """Say for a call what a room refused."""
    return CallError(_REFUSALS.get(error.refusal, CallEnd.ENGINE_FAILED), error.message)


class RoomParty(Call):
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
        self.ask_to_end(_ENDS.get(reason, CallEnd.REMOVED))

    # --- its seat ---

    def _answer(self, leg: Leg, phone: PhoneDescription) -> str:
        """Choose the phone's first codec that can be mixed, and write the answer; pictures are not mixed."""
        stream = leg.media.streams.get(MediaKind.AUDIO)
        codecs = () if stream is None else first_choice(leg.media.agree(MediaKind.AUDIO, default_audio()))
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
        seat = await self._seat_for(participant, stream.producer, spoken, keys)
        numbers = [spoken.payload_type] if keys is None else [spoken.payload_type, keys]
        mapped = [(number, number) for number in numbers]
        mix = await self._from_room(seat.mix, participant)
        stream.flowing = stream.peer_receives
        if stream.consumer is None:
            stream.consumer = await stream.consume(mix, mapped, paused=not stream.flowing)
        else:
            await stream.consumer.switch_source(mix, mapped)
            await (stream.consumer.resume() if stream.flowing else stream.consumer.pause())
        self.codec = f"{spoken.name}/{spoken.clock_rate}"

    async def _seat_for(self, participant: Participant, producer: Producer, spoken: Codec, keys: int | None) -> Seat:
        """Give the phone a seat, or that in which it was heard to ring."""
        try:
            if self._ringback is not None and self.seat is not None:
                await self._ringback.give_way(producer)
                await self._rooms.change_mix(self.seat, spoken, keys=keys)
                return self.seat
            heard = await self._to_room(producer, participant)
            self.seat = await self._rooms.seat(participant, heard, spoken, name=participant.name, keys=keys)
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

    async def _to_room(self, producer: Producer, participant: Participant) -> Producer:
        if self._shares_router or self.router is None:
            return producer
        piped = await self.router.pipe_to(producer, participant.room.router)
        self._piped.append(piped)
        return piped

    async def _from_room(self, producer: Producer, participant: Participant) -> Producer:
        if self._shares_router or self.router is None:
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
            _check_still_spoken(stream.ours, phone)
            await leg.media.take_reoffer(phone)
            sdp = leg.media.answer(phone)
        except CallError as error:
            leg.signal.refuse_offer(event.offer, error.end)
            return
        await self._let_flow(leg)
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
            await self._let_flow(leg)

    async def _on_first_answer(self, leg: Leg) -> None:
        """Go on once a phone that wanted an offer of ours has answered it."""
        await self._sit_down(leg)

    async def _let_flow(self, leg: Leg) -> None:
        """Send the mix, or hold it back, as the phone says."""
        stream = leg.media.streams[MediaKind.AUDIO]
        if stream.consumer is None or stream.flowing == stream.peer_receives:
            return
        stream.flowing = stream.peer_receives
        await (stream.consumer.resume() if stream.flowing else stream.consumer.pause())

    async def transfer(self, to: str, timeout_s: float) -> int:
        """Have the phone's side call a URI instead (RFC 3515), and end once that is answered; gives its status.

        Raise `CallError` where it refuses, or nobody answers in time; then the phone stays in the room.
        """
        leg = self.answered_by or self.caller
        if leg is None or leg.is_over or self.answered_at is None:
            raise CallError(CallEnd.LEG_LOST, "the phone has not answered, or has gone")
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def tell(status: int) -> None:
            if not told.done():
                told.set_result(status)

        leg.signal.refer(to, tell)
        try:
            async with asyncio.timeout(timeout_s):
                status = await told
        except TimeoutError as error:
            raise CallError(CallEnd.NO_ANSWER, "nobody has answered in time") from error
        if status not in _ANSWERED:
            raise CallError(end_of_status(status), f"the phone's side answered {status}")
        self.ask_to_end(CallEnd.TRANSFERRED)
        return status

    # --- its end ---

    async def _finish(self, end: CallEnd) -> None:
        if self._shares_router:
            self.router = None  # it is the room's
        await self._tell_status("hangup")
        await super()._finish(end)
        if self.participant is not None:
            await self._rooms.end(self.participant, _FAREWELLS.get(end, CloseReason.CALL_FAILED))
        for piped in self._piped:
            with contextlib.suppress(EngineCommandError):
                await piped.close()


def keys_number(ours: tuple[Codec, ...], theirs: tuple[Codec, ...], spoken: Codec) -> int | None:
    """Give the payload type of telephone events beside what is spoken, as the peer takes them; None: it takes none."""
    events = (pair for pair in shared_codecs(ours, theirs) if pair.ours.name == EVENTS)
    return next((pair.theirs.payload_type for pair in events if pair.ours.clock_rate == spoken.clock_rate), None)


def spoken_codec(ours: tuple[Codec, ...], theirs: tuple[Codec, ...]) -> Codec | None:
    """Give the codec that is spoken, as the peer describes it."""
    return next((pair.theirs for pair in shared_codecs(ours, theirs) if is_speech(pair.ours)), None)


def _check_still_spoken(ours: tuple[Codec, ...], phone: PhoneDescription) -> None:
    """Refuse an offer without the codec that the seat was made for."""
    audio = next((one for one in phone.media if one.kind is MediaKind.AUDIO and one.is_usable), None)
    if audio is None or spoken_codec(ours, audio.codecs) is None:
        raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "the room speaks another codec here")
