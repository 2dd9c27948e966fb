"""`/api/v1/streams/{name}/viewers`: who watches by HLS."""

# ruff: noqa: FAST003 - the dependency takes the stream's name

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.security import HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from roomtone.control.live import LiveError, LiveRefusal, LiveViewer
from roomtone.control.policy import Grant
from roomtone.servers.api.live_schemas import ViewerBody
from roomtone.servers.api.requests import authorize, context_of

router = APIRouter(prefix="/api/v1", tags=["Live streams"], dependencies=[Depends(HTTPBearer(auto_error=False))])


def watched(request: Request, name: str) -> str:
    """Give the name of a stream to who may administer its room, whether a room feeds it or an encoder."""
    authorize(request, name, Grant.ADMINISTER)
    context = context_of(request)
    if name not in context.live.by_name and name not in context.ingests.by_name:
        raise LiveError(LiveRefusal.NO_SUCH_STREAM, "there is no such live stream")
    return name


WatchedStream = Annotated[str, Depends(watched)]


@router.get("/streams/{name}/viewers", summary="Who watches a live stream by HLS")
async def list_viewers(request: Request, stream: WatchedStream) -> list[ViewerBody]:
    """List those who asked for a playlist of it in the last 30 seconds; needs roomAdmin for its room."""
    return [_body(viewer) for viewer in context_of(request).access.viewers(stream)]


@router.delete(
    "/streams/{name}/viewers/{viewer}",
    status_code=204,
    summary="Send a viewer of a live stream away",
    responses={404: {"description": "No such viewer watches"}, 503: {"description": "Too many are kept away already"}},
)
async def kick_viewer(
    request: Request, stream: WatchedStream, viewer: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
) -> None:
    """Take a viewer's grant away; its token does not open this stream again, another token does.

    Who watches without a grant is kept away by address and agent, for ten minutes.
    """
    context_of(request).access.kick(stream, int(viewer, 16))


def _body(viewer: LiveViewer) -> ViewerBody:
    seen = viewer.seen
    return ViewerBody(
        id=f"{seen.id:016x}",
        identity=viewer.identity,
        granted=seen.grant is not None,
        address=seen.address,
        agent=seen.agent,
        since=seen.since_ms / 1000,
        seen=seen.seen_ms / 1000,
        playlists=seen.playlists,
    )
