"""What all calls share."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.media.plain_streams import Marking
from roomtone.control.calls.pins import PinGuard, PinRules
from roomtone.control.calls.reasons import CallEnd
from roomtone.protocols.sdp.crypto import OFFERED

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.calls.directory.dispatch import Dispatch
    from roomtone.control.calls.parties.call import Call
    from roomtone.control.calls.parties.dialed_call import DialedCall
    from roomtone.control.calls.parties.dialing import DialRequest
    from roomtone.control.calls.parties.leaving import Departure
    from roomtone.control.calls.ports import Signalling
    from roomtone.control.rooms import Rooms
    from roomtone.media import Engine
    from roomtone.media.values import MixerSource


def nobody_begins(call: Call) -> None:
    """Stand for what has calls live, where there is nothing of that kind; raise `CallError`."""
    raise CallError(CallEnd.UNSUPPORTED, f"nothing has {type(call).__name__} live")


def nobody_counts(call: Call) -> None:
    """Stand for what counts calls that wait to be set up."""
    del call


def nobody_takes(departure: Departure) -> Call:
    """Stand for what takes phones out of rooms, where there is nothing of that kind; raise `CallError`."""
    raise CallError(CallEnd.UNSUPPORTED, f"nothing takes a phone out of {departure.room}")


def nobody_dials(request: DialRequest) -> DialedCall:
    """Stand for what calls for rooms, where there is nothing of that kind; raise `CallError`."""
    raise CallError(CallEnd.UNSUPPORTED, f"nothing calls for {request.room}")


@dataclass(frozen=True, slots=True)
class CallParts:
    """What all calls share."""

    engine: Engine
    dispatch: Dispatch
    signalling: Signalling
    clock: Callable[[], float]
    ring_timeout_s: float = 60.0
    rooms: Rooms | None = None
    """Where calls to rooms lead; None: there are none."""
    pins: PinGuard = field(default_factory=lambda: PinGuard(PinRules(), time.monotonic))
    music: MixerSource | None = None
    """What is heard on hold; None: nothing."""
    marking: Marking = field(default_factory=Marking)
    """Of what is sent to phones."""
    extended_reports: bool = False
    """Whether phones are sent RTCP XR (RFC 3611)."""
    describes_silence: bool = False
    """Whether phones that take comfort noise (RFC 3389) are sent descriptions in place of silence."""
    srtp_suites: tuple[str, ...] = OFFERED
    """Offered to phones that are to have keys in their descriptions (RFC 4568), the preferred first."""
    begin: Callable[[Call], None] = nobody_begins
    """Has a call live that another one makes."""
    begun: Callable[[Call], None] = nobody_counts
    """Told of a call that has taken its first step, and from then on waits for others."""
    send_on: Callable[[Departure], Call] = nobody_takes
    """Begins the call that takes a phone out of a room; raises `CallError` where there can be none."""
    dial: Callable[[DialRequest], DialedCall] = nobody_dials
    """Begins a call of a room; raises `CallError` where there can be none."""
