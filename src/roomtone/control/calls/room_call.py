"""A call that leads to a room: its phone hears the mix of all others there, and is heard as a track.

The leg's ports are on the room's home router, so its sound crosses to the mixer and the others by no further hop. The
participant ends with the call, and the call with the participant, whoever ends first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from roomtone.control.calls.bridge import produce
from roomtone.control.calls.call import Call
from roomtone.control.calls.errors import CallError
from roomtone.control.calls.legs import LegInput
from roomtone.control.calls.offering import read_sdp, take_first_offer, wanted_by_nobody
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import Acknowledged, CallState, Ended, InfoSent, Offered, PickedUp, Rang
from roomtone.control.rooms import CloseReason, JoinRequest, ParticipantKind, Protocol, Refusal, RoomError
from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.telephony_codecs import default_audio, first_choice, is_speech, shared_codecs

if TYPE_CHECKING:
    from roomtone.control.calls.call import CallParts
    from roomtone.control.calls.legs import Leg
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.values import Invitation, LegEvent
    from roomtone.control.rooms import Participant, Rooms
    from roomtone.protocols.sdp import Codec
    from roomtone.protocols.sdp.telephony import PhoneDescription

_NOT_ACCEPTABLE = 488
_ENDS = {
    CloseReason.REMOVED: CallEnd.REMOVED,
    CloseReason.ROOM_CLOSED: CallEnd.COMPLETED,
    CloseReason.MEDIA_FAILED: CallEnd.MEDIA_LOST,
    CloseReason.SERVER_SHUTDOWN: CallEnd.SERVER_SHUTDOWN,
}
"""What the end of a participant is to its call; any other: it was removed."""
_REFUSALS = {
    Refusal.ROOM_LOCKED: CallEnd.FORBIDDEN,
    Refusal.MUST_ASK: CallEnd.FORBIDDEN,
    Refusal.NOT_PERMITTED: CallEnd.FORBIDDEN,
    Refusal.CODEC_NOT_ALLOWED: CallEnd.MEDIA_INCOMPATIBLE,
    Refusal.ROOM_IS_ENCRYPTED: CallEnd.MEDIA_INCOMPATIBLE,
    Refusal.TOO_MANY_PARTICIPANTS: CallEnd.OVERLOADED,
    Refusal.TOO_MANY_TRACKS: CallEnd.OVERLOADED,
    Refusal.TOO_MANY_ROOMS: CallEnd.OVERLOADED,
}
"""What a room's refusal is to a call; any other is a failure of the engine's."""


class RoomCall(Call):
    """A call with one leg, whose other side is a room."""

    def __init__(self, parts: CallParts, rooms: Rooms, room: str, invitation: Invitation, signal: Signal) -> None:
        super().__init__(parts, invitation, signal)
        self.room = room
        self.participant: Participant | None = None
        self._rooms = rooms

    async def _begin(self) -> None:
        invitation = self.invitation
        offer = None if invitation.sdp is None else read_sdp(invitation.sdp)
        try:
            participant = self.participant = await self._rooms.join(self.room, self._request())
        except RoomError as error:
            raise CallError(_REFUSALS.get(error.refusal, CallEnd.ENGINE_FAILED), error.message) from error
        participant.when_closed(self._on_participant_closed)
        self.router = participant.room.router
        leg = self.caller = self._leg(self._signal, invitation.caller.account, invitation.caller.security)
        if offer is None:
            sdp = await leg.media.offer(wanted_by_nobody())
            leg.offered = True
        else:
            await take_first_offer(leg.media, offer)
            sdp = self._answer(leg, offer)
            await self._sit_down(leg)
        leg.signal.answer(sdp)
        leg.step(LegInput.ANSWERED)
        self.state = CallState.ANSWERED
        self.answered_at = self._parts.clock()

    def _request(self) -> JoinRequest:
        """Who joins; attributes are named as LiveKit names them."""
        caller = self.invitation.caller
        return JoinRequest(
            f"sip_{caller.account}",
            name=caller.name or caller.account,
            kind=ParticipantKind.SIP,
            protocol=Protocol.SIP,
            attributes=(
                ("sip.callID", self.id),
                ("sip.callStatus", "active"),
                ("sip.phoneNumber", caller.account),
                ("sip.trunkPhoneNumber", self.invitation.called),
            ),
        )

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
        await leg.media.connect(stream)
        await produce(stream)
        spoken = _spoken(stream.ours, stream.takes)
        if stream.producer is None or spoken is None:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "no codec that can be mixed")
        try:
            seat = await self._rooms.seat(participant, stream.producer, spoken, name=participant.name)
        except RoomError as error:
            raise CallError(_REFUSALS.get(error.refusal, CallEnd.ENGINE_FAILED), error.message) from error
        number = spoken.payload_type
        stream.flowing = stream.peer_receives
        stream.consumer = await stream.transport.consume(
            MediaKind.AUDIO, seat.mix, payload_types=[(number, number)], paused=not stream.flowing
        )
        self.codec = f"{spoken.name}/{spoken.clock_rate}"

    def _on_participant_closed(self, reason: CloseReason) -> None:
        self.ask_to_end(_ENDS.get(reason, CallEnd.REMOVED))

    async def _on_leg(self, leg: Leg, event: LegEvent) -> None:
        match event:
            case Ended():
                await leg.finish(event.end, tell=False)
                lost = event.end in {CallEnd.LEG_LOST, CallEnd.UNREACHABLE}
                self.end = event.end if lost else CallEnd.COMPLETED
            case Offered():
                await self._on_offered(leg, event)
            case Acknowledged():
                await self._on_acknowledged(leg, event)
            case InfoSent():
                event.reply(_NOT_ACCEPTABLE)  # a room has no use for keys, and must not say that it had
            case Rang() | PickedUp():
                pass  # nobody was called
            case _:
                assert_never(event)

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
            await self._sit_down(leg)
        else:
            await self._let_flow(leg)

    async def _let_flow(self, leg: Leg) -> None:
        """Send the mix, or hold it back, as the phone says."""
        stream = leg.media.streams[MediaKind.AUDIO]
        if stream.consumer is None or stream.flowing == stream.peer_receives:
            return
        stream.flowing = stream.peer_receives
        await (stream.consumer.resume() if stream.flowing else stream.consumer.pause())

    async def _finish(self, end: CallEnd) -> None:
        self.router = None  # it is the room's
        await super()._finish(end)
        if self.participant is not None:
            await self._rooms.end(self.participant, CloseReason.LEFT)


def _check_still_spoken(ours: tuple[Codec, ...], phone: PhoneDescription) -> None:
    """Refuse an offer without the codec that the seat was made for."""
    audio = next((one for one in phone.media if one.kind is MediaKind.AUDIO and one.is_usable), None)
    if audio is None or _spoken(ours, audio.codecs) is None:
        raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "the room speaks another codec here")


def _spoken(ours: tuple[Codec, ...], theirs: tuple[Codec, ...]) -> Codec | None:
    """Give the codec that is spoken, as the peer describes it."""
    return next((pair.theirs for pair in shared_codecs(ours, theirs) if is_speech(pair.ours)), None)
