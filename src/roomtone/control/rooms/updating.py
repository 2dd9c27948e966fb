"""What of rooms and participants changes while they are there: names, metadata, permissions, locks, places."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.knocks import KnockDecision
from roomtone.control.rooms.lobby import RoomLobbies
from roomtone.control.rooms.model import Participant
from roomtone.control.rooms.reasons import CloseReason, Refusal
from roomtone.control.rooms.speakers import silence
from roomtone.control.rooms.tables import quietly

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomtone.control.rooms.model import Room
    from roomtone.control.rooms.permissions import Permissions, SubscriptionRules
    from roomtone.media.values import MediaKind

T = TypeVar("T")


class RoomUpdates(RoomLobbies):
    """Rooms that change."""

    # --- rooms ---

    async def update_room(
        self,
        room: Room,
        *,
        metadata: str | None = None,
        locked: bool | None = None,
        lobby: bool | None = None,
        max_participants: int | None = None,
        max_publications: int | None = None,
        codecs: frozenset[str] | None = None,
        empty_timeout_s: float | None = None,
        departure_timeout_s: float | None = None,
    ) -> None:
        """Change options of a room; None leaves them. Limits and codecs are for what comes, not for what is there."""
        before = room.options
        after = replace(
            before,
            metadata=_or(metadata, before.metadata),
            locked=_or(locked, before.locked),
            lobby=_or(lobby, before.lobby),
            max_participants=_or(max_participants, before.max_participants),
            max_publications=_or(max_publications, before.max_publications),
            codecs=_or(codecs, before.codecs),
            empty_timeout_s=_or(empty_timeout_s, before.empty_timeout_s),
            departure_timeout_s=_or(departure_timeout_s, before.departure_timeout_s),
        )
        self._check_options(after)
        if after == before:
            return
        room.options = after
        if room.options.locked and not before.locked:
            room.invited.clear()  # who was let in and left is outside now
        room.events.emit(RoomEventKind.ROOM_UPDATED)
        if not room.options.lobby:
            self._answer_all(room, KnockDecision.ADMITTED)  # nobody must ask any longer
        if room.empty_timer is not None:
            room.empty_timer.cancel()
            self._arm_empty_timer(room)

    def note_on_air(self, room: Room, *, on_air: bool) -> None:
        """Note whether a live stream shows a room: who is in it is told."""
        if room.on_air != on_air:
            room.on_air = on_air
            room.events.emit(RoomEventKind.ROOM_UPDATED)

    # --- participants ---

    async def update(
        self,
        participant: Participant,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
        permissions: Permissions | None = None,
    ) -> None:
        """Change what is said of a participant and what it may do; when this returns, media follows the permissions.

        None leaves a thing; ``attributes`` are put over those there, and an empty value takes one away.
        """
        self._check_open(participant)
        merged = participant.attributes | dict(attributes or {})
        merged = {key: value for key, value in merged.items() if value}
        new_name = participant.name if name is None else name
        new_metadata = participant.metadata if metadata is None else metadata
        self._check_description(new_name, new_metadata, merged)
        before = (participant.name, participant.metadata, participant.attributes, participant.permissions)
        participant.name, participant.metadata, participant.attributes = new_name, new_metadata, merged
        if permissions is not None:
            participant.permissions = permissions
        if before != (participant.name, participant.metadata, participant.attributes, participant.permissions):
            participant.version += 1
            participant.emit(RoomEventKind.PARTICIPANT_UPDATED)
        if before[3].hidden != participant.permissions.hidden:
            self._tell_hidden(participant)
        if before[3] != participant.permissions:
            await self._apply_permissions(participant)

    async def note_unavailable(self, participant: Participant, unavailable: Mapping[MediaKind, str]) -> None:
        """Note what a participant sends that nobody can be given, and why: others see it as attributes."""
        if participant.unavailable == unavailable:
            return
        gone = participant.unavailable.keys() - unavailable.keys()
        participant.unavailable = dict(unavailable)
        told = {f"unavailable.{kind.value}": reason for kind, reason in unavailable.items()}
        await self.update(participant, attributes=told | {f"unavailable.{kind.value}": "" for kind in gone})

    async def update_own(
        self,
        participant: Participant,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Do what a participant asks about itself, if it may."""
        if not participant.permissions.can_update_own_metadata:
            raise self.refuse(Refusal.NOT_PERMITTED, "it may not change its own name, metadata and attributes")
        await self.update(participant, name=name, metadata=metadata, attributes=attributes)

    async def set_subscription_permissions(self, publisher: Participant, rules: SubscriptionRules) -> None:
        """Say who may have a participant's tracks; when this returns, nobody else gets them."""
        if publisher.subscription_rules == rules:
            return
        publisher.subscription_rules = rules
        publisher.emit(RoomEventKind.SUBSCRIPTION_RULES_CHANGED)
        ended = [
            self._end_subscription(subscription, CloseReason.NOT_PERMITTED)
            for publication in publisher.publications.values()
            for subscription in tuple(publication.subscriptions.values())
            if isinstance(subscription.member, Participant)
            and not rules.allows(subscription.member.identity, publication.id)
        ]
        await asyncio.gather(*(quietly(close) for close in ended))
        self.switching.refresh(publisher.room)
        await self.switching.settled(publisher.room)

    async def remove(self, participant: Participant, reason: CloseReason = CloseReason.REMOVED) -> None:
        """Send a participant out; it is let in again only as a stranger."""
        participant.room.invited.pop(participant.identity, None)
        await self.end(participant, reason)

    # --- steps ---

    def _tell_hidden(self, participant: Participant) -> None:
        """Tell the others, who else hear nothing of a hidden participant, that one has gone or come for them."""
        hidden = participant.permissions.hidden
        kind = RoomEventKind.PARTICIPANT_HIDDEN if hidden else RoomEventKind.PARTICIPANT_SHOWN
        if hidden:
            silence(participant.room, participant.identity)
        participant.room.events.emit(kind, participant=participant.identity)

    async def _apply_permissions(self, participant: Participant) -> None:
        """Bring media in line with what a participant may do now."""
        permissions = participant.permissions
        forbidden = [
            publication
            for publication in tuple(participant.publications.values())
            if not permissions.may_publish(publication.source)
        ]
        ended = []
        if not permissions.can_subscribe:
            ended = [
                quietly(self._end_subscription(subscription, CloseReason.NOT_PERMITTED))
                for subscription in tuple(participant.subscriptions.values())
            ]
        if permissions.hidden:
            ended += [
                quietly(self._end_subscription(subscription, CloseReason.UNPUBLISHED))
                for publication in participant.publications.values()
                for subscription in tuple(publication.subscriptions.values())
                if isinstance(subscription.member, Participant) and not subscription.member.permissions.is_service
            ]
        await asyncio.gather(
            *(self.unpublish(publication, CloseReason.NOT_PERMITTED) for publication in forbidden), *ended
        )
        # Whether it is hidden decides whether viewers follow it.
        self.switching.refresh(participant.room)


def _or(wanted: T | None, present: T) -> T:
    return present if wanted is None else wanted
