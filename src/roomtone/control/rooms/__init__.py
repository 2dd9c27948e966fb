"""Rooms: participants, publications, subscriptions, viewers. The ground for all other control."""

from roomtone.control.rooms.chat import ChatMessage, ChatStore
from roomtone.control.rooms.chat_memory import MemoryChat
from roomtone.control.rooms.data import DataKind, DataOutcome, DataPacket, DataSink
from roomtone.control.rooms.ended_log import EndedEntry, EndedKind, EndedLog
from roomtone.control.rooms.events import EventMailbox, EventsLostError, EventStream, RoomEvent, RoomEventKind
from roomtone.control.rooms.held import HeldRouter
from roomtone.control.rooms.knocks import Knock, KnockDecision, KnockId
from roomtone.control.rooms.mixing import MixCount, Seat
from roomtone.control.rooms.model import Connection, FeedConnection, Member, Participant, PlainConnection, Room, Viewer
from roomtone.control.rooms.moving import UnawareMover
from roomtone.control.rooms.options import RoomOptions
from roomtone.control.rooms.permissions import Permissions, SubscriptionRules
from roomtone.control.rooms.reasons import CloseReason, Refusal, RoomError
from roomtone.control.rooms.requests import JoinRequest
from roomtone.control.rooms.rooms import Rooms
from roomtone.control.rooms.settings import RoomLimits
from roomtone.control.rooms.speakers import Speaker, SpeakerRules
from roomtone.control.rooms.tracks import Publication, Subscription
from roomtone.control.rooms.values import (
    Encryption,
    Ended,
    LayerInfo,
    Layers,
    LayerWish,
    ParticipantId,
    ParticipantKind,
    ParticipantState,
    PlainAddress,
    Protocol,
    RoomId,
    SubscriptionId,
    SubscriptionOffer,
    TrackId,
    TrackOffer,
    TrackSource,
    ViewerId,
    is_room_name,
    usual_source,
)

__all__ = [
    "ChatMessage",
    "ChatStore",
    "CloseReason",
    "Connection",
    "DataKind",
    "DataOutcome",
    "DataPacket",
    "DataSink",
    "Encryption",
    "Ended",
    "EndedEntry",
    "EndedKind",
    "EndedLog",
    "EventMailbox",
    "EventStream",
    "EventsLostError",
    "FeedConnection",
    "HeldRouter",
    "JoinRequest",
    "Knock",
    "KnockDecision",
    "KnockId",
    "LayerInfo",
    "LayerWish",
    "Layers",
    "Member",
    "MemoryChat",
    "MixCount",
    "Participant",
    "ParticipantId",
    "ParticipantKind",
    "ParticipantState",
    "Permissions",
    "PlainAddress",
    "PlainConnection",
    "Protocol",
    "Publication",
    "Refusal",
    "Room",
    "RoomError",
    "RoomEvent",
    "RoomEventKind",
    "RoomId",
    "RoomLimits",
    "RoomOptions",
    "Rooms",
    "Seat",
    "Speaker",
    "SpeakerRules",
    "Subscription",
    "SubscriptionId",
    "SubscriptionOffer",
    "SubscriptionRules",
    "TrackId",
    "TrackOffer",
    "TrackSource",
    "UnawareMover",
    "Viewer",
    "ViewerId",
    "is_room_name",
    "usual_source",
]
