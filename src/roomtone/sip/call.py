"""A call in either direction: its states, its sound, and what can be done with it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent import EndReason
from roomtone.sip.ends import CallEnd, CallState, failure_of
from roomtone.sip.errors import SipCode, UseError, peer_error
from roomtone.sip.pressed import KEYS, Pressed
from roomtone.sip.requests import header_block
from roomtone.sip.stock import Stock
from roomtone.sip.tones import RATE_HZ, tone
from roomtone.sip.transfer import Transfer, refer_to
from roomtone.sip.wiring import Waiting, commanding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from roomtone.media.values import MixerSource
    from roomtone.protocols.sip.agent import Leg, OutgoingInvite
    from roomtone.protocols.sip.message import Response
    from roomtone.sip.account import Account
    from roomtone.sip.bridging import Bridge
    from roomtone.sip.media import CallMedia
    from roomtone.sip.playing import Playing
    from roomtone.sip.wiring import Wiring

_REDIRECT = 300


class Call(Pressed):
    """One call. `OutboundCall` is made by `Endpoint.call`, `InboundCall` is given to `Server.on_invite`.

    Errors are `SipError`: `PeerError` for what the peer refused, `UseError` for what cannot be done now. What the
    program does not hold on to lives on: a call ends when somebody hangs up, or with its endpoint.
    """

    def __init__(self, wiring: Wiring, account: Account | None) -> None:
        super().__init__(Stock(wiring.limits.waiting, wiring.counters))
        self.wiring = wiring
        self.account = account
        """Whose credentials its requests are sent with."""
        self.state = CallState.TRYING
        self.end: CallEnd | None = None
        self.media: CallMedia | None = None
        """Its sound; None where the program gives descriptions of its own."""
        self.leg: Leg | None = None
        self.invite: OutgoingInvite | None = None
        self.joined: Bridge | None = None
        """The bridge it is in."""
        self.local_sdp = ""
        self.remote_sdp = ""
        """What the two sides last said of their media."""
        self.is_holding = False
        """Whether we have put the peer on hold."""
        self.on_offer: Callable[[str], Awaitable[str]] | None = None
        """Answers offers of the peer in the middle of a call without an engine; without it they are refused (488)."""
        self.turn = asyncio.Lock()
        """Held while an offer is under way."""
        self.when_over: Callable[[Call], object] | None = None
        """Told once of its end."""
        self._followers: list[Call] = []
        self._changed = asyncio.Event()
        self._waits: set[Waiting] = set()

    # states

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state is CallState.ENDED

    @property
    def is_held(self) -> bool:
        """Whether the peer has put us on hold, in either of its forms (RFC 3264 section 8.4)."""
        return self.media is not None and self.media.is_held

    @property
    def codec(self) -> str:
        """The codec spoken, such as ``PCMU/8000``; empty before the answer, or without an engine."""
        return "" if self.media is None else self.media.codec

    def become(self, state: CallState) -> None:
        """Note how far it is; never back."""
        order = list(CallState)
        if order.index(state) > order.index(self.state):
            self.state = state
        self.tell_change()

    def tell_change(self) -> None:
        """Wake those who wait for something."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def wait_for(self, condition: Callable[[Call], object]) -> None:
        """Wait until something is so of this call: it is looked at whenever the call changes.

        Raises `UseError` when the call is over and it is not so.
        """
        while not condition(self):
            if self.is_over:
                raise UseError(SipCode.WRONG_STATE, "the call is over")
            await self._changed.wait()

    async def wait_answered(self) -> None:
        """Wait for the answer. Raises `PeerError` with the final response that refused it, or why there was none."""
        with suppress(UseError):
            await self.wait_for(lambda call: call.state is CallState.ANSWERED or call.is_over)
        if self.end is not None:
            raise failure_of(self.end)

    async def wait_ended(self) -> CallEnd:
        """Wait for the end, and give its reason."""
        await self.wait_for(lambda call: call.is_over)
        return self.end or CallEnd(EndReason.GONE)

    # what is played and pressed

    async def send_dtmf(self, keys: str, *, by_info: bool = False) -> None:
        """Send keys (0-9, *, #, A-D): as telephone events (RFC 4733) or tones, or by INFO, answers awaited."""
        if not keys or not set(keys) <= KEYS:
            raise UseError(SipCode.BAD_INPUT, f"{keys!r} are no keys")
        if not by_info:
            await self._sound().send_keys(keys)
            return
        for key in keys:
            body = f"Signal={key}\r\nDuration=160\r\n".encode()
            response = await self.request("INFO", body, "application/dtmf-relay")
            if response.status >= _REDIRECT:
                raise peer_error(response, "INFO")

    async def play(self, wav: str | Path | bytes, *, repeat: bool = False) -> Playing:
        """Play a WAV file (16-bit PCM, A-law or mu-law, one or two channels) to the peer, by its path or its bytes."""
        from roomtone.media.values import MixerWav  # noqa: PLC0415 - only with an engine

        file = wav if isinstance(wav, bytes) else await asyncio.to_thread(Path(wav).read_bytes)
        return await self.play_source(MixerWav(file=file, repeat=repeat))

    async def play_tone(self, hertz: float, seconds: float | None = None, *, amplitude: float = 0.25) -> Playing:
        """Play a tone; without an end it goes on until it is stopped."""
        from roomtone.media.values import MixerClip  # noqa: PLC0415 - only with an engine

        if not 20 <= hertz < RATE_HZ / 2 or not 0 < amplitude <= 1:  # noqa: PLR2004 - what can be heard by phone
            raise UseError(SipCode.BAD_INPUT, f"no tone: {hertz:g} Hz at {amplitude:g}")
        # what repeats is a second of whole periods, so that nothing clicks
        samples = tone((round(hertz) if seconds is None else hertz,), round(RATE_HZ * (seconds or 1.0)), amplitude)
        return await self.play_source(MixerClip(rate_hz=RATE_HZ, samples=samples, repeat=seconds is None))

    async def play_source(self, source: MixerSource) -> Playing:
        """Play anything a mixer plays (`roomtone.media.values`): samples, a WAV file, a national tone."""
        return await self._sound().play(source)

    async def bridge(self, other: Call, *, together: bool = True) -> Bridge:
        """Join two answered calls of this endpoint: as their media is where both speak a codec, converted otherwise.

        With ``together`` the end of one ends the other.
        """
        from roomtone.sip.bridging import Bridge  # noqa: PLC0415 - only with an engine

        if other is self or other.wiring is not self.wiring:
            raise UseError(SipCode.BAD_INPUT, "two calls of one endpoint can be joined")
        media = self._sound(), other._sound()
        if self.joined is not None or other.joined is not None:
            raise UseError(SipCode.WRONG_STATE, "one of them is in a bridge")
        bridge = self.joined = other.joined = Bridge(self, other, media, together=together)
        await bridge.join()
        return bridge

    def _sound(self) -> CallMedia:
        if self.is_over:
            raise UseError(SipCode.WRONG_STATE, "the call is over")
        if self.media is None:
            raise UseError(SipCode.NO_MEDIA, "its sound is not ours: there is no engine, or it has its own description")
        return self.media

    # offers in the middle of a call

    async def hold(self, sdp: str | None = None) -> None:
        """Put the peer on hold (``sendonly``): it is heard no more, and hears what is played.

        Without an engine the description is the program's. Raises `PeerError` when the peer refuses.
        """
        await self.reoffer(sdp, hold=True)

    async def resume(self, sdp: str | None = None) -> None:
        """Take the peer back from hold."""
        await self.reoffer(sdp, hold=False)

    async def reoffer(self, sdp: str | None = None, *, hold: bool = False) -> None:
        """Send a re-INVITE with a new description, and take its answer (RFC 3264 section 8)."""
        async with self.turn:
            leg = self._confirmed()
            if sdp is None:
                sdp = self._sound().offer_again(hold=hold)
            with commanding():
                outgoing = self.wiring.agent.reoffer(leg, self.wiring.now(), body=sdp.encode())
            response = await self._wait(outgoing)
            if response is None or response.status >= _REDIRECT:
                raise peer_error(response, "re-INVITE")
            self.local_sdp, self.is_holding = sdp, hold
            self.remote_sdp = response.body.decode("utf-8", "replace")
            if self.media is not None:
                await self.media.take_answer(self.remote_sdp)
        await self.refresh_bridge()
        self.tell_change()

    async def refresh_bridge(self) -> None:
        """Bring the bridge in step with what a description has changed."""
        if self.joined is not None:
            await self.joined.join()

    # requests

    async def request(
        self, method: str, body: bytes = b"", content_type: str = "", headers: Iterable[tuple[str, str]] = ()
    ) -> Response:
        """Send any request in the dialog, and give its final response. Raises `PeerError` without one."""
        leg = self._confirmed()
        block = header_block(headers, content_type if body else "")
        with commanding():
            outgoing = self.wiring.agent.request(leg.dialog, method, self.wiring.now(), body=body, block=block)
        response = await self._wait(outgoing)
        if response is None:
            raise peer_error(None, method)
        return response

    async def transfer(self, to: str | Call, *, timeout_s: float = 90.0) -> int:
        """Have the peer call somebody else (RFC 5589): a URI, or the peer of another call, which it takes over.

        Waits for the outcome the peer tells, then hangs up; gives the status of the new call. Raises `PeerError` when
        the peer refuses or its call fails, and the call goes on.
        """
        leg = self._confirmed()
        outcome = Transfer(self.account)
        with commanding():
            self.wiring.agent.subscriptions.refer(leg.dialog, refer_to(to), self.wiring.now(), owner=outcome)
        self.wiring.drain()
        status = await outcome.outcome(timeout_s)
        await self.hang_up()
        return status

    async def hang_up(self) -> None:
        """End it the way its state asks for: BYE, CANCEL or a refusal. Waits for the end; nothing once it is over."""
        if self.is_over:
            return
        with suppress(UseError), commanding():
            if self.leg is not None and not self.leg.is_over:
                self.leg.hang_up(self.wiring.now())
            elif self.invite is not None and not self.invite.is_over:
                self.invite.cancel(self.wiring.now())
        self.wiring.drain()
        await self.wait_ended()

    def end_with(self, other: Call) -> None:
        """End when another call ends: one that is made on its behalf. Of one that has ended, at once."""
        if other.is_over:
            self.wiring.start(self.hang_up(), "sip-hang-up")
        else:
            other._followers.append(self)

    def _confirmed(self) -> Leg:
        if self.leg is None or self.state is not CallState.ANSWERED:
            raise UseError(SipCode.WRONG_STATE, f"the call is {self.state}")
        return self.leg

    async def _wait(self, outgoing: object) -> Response | None:
        waiting = Waiting(self.account, asyncio.get_running_loop().create_future())
        outgoing.owner = waiting  # type: ignore[attr-defined]
        self._waits.add(waiting)
        self.wiring.drain()
        try:
            return await waiting.future
        finally:
            self._waits.discard(waiting)

    # the end

    async def finish(self, end: CallEnd) -> None:
        """Be over: everybody who waits is told, every port is given back."""
        if self.is_over:
            return
        self.end = end
        self.become(CallState.ENDED)
        self._keys.close()
        for waiting in tuple(self._waits):
            waiting.done(None)
        joined = self.joined
        if joined is not None:
            others = [call for call in joined.calls if call is not self and joined.together]
            await joined.close()
            self._followers += others
        for follower in self._followers:
            await follower.hang_up()
        if self.media is not None:
            await self.media.close()
        if self.when_over is not None:
            self.when_over(self)
