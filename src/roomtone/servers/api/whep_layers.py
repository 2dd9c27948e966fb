"""WHEP's layer extension: what a viewer wants of a track at most.

Names and bodies are those of "WebRTC-HTTP Egress Protocol Events", the companion of the WHEP draft; the limits of
size, frame rate and bitrate, and the pause, are this server's own.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response

from roomtone.control.rooms import LayerWish
from roomtone.media.values import MediaKind
from roomtone.servers.api.requests import context_of, decode_json, read_body, require_media_type
from roomtone.servers.api.status import HttpProblem
from roomtone.servers.api.whip import authorize_resource

if TYPE_CHECKING:
    from roomtone.control.rooms import Subscription
    from roomtone.servers.api.resources import Resource

MAX_LAYER = 7
router = APIRouter(tags=["WHEP extensions"])
_LIMITS = {"max_width": 16_384, "max_height": 16_384, "max_framerate": 240, "max_bitrate": 1_000_000_000}


class LayerChoice(msgspec.Struct, frozen=True, rename="camel"):
    """What a viewer asks for; all absent lets the server choose. ``encodingId`` is an older name of ``rid``.

    ``maxWidth`` and ``maxHeight`` are the size, in pixels, that the track is shown with; ``maxBitrate`` is in bit/s.
    """

    media_id: str | None = None
    rid: str | None = None
    encoding_id: str | None = None
    spatial_layer_id: int | None = None
    temporal_layer_id: int | None = None
    max_spatial_layer_id: int | None = None
    max_temporal_layer_id: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    max_framerate: int | None = None
    max_bitrate: int | None = None
    paused: bool = False


@router.post("/whep/{room}/{resource_id}/layer", summary="Choose a layer")
async def choose_layer(request: Request, room: str, resource_id: str) -> Response:
    """Choose the layer of one media section (default: the first video one)."""
    resource = authorize_resource(request, room, resource_id)
    require_media_type(request, "application/json", "Accept-Post")
    body = await read_body(request, context_of(request).settings.limits.max_json_bytes)
    choice = decode_json(body, LayerChoice)
    spatial = choice.spatial_layer_id if choice.spatial_layer_id is not None else choice.max_spatial_layer_id
    temporal = choice.temporal_layer_id if choice.temporal_layer_id is not None else choice.max_temporal_layer_id
    if any(layer is not None and not 0 <= layer <= MAX_LAYER for layer in (spatial, temporal)):
        raise HttpProblem(HTTPStatus.UNPROCESSABLE_ENTITY, "no_such_layer", f"a layer is 0 to {MAX_LAYER}")
    for name, highest in _LIMITS.items():
        wanted: int | None = getattr(choice, name)
        if wanted is not None and not 0 < wanted <= highest:
            raise HttpProblem(HTTPStatus.UNPROCESSABLE_ENTITY, "no_such_limit", f"{name} is 1 to {highest}")
    wish = LayerWish(
        rid=choice.rid or choice.encoding_id,
        spatial=spatial,
        temporal=temporal,
        max_width=choice.max_width,
        max_height=choice.max_height,
        max_fps=choice.max_framerate,
        max_bitrate=choice.max_bitrate,
        paused=choice.paused,
    )
    await context_of(request).rooms.choose_layer(_section(resource, choice.media_id), wish)
    return Response(status_code=HTTPStatus.OK)


def _section(resource: Resource, media_id: str | None) -> Subscription:
    if media_id is None:
        videos = (s for s in resource.subscriptions.values() if s.offer.kind is MediaKind.VIDEO)
        found = next(videos, None)
    else:
        by_place = int(media_id) if media_id.isascii() and media_id.isdigit() and len(media_id) < 4 else -1  # noqa: PLR2004
        found = resource.subscriptions.get(by_place) or resource.subscriptions.get(resource.mids.get(media_id, -1))
    if found is None:
        raise HttpProblem(HTTPStatus.UNPROCESSABLE_ENTITY, "no_such_media", "the resource has no such video section")
    return found
