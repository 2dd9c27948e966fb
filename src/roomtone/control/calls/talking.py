"""A call while it is up: what either side offers in the middle of it, and what passes between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.calls.bridge import codec_of, join
from roomtone.control.calls.call import NO_CALL, Call
from roomtone.control.calls.errors import CallError
from roomtone.control.calls.offering import answer_again, read_sdp
from roomtone.control.calls.reasons import CallEnd
from roomtone.observe import get_logger

if TYPE_CHECKING:
    from roomtone.control.calls.legs import Leg
    from roomtone.control.calls.values import Acknowledged, InfoSent, Offered

_log = get_logger(__name__)


class TalkingCall(Call):
    """A call whose two sides have each other's media."""

    async def _on_offered(self, leg: Leg, event: Offered) -> None:
        far = self._far(leg)
        if far is None:
            leg.signal.refuse_offer(event.offer, CallEnd.MEDIA_INCOMPATIBLE)
            return
        if event.sdp is None:
            leg.offered = True
            leg.signal.answer_offer(event.offer, leg.media.describe())
            return
        try:
            sdp = await answer_again(leg.media, event.sdp, far.media)
        except CallError as error:
            _log.info("an offer was refused", call=self.id, reason=error.end.value, detail=error.message)
            leg.signal.refuse_offer(event.offer, error.end)
            return
        await self._join(leg, far)
        leg.signal.answer_offer(event.offer, sdp)

    async def _on_acknowledged(self, leg: Leg, event: Acknowledged) -> None:
        far = self._far(leg)
        if not leg.offered or far is None:
            return
        leg.offered = False
        if event.sdp is None:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "our offer was acknowledged without an answer")
        await leg.media.take_answer(read_sdp(event.sdp))
        await self._join(leg, far)
        self.codec = codec_of(leg.media, far.media)

    async def _join(self, one: Leg, other: Leg) -> None:
        assert self.router is not None  # noqa: S101 - `_begin` opened it
        first, second = (one, other) if one is self.caller else (other, one)
        self.conversion = await join(self.router, first.media, second.media, self.conversion)

    def _far(self, leg: Leg) -> Leg | None:
        """Give the other end of an answered call."""
        if self.answered_by is None or self.answered_at is None:
            return None
        return self.answered_by if leg is self.caller else self.caller if leg is self.answered_by else None

    def _on_info(self, leg: Leg, event: InfoSent) -> None:
        far = self._far(leg)
        if far is None:
            event.reply(NO_CALL)
        else:
            far.signal.send_info(event.content_type, event.body, event.reply)
