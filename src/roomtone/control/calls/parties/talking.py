"""A call while it is up: what either side offers in the middle of it, hold, mute, and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.media.bridge import codec_of
from roomtone.control.calls.media.offering import answer_again, read_sdp
from roomtone.control.calls.parties.commands import Hold, Mute, PressKeys, checked_keys, settle
from roomtone.control.calls.parties.pressing import PressingCall
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import CallState
from roomtone.media.values import MediaKind
from roomtone.observe import get_logger

if TYPE_CHECKING:
    import asyncio

    from roomtone.control.calls.parties.commands import Command
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.values import Acknowledged, Offered

_MARGIN_MS = 120
"""What an event's last packets take, beside the key itself."""
_PAIR = 2
_FINE = range(200, 300)
_log = get_logger(__name__)


class TalkingCall(PressingCall):
    """A call whose parties have each other's media."""

    # --- offers ---

    async def _on_offered(self, leg: Leg, event: Offered) -> None:
        if leg not in self.parties or self.state is not CallState.ANSWERED:
            leg.signal.refuse_offer(event.offer, CallEnd.MEDIA_INCOMPATIBLE)
            return
        if event.sdp is None:
            leg.offered = True
            leg.signal.answer_offer(event.offer, leg.media.describe())
            return
        received = receives(leg)
        far = self._far(leg)
        try:
            sdp = await answer_again(leg.media, event.sdp, None if far is None else far.media)
        except CallError as error:
            _log.info("an offer was refused", call=self.id, reason=error.end.value, detail=error.message)
            leg.signal.refuse_offer(event.offer, error.end)
            return
        leg.holds = not receives(leg) and (received or leg.holds)
        await self._arrange()
        leg.signal.answer_offer(event.offer, sdp)

    async def _on_acknowledged(self, leg: Leg, event: Acknowledged) -> None:
        if not leg.offered or leg not in self.parties:
            return
        leg.offered = False
        if event.sdp is None:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "our offer was acknowledged without an answer")
        received = receives(leg)
        await leg.media.take_answer(read_sdp(event.sdp))
        leg.holds = not receives(leg) and (received or leg.holds)
        await self._arrange()

    # --- who hears whom ---

    def _far(self, leg: Leg) -> Leg | None:
        """Give the other end of an answered call of two."""
        if len(self.parties) != _PAIR or self.answered_at is None or leg not in self.parties:
            return None
        return next(one for one in self.parties if one is not leg)

    async def _arrange(self) -> None:
        """Bring the media in step with the parties."""
        await self.floor.arrange(self.parties)
        self._note_codec()

    def _note_codec(self) -> None:
        """Note what a pair speaks."""
        if len(self.parties) == _PAIR:
            self.codec = codec_of(*(leg.media for leg in self.parties))

    def _party(self, leg_id: str) -> Leg:
        """Find a leg that talks; raise `PhoneError`."""
        leg = next((one for one in self.legs if one.id == leg_id), None)
        if leg is None:
            raise PhoneError(PhoneRefusal.NO_SUCH_LEG, f"the call has no leg {leg_id!r}")
        if leg not in self.parties or self.answered_at is None:
            raise PhoneError(PhoneRefusal.WRONG_STATE, "this leg has not been answered yet")
        return leg

    # --- commands ---

    async def _do(self, command: Command, reply: asyncio.Future[None]) -> None:
        match command:
            case Hold():
                self._party(command.leg).held = command.on
                await self._arrange()
            case Mute():
                self._party(command.leg).muted = command.on
                await self._arrange()
            case PressKeys():
                await self._press(self._party(command.leg), checked_keys(command.keys), reply)
                return  # the answer follows when they are out
            case _:
                await super()._do(command, reply)
        settle(reply)

    async def _leave(self, leg: Leg) -> None:
        """Have a leg talk no more; the others are to be arranged anew."""
        if self._pressing is not None and self._pressing.leg is leg:
            self._pressed(self._pressing, PhoneError(PhoneRefusal.NO_SUCH_LEG, "the leg has left"))
        if leg in self.parties:
            self.parties.remove(leg)
        await self.floor.forget(leg)


def receives(leg: Leg) -> bool:
    """Whether a leg's peer takes sound, as it said last."""
    stream = leg.media.streams.get(MediaKind.AUDIO)
    return stream is not None and stream.remote is not None and stream.remote.direction.receives
