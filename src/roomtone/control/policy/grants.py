"""What a token grants: LiveKit's ``video`` claim, read and written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from roomtone.control.policy.denials import AccessDenial, AccessError


class Grant(StrEnum):
    """What a request needs, beside the room."""

    JOIN = "roomJoin"
    PUBLISH = "canPublish"
    SUBSCRIBE = "canSubscribe"
    ADMINISTER = "roomAdmin"
    LIST = "roomList"
    CREATE = "roomCreate"
    RECORD = "roomRecord"
    INGEST = "ingressAdmin"


@dataclass(frozen=True, slots=True)
class VideoGrants:
    """The ``video`` grant; what is absent in a token has the default here.

    ``can_publish_data`` follows ``can_publish`` where a token does not say. ``can_publish_sources`` empty is all of
    them, which is how LiveKit reads it.
    """

    room: str = ""
    room_join: bool = False
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool | None = None
    can_publish_sources: tuple[str, ...] = ()
    can_update_own_metadata: bool = False
    room_create: bool = False
    room_list: bool = False
    room_record: bool = False
    room_admin: bool = False
    ingress_admin: bool = False
    hidden: bool = False
    recorder: bool = False
    agent: bool = False
    can_subscribe_metrics: bool = False
    destination_room: str = ""

    @property
    def may_publish_data(self) -> bool:
        """Whether data may be sent, the default filled in."""
        return self.can_publish if self.can_publish_data is None else self.can_publish_data

    def to_claim(self) -> dict[str, str | bool | list[str]]:
        """Write the claim, defaults left out."""
        claim: dict[str, str | bool | list[str]] = {}
        for name, field in _FIELDS.items():
            value = getattr(self, field)
            if value != getattr(_DEFAULT, field):
                claim[name] = list(value) if isinstance(value, tuple) else value
        return claim


_DEFAULT = VideoGrants()
_FIELDS = {
    "room": "room",
    "roomJoin": "room_join",
    "canPublish": "can_publish",
    "canSubscribe": "can_subscribe",
    "canPublishData": "can_publish_data",
    "canPublishSources": "can_publish_sources",
    "canUpdateOwnMetadata": "can_update_own_metadata",
    "roomCreate": "room_create",
    "roomList": "room_list",
    "roomRecord": "room_record",
    "roomAdmin": "room_admin",
    "ingressAdmin": "ingress_admin",
    "hidden": "hidden",
    "recorder": "recorder",
    "agent": "agent",
    "canSubscribeMetrics": "can_subscribe_metrics",
    "destinationRoom": "destination_room",
}
_TEXTS = frozenset({"room", "destinationRoom"})
_LISTS = frozenset({"canPublishSources"})


def read_grants(claim: object) -> VideoGrants:
    """Read a ``video`` claim; unknown members are passed over, raise `AccessError` for malformed ones."""
    if claim is None:
        return VideoGrants()
    if not isinstance(claim, dict):
        raise AccessError(AccessDenial.MALFORMED, "the token's video grant is no object")
    values: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        if (value := claim.get(name)) is None:
            continue
        values[field] = _member(name, value)
    return VideoGrants(**values)


def _member(name: str, value: object) -> str | bool | tuple[str, ...]:
    if name in _TEXTS:
        if not isinstance(value, str):
            raise AccessError(AccessDenial.MALFORMED, f"the token's {name} is no text")
        return value
    if name in _LISTS:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise AccessError(AccessDenial.MALFORMED, f"the token's {name} is no list of texts")
        return tuple(one.lower() for one in value)
    if not isinstance(value, bool):
        raise AccessError(AccessDenial.MALFORMED, f"the token's {name} is neither true nor false")
    return value
