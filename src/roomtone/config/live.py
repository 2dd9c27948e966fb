"""Settings of live streams."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from roomtone.config.section import NotNegative, Positive, Section

_SIDES = range(64, 4_097, 2)
"""Of pictures that are made."""


class RungSettings(Section):
    """One size of a ladder."""

    lines: Annotated[int, Field(ge=64, le=2160)]
    """Pixels of the shorter side."""
    bps: Annotated[int, Field(ge=0, le=100_000_000)] = 0
    """Bits a second, at most; 0: by the size."""
    fps: Annotated[int, Field(ge=0, le=120)] = 0
    """Pictures a second, at most; 0: as the source."""
    codec: Literal["h264", "hevc", "av1"] = "h264"
    """All players have H.264; HEVC and AV1 take fewer bits and more of a processor."""


class StreamSettings(Section):
    """What is said of one stream; what is unset is as `live` says of all."""

    public: bool | None = None
    """Anybody may watch without a token."""
    encryption: Literal["none", "aes-128", "sample-aes"] | None = None
    """By what media is encrypted."""
    segments_per_key: NotNegative | None = None
    """A key is good for so many segments; 0: for the life of the stream."""
    slate: str | None = None
    """What is shown while its encoder is away, as `live.slate` has it."""


class LiveSettings(Section):
    """Live streams: rooms, and what encoders publish, watched by HLS at `/live/NAME/index.m3u8`."""

    enabled: bool = True
    """Rooms may go live; off: asking for it is refused with 403."""
    auto: bool = False
    """Every room goes live by itself, with the first H.264 video that is published in it."""
    public: bool = False
    """Anybody may watch without a token. Off: it takes one for NAME with canSubscribe, or an account's; with --dev not
    from this machine."""
    grant_s: Annotated[int, Field(ge=60, le=604_800)] = 14_400
    """How long may be watched after the token was checked."""
    publish_hook: str = ""
    """Asked who may publish by SRT and RTMP where the server does not know what an encoder shows: a URL that gets a
    signed POST and lets it in by answering 2xx within 2.5 s. Addresses are limited by `webhooks.allow_private`."""
    node_url: Annotated[str, Field(pattern=r"^(https?://[^/?#\s]+)?$")] = ""
    """Where players reach this server, https://live-1.example.org. With it and `redis.url` no two servers that share
    that Redis have a stream of the same name, and players are led to the one that has it."""
    encryption: Literal["none", "aes-128", "sample-aes"] = "none"
    """By what media is encrypted: aes-128 whole, as all players read it; sample-aes by cbcs, which AV1 is not. Keys are
    given to whoever may watch. A room that goes live may choose otherwise."""
    segments_per_key: NotNegative = 0
    """A key is good for so many segments; 0: for the life of a stream."""
    streams: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")], StreamSettings] = Field(
        default_factory=dict
    )
    """Single streams by name, where they are given to their audience otherwise than all: `public`, `encryption`,
    `segments_per_key`, `slate`."""
    slate: str = ""
    """What is shown of a stream whose encoder is away, until it is back: `card`, dark colour bars, or the path of a
    picture or a clip, whose sound is not heard. Empty: nothing. Needs `rtmp.enabled` and PyAV."""
    slate_after_s: Annotated[float, Field(ge=0, le=8)] = 2
    """How long after it was lost."""
    slate_for_s: Annotated[int, Field(ge=1, le=86_400)] = 600
    """How long at most; the stream ends ten seconds later, when still nobody publishes it."""
    window_s: Annotated[int, Field(ge=0, le=86_400)] = 120
    """How far back viewers can go; three segments at least."""
    memory_s: Annotated[int, Field(ge=24, le=86_400)] = 300
    """How much of a stream is in memory, in the window or behind it, six target durations at least; older segments are
    files in `windows` below the data directory, for as long as they can be asked for."""
    memory_stream_mb: Positive = 512
    """Megabytes of one stream in memory; from three quarters of it on segments go to the disk earlier,
    above it the oldest are dropped."""
    memory_mb: Positive = 2_048
    """Megabytes of all streams in memory; above it the oldest segments of the largest are dropped, and where that does
    not suffice, further streams are refused."""
    disk_stream_mb: NotNegative = 64_000
    """Megabytes of one stream on disk; above it the oldest segments are dropped. 0: none goes to the disk."""
    disk_mb: NotNegative = 128_000
    """Megabytes of all streams on disk; above it the oldest segments of the largest are dropped. 0: none goes there."""
    part_ms: Annotated[int, Field(ge=100, le=2_000)] = 333
    """How long parts are wished to be; the frame rate decides the rest. Viewers are three parts behind and more."""
    grace_s: NotNegative = 10
    """How long a stream waits for its publisher to come back."""
    ladder: str = "source"
    """At which sizes streams are made anew beside what is published: `source` (none), `ladder-720`, `ladder-1080`, or a
    name of `live.ladders`. Sizes that the source does not have are left out. Needs the extra `transcode`, and much of a
    processor for each stream."""
    ladders: dict[str, list[RungSettings]] = Field(default_factory=dict)
    """Ladders of one's own, by name."""
    transcode_rooms: bool = False
    """Rooms whose video is VP8 go live too: it is made anew as H.264."""
    program_size: Annotated[str, Field(pattern=r"^\d{2,4}x\d{2,4}$")] = "1280x720"
    """Width and height of rooms that are live as one program (`picture` is `program`), both even. Rungs of the ladder
    are made beside it; what rooms show is drawn as large as it fits."""
    program_fps: Annotated[int, Field(ge=5, le=60)] = 25
    """Pictures a second of these."""
    sound: Literal["none", "aac", "opus"] = "none"
    """Sound is made anew in this codec too, beside what is published, for players that do not have that."""
    webrtc_making: Literal["auto", "off", "demand", "always"] = "auto"
    """Tracks of encoders that WebRTC does not carry are made anew for rooms and WHEP: AAC and others as Opus; H.264
    and HEVC with B-frames, and what no client is offered, as H.264 without. demand: while somebody watches. Needs the
    extra `transcode`; auto: demand where that is installed, else off."""
    webrtc_lines: Annotated[int, Field(ge=144, le=4_320)] = 1_080
    """The most that pictures made so have, of the shorter side."""
    encoders: tuple[str, ...] = ("libx264",)
    """Encoders of H.264, as FFmpeg names them; the first with which a picture can be encoded is taken. `h264_nvenc` and
    `h264_qsv` are those of graphics cards."""
    hevc_encoders: tuple[str, ...] = ("libx265",)
    """Encoders of rungs of HEVC, tried in this order; `hevc_nvenc` and `hevc_qsv` are those of graphics cards."""
    av1_encoders: tuple[str, ...] = ("libsvtav1",)
    """Encoders of rungs of AV1, tried in this order; `av1_nvenc` and `av1_qsv` are those of graphics cards."""
    encoder_preset: str = "veryfast"
    """Of `libx264` and `libx265`, and what is like it of `libsvtav1`: faster ones take less of a processor and more of
    the line."""
    measure_quality: bool = False
    """Compare what is made with its source, by PSNR and SSIM of one picture a second; this decodes each rung again."""
    max_streams: Positive = 100
    """Most rooms that are live at once, above it 503; and most streams of encoders, further ones are refused."""

    @field_validator("program_size")
    @classmethod
    def _is_even(cls, size: str) -> str:
        if any(int(side) not in _SIDES for side in size.split("x")):
            raise ValueError(f"program_size: {size} is not two even numbers of 64 to 4096")
        return size

    @model_validator(mode="after")
    def _is_url(self) -> Self:
        parts = urlsplit(self.publish_hook)
        if self.publish_hook and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError(f"publish_hook: {self.publish_hook!r} is no http or https URL")
        return self
