"""What bodies and errors of the SFU's HTTP interface look like, for OpenAPI."""

from __future__ import annotations

from typing import Any

ROOM_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No valid token"},
    403: {"description": "The token does not cover this"},
    404: {"description": "There is no such thing"},
}
ERRORS: dict[int | str, dict[str, Any]] = ROOM_ERRORS | {
    400: {"description": "A field is missing or cannot be taken"},
    409: {"description": "The state does not allow it, or no codec is shared"},
    413: {"description": "The body is over `limits.max_json_bytes`"},
    503: {"description": "A limit is reached or the media engine is overloaded; Retry-After says when to try again"},
}
PEER_ERRORS: dict[int | str, dict[str, Any]] = ERRORS | {
    400: {"description": "A field is missing, or there is a peer of that id"}
}
_TEXT = {"type": "string"}
_OBJECT = {"type": "object"}
_FLAG = {"type": "boolean"}


def _body(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": ["peerId", *required], "properties": {"peerId": _TEXT, **properties}}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


PEER = _body([], fullName=_TEXT)
TRANSPORT = _body(["direction"], direction={"type": "string", "enum": ["send", "recv"]})
CONNECT = _body(["dtlsParameters"], dtlsParameters=_OBJECT)
PRODUCE = _body(
    ["transportId", "kind", "rtpParameters"],
    transportId=_TEXT,
    kind={"type": "string", "enum": ["audio", "video"]},
    rtpParameters=_OBJECT,
    appData=_OBJECT,
    paused=_FLAG,
)
CONSUME = _body(
    ["transportId", "producerId", "rtpCapabilities"],
    transportId=_TEXT,
    producerId=_TEXT,
    rtpCapabilities=_OBJECT,
    paused={"type": "boolean", "default": True},
)
