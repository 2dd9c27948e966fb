"""Bodies about plain RTP."""

# ruff: noqa: TC001 - pydantic reads the annotations

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from roomtone.control.rooms import TrackSource
from roomtone.media.values import MediaKind
from roomtone.servers.api.schemas import Body, CodecBody


class SrtpBody(Body):
    """SRTP keys given by hand: the SDES suite, and master key with salt in base64."""

    suite: str = Field(examples=["AES_CM_128_HMAC_SHA1_80"])
    key: str


class PlainStreamBody(Body):
    """One plain RTP stream: its codec, and where its peer is."""

    kind: MediaKind
    codec: CodecBody
    ssrc: int | None = Field(default=None, ge=1, le=0xFFFF_FFFF, description="Of a source that sends with this SSRC")
    source: TrackSource | None = Field(default=None, description="What a source shows; absent: microphone or camera")
    ip: str | None = Field(default=None, description="Where the peer is; absent: learnt from its first packet")
    port: int = Field(default=0, ge=0, le=65535)
    rtcp_port: int | None = Field(default=None, ge=1, le=65535)
    rtcp_mux: bool = True
    srtp: SrtpBody | None = Field(default=None, description="The peer's keys: of what it sends")
    local_srtp: SrtpBody | None = Field(default=None, description="Our keys: of what we send; both sides' or none")

    @model_validator(mode="after")
    def _keys_of_both_sides(self) -> Self:
        if (self.srtp is None) is not (self.local_srtp is None):
            raise ValueError("SRTP needs the keys of both sides: srtp and local_srtp")
        return self


class PlainPublishBody(Body):
    """A plain RTP source that joins as a participant."""

    identity: str = Field(min_length=1, max_length=256)
    name: str = ""
    publish: list[PlainStreamBody] = Field(min_length=1, max_length=8)


class PlainSubscribeBody(Body):
    """A plain RTP sink that watches."""

    participant: str | None = Field(default=None, description="Whom to follow; absent: the newest publisher")
    subscribe: list[PlainStreamBody] = Field(min_length=1, max_length=8)


class PlainStreamOpened(Body):
    """Our side of a plain RTP stream."""

    kind: MediaKind
    ip: str
    port: int
    rtcp_port: int
    ssrc: int | None = None


class PlainOpened(Body):
    """What was made; DELETE on the participant or viewer ends it."""

    participant: str | None = None
    viewer: str | None = None
    streams: list[PlainStreamOpened]
    sdp: str | None = Field(default=None, description="For a sink: what a player such as FFmpeg opens")
