"""Trunks by HTTP: made, listed with their state, deleted; for those who manage phones."""

# ruff: noqa: TC002 - FastAPI reads the annotations

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from roomtone.control.calls import PhoneError, PhoneRefusal, Trunk
from roomtone.servers.api.phones_api import allowed, phone_book
from roomtone.servers.api.trunk_schemas import TrunkBody, TrunkCreateBody

if TYPE_CHECKING:
    from roomtone.control.calls import Trunks

_bearer = HTTPBearer(auto_error=False, description="A token of an administrator's account, or one with sip.admin")
router = APIRouter(prefix="/api/v1", tags=["Phones"], dependencies=[Depends(_bearer)])


@router.post("/trunks", status_code=201, summary="Make a trunk", dependencies=allowed)
async def create_trunk(request: Request, body: TrunkCreateBody) -> TrunkBody:
    """Make a trunk; it is registered with or asked at once."""
    trunks = phone_book(request).trunks
    made = await trunks.create(
        Trunk(
            body.name,
            uri=body.uri,
            username=body.username,
            password=body.password,
            registers=body.registers,
            probes=body.probes,
            addresses=tuple(body.addresses),
            accepts_login=body.accepts_login,
            wants_both=body.wants_both,
            tls_names=tuple(body.tls_names),
            proxy=body.proxy,
            domain=body.domain,
            caller_id=body.caller_id,
            security=body.media_security,
            large_by_tcp=body.large_by_tcp,
        )
    )
    return _trunk(trunks, made)


@router.get("/trunks", summary="List trunks and how they are", dependencies=allowed)
async def list_trunks(request: Request) -> list[TrunkBody]:
    """List all trunks by name, each with its state."""
    trunks = phone_book(request).trunks
    return [_trunk(trunks, trunk) for trunk in trunks.list()]


@router.get("/trunks/{name}", summary="Tell how a trunk is", dependencies=allowed)
async def get_trunk(request: Request, name: str) -> TrunkBody:
    """Give one trunk with its state."""
    trunks = phone_book(request).trunks
    trunk = trunks.find(name)
    if trunk is None:
        raise PhoneError(PhoneRefusal.NO_SUCH_TRUNK, f"there is no trunk {name!r}")
    return _trunk(trunks, trunk)


@router.delete("/trunks/{name}", status_code=204, summary="Delete a trunk", dependencies=allowed)
async def delete_trunk(request: Request, name: str) -> Response:
    """Delete a trunk and take its registration back. Calls that go on are not ended."""
    await phone_book(request).trunks.delete(name)
    return Response(status_code=204)


def _trunk(trunks: Trunks, trunk: Trunk) -> TrunkBody:
    life = trunks.life(trunk.name)
    return TrunkBody(
        name=trunk.name,
        uri=trunk.uri,
        username=trunk.username,
        registers=trunk.registers,
        probes=trunk.probes,
        addresses=list(trunk.addresses),
        accepts_login=trunk.accepts_login,
        wants_both=trunk.wants_both,
        tls_names=list(trunk.tls_names),
        proxy=trunk.proxy,
        domain=trunk.domain,
        caller_id=trunk.caller_id,
        media_security=trunk.security,
        large_by_tcp=trunk.large_by_tcp,
        created_at=trunk.created_at,
        state=life.state,
        failures=life.failures,
        last_error=life.last_error,
        next_try_at=None if isinf(life.due_at) else life.due_at,
    )
