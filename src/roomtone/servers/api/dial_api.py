"""Rooms call phones by HTTP: for administrators of phones, and tokens that may call."""

# ruff: noqa: TC002 - FastAPI reads the annotations

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request

from roomtone.control.calls import DialRequest
from roomtone.control.policy import Ability
from roomtone.servers.api.accounts_access import actor_with, token_of
from roomtone.servers.api.dial_schemas import DialBody, DialledBody
from roomtone.servers.api.phones_api import calls_of

if TYPE_CHECKING:
    from roomtone.control.calls import DialedCall

_bearer = HTTPBearer(
    auto_error=False, description="A token of an administrator's account, or one with sip.call or sip.admin"
)
router = APIRouter(prefix="/api/v1", tags=["Phones"], dependencies=[Depends(_bearer)])


async def may_call(request: Request) -> None:
    """Refuse who may not: administrators may, and tokens with the grant ``sip.call`` or ``sip.admin``."""
    token = token_of(request)
    if not (token.calls_by_sip or token.administers_sip):
        await actor_with(request, Ability.MANAGE_PHONES)


@router.post(
    "/rooms/{room}/calls", status_code=201, summary="Call a phone from a room", dependencies=[Depends(may_call)]
)
async def dial(request: Request, room: str, body: DialBody) -> DialledBody:
    """Call a phone; who answers is a participant of the room, which is made if it is not there.

    Answered as soon as it is being called, with ``wait_until_answered`` once somebody has answered; where nobody does
    the error's code is the reason: `busy`, `declined`, `no_answer`, `not_registered`, `not_found`, `unreachable`...
    """
    call = calls_of(request).dial(
        DialRequest(
            room,
            body.to,
            trunk=body.trunk,
            identity=body.identity,
            name=body.name,
            metadata=body.metadata,
            attributes=tuple(body.attributes.items()),
            shown_number=body.from_number,
            shown_name=body.from_name,
            ringing_timeout_s=body.ringing_timeout_s,
            most_s=body.max_duration_s,
            keys=body.dtmf,
            joins_early=body.join_early,
            rings_in=body.ring_tone,
        )
    )
    await call.rings()
    if body.wait_until_answered:
        await call.answered()
    return _dialled(call)


def _dialled(call: DialedCall) -> DialledBody:
    return DialledBody(
        id=call.id,
        room=call.room,
        identity=call.identity,
        participant=None if call.participant is None else call.participant.id,
        called=call.invitation.called,
        state=call.state,
    )
