"""What comes too late for a leg or a call, and is answered all the same."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import PhoneError, PhoneRefusal
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import Commanded, Given, GiveUp, InfoSent, NotGiven, Referred, TakenOver
from roomtone.media import EngineCommandError

if TYPE_CHECKING:
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.values import CallEvent

NO_CALL = 481


def turn_away(signal: Signal | None, event: CallEvent) -> None:
    """Answer what comes for a leg or a call that is over, and waits for an answer."""
    match event:
        case InfoSent():
            event.reply(NO_CALL)
        case Referred() if signal is not None:
            signal.refuse_referral(event.referral, NO_CALL)
        case TakenOver() if signal is not None:
            signal.end(CallEnd.LEG_LOST)
        case GiveUp():
            event.to.post(None, NotGiven(CallEnd.LEG_LOST))
        case Commanded() if not event.reply.done():
            event.reply.set_exception(PhoneError(PhoneRefusal.NO_SUCH_CALL, "the call has ended"))
        case _:
            pass


async def end_given(event: Given) -> None:
    """End legs that were given to a call that has no use for them any more."""
    for leg in event.legs:
        with contextlib.suppress(EngineCommandError):
            await leg.finish(CallEnd.LEG_LOST, tell=True)
    for router in event.routers:
        with contextlib.suppress(EngineCommandError):
            await router.close()
