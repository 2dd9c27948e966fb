"""The legs of a call, and the table of what can happen to one."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.control.calls.media.quality import measure
from roomtone.control.rooms import HeldRouter
from roomtone.protocols.sdp.telephony import MediaSecurity

if TYPE_CHECKING:
    from roomtone.control.calls.media.quality import LegQuality
    from roomtone.control.calls.media.streams import LegMedia
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.reasons import CallEnd
    from roomtone.control.calls.values import Caller, Target

MEASURED_FROM_S = 2.0
"""Of a call that was shorter nothing can be said, and it is not worth the questions."""


class LegState(StrEnum):
    """How far one leg is."""

    INVITING = "inviting"
    """Nobody has answered anything yet."""
    RINGING = "ringing"
    UP = "up"
    ENDED = "ended"


class LegInput(StrEnum):
    """What happens to a leg."""

    RANG = "rang"
    ANSWERED = "answered"
    ENDED = "ended"


_TABLE = {
    (LegState.INVITING, LegInput.RANG): LegState.RINGING,
    (LegState.RINGING, LegInput.RANG): LegState.RINGING,
    (LegState.INVITING, LegInput.ANSWERED): LegState.UP,
    (LegState.RINGING, LegInput.ANSWERED): LegState.UP,
    (LegState.INVITING, LegInput.ENDED): LegState.ENDED,
    (LegState.RINGING, LegInput.ENDED): LegState.ENDED,
    (LegState.UP, LegInput.ENDED): LegState.ENDED,
}
"""What is not here changes nothing: it crossed something of ours on the way."""


@dataclass(eq=False, slots=True)
class Leg:
    """One party's side of a call."""

    signal: Signal
    account: str
    media: LegMedia
    security: MediaSecurity = MediaSecurity.OPTIONAL
    party: Caller | None = None
    """As whom others are called in its name."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: LegState = LegState.INVITING
    end: CallEnd | None = None
    offered: bool = False
    """Whether an offer of ours waits for the peer's answer in its ACK."""
    heard: str = ""
    """The last description of the peer."""
    others: tuple[Target, ...] = ()
    """Further ways to its peer, for when this one does not lead there (RFC 3263 section 4.3)."""
    trunk: str = ""
    """The trunk it goes by; empty: none."""
    holds: bool = False
    """Whether its peer has put the other side on hold, by an offer in the middle of the call."""
    held: bool = False
    """Whether it was put on hold from outside: it hears music, and nobody hears it."""
    muted: bool = False
    """Whether nobody is to hear it."""
    up_at: float | None = None
    """When it was answered, by the loop's clock."""
    measured: list[LegQuality] = field(default_factory=list)
    """Takes how good its sound was, once it has ended."""

    def step(self, what: LegInput) -> bool:
        """Change the state; False when this changes nothing."""
        new = _TABLE.get((self.state, what))
        if new is None:
            return False
        self.state = new
        if what is LegInput.ANSWERED:
            self.up_at = asyncio.get_running_loop().time()
        return True

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state is LegState.ENDED

    async def finish(self, end: CallEnd, *, tell: bool, with_call: bool = False) -> None:
        """End it once: its peer is told, unless it told us; its ports are free, ``with_call`` when the call's are.

        On a router that goes on without the call they are closed in any case.
        """
        if not self.step(LegInput.ENDED):
            return
        self.end = end
        if tell:
            self.signal.end(end)
        if self.up_at is not None and asyncio.get_running_loop().time() - self.up_at >= MEASURED_FROM_S:
            quality = await measure(self.media, self.account)
            if quality is not None:
                self.measured.append(quality)
        if not with_call or isinstance(self.media.router, HeldRouter):
            await self.media.close()
