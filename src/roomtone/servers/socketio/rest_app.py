"""Where the SFU's HTTP interface is served: below a prefix of the API, and at the root of a port of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from roomtone.servers.socketio.rest import router

if TYPE_CHECKING:
    from roomtone.servers.socketio.sfu import Sfu

PREFIX = "/sfu"


def add_rest(app: FastAPI, sfu: Sfu | None) -> None:
    """Serve it below `PREFIX` of an application; without a directory only its description is added."""
    app.state.sfu = sfu
    app.include_router(router, prefix=PREFIX)


def create_rest_app(sfu: Sfu) -> FastAPI:
    """Make the application of the port of its own."""
    app = FastAPI(title="Roomtone SFU", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.sfu = sfu
    app.add_middleware(
        # Pages of other origins may call it: what lets them in is their token, and no cookie is looked at.
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["Retry-After"],
    )
    app.include_router(router)
    return app
