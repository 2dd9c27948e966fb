"""What a client asks for when it connects: query parameters (`/rtc`), or one wrapped message in them (`/rtc/v1`)."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_JOIN_REQUEST = 1_048_576
"""Bytes of a join request, unpacked."""
_GZIP = 16 + zlib.MAX_WBITS
_CAPABILITIES = frozenset(models.ClientInfo.Capability.keys())
_SDKS = {
    "js": models.ClientInfo.SDK.JS,
    "ios": models.ClientInfo.SDK.SWIFT,
    "swift": models.ClientInfo.SDK.SWIFT,
    "android": models.ClientInfo.SDK.ANDROID,
    "flutter": models.ClientInfo.SDK.FLUTTER,
    "go": models.ClientInfo.SDK.GO,
    "unity": models.ClientInfo.SDK.UNITY,
    "reactnative": models.ClientInfo.SDK.REACT_NATIVE,
    "rust": models.ClientInfo.SDK.RUST,
    "python": models.ClientInfo.SDK.PYTHON,
    "cpp": models.ClientInfo.SDK.CPP,
    "unityweb": models.ClientInfo.SDK.UNITY_WEB,
    "node": models.ClientInfo.SDK.NODE,
}


class JoinError(ValueError):
    """The parameters are none; the text is the one LiveKit's server answers with."""


@dataclass(frozen=True, slots=True)
class Join:
    """Who connects, and how."""

    client: models.ClientInfo
    single: bool = False
    """One peer connection for both ways, offered by the client."""
    reconnect: bool = False
    participant_sid: str = ""
    auto_subscribe: bool = True
    adaptive_stream: bool = False
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    tracks: tuple[rtc.AddTrackRequest, ...] = ()
    """Tracks announced along with the join."""
    offer: rtc.SessionDescription | None = None


def read_join(query: Mapping[str, str], *, needs_request: bool) -> Join:
    """Read the parameters of a connection; raise `JoinError`."""
    wrapped = query.get("join_request", "")
    if wrapped:
        return _of_request(_unwrap(wrapped))
    if needs_request:
        raise JoinError("join_request is required")
    return _of_query(query)


def _of_query(query: Mapping[str, str]) -> Join:
    client = models.ClientInfo(
        sdk=_SDKS.get(query.get("sdk", ""), models.ClientInfo.SDK.UNKNOWN),
        version=query.get("version", ""),
        protocol=_number(query.get("protocol", "")),
        client_protocol=_number(query.get("client_protocol", "")),
        os=query.get("os", ""),
        os_version=query.get("os_version", ""),
        device_model=query.get("device_model", ""),
        browser=query.get("browser", ""),
        browser_version=query.get("browser_version", ""),
        network=query.get("network", ""),
        capabilities=[name for name in query.get("capabilities", "").split(",") if name in _CAPABILITIES],
    )
    return Join(
        client=client,
        reconnect=_flag(query.get("reconnect", "")),
        participant_sid=query.get("sid", ""),
        auto_subscribe=_flag(query.get("auto_subscribe", "1") or "1"),
        adaptive_stream=_flag(query.get("adaptive_stream", "")),
        attributes=_attributes(query.get("attributes", "")),
    )


def _of_request(request: rtc.JoinRequest) -> Join:
    settings = request.connection_settings
    return Join(
        client=request.client_info,
        single=True,
        reconnect=request.reconnect,
        participant_sid=request.participant_sid,
        auto_subscribe=settings.auto_subscribe,
        adaptive_stream=settings.adaptive_stream,
        metadata=request.metadata,
        attributes=dict(request.participant_attributes),
        tracks=tuple(request.add_track_requests),
        offer=request.publisher_offer if request.HasField("publisher_offer") else None,
    )


def _unwrap(text: str) -> rtc.JoinRequest:
    try:
        data = _base64(text)
    except ValueError as error:
        raise JoinError("cannot base64 decode wrapped join request") from error
    wrapped = rtc.WrappedJoinRequest()
    try:
        wrapped.ParseFromString(data)
    except DecodeError as error:
        raise JoinError("cannot unmarshal wrapped join request") from error
    inner = wrapped.join_request
    if wrapped.compression == rtc.WrappedJoinRequest.Compression.GZIP:
        inner = _unzip(inner)
    if len(inner) > MAX_JOIN_REQUEST:
        raise JoinError("join request too large")
    request = rtc.JoinRequest()
    try:
        request.ParseFromString(inner)
    except DecodeError as error:
        raise JoinError("cannot unmarshal join request") from error
    return request


def _unzip(data: bytes) -> bytes:
    unzip = zlib.decompressobj(_GZIP)
    try:
        plain = unzip.decompress(data, MAX_JOIN_REQUEST + 1)
    except zlib.error as error:
        raise JoinError("cannot read decompressed join request") from error
    if len(plain) <= MAX_JOIN_REQUEST and not unzip.eof:
        raise JoinError("cannot read decompressed join request")
    return plain


def _attributes(text: str) -> dict[str, str]:
    """Read attributes of the older form: JSON in base64."""
    if not text:
        return {}
    try:
        read = json.loads(_base64(text))
    except (ValueError, RecursionError) as error:
        raise JoinError("cannot decode attributes") from error
    if not isinstance(read, dict) or not all(isinstance(value, str) for value in read.values()):
        raise JoinError("cannot decode attributes")
    return read


def _base64(text: str) -> bytes:
    """Decode base64 in the alphabet of URLs, with or without its padding; raise ``ValueError``."""
    return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0  # noqa: PLR2004 (an int32)


def _flag(text: str) -> bool:
    return text in {"1", "true"}
