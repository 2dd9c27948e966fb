"""`/live/NAME/index.m3u8` for those whom the front door does not let by itself: a token in, a redirect out."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import RedirectResponse, Response

from roomtone.control.live import LiveError, LiveRefusal
from roomtone.control.rooms import is_room_name
from roomtone.servers.api.requests import bearer, context_of, is_loopback

router = APIRouter(tags=["Live streams"])
COOKIE = "roomtone-live"
"""`crates/front` knows it too: it leads who comes again to the same grant."""


@router.head("/live/{name}/index.m3u8", include_in_schema=False)
@router.get(
    "/live/{name}/index.m3u8",
    status_code=302,
    response_class=Response,
    summary="Begin to watch a live stream",
    responses={
        307: {"description": "Another server has the stream: there"},
        401: {"description": "The stream is not public, and there is no token or none that is valid"},
        403: {"description": "The token does not cover this stream, or its holder was sent away"},
        404: {"description": "There is no such stream"},
    },
)
async def begin_to_watch(request: Request, name: str) -> Response:
    """Check a token, `?token=` or a bearer, and lead to the playlist that the answer opens.

    It takes a token of the room of this name with canSubscribe, or an account's.
    """
    context = context_of(request)
    access = context.access
    token = request.query_params.get("token") or bearer(request)
    if (there := await _elsewhere(request, name)) is not None:
        return there
    is_nobodys = not is_room_name(name) or (token is None and access.is_open_to(loopback=is_loopback(request)))
    if is_nobodys:
        # What is open the front door serves itself, where it is there.
        raise LiveError(LiveRefusal.NO_SUCH_STREAM, "there is no such live stream")
    stream = context.live.by_name.get(name)
    terms = context.listings.current(name) if stream is None else stream.terms
    grant = access.admit(name, token, public=terms.public)
    response = RedirectResponse(f"/live/{name}/~{grant.text}/index.m3u8", HTTPStatus.FOUND)
    response.headers["Cache-Control"] = "no-store"
    response.set_cookie(
        COOKIE,
        grant.text,
        max_age=grant.lifetime_s,
        path=f"/live/{name}/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


async def _elsewhere(request: Request, name: str) -> Response | None:
    """Lead to the server that has a stream which is not here; what was shown is shown there."""
    context = context_of(request)
    if not is_room_name(name) or name in context.live.by_name or name in context.ingests.by_name:
        return None
    if not (owner := await context.ingests.registry.owner(name)):
        return None
    query = f"?{request.url.query}" if request.url.query else ""
    to = f"{owner}/live/{name}/index.m3u8{query}"
    return RedirectResponse(to, HTTPStatus.TEMPORARY_REDIRECT, headers={"Cache-Control": "no-store"})
