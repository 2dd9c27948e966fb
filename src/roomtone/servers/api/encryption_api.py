"""`/api/v1/streams/{name}/encryption`: how a stream is encrypted, whether it is live or is yet to begin."""

# ruff: noqa: FAST003 - the dependency takes the stream's name

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from roomtone.control.live import LiveError, LiveRefusal, TermsWish
from roomtone.control.policy import Grant
from roomtone.control.rooms import is_room_name
from roomtone.servers.api.live_schemas import EncryptionBody, EncryptionChangeBody
from roomtone.servers.api.requests import authorize, context_of

if TYPE_CHECKING:
    from roomtone.control.live import LiveTerms
    from roomtone.servers.api.context import ApiContext

router = APIRouter(prefix="/api/v1", tags=["Live streams"], dependencies=[Depends(HTTPBearer(auto_error=False))])


def administered_name(request: Request, name: str) -> str:
    """Give the name of a stream, which need not be there, to who may administer the room of this name."""
    if not is_room_name(name):
        raise LiveError(LiveRefusal.NO_SUCH_STREAM, "a stream's name is 1 to 64 letters, digits, '.', '_' or '-'")
    authorize(request, name, Grant.ADMINISTER)
    return name


AdministeredName = Annotated[str, Depends(administered_name)]


@router.get("/streams/{name}/encryption", summary="How a live stream is encrypted")
async def read_encryption(request: Request, stream: AdministeredName) -> EncryptionBody:
    """Give how the stream of a name is encrypted, or would be; needs roomAdmin for its room."""
    context = context_of(request)
    return _body(context, stream, context.sealing.terms_of(stream))


@router.put(
    "/streams/{name}/encryption",
    summary="Encrypt a live stream otherwise",
    responses={
        409: {"description": "An input says how its stream is encrypted"},
        422: {"description": "What is live cannot be encrypted so: AV1 by samples"},
        503: {"description": "Too much is said of other names"},
    },
)
async def change_encryption(request: Request, stream: AdministeredName, body: EncryptionChangeBody) -> EncryptionBody:
    """Encrypt it so from its next segment on, and what begins under the name later; needs roomAdmin for its room.

    It holds until the server stops, or until nothing is said any more (both `null`): then the settings do.
    """
    context = context_of(request)
    wish = TermsWish(encryption=body.encryption, segments_per_key=body.segments_per_key)
    return _body(context, stream, await context.sealing.change(stream, wish))


def _body(context: ApiContext, name: str, terms: LiveTerms) -> EncryptionBody:
    return EncryptionBody(
        encryption=terms.encryption, segments_per_key=terms.segments_per_key, live=context.sealing.is_live(name)
    )
