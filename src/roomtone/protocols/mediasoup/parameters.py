"""RTP parameters: what a producer sends, read and checked; what a consumer gets, chosen and written.

Inputs: a client's ``rtpParameters`` or ``rtpCapabilities``. Outputs: values of the engine and of SDP, and JSON.
Order: none. Limits: those named here; a producer beyond them is refused whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from roomtone.media.values import CodecFeedback, EncodingParameters, HeaderExtension, MediaKind
from roomtone.protocols.mediasoup.capabilities import MAX_EXTENSIONS, MAX_URI, router_codecs, sent_extensions
from roomtone.protocols.mediasoup.codecs import read_codecs, write_codec
from roomtone.protocols.mediasoup.errors import PayloadCode, PayloadError
from roomtone.protocols.sdp.support import TRANSPORT_SEQUENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roomtone.protocols.mediasoup.capabilities import ClientCapabilities
    from roomtone.protocols.mediasoup.payload import Payload
    from roomtone.protocols.sdp import Codec, Support

MAX_SSRC = 0xFFFF_FFFF
MAX_MID = 16
MAX_RID = 16
MAX_CNAME = 255
MAX_EXTENSION_ID = 255
_SCALABILITY = re.compile(r"[LS]([1-9]\d?)T([1-9]\d?)")
_SVC_CODECS = frozenset({"VP9", "AV1"})


class ConsumerType(StrEnum):
    """How a consumer's stream can change: not at all, among encodings, or among layers of one."""

    SIMPLE = "simple"
    SIMULCAST = "simulcast"
    SVC = "svc"


@dataclass(frozen=True, slots=True)
class SentMedia:
    """What a producer sends; ``scalability`` is the mode its encodings name, such as L1T3."""

    kind: MediaKind
    mid: str | None
    codecs: tuple[Codec, ...]
    encodings: tuple[EncodingParameters, ...]
    extensions: tuple[HeaderExtension, ...]
    cname: str | None = None
    scalability: str | None = None
    dtx: bool = False
    """Silence is not sent."""

    @property
    def stereo(self) -> bool:
        """Whether its sound has two channels that differ."""
        return any(codec.parameter("sprop-stereo") == "1" for codec in self.codecs)


def read_sent_media(payload: Payload, kind: MediaKind, support: Support) -> SentMedia:
    """Read a producer's parameters; raise `PayloadError` when they cannot be served."""
    extensions = _read_extensions(payload, kind, support)
    sequenced = any(ext.uri == TRANSPORT_SEQUENCE for ext in extensions)
    codecs = read_codecs(payload, "payloadType", needed=True)
    if not codecs:
        raise PayloadError(PayloadCode.MISSING_FIELD, f"{payload.path('codecs')} is empty")
    for codec in codecs:
        if codec.kind is not kind:
            raise payload.bad("codecs", f"has {codec.mime_type}, which is no {kind.value}")
    known = tuple(
        replace(codec, feedback=support.agree_feedback(codec.feedback, kind, transport_sequence=sequenced))
        for codec in codecs
        if support.knows(codec)
    )
    if not known:
        names = ", ".join(codec.mime_type for codec in codecs)
        raise PayloadError(PayloadCode.NO_COMMON_CODEC, f"no codec known here: {names}")
    if len({codec.payload_type for codec in known}) < len(known):
        raise payload.bad("codecs", "has a payload type twice")
    encodings, scalability, dtx = _read_encodings(payload, support)
    dtx = dtx or any(codec.parameter("usedtx") == "1" for codec in known)
    mid = payload.optional_text("mid", MAX_MID) or None
    if mid is None and not any(encoding.ssrc for encoding in encodings):
        raise payload.bad("encodings", "names no SSRC, and there is no mid")
    rtcp = payload.optional_part("rtcp")
    cname = None if rtcp is None else rtcp.optional_text("cname", MAX_CNAME)
    return SentMedia(kind, mid, known, encodings, extensions, cname, scalability, dtx)


def _read_extensions(payload: Payload, kind: MediaKind, support: Support) -> tuple[HeaderExtension, ...]:
    known = support.extensions(kind, sending=False)
    found: dict[str, HeaderExtension] = {}
    for item in payload.parts("headerExtensions", MAX_EXTENSIONS):
        uri, number = item.text("uri", MAX_URI), item.integer("id", 1, MAX_EXTENSION_ID)
        if uri in known:
            found.setdefault(uri, HeaderExtension(id=number, uri=uri))
    if len({ext.id for ext in found.values()}) < len(found):
        raise payload.bad("headerExtensions", "has an id twice")
    return tuple(found.values())


def _read_encodings(payload: Payload, support: Support) -> tuple[tuple[EncodingParameters, ...], str | None, bool]:
    encodings: list[EncodingParameters] = []
    scalability: str | None = None
    dtx = False
    for item in payload.parts("encodings", support.max_encodings):
        rtx = item.optional_part("rtx")
        scalability = item.optional_text("scalabilityMode", 32) or scalability
        dtx = dtx or item.flag("dtx")
        encodings.append(
            EncodingParameters(
                ssrc=item.optional_integer("ssrc", 1, MAX_SSRC),
                rid=item.optional_text("rid", MAX_RID) or None,
                rtx_ssrc=None if rtx is None else rtx.integer("ssrc", 1, MAX_SSRC),
            )
        )
    named = [encoding.rid or encoding.ssrc for encoding in encodings]
    if len(encodings) > 1 and (None in named or len(set(named)) < len(named)):
        raise payload.bad("encodings", "are several that no rid or SSRC of their own tells apart")
    return tuple(encodings if named != [None] else ()), scalability, dtx


