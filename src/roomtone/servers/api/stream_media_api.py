"""`/api/v1/streams/{name}/...`: pictures, buffers and parameters of a live stream; pausing it.

What is not there answers 501 with a sentence.
"""

# ruff: noqa: FAST003 - the dependency takes the stream's name

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response

from roomtone.control.live import LiveError, LiveRefusal, StreamPressure, StreamSync, SubtitleLine
from roomtone.media import EngineCommandError
from roomtone.media.values import ErrorCode, MediaKind
from roomtone.servers.api.live_schemas import (
    BufferBody,
    BufferedTrackBody,
    ParametersBody,
    StreamTrackBody,
    SubtitleBody,
    SyncChangeBody,
    VideoBody,
)
from roomtone.servers.api.requests import context_of
from roomtone.servers.api.status import HttpProblem
from roomtone.servers.api.viewers_api import watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from roomtone.control.live import LiveStream, LiveTrack
    from roomtone.media.values import PackagerTrack
    from roomtone.servers.api.context import ApiContext

router = APIRouter(prefix="/api/v1", tags=["Live streams"], dependencies=[Depends(HTTPBearer(auto_error=False))])
WatchedStream = Annotated[str, Depends(watched)]
_PICTURE: dict[int | str, dict[str, Any]] = {409: {"description": "There is no keyframe yet, or no video"}}


@router.get("/streams/{name}/iframe", summary="The last keyframe of a live stream", responses=_PICTURE)
async def last_keyframe(request: Request, stream: WatchedStream) -> Response:
    """Give it as an MP4 file of one picture, not encrypted; needs roomAdmin for its room."""
    return _fresh(_keyframe(request, stream), "video/mp4")


@router.get(
    "/streams/{name}/preview",
    summary="A picture of a live stream",
    responses=_PICTURE | {503: {"description": "The picture could not be made, or too many are being made"}},
)
async def preview(request: Request, stream: WatchedStream) -> Response:
    """Give its last keyframe as JPEG, at most 640 pixels wide; needs roomAdmin for its room."""
    picture = context_of(request).picture
    if picture is None:
        raise LiveError(LiveRefusal.PREVIEW_FAILED, "this server makes no pictures")
    return _fresh(await picture(_keyframe(request, stream)), "image/jpeg")


@router.get("/streams/{name}/buffer", summary="What of a live stream can be fetched")
async def buffer(request: Request, stream: WatchedStream) -> BufferBody:
    """Give what is listed and held of each track, and how many requests wait for what is to come."""
    shelf = context_of(request).shelf
    held = None if shelf is None else shelf.held(stream)
    if held is None:
        return BufferBody(waiting=0, tracks=[])
    tracks = [
        BufferedTrackBody(
            name=one.name,
            listed_ms=one.listed_ms,
            segments=one.segments,
            bytes=one.bytes,
            stored=one.stored,
            late=one.late,
            mean_bps=one.mean_bps,
        )
        for one in held.tracks
    ]
    return BufferBody(waiting=held.waiting, tracks=tracks)


@router.get("/streams/{name}/parameters", summary="How a live stream is packaged")
async def parameters(request: Request, stream: WatchedStream) -> ParametersBody:
    """Give its tracks and how they are listed."""
    context = context_of(request)
    live = context.settings.live
    room = context.live.by_name.get(stream)
    return ParametersBody(
        window_s=live.window_s,
        part_ms=live.part_ms,
        encryption=(context.listings.current(stream) if room is None else room.terms).encryption,
        tracks=[
            StreamTrackBody(
                name=one.name,
                kind=MediaKind.AUDIO if one.width is None else MediaKind.VIDEO,
                codec=one.codec,
                width=one.width,
                height=one.height,
                channels=one.channels,
            )
            for one in _tracks(context, stream)
        ],
    )


@router.post("/streams/{name}/pause", status_code=204, summary="Pause a live stream")
async def pause(request: Request, stream: WatchedStream) -> None:
    """Take what feeds a stream off it until it is resumed: viewers get a gap. Not of encoders: 501."""
    context = context_of(request)
    await context.live.pause(_of_room(context, stream))


@router.post("/streams/{name}/resume", status_code=204, summary="Resume a live stream")
async def resume(request: Request, stream: WatchedStream) -> None:
    """Go on with a stream that was paused."""
    context = context_of(request)
    await context.live.resume(_of_room(context, stream))


