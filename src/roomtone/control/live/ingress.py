"""Ingresses: places that are made for one source beforehand, which say as whom it joins which room.

A source is pushed there by RTMP or WHIP with the ingress's key, or fetched from a URL. Its live stream has the name of
the ingress, so that several ingresses may lead into one room.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.control.rooms import JoinRequest, ParticipantKind, TrackSource, is_room_name
from roomtone.media.values import MediaKind
from roomtone.store import IngressRecord

if TYPE_CHECKING:
    from roomtone.control.rooms import Protocol, TrackOffer

MAX_INGRESSES = 1_000
"""Ingresses at a time; one more is refused."""
MAX_TEXT = 256
"""Characters of names and identities."""
MAX_METADATA = 65_536
SOURCES = {
    MediaKind.VIDEO: frozenset({TrackSource.UNKNOWN, TrackSource.CAMERA, TrackSource.SCREEN_SHARE}),
    MediaKind.AUDIO: frozenset({TrackSource.UNKNOWN, TrackSource.MICROPHONE, TrackSource.SCREEN_SHARE_AUDIO}),
}
"""What tracks of a kind may show."""


class IngressInput(StrEnum):
    """How a source comes."""

    RTMP = "rtmp"
    """It is pushed by RTMP, or by SRT."""
    WHIP = "whip"
    """It is pushed by WHIP."""
    URL = "url"
    """It is fetched."""


class IngressStatus(StrEnum):
    """How an ingress is."""

    INACTIVE = "inactive"
    """Its source is not there."""
    BUFFERING = "buffering"
    """Its source is there, or is called, and no track of it is in the room yet."""
    PUBLISHING = "publishing"
    ERROR = "error"
    """Its source could not be fetched or read, or is not let into the room."""


class IngressRefusal(StrEnum):
    """Why something is not done about an ingress; it had no effect."""

    NO_SUCH_INGRESS = "no_such_ingress"
    TOO_MANY = "too_many_ingresses"
    INVALID = "invalid_ingress"
    ACTIVE = "ingress_active"
    """Its source is there: what is said of it cannot be changed now."""
    NOT_REUSABLE = "ingress_not_reusable"


class IngressError(Exception):
    """A request about an ingress was refused."""

    def __init__(self, refusal: IngressRefusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message


@dataclass(frozen=True, slots=True)
class TrackRule:
    """What a track is in the room; where the name is empty that of its kind, where the source is unknown the usual."""

    name: str = ""
    source: TrackSource = TrackSource.UNKNOWN


@dataclass(frozen=True, slots=True)
class Ingress:
    """An ingress; ``id`` is the name of its live stream too."""

    id: str
    input: IngressInput
    room: str
    identity: str
    url: str
    """Where its source is pushed to, or fetched from."""
    key: str = field(default="", repr=False)
    """What is shown to publish; none of one that is fetched."""
    participant_name: str = ""
    metadata: str = ""
    label: str = ""
    """For whoever reads the list."""
    enabled: bool = True
    video: TrackRule = TrackRule()
    audio: TrackRule = TrackRule()
    created_at: float = 0.0

    @property
    def reusable(self) -> bool:
        """Whether its source may come again and again."""
        return self.input is not IngressInput.URL

    def rule_of(self, kind: MediaKind) -> TrackRule:
        """Give what its track of a kind is."""
        return self.video if kind is MediaKind.VIDEO else self.audio

    def join_request(self, protocol: Protocol) -> JoinRequest:
        """Say who its source is in the room."""
        return JoinRequest(
            identity=self.identity,
            name=self.participant_name,
            metadata=self.metadata,
            kind=ParticipantKind.INGEST,
            protocol=protocol,
        )

    def offer(self, offer: TrackOffer) -> TrackOffer:
        """Say of a track of its source what it is in the room."""
        rule = self.rule_of(offer.kind)
        source = offer.source if rule.source is TrackSource.UNKNOWN else rule.source
        return replace(offer, name=rule.name or offer.name, source=source)


_TEXTS = ("room", "identity", "url", "participant_name", "metadata", "label")


def check(ingress: Ingress) -> None:
    """Raise `IngressError` for one that cannot be."""
    if not is_room_name(ingress.room):
        raise _invalid("the room's name has 1 to 64 letters, digits, '.', '_' or '-'")
    if not ingress.identity or len(ingress.identity) > MAX_TEXT:
        raise _invalid(f"the participant's identity has 1 to {MAX_TEXT} characters")
    if max(len(ingress.participant_name), len(ingress.label)) > MAX_TEXT or len(ingress.metadata) > MAX_METADATA:
        raise _invalid(f"names have at most {MAX_TEXT} characters, and metadata {MAX_METADATA}")
    for kind, allowed in SOURCES.items():
        rule = ingress.rule_of(kind)
        if rule.source not in allowed:
            raise _invalid(f"{kind.value} is no {rule.source.value}")
        if len(rule.name) > MAX_TEXT:
            raise _invalid(f"a track's name has at most {MAX_TEXT} characters")


def ingress_record(ingress: Ingress, sealed: str) -> IngressRecord:
    """Write an ingress as a row of its table."""
    profile: dict[str, object] = {name: getattr(ingress, name) for name in _TEXTS}
    profile |= {"input": ingress.input.value, "enabled": ingress.enabled}
    for kind in MediaKind:
        rule = ingress.rule_of(kind)
        profile[kind.value] = {"name": rule.name, "source": rule.source.value}
    return IngressRecord(ingress.id, json.dumps(profile), sealed, ingress.created_at)


def read_ingress(record: IngressRecord, key: str) -> Ingress:
    """Read a row of the table, with the key unsealed."""
    profile = json.loads(record.profile)
    video, audio = (
        TrackRule(profile[kind]["name"], TrackSource(profile[kind]["source"])) for kind in ("video", "audio")
    )
    return Ingress(
        record.id,
        IngressInput(profile["input"]),
        key=key,
        enabled=profile["enabled"],
        video=video,
        audio=audio,
        created_at=record.created_at,
        **{name: profile[name] for name in _TEXTS},
    )


def _invalid(message: str) -> IngressError:
    return IngressError(IngressRefusal.INVALID, message)
