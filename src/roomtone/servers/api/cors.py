"""Cross-origin access: every page may use this API with a token (RFC 9725 section 4.2, Fetch)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

EXPOSED = "Location, ETag, Link, Retry-After, Accept-Patch, Accept-Post, WWW-Authenticate"
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_REQUEST_HEADERS = "Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID"
_PREFIXES = ("/whip/", "/whep/", "/api/", "/dev/", "/live/")


class CorsMiddleware:
    """Adds the headers to each answer below the API's prefixes and answers OPTIONS there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIXES):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Access-Control-Allow-Origin"] = "*"
                headers["Access-Control-Expose-Headers"] = EXPOSED
            await send(message)

        if scope["method"] == "OPTIONS":
            await _preflight(scope["path"])(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)


def _preflight(path: str) -> Response:
    headers = {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _REQUEST_HEADERS,
        "Access-Control-Max-Age": "86400",
        "Allow": _METHODS,
    }
    if path.startswith(("/whip/", "/whep/")):
        is_endpoint = path.strip("/").count("/") == 1
        if is_endpoint:
            headers["Accept-Post"] = "application/sdp"
        else:
            headers["Accept-Patch"] = "application/trickle-ice-sdpfrag"
    return Response(status_code=200, headers=headers)