@router.get("/streams/{name}/video", summary="Figures of the video of a live stream")
async def video(request: Request, stream: WatchedStream) -> list[VideoBody]:
    """Give size, codec and rate of each video track as packaged; `stats` has what the engine counts of its source."""
    shelf = context_of(request).shelf
    held = None if shelf is None else shelf.held(stream)
    found = {} if held is None else {one.name: one for one in held.tracks}
    return [
        VideoBody(
            name=one.name,
            codec=one.codec,
            width=one.width,
            height=one.height or 0,
            mean_bps=found[one.name].mean_bps if one.name in found else 0,
            late=found[one.name].late if one.name in found else 0,
        )
        for one in _tracks(context_of(request), stream)
        if one.width is not None
    ]


@router.get("/streams/{name}/backpressure", summary="How full the queues of a live stream are")
async def backpressure(request: Request, stream: WatchedStream) -> StreamPressure:
    """Give each queue with its level and what it has lost, and whether the source is slowed down; needs roomAdmin.

    What SRT readers wait for is as of the last second, the rest as of now.
    """
    context = context_of(request)
    room = context.live.by_name.get(stream)
    with _ends():
        if room is not None:
            return await context.live.pressure(room)
        return await context.ingests.pressure(context.ingests.by_name[stream])


@router.put("/streams/{name}/backpressure", status_code=501, include_in_schema=False)
async def set_backpressure(_: WatchedStream) -> None:
    """Refuse: nobody sets the marks."""
    raise _not_there("the marks of queues, and what is done at them, are fixed: GET tells how full they are")


@router.get("/streams/{name}/sync", summary="How sound and pictures of a live stream lie against each other")
async def read_sync(request: Request, stream: WatchedStream) -> StreamSync:
    """Give offsets, the drift of clocks, and what was mended; needs roomAdmin for its room."""
    context = context_of(request)
    room = context.live.by_name.get(stream)
    with _ends():
        if room is not None:
            return await context.live.sync(room)
        return await context.ingests.sync(context.ingests.by_name[stream])


@router.put("/streams/{name}/sync", summary="Have the sound of a live stream come later, or earlier")
async def adjust_sync(request: Request, stream: WatchedStream, body: SyncChangeBody) -> StreamSync:
    """Shift its sound, in its lists and, of an encoder's stream, for who watches by WebRTC; needs roomAdmin.

    Lists get there by a fiftieth of their time: 100 ms take five seconds.
    """
    context = context_of(request)
    room = context.live.by_name.get(stream)
    with _ends():
        if room is not None:
            await context.live.shift_sound(room, body.audio_offset_ms)
        else:
            await context.ingests.shift_sound(context.ingests.by_name[stream], body.audio_offset_ms)
    return await read_sync(request, stream)


@router.post(
    "/streams/{name}/subtitles",
    status_code=204,
    summary="Show a line of text with a live stream",
    responses={409: {"description": "Nothing is listed yet"}, 422: {"description": "Nobody would see it"}},
)
async def show_subtitle(request: Request, stream: WatchedStream, body: SubtitleBody) -> Response:
    """Put it into the subtitles of its language (WebVTT); needs roomAdmin.

    A language is offered from its first line on: players that began before know it when they begin anew.
    """
    context = context_of(request)
    line = SubtitleLine(body.text, body.language, body.delay_ms, body.duration_ms)
    room = context.live.by_name.get(stream)
    with _ends():
        if room is not None:
            await context.live.show_line(room, line)
        else:
            await context.ingests.show_line(context.ingests.by_name[stream], line)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@contextmanager
def _ends() -> Iterator[None]:
    """Say that a stream is gone which ended while it was asked."""
    try:
        yield
    except EngineCommandError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        raise LiveError(LiveRefusal.NO_SUCH_STREAM, "the live stream has ended") from error


def _of_room(context: ApiContext, name: str) -> LiveStream:
    stream = context.live.by_name.get(name)
    if stream is None:
        raise _not_there("a stream of an encoder cannot be paused: stop the encoder, or end the stream")
    return stream


def _tracks(context: ApiContext, name: str) -> Sequence[LiveTrack | PackagerTrack]:
    room = context.live.by_name.get(name)
    return context.ingests.by_name[name].tracks if room is None else room.tracks


def _keyframe(request: Request, name: str) -> bytes:
    shelf = context_of(request).shelf
    file = None if shelf is None else shelf.keyframe(name)
    if file is None:
        raise LiveError(LiveRefusal.NO_KEYFRAME, "there is no keyframe of this stream yet, or no video in it")
    return file


def _fresh(body: bytes, media_type: str) -> Response:
    return Response(body, media_type=media_type, headers={"Cache-Control": "no-store"})


def _not_there(why: str) -> HttpProblem:
    return HttpProblem(HTTPStatus.NOT_IMPLEMENTED, "not_supported", why)
