"""Rooms: participants, publications, subscriptions, viewers. The ground for all other control."""

from roomtone.control.rooms.events import EventMailbox, EventsLostError, EventStream, RoomEvent, RoomEventKind
from roomtone.control.rooms.model import (
    Connection,
    JoinRequest,
    Layers,
    LayerWish,
    Member,
    Participant,
    ParticipantKind,
    PlainAddress,
    PlainConnection,
    Publication,
    Room,
    Subscription,
    SubscriptionOffer,
    TrackOffer,
    TrackSource,
    Viewer,
    is_room_name,
)
from roomtone.control.rooms.reasons import CloseReason, Refusal, RoomError
from roomtone.control.rooms.rooms import Rooms
from roomtone.control.rooms.settings import RoomLimits

__all__ = [
    "CloseReason",
    "Connection",
    "EventMailbox",
    "EventStream",
    "EventsLostError",
    "JoinRequest",
    "LayerWish",
    "Layers",
    "Member",
    "Participant",
    "ParticipantKind",
    "PlainAddress",
    "PlainConnection",
    "Publication",
    "Refusal",
    "Room",
    "RoomError",
    "RoomEvent",
    "RoomEventKind",
    "RoomLimits",
    "Rooms",
    "Subscription",
    "SubscriptionOffer",
    "TrackOffer",
    "TrackSource",
    "Viewer",
    "is_room_name",
]
