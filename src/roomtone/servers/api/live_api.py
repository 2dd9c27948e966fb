"""`/api/v1/streams`: rooms go live, and what becomes of their streams."""

# ruff: noqa: FAST003 - the dependency takes the stream's name

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response

from roomtone.control.live import IngestStream, LiveEnd, LiveStream
from roomtone.control.policy import Grant
from roomtone.control.rooms import CloseReason
from roomtone.media import EngineCommandError
from roomtone.servers.api.live_schemas import (
    PointedBody,
    StreamBody,
    StreamCreateBody,
    StreamEventBody,
    StreamSourceBody,
    StreamStatistics,
    StreamTrackBody,
    transcoding_body,
)
from roomtone.servers.api.requests import authorize, authorize_destination, context_of
from roomtone.servers.api.status import HttpProblem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomtone.media import Report

router = APIRouter(prefix="/api/v1", tags=["Live streams"], dependencies=[Depends(HTTPBearer(auto_error=False))])


def administered_stream(request: Request, name: str) -> LiveStream:
    """Give the stream of a path to who may administer its room."""
    authorize(request, name, Grant.ADMINISTER)
    return context_of(request).live.find(name)


AdministeredStream = Annotated[LiveStream, Depends(administered_stream)]


@router.get("/streams", summary="List live streams")
async def list_streams(request: Request) -> list[StreamBody]:
    """List all live streams; needs roomList."""
    authorize(request, "", Grant.LIST)
    context = context_of(request)
    audience = context.access.audience()
    return [_body(stream, audience) for stream in context.live.by_name.values()]


@router.post(
    "/streams",
    status_code=201,
    summary="Have a room go live",
    responses={
        403: {"description": "Live streams, or the speakers, are switched off, or the token does not cover this"},
        404: {"description": "There is no such room"},
        409: {"description": "The room is live, is encrypted end to end, or nobody publishes in it yet"},
        422: {"description": "What is published needs transcoding; the detail says what"},
    },
)
async def create_stream(request: Request, body: StreamCreateBody) -> StreamBody:
    """Package a room's H.264 video and Opus sound for readers of HLS; needs roomAdmin for the room.

    The playlist can be read once the first group of pictures has come: the state is `live` then.
    """
    authorize(request, body.room, Grant.ADMINISTER)
    context = context_of(request)
    stream = await context.live.go_live(
        body.room, body.participant, body.heard, picture=body.picture, backups=body.backups, terms=body.wish()
    )
    return _body(stream, context.access.audience())


@router.get("/streams/{name}", summary="Read a live stream")
async def read_stream(request: Request, stream: AdministeredStream) -> StreamBody:
    """Give one live stream."""
    return _body(stream, context_of(request).access.audience())


@router.delete("/streams/{name}", status_code=204, summary="End a live stream")
async def end_stream(
    request: Request,
    stream: AdministeredStream,
    kick: Annotated[bool, Query(description="Send those who feed it out of the room too")] = False,
) -> Response:
    """End a stream: its playlists say so, and stay readable for a while."""
    context = context_of(request)
    publishers = stream.publishers if kick else []
    await context.live.end(stream, LiveEnd.STOPPED)
    for identity in publishers:
        participant = stream.room.participants.get(identity)
        if participant is not None:
            await context.rooms.end(participant, CloseReason.REMOVED)
    return Response(status_code=204)


@router.put(
    "/streams/{name}/source",
    summary="Point a live stream at another source",
    responses={
        404: {"description": "There is no such stream, or none of the other name"},
        409: {
            "description": "Nobody of them publishes now, or an encoder publishes the stream itself, or the other "
            "stream of an encoder shows another's itself, or this one's is shown by another"
        },
        422: {"description": "What they publish needs transcoding, or the other encoder sends no video or no sound"},
    },
)
async def point_stream(request: Request, name: str, body: StreamSourceBody) -> StreamBody | PointedBody:
    """Show another participant from its next keyframe on, behind a discontinuity; with several, the rest are backups.

    The next of them is shown where one goes or nothing comes of it, and the one before again when it is back. Where
    nothing can be shown of them the answer is an error, and all stays as it was. A stream that an encoder publishes
    shows another encoder's (`stream`) in its lists and to who requests it by SRT; who watches it by WHEP, or in a room,
    sees its own encoder. It takes that name as the token's destinationRoom, or roomAdmin there too.
    """
    authorize(request, name, Grant.ADMINISTER)
    context = context_of(request)
    if name in context.ingests.by_name:
        return await _point_encoder(request, context.ingests.by_name[name], body.stream)
    stream = context.live.find(name)
    if body.stream is not None:
        detail = "a room's stream shows participants of it: say which (participants)"
        raise HttpProblem(HTTPStatus.UNPROCESSABLE_ENTITY, "fed_by_room", detail)
    await context.live.point(stream, body.participants)
    return _body(stream, context.access.audience())


async def _point_encoder(request: Request, stream: IngestStream, other: str | None) -> PointedBody:
    if other is None:
        detail = (
            "an encoder publishes this stream itself: say whose is to be shown (stream), or have encoders join a room "
            "as its participants (ingresses), and the room go live"
        )
        raise HttpProblem(HTTPStatus.CONFLICT, "published_by_encoder", detail)
    authorize_destination(request, other)
    await context_of(request).ingests.point(stream, other)
    return PointedBody(name=stream.name, shows=stream.shows, shown=stream.shown)


@router.get("/streams/{name}/events", summary="What happened to a live stream")
async def list_stream_events(stream: AdministeredStream) -> list[StreamEventBody]:
    """List the last events of a stream; the newest comes last."""
    return [
        StreamEventBody(seq=event.seq, at=event.at, kind=event.kind, detail=event.detail) for event in stream.events
    ]


@router.get("/streams/{name}/stats", summary="Statistics of a live stream")
async def stream_statistics(stream: AdministeredStream) -> StreamStatistics:
    """Give what the engine counts of the packager and of what feeds it."""
    fed = [feed.publication for feed in stream.feeds if feed.publication is not None]
    return StreamStatistics(
        packager=await _reports(stream.packager.stats),
        sources={
            f"{one.participant.identity}/{one.offer.kind.value}": await _reports(one.producer.stats) for one in fed
        },
    )


def _body(stream: LiveStream, audience: dict[str, int]) -> StreamBody:
    return StreamBody(
        name=stream.name,
        state=stream.state,
        url=stream.master,
        publishers=stream.publishers,
        sources=list(stream.sources),
        picture=stream.picture,
        sound=stream.sound,
        mixed=0 if stream.mix is None else stream.mix.hears,
        tracks=[
            StreamTrackBody(
                name=track.name,
                kind=track.kind,
                codec=track.codec,
                width=track.width,
                height=track.height,
                channels=track.channels,
            )
            for track in stream.tracks
        ],
        created_at=stream.created_at,
        started_at=stream.started_at,
        public=stream.terms.public,
        encryption=stream.terms.encryption,
        hls_viewers=audience.get(stream.name, 0),
        webrtc_viewers=len(stream.room.viewers),
        warnings={warning.value: count for warning, count in stream.warnings.items()},
        transcoding=transcoding_body(stream.transcoding),
    )


async def _reports(stats: Callable[[], Awaitable[list[Report]]]) -> list[Report]:
    try:
        return await stats()
    except EngineCommandError:
        return []  # it ended while others were asked
