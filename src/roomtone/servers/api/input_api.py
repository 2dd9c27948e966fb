"""`/api/v1/inputs`: RTP and MPEG-TS of sources that do not ask."""

# ruff: noqa: FAST003 - the dependency takes the stream's name

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from roomtone.control.live import InputRefusal, InputRefusedError, InputRequest, LiveInput
from roomtone.control.policy import Grant
from roomtone.media.values import IngestProtocol  # noqa: TC001 - pydantic reads the annotation
from roomtone.protocols.sdp import SdpError
from roomtone.protocols.sdp.described import DescriptionError, read_tracks
from roomtone.servers.api.live_schemas import TermsBody
from roomtone.servers.api.requests import authorize, context_of
from roomtone.servers.api.status import HttpProblem

router = APIRouter(prefix="/api/v1", tags=["Live streams"], dependencies=[Depends(HTTPBearer(auto_error=False))])

_STATUS = {
    InputRefusal.EXISTS: HTTPStatus.CONFLICT,
    InputRefusal.TOO_MANY: HTTPStatus.SERVICE_UNAVAILABLE,
    InputRefusal.NO_SHARED_PORT: HTTPStatus.CONFLICT,
    InputRefusal.PORT_TAKEN: HTTPStatus.CONFLICT,
    InputRefusal.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
}


class InputOpenBody(TermsBody):
    """What is to come: RTP as ``sdp`` describes it; without ``sdp``, MPEG-TS, bare or behind RTP.

    ``listen`` is an ``IP:PORT`` of its own, port 0 any, a group of multicast too; without it the stream comes to the
    port of ``rtp_ingest.listen`` that all share, and is told from others by ``source``, ``IP`` or ``IP:PORT``, and by
    payload type.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    sdp: Annotated[str, Field(max_length=16_384)] | None = None
    listen: Annotated[str, Field(max_length=64)] | None = None
    source: Annotated[str, Field(max_length=64)] | None = None


class InputTrackBody(BaseModel):
    """A stream of RTP; ``codec`` is its encoding name."""

    payload_type: int
    codec: str
    clock_rate: int


class InputBody(BaseModel):
    """An input; ``port`` is where its source sends to, RTCP to the one above.

    ``publishing`` says whether its stream is published now, ``/api/v1/ingests/NAME`` what of it comes.
    """

    name: str
    protocol: IngestProtocol
    port: int
    shares_port: bool
    source: str | None
    tracks: list[InputTrackBody]
    opened_at: float
    publishing: bool
    playlist: str


def administered_input(request: Request, name: str) -> LiveInput:
    """Give the input of a path to who may administer the room of its name."""
    authorize(request, name, Grant.ADMINISTER)
    found = context_of(request).inputs.by_name.get(name)
    if found is None:
        raise HttpProblem(HTTPStatus.NOT_FOUND, "no_such_input", "no input has this name")
    return found


AdministeredInput = Annotated[LiveInput, Depends(administered_input)]


@router.post("/inputs", status_code=201, summary="Take RTP or MPEG-TS of a source")
async def open_input(request: Request, body: InputOpenBody) -> InputBody:
    """Open an input; needs roomAdmin of the room of its name. Its source needs no credential."""
    authorize(request, body.name, Grant.ADMINISTER)
    try:
        tracks = () if body.sdp is None else read_tracks(body.sdp)
    except (SdpError, DescriptionError) as error:
        raise HttpProblem(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_sdp", str(error)) from error
    wanted = InputRequest(name=body.name, tracks=tracks, listen=body.listen, source=body.source, terms=body.wish())
    try:
        opened = await context_of(request).inputs.open(wanted)
    except InputRefusedError as error:
        raise HttpProblem(_STATUS[error.refusal], error.refusal.value, str(error)) from error
    return _body(request, opened)


@router.get("/inputs", summary="List inputs")
async def list_inputs(request: Request) -> list[InputBody]:
    """List all inputs, whether their sources send or not; needs roomList."""
    authorize(request, "", Grant.LIST)
    return [_body(request, one) for one in context_of(request).inputs.by_name.values()]


@router.get("/inputs/{name}", summary="Get an input")
async def get_input(request: Request, found: AdministeredInput) -> InputBody:
    """Get one of them; needs roomAdmin of the room of this name."""
    return _body(request, found)


@router.delete("/inputs/{name}", status_code=204, summary="Close an input")
async def close_input(request: Request, found: AdministeredInput) -> None:
    """Close an input and end its stream; needs roomAdmin of the room of this name."""
    await context_of(request).inputs.close(found.name)


def _body(request: Request, one: LiveInput) -> InputBody:
    stream = context_of(request).ingests.by_name.get(one.name)
    return InputBody(
        name=one.name,
        protocol=one.listener.protocol,
        port=one.port,
        shares_port=one.request.listen is None,
        source=one.request.source,
        tracks=[
            InputTrackBody(payload_type=track.payload_type, codec=track.codec, clock_rate=track.clock_rate)
            for track in one.request.tracks
        ],
        opened_at=one.opened_at,
        publishing=stream is not None and stream.ingest is not None and stream.listener is one.listener,
        playlist=f"/live/{one.name}/index.m3u8",
    )
