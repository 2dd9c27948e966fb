"""Rooms: participants, publications, subscriptions, viewers. The ground for all other control."""

from roomtone.control.rooms.events import EventMailbox, EventsLostError, EventStream, RoomEvent, RoomEventKind
from roomtone.control.rooms.model import Connection, Member, Participant, PlainConnection, Room, Viewer
from roomtone.control.rooms.reasons import CloseReason, Refusal, RoomError
from roomtone.control.rooms.rooms import Rooms
from roomtone.control.rooms.settings import RoomLimits
from roomtone.control.rooms.tracks import Publication, Subscription
from roomtone.control.rooms.values import (
    JoinRequest,
    Layers,
    LayerWish,
    ParticipantKind,
    PlainAddress,
    SubscriptionOffer,
    TrackOffer,
    TrackSource,
    is_room_name,
)

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
