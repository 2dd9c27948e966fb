"""`/api/v1/webhooks`: those that were given up, for administrators."""

# ruff: noqa: TC002 - FastAPI reads the annotations

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from roomtone.control.policy import Ability
from roomtone.control.webhooks import WebhookError, WebhookRefusal
from roomtone.servers.api.accounts_access import actor_with
from roomtone.servers.api.requests import context_of

if TYPE_CHECKING:
    from roomtone.control.webhooks import DeadLetters

MAX_PAGE = 200
_bearer = HTTPBearer(auto_error=False, description="An access token of an administrator's account")
router = APIRouter(prefix="/api/v1/webhooks", tags=["Webhooks"], dependencies=[Depends(_bearer)])


class DeadLetterBody(BaseModel):
    """A webhook that was given up."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: int
    """Its place among those given up."""
    url: str
    """Where it should have gone."""
    event_id: str
    """Id of the event, as the webhook has it."""
    event: str
    """What happened, such as `room_started`."""
    body: str
    """The JSON that was to be sent."""
    attempts: int
    """How often it was tried; 0 where too many waited."""
    last_error: str
    """Why the last attempt failed."""
    created_at: float
    """When it happened, in seconds since the epoch."""
    given_up_at: float
    """When it was given up."""


@router.get("/dead-letters", summary="List webhooks that were given up")
async def list_dead_letters(
    request: Request,
    after: Annotated[int, Query(ge=0, description="The id after which the list begins")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> list[DeadLetterBody]:
    """List webhooks that were given up, the oldest first."""
    await actor_with(request, Ability.MANAGE_WEBHOOKS)
    found = await _dead_letters(request).letters(limit, after=after)
    return [
        DeadLetterBody(
            id=letter.id or 0,
            url=letter.url,
            event_id=letter.event_id,
            event=letter.event,
            body=letter.body.decode("utf-8", "replace"),
            attempts=letter.attempts,
            last_error=letter.last_error,
            created_at=letter.created_at,
            given_up_at=letter.given_up_at,
        )
        for letter in found
    ]


@router.post("/dead-letters/{letter}/retry", status_code=202, summary="Send a webhook again")
async def retry_dead_letter(request: Request, letter: int) -> Response:
    """Take a webhook out of those given up and send it again, with as many attempts as at first."""
    await actor_with(request, Ability.MANAGE_WEBHOOKS)
    await _dead_letters(request).resend(letter)
    return Response(status_code=202)


@router.delete("/dead-letters/{letter}", status_code=204, summary="Forget a webhook")
async def delete_dead_letter(request: Request, letter: int) -> Response:
    """Forget a webhook that was given up."""
    await actor_with(request, Ability.MANAGE_WEBHOOKS)
    await _dead_letters(request).forget(letter)
    return Response(status_code=204)


def _dead_letters(request: Request) -> DeadLetters:
    webhooks = context_of(request).webhooks
    if webhooks is None:
        raise WebhookError(WebhookRefusal.NO_SUCH_LETTER, "this server keeps no webhooks")
    return webhooks
