"""A call that comes in: answered, refused, sent elsewhere, or left to ring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.servers.sip.bodies import NoDescriptionError, description_of
from roomtone.sip.ends import CallState
from roomtone.sip.errors import SipCode, SipError, UseError
from roomtone.sip.living import LivingCall
from roomtone.sip.requests import Received, header_block
from roomtone.sip.wiring import commanding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.protocols.sip.agent import Invited
    from roomtone.sip.call import Call
    from roomtone.sip.media import CallMedia
    from roomtone.sip.wiring import Wiring

_BUSY, _NOT_ACCEPTABLE, _MOVED = 486, 488, 302
_RINGING, _PROGRESS = 180, 183


class InboundCall(LivingCall):
    """A call of a peer; `Server.on_invite` decides what becomes of it."""

    def __init__(self, wiring: Wiring, event: Invited, username: str | None, media: CallMedia | None) -> None:
        super().__init__(wiring, None)
        self.received = Received(event.request, event.leg.dialog.flow, username)
        """The INVITE: Request-URI, From, To, asserted identity, all headers."""
        replaced = None if event.replaces is None else event.replaces.owner
        self.replaces: Call | None = replaced
        """The call whose place it takes when it is answered (RFC 3891); that one then ends by itself."""
        self.leg = event.leg
        event.leg.owner = self
        self.media = media
        self._answer = ""
        try:
            self.remote_sdp = description_of(event.request) or ""
        except (NoDescriptionError, SipSyntaxError):
            self.remote_sdp = ""
        self._has_offer = bool(event.request.body)

    def ring(self, status: int = _RINGING, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send a provisional response without a description. Raises `UseError` when it is too late for one."""
        self._progress(status, b"", headers)
        self.become(CallState.RINGING)

    async def early(self, sdp: str | None = None, *, reliable: bool = False) -> None:
        """Let sound flow before the answer (183 with a description), reliably (RFC 3262) where the peer can."""
        async with self.turn:
            text = await self._describe(sdp)
            if not self._has_offer:
                raise UseError(SipCode.WRONG_STATE, "the peer made no offer: there is nothing to answer early")
            self._progress(_PROGRESS, text.encode(), (), reliable=reliable)
        self.become(CallState.EARLY)

    async def answer(self, sdp: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Answer it (200). Raises `UseError` when it was cancelled; `SipError` for media that cannot be: 488 is sent.

        Where the peer made no offer ours goes into the answer, and `state` is answered when its ACK has come.
        """
        block = header_block(headers)
        async with self.turn:
            try:
                text = await self._describe(sdp)
            except SipError as error:
                if error.code is SipCode.MEDIA_FAILED:
                    self.refuse(_NOT_ACCEPTABLE)
                raise
            self.waits_for_answer = not self._has_offer
            assert self.leg is not None  # noqa: S101 - it came with one
            with commanding():
                self.wiring.agent.answer_invite(self.leg, self.wiring.now(), body=text.encode(), block=block)
            self.wiring.drain()
        if self.waits_for_answer:
            await self.wait_for(lambda call: call.state is CallState.ANSWERED)
        else:
            self.become(CallState.ANSWERED)

    def refuse(self, status: int = _BUSY, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Refuse it with any final status of 400 or more. Raises `UseError` when it has its final response."""
        assert self.leg is not None  # noqa: S101 - it came with one
        with commanding():
            self.wiring.agent.refuse(self.leg, status, self.wiring.now(), block=header_block(headers))
        self.wiring.drain()

    def redirect(self, *uris: str, status: int = _MOVED) -> None:
        """Send the caller elsewhere (RFC 3261 section 21.3): it calls these URIs itself."""
        if not uris or not 300 <= status <= 399:  # noqa: PLR2004 - the class of redirections
            raise UseError(SipCode.BAD_INPUT, "a redirection has a status of 3xx and somewhere to go")
        self.refuse(status, [("Contact", f"<{uri}>") for uri in uris])

    @property
    def is_decided(self) -> bool:
        """Whether it has its final response, or needs none any more."""
        return (
            self.is_over
            or self.leg is None
            or self.leg.is_over
            or self.leg.incoming is None
            or (self.leg.incoming.is_final)
        )

    async def _describe(self, sdp: str | None) -> str:
        """Give our description: the program's, or that of the engine; the same for early media and the answer."""
        if self._answer:
            return self._answer
        if sdp is not None:
            if self.media is not None:
                await self.media.close()
                self.media = None
            self._answer = sdp
        elif self.media is None:
            raise UseError(SipCode.NO_MEDIA, "there is no engine: give a description")
        elif self._has_offer:
            if not self.remote_sdp:
                raise SipError(SipCode.MEDIA_FAILED, "the offer is no description of a session")
            await self.media.take_offer(self.remote_sdp)
            self._answer = await self.media.answer()
        else:
            self._answer = await self.media.offer()
        self.local_sdp = self._answer
        return self._answer

    def _progress(
        self, status: int, body: bytes, headers: Iterable[tuple[str, str]], *, reliable: bool = False
    ) -> None:
        if not 101 <= status <= 199:  # noqa: PLR2004 - the class of provisional responses; 100 is the agent's
            raise UseError(SipCode.BAD_INPUT, f"{status} is no progress")
        assert self.leg is not None  # noqa: S101 - it came with one
        block = header_block(headers)
        with commanding():
            self.wiring.agent.progress(self.leg, status, self.wiring.now(), body=body, block=block, reliable=reliable)
        self.wiring.drain()
