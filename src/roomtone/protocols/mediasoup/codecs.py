"""Codecs in mediasoup's JSON, as capabilities and as parameters, and this server's own values."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from roomtone.media.values import CodecFeedback, MediaKind
from roomtone.protocols.mediasoup.errors import PayloadCode, PayloadError
from roomtone.protocols.sdp import Codec

if TYPE_CHECKING:
    from roomtone.protocols.mediasoup.payload import Payload

MAX_CODECS = 128
MAX_FEEDBACK = 32
MAX_PARAMETERS = 64
MAX_PARAMETER = 1024
_MIME = re.compile(r"(audio|video)/([A-Za-z0-9._-]{1,32})\Z", re.IGNORECASE)
_REPAIR = "RTX"
_SPELLED = {"OPUS": "opus"}


def read_codecs(owner: Payload, number_field: str, *, needed: bool = False) -> tuple[Codec, ...]:
    """Read ``codecs``, retransmission attached to what it repairs; ``number_field`` holds the payload type."""
    codecs: list[Codec] = []
    repairs: dict[int, int] = {}
    for item in owner.parts("codecs", MAX_CODECS, needed=needed):
        codec = _read_codec(item, number_field)
        if codec.name == _REPAIR:
            repaired = codec.parameter("apt")
            if repaired.isascii() and repaired.isdigit() and len(repaired) <= 3:  # noqa: PLR2004
                repairs.setdefault(int(repaired), codec.payload_type)
            continue
        codecs.append(codec)
    return tuple(replace(codec, rtx_payload_type=repairs.get(codec.payload_type)) for codec in codecs)


def _read_codec(item: Payload, number_field: str) -> Codec:
    mime = _MIME.match(item.text("mimeType"))
    if mime is None:
        raise item.bad("mimeType", "is no audio or video type")
    kind = MediaKind(mime[1].lower())
    audio = kind is MediaKind.AUDIO
    return Codec(
        kind=kind,
        payload_type=item.integer(number_field, 0, 127),
        name=mime[2].upper(),
        clock_rate=item.integer("clockRate", 1, 1_000_000),
        channels=(item.optional_integer("channels", 1, 255) or 1) if audio else 1,
        parameters=_read_parameters(item),
        feedback=_read_feedback(item),
    )


def _read_parameters(item: Payload) -> tuple[tuple[str, str | None], ...]:
    part = item.raw("parameters")
    if part is None:
        return ()
    if not isinstance(part, dict):
        raise item.bad("parameters", "is no object")
    if len(part) > MAX_PARAMETERS:
        raise PayloadError(PayloadCode.TOO_LARGE, f"{item.path('parameters')} has more than {MAX_PARAMETERS} entries")
    return tuple((str(key).lower(), _parameter(item, value)) for key, value in part.items())


def _parameter(item: Payload, value: object) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return str(int(value))
        case int() | str() if len(text := str(value)) <= MAX_PARAMETER:
            return text
        case float():
            return str(int(value)) if value.is_integer() else str(value)
        case _:
            raise item.bad("parameters", "has a value that is neither number nor text")


def _read_feedback(item: Payload) -> CodecFeedback:
    named = {
        (one.text("type"), one.optional_text("parameter") or "") for one in item.parts("rtcpFeedback", MAX_FEEDBACK)
    }
    return CodecFeedback(
        nack=("nack", "") in named,
        pli=("nack", "pli") in named,
        fir=("ccm", "fir") in named,
        transport_cc=any(name == "transport-cc" for name, _ in named),
        remb=any(name == "goog-remb" for name, _ in named),
    )


def write_codec(codec: Codec, number_field: str, *, capability: bool = False) -> list[dict[str, Any]]:
    """Write a codec and, after it, its retransmission."""
    spelled = _SPELLED.get(codec.name, codec.name)
    written: dict[str, Any] = {
        "mimeType": f"{codec.kind.value}/{spelled}",
        number_field: codec.payload_type,
        "clockRate": codec.clock_rate,
        "parameters": {name: _number(value) for name, value in codec.parameters},
        "rtcpFeedback": _write_feedback(codec.feedback),
    }
    if capability:
        written["kind"] = codec.kind.value
    if codec.kind is MediaKind.AUDIO:
        written["channels"] = codec.channels
    if codec.rtx_payload_type is None:
        return [written]
    repair: dict[str, Any] = {
        "mimeType": f"{codec.kind.value}/rtx",
        number_field: codec.rtx_payload_type,
        "clockRate": codec.clock_rate,
        "parameters": {"apt": codec.payload_type},
        "rtcpFeedback": [],
    }
    if capability:
        repair["kind"] = codec.kind.value
    return [written, repair]


def _number(value: str | None) -> str | int:
    """Give decimal numbers as numbers: clients compare ``packetization-mode`` and ``profile-id`` as such."""
    if value is None:
        return ""
    plain = value.isascii() and value.isdigit() and len(value) <= 4 and (value == "0" or value[0] != "0")  # noqa: PLR2004
    return int(value) if plain else value


def _write_feedback(feedback: CodecFeedback) -> list[dict[str, str]]:
    named = [
        (feedback.nack, "nack", ""),
        (feedback.pli, "nack", "pli"),
        (feedback.fir, "ccm", "fir"),
        (feedback.remb, "goog-remb", ""),
        (feedback.transport_cc, "transport-cc", ""),
    ]
    return [{"type": name, "parameter": parameter} for agreed, name, parameter in named if agreed]
