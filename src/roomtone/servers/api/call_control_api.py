"""What can be done to calls that go on, by HTTP: hold, mute, keys, transfer, redirect, merge."""

# ruff: noqa: TC001, TC002 - FastAPI reads the annotations

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from roomtone.control.calls import Command, Hold, Merge, Mute, PressKeys, Redirect, Transfer
from roomtone.servers.api.phone_schemas import KeysBody, MergeBody, NamedLegBody, RedirectBody, TransferBody
from roomtone.servers.api.phones_api import allowed, calls_of

_bearer = HTTPBearer(auto_error=False, description="A token of an administrator's account, or one with sip.admin")
router = APIRouter(prefix="/api/v1/calls/{call}", tags=["Phones"], dependencies=[Depends(_bearer), *allowed])


@router.post("/hold", status_code=204, summary="Put a party on hold")
async def hold(request: Request, call: str, body: NamedLegBody) -> Response:
    """Put a leg on hold: it hears music, the other side hears nothing, and neither hears the other."""
    return await _done(request, call, Hold(body.leg, on=True))


@router.post("/resume", status_code=204, summary="Take a party off hold")
async def resume(request: Request, call: str, body: NamedLegBody) -> Response:
    """End a hold that was asked for here; one that a phone asked for is the phone's to end."""
    return await _done(request, call, Hold(body.leg, on=False))


@router.post("/legs/{leg}/mute", status_code=204, summary="Mute a party")
async def mute(request: Request, call: str, leg: str) -> Response:
    """Have nobody hear a leg; it goes on to hear the others."""
    return await _done(request, call, Mute(leg, on=True))


@router.post("/legs/{leg}/unmute", status_code=204, summary="Unmute a party")
async def unmute(request: Request, call: str, leg: str) -> Response:
    """Have a leg heard again."""
    return await _done(request, call, Mute(leg, on=False))


@router.post("/legs/{leg}/dtmf", status_code=204, summary="Send keys to a party")
async def send_keys(request: Request, call: str, leg: str, body: KeysBody) -> Response:
    """Send keys to a leg; answered when they are out.

    They go as events (RFC 4733) where those were agreed on, else by INFO, and as tones where the peer refuses that.
    """
    return await _done(request, call, PressKeys(leg, body.keys))


@router.post("/transfer", status_code=202, summary="Transfer a party")
async def transfer(request: Request, call: str, body: TransferBody) -> Response:
    """Connect a leg with another number; answered as soon as that is called, or a room has taken a phone in.

    The other side of the call stays until somebody has answered there, and goes on as before where nobody does. So does
    a phone in a room, which leaves it then; the call that it is in has another id.
    """
    return await _done(request, call, Transfer(body.leg, body.to), 202)


@router.post("/redirect", status_code=202, summary="Redirect a call that rings")
async def redirect(request: Request, call: str, body: RedirectBody) -> Response:
    """Have a call ring at another number instead; where that cannot be called it goes on to ring where it does.

    A room answers at once, if it takes the caller in.
    """
    return await _done(request, call, Redirect(body.to), 202)


@router.post("/merge", status_code=204, summary="Merge another call with this one")
async def merge(request: Request, call: str, body: MergeBody) -> Response:
    """Have all parties of two calls hear each other, in this call; the other one ends, as transferred.

    Where one phone is in both, the line that it has put on hold is hung up.
    """
    return await _done(request, call, Merge(calls_of(request).find(body.call)))


async def _done(request: Request, call: str, command: Command, status: int = 204) -> Response:
    await calls_of(request).command(call, command)
    return Response(status_code=status)
