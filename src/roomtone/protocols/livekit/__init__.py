"""LiveKit's signalling and server API: messages, joins, tracks, calls. Pure: it opens nothing and reads no clock."""

from roomtone.protocols.livekit.chat import (
    CHAT_TOPIC,
    ChatAction,
    ChatFault,
    ChatInput,
    ChatProgress,
    ChatText,
    write_chat,
)
from roomtone.protocols.livekit.chat_streams import ChatStreams
from roomtone.protocols.livekit.joining import Join, JoinError, read_join
from roomtone.protocols.livekit.layers import Wish, describe_layers, quality_of, read_wish, wanted_qualities
from roomtone.protocols.livekit.messages import (
    PROTOCOL_VERSION,
    SERVER_VERSION,
    BadMessage,
    BadMessageError,
    read_packet,
    read_request,
    write_response,
)
from roomtone.protocols.livekit.packets import LOSSY_CHANNEL, RELIABLE_CHANNEL, Sender, sign, topic_of, write_user
from roomtone.protocols.livekit.publishing import Announced, AnnouncementError, OfferPlan, PublishedTracks, Starting
from roomtone.protocols.livekit.subscribing import Accepted, AnswerPlan, OfferedTracks, ReceivedTracks, WantedTrack
from roomtone.protocols.livekit.twirp import (
    METHODS,
    TwirpCode,
    TwirpError,
    TwirpMethod,
    find_method,
    read_call,
    speaks_json,
    write_answer,
)

__all__ = [
    "CHAT_TOPIC",
    "LOSSY_CHANNEL",
    "METHODS",
    "PROTOCOL_VERSION",
    "RELIABLE_CHANNEL",
    "SERVER_VERSION",
    "Accepted",
    "Announced",
    "AnnouncementError",
    "AnswerPlan",
    "BadMessage",
    "BadMessageError",
    "ChatAction",
    "ChatFault",
    "ChatInput",
    "ChatProgress",
    "ChatStreams",
    "ChatText",
    "Join",
    "JoinError",
    "OfferPlan",
    "OfferedTracks",
    "PublishedTracks",
    "ReceivedTracks",
    "Sender",
    "Starting",
    "TwirpCode",
    "TwirpError",
    "TwirpMethod",
    "WantedTrack",
    "Wish",
    "describe_layers",
    "find_method",
    "quality_of",
    "read_call",
    "read_join",
    "read_packet",
    "read_request",
    "read_wish",
    "sign",
    "speaks_json",
    "topic_of",
    "wanted_qualities",
    "write_answer",
    "write_chat",
    "write_response",
    "write_user",
]
