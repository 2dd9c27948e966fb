"""The ASGI application of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from roomtone.servers.api import (
    about_api,
    accounts_auth,
    accounts_routes,
    call_control_api,
    chat_api,
    dev,
    dial_api,
    encryption_api,
    event_streams,
    ingest_api,
    input_api,
    live_api,
    lobby_api,
    members_api,
    phones_api,
    plain_api,
    pull_api,
    readers_api,
    rooms_api,
    stream_keys_api,
    stream_media_api,
    trunks_api,
    viewers_api,
    watching,
    webhooks_api,
    whep_layers,
    whip,
)
from roomtone.servers.api.cors import CorsMiddleware
from roomtone.servers.api.status import MAPPERS, respond

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.requests import Request
    from starlette.responses import Response

    from roomtone.servers.api.context import ApiContext


def create_app(context: ApiContext) -> FastAPI:
    """Make the application: WHIP, WHEP and its extensions, `/api/v1`, with OpenAPI at `/api/v1/openapi.json`."""
    app = FastAPI(
        title="Roomtone",
        version=context.version,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    app.add_middleware(CorsMiddleware)
    for error in MAPPERS:
        app.add_exception_handler(error, _on_error)
    for part in (
        about_api,
        whip,
        event_streams,
        whep_layers,
        rooms_api,
        members_api,
        lobby_api,
        chat_api,
        plain_api,
        ingest_api,
        input_api,
        pull_api,
        live_api,
        viewers_api,
        readers_api,
        stream_keys_api,
        stream_media_api,
        encryption_api,
        watching,
        accounts_auth,
        accounts_routes,
        webhooks_api,
        phones_api,
        trunks_api,
        dial_api,
        call_control_api,
    ):
        _add(app, part.router)
    if context.settings.server.dev:
        _add(app, dev.router)
    return app


def _add(app: FastAPI, router: APIRouter) -> None:
    """Take a router's routes as they are: `include_router` makes each of them a second time at the first request."""
    app.router.routes.extend(router.routes)


async def _on_error(request: Request, error: Exception) -> Response:
    del request
    return respond(error)
