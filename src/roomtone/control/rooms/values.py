"""What is asked of rooms and told of them: ids, requests, offers, wishes. Values; nothing here changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

from roomtone.media.values import MediaKind

if TYPE_CHECKING:
    from roomtone.control.rooms.reasons import CloseReason
    from roomtone.media.values import EncodingParameters, HeaderExtension, IngestTrackId, SrtpKeys
    from roomtone.protocols.sdp import Codec

RoomId = NewType("RoomId", str)
ParticipantId = NewType("ParticipantId", str)
TrackId = NewType("TrackId", str)
SubscriptionId = NewType("SubscriptionId", str)
ViewerId = NewType("ViewerId", str)

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
MAX_IDENTITY_LENGTH = 256
MAX_NAME_LENGTH = 256
MAX_METADATA_LENGTH = 65_536
MAX_ATTRIBUTES = 64
MAX_ATTRIBUTES_LENGTH = 65_536
"""Characters of all keys and values together."""


def is_room_name(text: str) -> bool:
    """Whether a text can name a room: it appears in URLs."""
    return bool(_NAME.match(text))


class ParticipantKind(StrEnum):
    """How much of a participant somebody is."""

    STANDARD = "standard"
    INGEST = "ingest"
    EGRESS = "egress"
    SIP = "sip"
    AGENT = "agent"


class ParticipantState(StrEnum):
    """How far a participant has come; ``ACTIVE``: a connection of its came up."""

    JOINING = "joining"
    JOINED = "joined"
    ACTIVE = "active"
    DISCONNECTED = "disconnected"


class Protocol(StrEnum):
    """What a participant came by."""

    WHIP = "whip"
    LIVEKIT = "livekit"
    MEDIASOUP = "mediasoup"
    PLAIN = "plain"
    SIP = "sip"
    ENCODER = "encoder"
    """SRT, RTMP: what publishes a live stream."""


class TrackSource(StrEnum):
    """What a track shows."""

    UNKNOWN = "unknown"
    CAMERA = "camera"
    MICROPHONE = "microphone"
    SCREEN_SHARE = "screen_share"
    SCREEN_SHARE_AUDIO = "screen_share_audio"


def usual_source(kind: MediaKind) -> TrackSource:
    """Give what a track of a kind shows where its publisher cannot say."""
    return TrackSource.MICROPHONE if kind is MediaKind.AUDIO else TrackSource.CAMERA


class Encryption(StrEnum):
    """How a track's frames are encrypted from end to end."""

    NONE = "none"
    GCM = "gcm"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One layer of a video track as its publisher announces it; zero: not said."""

    rid: str | None = None
    width: int = 0
    height: int = 0
    bitrate: int = 0
    """Bits per second."""
    ssrc: int | None = None


@dataclass(frozen=True, slots=True)
class TrackOffer:
    """A track somebody is about to publish, as negotiated."""

    kind: MediaKind
    codecs: tuple[Codec, ...]
    mid: str | None = None
    encodings: tuple[EncodingParameters, ...] = ()
    extensions: tuple[HeaderExtension, ...] = ()
    source: TrackSource = TrackSource.UNKNOWN
    name: str = ""
    muted: bool = False
    id: TrackId | None = None
    """Promised to the publisher before its media came; None makes one."""
    layers: tuple[LayerInfo, ...] = ()
    """What its publisher says of its layers, lowest first."""
    dtx: bool = False
    stereo: bool = False
    red: bool = False
    """Its audio comes with redundancy (RFC 2198)."""
    stream: str = ""
    """Tracks of one stream name are played in step."""
    encryption: Encryption = Encryption.NONE
    fed_by: IngestTrackId | None = None
    """The track of an encoder that it is, where it comes by a feed."""
    on_demand: bool = False
    """Nothing of it comes until somebody takes it."""


@dataclass(frozen=True, slots=True)
class SubscriptionOffer:
    """How somebody can receive one track, as negotiated."""

    kind: MediaKind
    codecs: tuple[Codec, ...]
    mid: str | None = None
    extensions: tuple[HeaderExtension, ...] = ()
    paused: bool = False
    """Nothing is sent until a `LayerWish` that is not paused."""
    ssrc: int | None = None
    """Told to the subscriber already; None makes one, and one for repairs where there are any."""
    rtx_ssrc: int | None = None


@dataclass(frozen=True, slots=True)
class PlainAddress:
    """Where a plain RTP peer is; ``ip`` None takes the address of the first valid packet."""

    ip: str | None = None
    port: int = 0
    rtcp_port: int | None = None
    rtcp_mux: bool = True
    srtp: SrtpKeys | None = None
    """The peer's keys, with which what it sends is opened."""
    local_srtp: SrtpKeys | None = None
    """Our keys, with which what we send is sealed."""


@dataclass(frozen=True, slots=True)
class Layers:
    """An encoding or spatial layer, and the highest temporal layer; None: none, or all."""

    spatial: int | None = None
    temporal: int | None = None


@dataclass(frozen=True, slots=True)
class LayerWish:
    """The most a subscriber wants of a track; None leaves it to the engine, which sends the best that the line carries.

    One configuration for simulcast and SVC: ``spatial`` is the encoding of the one and the spatial layer of the other.
    A RID is looked up anew when the source changes. ``max_width`` and ``max_height`` are what the track is shown with.
    """

    rid: str | None = None
    spatial: int | None = None
    temporal: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    max_fps: int | None = None
    max_bitrate: int | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """Somebody who was in a room and is no longer; times are seconds since the epoch."""

    identity: str | None
    viewer: str | None
    reason: CloseReason
    joined_at: float
    at: float
