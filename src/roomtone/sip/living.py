"""The life of a call: one task with an inbox, so that its steps never cross."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeAlias

from roomtone.protocols.sip.agent import (
    Answered,
    Confirmed,
    Ended,
    EndReason,
    Pracked,
    Progressed,
    Refused,
    Reoffered,
    WrongStateError,
)
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.servers.sip.bodies import NoDescriptionError, description_of
from roomtone.sip.call import Call
from roomtone.sip.ends import CallEnd, CallState
from roomtone.sip.errors import SipError

if TYPE_CHECKING:
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction import ServerTransaction

MAX_WAITING = 64
"""Events of one call that may wait; one more ends it."""
_NOT_ACCEPTABLE = 488
_log = logging.getLogger(__name__)

CallInput: TypeAlias = Progressed | Answered | Refused | Confirmed | Pracked | Reoffered | Ended


class LivingCall(Call):
    """A call that takes what the user agent tells of it."""

    _inbox: asyncio.Queue[CallInput]
    waits_for_answer = False
    """Whether an offer of ours waits for the answer in an ACK."""

    def begin(self) -> None:
        """Begin to live."""
        self._inbox = asyncio.Queue(MAX_WAITING)
        self.wiring.start(self._live(), "sip-call")

    def post(self, event: CallInput) -> None:
        """Take an event; never waits."""
        try:
            self._inbox.put_nowait(event)
        except asyncio.QueueFull:
            _log.warning("a call has more events than it may: it is ended")
            if self.leg is not None and not self.leg.is_over:
                self.leg.hang_up(self.wiring.now())

    async def _live(self) -> None:
        try:
            while not self.is_over:
                event = await self._inbox.get()
                try:
                    await self._take(event)
                except (SipError, SipSyntaxError, NoDescriptionError) as error:
                    _log.info("a call comes to nothing: %s", error)
                    await self._give_up()
        finally:
            if not self.is_over:
                await self.finish(CallEnd(EndReason.LOCAL))

    async def _take(self, event: CallInput) -> None:
        match event:
            case Progressed():
                await self._on_progressed(event)
            case Answered():
                await self._on_answered(event)
            case Refused():
                status = None if event.response is None else event.response.status
                await self.finish(CallEnd(event.reason, status, event.response))
            case Reoffered():
                await self._on_reoffered(event.transaction, event.request)
            case Confirmed():
                await self._on_confirmed(event)
            case Pracked():
                if event.transaction is not None:  # an offer before there is an answer: nothing here makes one
                    self._respond(event.transaction, _NOT_ACCEPTABLE)
            case Ended():
                await self.finish(CallEnd(event.reason, None, event.message))

    async def _give_up(self) -> None:
        if self.leg is not None and not self.leg.is_over:
            self.leg.hang_up(self.wiring.now())
        elif self.invite is not None and not self.invite.is_over:
            self.invite.cancel(self.wiring.now())
        self.wiring.drain()

    async def _on_progressed(self, event: Progressed) -> None:
        text = description_of(event.response)
        if text is None or text == self.remote_sdp:
            self.become(CallState.RINGING)
            return
        async with self.turn:
            self.remote_sdp = text
            if self.media is not None:
                await self.media.take_answer(text)
        self.become(CallState.EARLY)

    async def _on_answered(self, event: Answered) -> None:
        self.leg = event.leg
        event.leg.owner = self
        text = description_of(event.response)
        async with self.turn:
            if text is not None and text != self.remote_sdp:
                self.remote_sdp = text
                if self.media is not None:
                    await self.media.take_answer(text)
        self.become(CallState.ANSWERED)

    async def _on_confirmed(self, event: Confirmed) -> None:
        if not self.waits_for_answer:
            return
        self.waits_for_answer = False
        text = description_of(event.ack)
        if text is None:
            raise NoDescriptionError("our offer was acknowledged without an answer")
        async with self.turn:
            self.remote_sdp = text
            if self.media is not None:
                await self.media.take_answer(text)
        await self.refresh_bridge()
        self.become(CallState.ANSWERED)

    async def _on_reoffered(self, transaction: ServerTransaction, request: Request) -> None:
        """Answer a re-INVITE or UPDATE of the peer; what cannot be is refused, and the call goes on as it was."""
        try:
            text = description_of(request)
            async with self.turn:
                sdp = await self._answer_to(text)
                if text is not None:
                    self.remote_sdp = text
                self.local_sdp = sdp
        except (SipError, SipSyntaxError, NoDescriptionError) as error:
            _log.info("an offer was refused: %s", error)
            self._respond(transaction, _NOT_ACCEPTABLE)
            return
        self._respond(transaction, 200, sdp)
        self.waits_for_answer = text is None
        await self.refresh_bridge()
        self.tell_change()

    async def _answer_to(self, text: str | None) -> str:
        if self.media is not None:
            return self.media.offer_again(hold=self.is_holding) if text is None else await self.media.answer_again(text)
        if self.on_offer is None:
            raise NoDescriptionError("the program takes no offers in the middle of a call")
        return await self.on_offer(text or "")

    def _respond(self, transaction: ServerTransaction, status: int, sdp: str = "") -> None:
        try:
            self.wiring.agent.respond(transaction, status, self.wiring.now(), body=sdp.encode())
        except WrongStateError:
            _log.debug("an offer was taken back before it was answered")
        self.wiring.drain()


class OutboundCall(LivingCall):
    """A call of ours; made by `Endpoint.call`. `wait_answered` tells how it went, and `hang_up` takes it back."""
