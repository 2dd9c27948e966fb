"""`/api/v1/pulls`: streams that are fetched from other servers."""

# ruff: noqa: FAST003 - the dependency takes the stream's name

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from roomtone.control.live import Pull, PullRefusal, PullRefusedError, Pulls, PullState, PullWay
from roomtone.control.policy import Grant
from roomtone.servers.api.live_schemas import TermsBody
from roomtone.servers.api.requests import authorize, context_of
from roomtone.servers.api.status import HttpProblem

router = APIRouter(prefix="/api/v1", tags=["Live streams"], dependencies=[Depends(HTTPBearer(auto_error=False))])

_STATUS = {
    PullRefusal.EXISTS: HTTPStatus.CONFLICT,
    PullRefusal.TOO_MANY: HTTPStatus.SERVICE_UNAVAILABLE,
    PullRefusal.UNSUPPORTED: HTTPStatus.UNPROCESSABLE_ENTITY,
    PullRefusal.BAD_URL: HTTPStatus.UNPROCESSABLE_ENTITY,
    PullRefusal.PRIVATE: HTTPStatus.FORBIDDEN,
}


class PullOpenBody(TermsBody):
    """What to fetch.

    `srt://HOST:PORT?streamid=...&passphrase=...&latency_ms=...`, `rtmp://HOST/APP/NAME`, `rtmps://...`, `rtsp://USER:PASS@HOST/PATH`,
    `rtsps://...`, or HLS, `https://HOST/PATH.m3u8`.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    url: Annotated[str, Field(max_length=2_048)]
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    """How packets of RTSP come: in its connection, or in datagrams, which are for `rtsp://` alone."""
    certificate: Annotated[str, Field(pattern=r"^(check|any|sha256:[0-9A-Fa-f]{64})$")] = "check"
    """Of RTMPS and RTSPS: checked by the authorities that this machine trusts, any, or the only one that is taken."""


class PullBody(BaseModel):
    """A stream that is fetched; ``url`` without its query, ``last_error`` is why the newest attempt is over."""

    name: str
    url: str
    state: PullState
    attempts: int
    last_error: str
    opened_at: float
    playlist: str


def _pulls(request: Request) -> Pulls:
    pulls = context_of(request).pulls
    if pulls is None:
        raise HttpProblem(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", "the server is starting or stopping")
    return pulls


def administered_pull(request: Request, name: str) -> Pull:
    """Give the pull of a path to who may administer the room of its name."""
    authorize(request, name, Grant.ADMINISTER)
    found = _pulls(request).by_name.get(name)
    if found is None:
        raise HttpProblem(HTTPStatus.NOT_FOUND, "no_such_pull", "nothing is fetched under this name")
    return found


AdministeredPull = Annotated[Pull, Depends(administered_pull)]


@router.post("/pulls", status_code=201, summary="Fetch a stream")
async def open_pull(request: Request, body: PullOpenBody) -> PullBody:
    """Fetch a stream until told otherwise; needs roomAdmin of the room of its name."""
    authorize(request, body.name, Grant.ADMINISTER)
    try:
        way = PullWay(datagrams=body.rtsp_transport == "udp", certificate=body.certificate)
        return _body(await _pulls(request).open(body.name, body.url, body.wish(), way))
    except PullRefusedError as error:
        raise HttpProblem(_STATUS[error.refusal], error.refusal.value, str(error)) from error


@router.get("/pulls", summary="List streams that are fetched")
async def list_pulls(request: Request) -> list[PullBody]:
    """List all of them, whether they come or not; needs roomList."""
    authorize(request, "", Grant.LIST)
    return [_body(pull) for pull in _pulls(request).by_name.values()]


@router.get("/pulls/{name}", summary="Get a stream that is fetched")
async def get_pull(pull: AdministeredPull) -> PullBody:
    """Get one of them; needs roomAdmin of the room of this name."""
    return _body(pull)


@router.delete("/pulls/{name}", status_code=204, summary="Fetch a stream no more")
async def close_pull(request: Request, pull: AdministeredPull) -> None:
    """End a pull and its stream; needs roomAdmin of the room of this name."""
    await _pulls(request).close(pull.name)


def _body(pull: Pull) -> PullBody:
    return PullBody(
        name=pull.name,
        url=pull.shown_url,
        state=pull.state,
        attempts=pull.attempts,
        last_error=pull.last_error,
        opened_at=pull.opened_at,
        playlist=f"/live/{pull.name}/index.m3u8",
    )
