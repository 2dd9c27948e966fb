"""`/api/v1/streams/{name}/readers`: who reads a live stream by SRT, or plays it by RTMP."""

# ruff: noqa: FAST003 - the dependency takes the stream's name

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.security import HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from roomtone.servers.api.live_schemas import ReaderBody
from roomtone.servers.api.requests import context_of
from roomtone.servers.api.viewers_api import WatchedStream  # noqa: TC001 - likewise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomtone.control.live import Playout

router = APIRouter(prefix="/api/v1", tags=["Live streams"], dependencies=[Depends(HTTPBearer(auto_error=False))])


@router.get("/streams/{name}/readers", summary="Who reads a live stream by SRT, or plays it by RTMP")
async def list_readers(request: Request, stream: WatchedStream) -> list[ReaderBody]:
    """List those to whom it is played out as MPEG-TS, figures as of the last second; needs roomAdmin for its room."""
    context = context_of(request)
    reports = {str(report["playout"]): report for report in await context.engine.stats() if report["type"] == "playout"}
    return [_body(playout, reports.get(str(playout.id), {})) for playout in context.playouts.of(stream)]


@router.delete(
    "/streams/{name}/readers/{reader}",
    status_code=204,
    summary="Send a reader of a live stream away",
    responses={404: {"description": "No such reader"}, 503: {"description": "Too many are kept away already"}},
)
async def kick_reader(
    request: Request, stream: WatchedStream, reader: Annotated[str, Path(pattern="^[0-9]{1,20}$")]
) -> None:
    """End its connection; the token that it showed does not open this stream again, another does."""
    await context_of(request).playouts.kick(stream, int(reader))


def _body(playout: Playout, report: Mapping[str, int | float | str | bool | None]) -> ReaderBody:
    def figure(name: str) -> int:
        return int(report.get(name) or 0)

    return ReaderBody(
        id=str(playout.id),
        protocol=playout.protocol,
        remote=playout.remote,
        identity=playout.identity,
        since=playout.started_at,
        bytes=figure("bytes"),
        packets=figure("packets"),
        packets_repeated=figure("packets_repeated"),
        packets_dropped=figure("packets_dropped"),
        units_dropped=figure("units_dropped"),
        groups_dropped=figure("groups_dropped"),
        rtt_ms=figure("rtt_us") / 1000,
    )
