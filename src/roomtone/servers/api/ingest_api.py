"""`/api/v1/ingests`: encoders that publish by SRT and RTMP."""

# ruff: noqa: FAST003 - the dependency takes the stream's name

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from roomtone.control.live import IngestStream, StreamEncryption
from roomtone.control.policy import Grant
from roomtone.media.values import IngestProtocol, MediaKind  # noqa: TC001 - pydantic reads the annotation
from roomtone.servers.api.live_schemas import MadeTrackBody, TranscodingBody, made_track_body, transcoding_body
from roomtone.servers.api.requests import authorize, context_of
from roomtone.servers.api.status import HttpProblem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.servers.api.context import ApiContext

router = APIRouter(prefix="/api/v1", tags=["Live streams"], dependencies=[Depends(HTTPBearer(auto_error=False))])


class IngestTrackBody(BaseModel):
    """A track of a stream; ``codec`` as in the `CODECS` of its playlist (RFC 6381)."""

    name: str
    codec: str
    width: int | None
    height: int | None
    channels: int | None


class IngestBody(BaseModel):
    """A stream that an encoder publishes; ``publishing`` is false while it waits for the encoder to come back.

    ``in_room`` says whether the encoder is a participant of the room of this name; ``unavailable`` which of its tracks
    nobody there can be given, and why; ``made`` which are made anew for it, and how that goes. ``slate``: what is
    published is a slate, and the encoder is away.
    """

    name: str
    protocol: IngestProtocol
    remote: str
    encoder: str
    publishing: bool
    slate: bool
    shows: str | None
    """The stream whose encoder is to be shown instead of its own."""
    shown: str | None
    """The one whose encoder is shown by now: from its first keyframe on."""
    started_at: float
    playlist: str
    hls_viewers: int
    tracks: list[IngestTrackBody]
    in_room: bool
    unavailable: dict[MediaKind, str]
    made: dict[MediaKind, MadeTrackBody]
    warnings: dict[str, int]
    fetched_from: str | None
    """Where it is fetched from by HLS, by a process of this server that publishes it."""
    public: bool
    encryption: StreamEncryption
    figures: dict[str, int]
    transcoding: TranscodingBody | None


def administered_ingest(request: Request, name: str) -> IngestStream:
    """Give the stream of a path to who may administer the room of its name."""
    authorize(request, name, Grant.ADMINISTER)
    stream = context_of(request).ingests.by_name.get(name)
    if stream is None:
        raise HttpProblem(HTTPStatus.NOT_FOUND, "no_such_stream", "no encoder publishes under this name")
    return stream


AdministeredIngest = Annotated[IngestStream, Depends(administered_ingest)]


@router.get("/ingests", summary="List streams of encoders")
async def list_ingests(request: Request) -> list[IngestBody]:
    """List all streams that encoders publish; needs roomList."""
    authorize(request, "", Grant.LIST)
    return await _bodies(request, list(context_of(request).ingests.by_name.values()))


@router.get("/ingests/{name}", summary="Get a stream of an encoder")
async def get_ingest(request: Request, stream: AdministeredIngest) -> IngestBody:
    """Get one of them; needs roomAdmin of the room of this name."""
    (body,) = await _bodies(request, [stream])
    return body


@router.delete("/ingests/{name}", status_code=204, summary="Send an encoder away")
async def delete_ingest(request: Request, stream: AdministeredIngest) -> None:
    """End what an encoder publishes, and its stream; needs roomAdmin of the room of this name."""
    await context_of(request).ingests.end(stream)


async def _figures(request: Request) -> dict[int, dict[str, int]]:
    """Give what the engine counts, by the publisher."""
    reports = await context_of(request).engine.stats()
    return {
        int(str(report["ingest"])): {key: value for key, value in report.items() if isinstance(value, int)}
        for report in reports
        if report["type"] == "ingest"
    }


async def _bodies(request: Request, streams: Sequence[IngestStream]) -> list[IngestBody]:
    context = context_of(request)
    figures, audience = await _figures(request), context.access.audience()
    return [_body(context, stream, figures, audience) for stream in streams]


def _body(
    context: ApiContext, stream: IngestStream, figures: dict[int, dict[str, int]], audience: dict[str, int]
) -> IngestBody:
    ingests = context.ingests
    pull = None if context.pulls is None else context.pulls.by_name.get(stream.name)
    return IngestBody(
        name=stream.name,
        protocol=stream.protocol,
        remote=stream.remote,
        encoder=stream.encoder,
        publishing=stream.ingest is not None,
        slate=context.slates.shows(stream.name),
        shows=stream.shows,
        shown=stream.shown,
        started_at=stream.started_at,
        playlist=f"/live/{stream.name}/index.m3u8",
        hls_viewers=audience.get(stream.name, 0),
        tracks=[
            IngestTrackBody(
                name=track.name, codec=track.codec, width=track.width, height=track.height, channels=track.channels
            )
            for track in stream.tracks
        ],
        in_room=ingests.is_in_room(stream),
        unavailable=ingests.unavailable(stream),
        made={kind: made_track_body(making) for kind, making in ingests.made(stream).items()},
        warnings=dict(stream.warnings),
        fetched_from=pull.shown_url if pull is not None and pull.is_relayed else None,
        public=ingests.listings.current(stream.name).public,
        encryption=ingests.listings.current(stream.name).encryption,
        figures=figures.get(stream.ingest, {}) if stream.ingest is not None else {},
        transcoding=transcoding_body(stream.transcoding),
    )