def layers_of(scalability: str | None) -> tuple[int, int]:
    """Spatial and temporal layers that a scalability mode names (W3C WebRTC-SVC); one of each without."""
    found = _SCALABILITY.match(scalability or "")
    return (int(found[1]), int(found[2])) if found else (1, 1)


def consumer_type(encodings: int, scalability: str | None, codec: str) -> ConsumerType:
    """Say how the stream of a producer can change."""
    if encodings > 1:
        return ConsumerType.SIMULCAST
    if max(layers_of(scalability)) > 1:
        return ConsumerType.SVC if codec in _SVC_CODECS else ConsumerType.SIMULCAST
    return ConsumerType.SIMPLE


@dataclass(frozen=True, slots=True)
class ReceivedMedia:
    """What a consumer is sent, but for SSRCs."""

    codecs: tuple[Codec, ...]
    extensions: tuple[HeaderExtension, ...]


def choose_received_media(
    source: Sequence[Codec], kind: MediaKind, client: ClientCapabilities, support: Support, allowed: Iterable[str] = ()
) -> ReceivedMedia:
    """Choose what a client gets of a stream; raise `PayloadError` when it can take nothing of it."""
    extensions = tuple(ext for ext in sent_extensions(kind) if client.takes_extension(kind, ext.uri))
    sequenced = any(ext.uri == TRANSPORT_SEQUENCE for ext in extensions)
    chosen: dict[int, Codec] = {}
    for stream in source:
        ranked = [(codec.match_quality(stream), codec) for codec in router_codecs(support, allowed)]
        ranked = [(quality, codec) for quality, codec in ranked if quality and _receiver(client, codec) is not None]
        if not ranked:
            continue
        best = max(ranked, key=lambda pair: pair[0])[1]
        receiver = _receiver(client, best)
        if receiver is None:
            continue
        feedback = support.agree_feedback(receiver.feedback, kind, transport_sequence=sequenced)
        if feedback.transport_cc:
            feedback = _without_remb(feedback)
        chosen.setdefault(
            best.payload_type,
            replace(
                best,
                feedback=feedback,
                parameters=stream.parameters if best.name == "OPUS" else best.parameters,
                rtx_payload_type=best.rtx_payload_type if receiver.rtx_payload_type is not None else None,
            ),
        )
    if not chosen:
        names = ", ".join(dict.fromkeys(codec.mime_type for codec in source))
        raise PayloadError(PayloadCode.NO_COMMON_CODEC, f"the client takes nothing of {names}")
    return ReceivedMedia(tuple(chosen.values()), extensions)


def _receiver(client: ClientCapabilities, codec: Codec) -> Codec | None:
    return next((one for one in client.codecs if one.match_quality(codec)), None)


def _without_remb(feedback: CodecFeedback) -> CodecFeedback:
    return CodecFeedback(
        nack=feedback.nack, pli=feedback.pli, fir=feedback.fir, transport_cc=feedback.transport_cc, remb=False
    )


def write_sent_media(media: SentMedia) -> dict[str, Any]:
    """Write a producer's parameters as they were agreed to."""
    return {
        "mid": media.mid,
        "codecs": [written for codec in media.codecs for written in write_codec(codec, "payloadType")],
        "headerExtensions": _write_extensions(media.extensions),
        "encodings": [_write_encoding(encoding) for encoding in media.encodings],
        "rtcp": {"cname": media.cname, "reducedSize": True},
    }


@dataclass(frozen=True, slots=True)
class Sending:
    """How a consumer's stream is labelled; ``encodings`` and ``scalability`` are its producer's."""

    mid: str
    ssrc: int
    rtx_ssrc: int | None
    cname: str
    encodings: int = 1
    scalability: str | None = None


def write_received_media(media: ReceivedMedia, sending: Sending) -> dict[str, Any]:
    """Write a consumer's parameters."""
    encoding: dict[str, Any] = {"ssrc": sending.ssrc}
    if sending.rtx_ssrc is not None:
        encoding["rtx"] = {"ssrc": sending.rtx_ssrc}
    spatial, temporal = layers_of(sending.scalability)
    if sending.encodings > 1:
        encoding["scalabilityMode"] = f"L{sending.encodings}T{temporal}"
    elif max(spatial, temporal) > 1:
        encoding["scalabilityMode"] = sending.scalability
    return {
        "mid": sending.mid,
        "codecs": [written for codec in media.codecs for written in write_codec(codec, "payloadType")],
        "headerExtensions": _write_extensions(media.extensions),
        "encodings": [encoding],
        "rtcp": {"cname": sending.cname, "reducedSize": True, "mux": True},
    }


def _write_extensions(extensions: Iterable[HeaderExtension]) -> list[dict[str, Any]]:
    return [{"uri": ext.uri, "id": ext.id, "encrypt": False, "parameters": {}} for ext in extensions]


def _write_encoding(encoding: EncodingParameters) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if encoding.ssrc is not None:
        written["ssrc"] = encoding.ssrc
    if encoding.rid is not None:
        written["rid"] = encoding.rid
    if encoding.rtx_ssrc is not None:
        written["rtx"] = {"ssrc": encoding.rtx_ssrc}
    return written
