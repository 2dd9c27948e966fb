"""`/api/v1/server`: what pages need to know before anybody has logged in."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotation

from roomtone.control.policy import DEV_KEY
from roomtone.servers.api.requests import context_of, is_loopback
from roomtone.servers.api.schemas import Body

router = APIRouter(prefix="/api/v1", tags=["Server"])


class ServerBody(Body):
    """What this server offers to whoever asks."""

    version: str
    accounts: bool = Field(description="Whether people can log in here")
    registration: bool = Field(description="Whether they can make their own accounts")
    guests: bool = Field(description="Whether this client gets tokens without an account: development only")


@router.get("/server", summary="What this server offers")
async def about(request: Request, response: Response) -> ServerBody:
    """Say what pages can offer; needs no token, and says nothing of rooms or people."""
    context = context_of(request)
    accounts = context.accounts
    response.headers["Cache-Control"] = "no-store"
    return ServerBody(
        version=context.version,
        accounts=accounts is not None,
        registration=accounts is not None and accounts.parts.rules.registration,
        guests=context.settings.server.dev and DEV_KEY in context.keys.secrets and is_loopback(request),
    )
