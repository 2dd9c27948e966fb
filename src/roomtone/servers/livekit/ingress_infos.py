"""Ingresses in LiveKit's messages, and what is asked for of them that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import ingress, models

from roomtone.control.live import Ingress, IngressInput, IngressLife, IngressStatus, TrackRule
from roomtone.media.values import MediaKind
from roomtone.protocols.livekit import TwirpCode, TwirpError
from roomtone.servers.livekit.infos import SOURCE_OF, SOURCES, track_info

if TYPE_CHECKING:
    from roomtone.servers.livekit.context import LiveKitContext

    Options = ingress.IngressVideoOptions | ingress.IngressAudioOptions
    Request = ingress.CreateIngressRequest | ingress.UpdateIngressRequest

INPUTS = {
    ingress.IngressInput.RTMP_INPUT: IngressInput.RTMP,
    ingress.IngressInput.WHIP_INPUT: IngressInput.WHIP,
    ingress.IngressInput.URL_INPUT: IngressInput.URL,
}
_INPUT_OF = {input_: number for number, input_ in INPUTS.items()}
_STATUSES = {
    IngressStatus.INACTIVE: ingress.IngressState.Status.ENDPOINT_INACTIVE,
    IngressStatus.BUFFERING: ingress.IngressState.Status.ENDPOINT_BUFFERING,
    IngressStatus.PUBLISHING: ingress.IngressState.Status.ENDPOINT_PUBLISHING,
    IngressStatus.ERROR: ingress.IngressState.Status.ENDPOINT_ERROR,
}
_MIMES = {
    "avc1": "video/H264",
    "hvc1": "video/H265",
    "av01": "video/AV1",
    "vp8": "video/VP8",
    "mp4a": "audio/mp4a-latm",
    "opus": "audio/opus",
}
"""Media types (RFC 6838) by the first part of a codec's name (RFC 6381)."""


def refuse_transcoding(request: Request, *, makes: bool) -> None:
    """Raise `TwirpError` where media would have to be coded otherwise than this server does, if it ``makes`` any."""
    refuses_bypass = (
        isinstance(request, ingress.UpdateIngressRequest)
        and request.HasField("bypass_transcoding")
        and not request.bypass_transcoding
    )
    if not makes and (request.enable_transcoding or refuses_bypass):
        text = (
            "enable_transcoding: media goes into the room as it comes (live.webrtc_making is off); send H.264 without "
            "B-frames, and Opus"
        )
        raise TwirpError(TwirpCode.UNIMPLEMENTED, text)
    options: tuple[tuple[str, Options], ...] = (("video", request.video), ("audio", request.audio))
    for name, given in options:
        if (which := given.WhichOneof("encoding_options")) is not None:
            text = f"{name}.{which}: how media is coded for the room is no matter of an ingress"
            raise TwirpError(TwirpCode.UNIMPLEMENTED, text)


def track_rule(options: Options) -> TrackRule:
    """Read what a track is to be in the room."""
    source = SOURCE_OF.get(options.source)
    if source is None:
        raise TwirpError(TwirpCode.INVALID_ARGUMENT, f"source: there is no {options.source}")
    return TrackRule(options.name, source)


def ingress_info(context: LiveKitContext, one: Ingress, life: IngressLife) -> ingress.IngressInfo:
    """Describe an ingress and how it is."""
    return ingress.IngressInfo(
        ingress_id=one.id,
        name=one.label,
        stream_key=told_key(one),
        url=one.url,
        input_type=_INPUT_OF[one.input],
        bypass_transcoding=not context.makes_for_rooms or one.input is IngressInput.WHIP,
        enable_transcoding=context.makes_for_rooms and one.input is not IngressInput.WHIP,
        audio=ingress.IngressAudioOptions(name=one.audio.name, source=SOURCES[one.audio.source]),
        video=ingress.IngressVideoOptions(name=one.video.name, source=SOURCES[one.video.source]),
        room_name=one.room,
        participant_identity=one.identity,
        participant_name=one.participant_name,
        participant_metadata=one.metadata,
        reusable=one.reusable,
        enabled=one.enabled,
        state=_state(context, life),
    )


def told_key(one: Ingress) -> str:
    """Give the stream key as an encoder has it: of RTMP it is a name with its token."""
    return f"{one.id}?token={one.key}" if one.input is IngressInput.RTMP else one.key


def _state(context: LiveKitContext, life: IngressLife) -> ingress.IngressState:
    state = ingress.IngressState(
        status=_STATUSES[life.status],
        error=life.error,
        started_at=_nanoseconds(life.started_at),
        ended_at=_nanoseconds(life.ended_at),
        updated_at=_nanoseconds(life.updated_at),
    )
    for track in life.tracks:
        mime = _MIMES.get(track.codec.split(".", 1)[0], track.codec)
        if track.kind is MediaKind.VIDEO:
            state.video.mime_type, state.video.width, state.video.height = mime, track.width or 0, track.height or 0
        else:
            state.audio.mime_type, state.audio.channels = mime, track.channels or 0
    participant = life.participant
    if participant is not None and participant.closed is None:
        state.room_id = participant.room.id
        tracks: list[models.TrackInfo] = [track_info(context, track) for track in participant.publications.values()]
        state.tracks.extend(tracks)
    return state


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000) * 1_000
