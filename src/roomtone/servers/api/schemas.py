"""Bodies of `/api/v1`."""

# ruff: noqa: TC001 - pydantic reads the annotations

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from roomtone.control.rooms import (
    Encryption,
    ParticipantKind,
    ParticipantState,
    Protocol,
    TrackSource,
)
from roomtone.media.values import MediaKind, QualityLevel


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(extra="forbid")


class CodecBody(Body):
    """A codec of a track."""

    name: str = Field(examples=["VP8"])
    payload_type: int = Field(ge=0, le=127)
    clock_rate: int = Field(gt=0)
    channels: int = Field(default=1, ge=1, le=8)
    parameters: dict[str, str] = Field(default_factory=dict, description="Format parameters, as fmtp names them")
    rtx_payload_type: int | None = Field(default=None, ge=0, le=127)


class TrackBody(Body):
    """A published track."""

    id: str
    participant: str
    kind: MediaKind
    source: TrackSource
    name: str
    muted: bool = Field(description="By its publisher or by the server: nothing of it is forwarded")
    muted_by_server: bool
    mime: str = Field(examples=["video/VP8"])
    encryption: Encryption
    codecs: list[CodecBody]
    rids: list[str]
    active_encodings: list[int]
    wanted_encodings: list[int | None] | None = Field(
        description="Of each encoding the highest temporal layer anybody wants, null if nobody does; null until known"
    )
    quality: QualityLevel | None = Field(description="Of what arrives, once known")


class PermissionsBody(Body):
    """What a participant may do."""

    can_publish: bool
    publish_sources: list[TrackSource] = Field(description="Empty: every source")
    can_subscribe: bool
    can_publish_data: bool
    can_update_own_metadata: bool
    hidden: bool
    recorder: bool
    agent: bool
    moderator: bool


class ParticipantBody(Body):
    """A participant."""

    id: str
    identity: str
    name: str
    metadata: str
    attributes: dict[str, str]
    kind: ParticipantKind
    protocol: Protocol | None
    state: ParticipantState
    permissions: PermissionsBody
    movable: bool = Field(description="Whether it can be sent to another room")
    forwarded_from: str | None = Field(description="Its own room, where it is here only as forwarded from there")
    forwarded_to: list[str] = Field(description="Other rooms that it is present in too")
    connected: bool
    joined_at: float
    quality: QualityLevel | None = Field(description="Of the connection, once known")
    tracks: list[TrackBody]
    subscriptions: list[SubscriptionBody]


class LayersBody(Body):
    """The most a viewer wants of a track; absent or null leaves it to the engine, which sends what the line carries."""

    rid: str | None = Field(default=None, max_length=64, description="A simulcast encoding by its RID")
    spatial: int | None = Field(default=None, ge=0, le=7, description="Simulcast encoding or spatial layer, 0 lowest")
    temporal: int | None = Field(default=None, ge=0, le=7)
    max_width: int | None = Field(default=None, ge=1, le=16_384, description="Pixels that it is shown with")
    max_height: int | None = Field(default=None, ge=1, le=16_384)
    max_fps: int | None = Field(default=None, ge=1, le=240)
    max_bitrate: int | None = Field(default=None, ge=1, le=1_000_000_000, description="Bits per second")
    paused: bool = False


class LayerBody(Body):
    """A spatial layer or simulcast encoding, and the highest temporal layer; null: none, or all."""

    spatial: int | None
    temporal: int | None


class SubscriptionBody(Body):
    """A track that a viewer gets."""

    id: str
    kind: MediaKind
    track: str | None
    wanted: LayersBody
    target: LayerBody = Field(description="What the line is believed to carry")
    current: LayerBody = Field(description="What is sent")
    starved: bool = Field(description="The line does not carry even the cheapest layer")


class ViewerBody(Body):
    """A viewer; viewers are no participants."""

    id: str
    follows: str | None
    source: str | None
    connected: bool
    joined_at: float
    quality: QualityLevel | None = Field(description="Of the connection, once known")
    subscriptions: list[SubscriptionBody]


class MuteBody(Body):
    """Whether a track, or all tracks of a participant, are to be muted."""

    muted: bool


class PermissionsUpdateBody(Body):
    """Permissions to change; absent or null leaves one."""

    can_publish: bool | None = None
    publish_sources: list[TrackSource] | None = Field(default=None, description="Empty: every source")
    can_subscribe: bool | None = None
    can_publish_data: bool | None = None
    can_update_own_metadata: bool | None = None
    hidden: bool | None = None
    recorder: bool | None = None
    agent: bool | None = None
    moderator: bool | None = None


class ParticipantUpdateBody(Body):
    """What is to change of a participant; absent or null leaves a thing."""

    name: str | None = Field(default=None, max_length=256)
    metadata: str | None = Field(default=None, max_length=65_536)
    attributes: dict[str, str] | None = Field(
        default=None, description="Put over those there; an empty value takes one away"
    )
    permissions: PermissionsUpdateBody | None = None


class ForwardBody(Body):
    """Where a participant is to be present too."""

    to: str = Field(examples=["overflow"])


class MoveBody(Body):
    """Where a participant is to go on."""

    room: str = Field(examples=["other"])
