"""`/api/v1/streams/{name}/keys`: stream keys that encoders publish by."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from pydantic import Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response  # noqa: TC002 - likewise

from roomtone.control.live import LiveError, LiveRefusal, StreamKeys
from roomtone.control.policy import Grant
from roomtone.control.rooms import is_room_name
from roomtone.servers.api.requests import authorize, context_of
from roomtone.servers.api.schemas import Body
from roomtone.servers.api.status import HttpProblem

if TYPE_CHECKING:
    from roomtone.store import StreamKeyRecord

router = APIRouter(prefix="/api/v1", tags=["Live streams"], dependencies=[Depends(HTTPBearer(auto_error=False))])


class NewStreamKeyBody(Body):
    """A key that is to be made."""

    label: str = Field(default="", max_length=128)
    """What it is for, to tell keys apart."""


class StreamKeyBody(Body):
    """A stream key, without what opens."""

    id: str
    label: str
    created_at: float
    created_by: str


class MadeStreamKeyBody(StreamKeyBody):
    """A key just made."""

    key: str
    """Shown this once: `rtmp://HOST/live/NAME?token=KEY`, or `streamid=publish:NAME:any:KEY`."""


def administered_keys(request: Request, name: str) -> StreamKeys:
    """Give the stream keys of this server to who may administer the room of a name."""
    if not is_room_name(name):
        raise LiveError(LiveRefusal.NO_SUCH_STREAM, "a stream's name is 1 to 64 letters, digits, '.', '_' or '-'")
    authorize(request, name, Grant.ADMINISTER)
    keys = context_of(request).stream_keys
    if keys is None:
        raise HttpProblem(HTTPStatus.NOT_FOUND, "no_database", "this server keeps no stream keys")
    return keys


AdministeredKeys = Annotated[StreamKeys, Depends(administered_keys)]


@router.get("/streams/{name}/keys", summary="List the stream keys of a name")
async def list_stream_keys(name: str, keys: AdministeredKeys) -> list[StreamKeyBody]:
    """List the keys that let publish under a name; needs roomAdmin for its room. The stream need not be there."""
    return [_body(record) for record in await keys.list(name)]


@router.post("/streams/{name}/keys", status_code=201, summary="Make a stream key")
async def create_stream_key(
    request: Request, response: Response, name: str, keys: AdministeredKeys, body: NewStreamKeyBody
) -> MadeStreamKeyBody:
    """Make a key that lets whoever has it publish under this name; it is shown this once."""
    actor = authorize(request, name, Grant.ADMINISTER)
    made = await keys.create(name, body.label, actor.identity or actor.key)
    response.headers["Cache-Control"] = "no-store"
    return MadeStreamKeyBody(**_body(made.record).model_dump(), key=made.key)


@router.delete("/streams/{name}/keys/{key}", status_code=204, summary="Revoke a stream key")
async def revoke_stream_key(name: str, key: str, keys: AdministeredKeys) -> None:
    """Let a key open nothing from now on, by its id; who publishes by it goes on until it is sent away."""
    await keys.revoke(name, key)


def _body(record: StreamKeyRecord) -> StreamKeyBody:
    return StreamKeyBody(id=record.id, label=record.label, created_at=record.created_at, created_by=record.created_by)
