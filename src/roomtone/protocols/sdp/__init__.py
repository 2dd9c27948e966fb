"""SDP: parse, serialise, answer offers. Pure: nothing is opened, read from a clock or drawn at random."""

from roomtone.protocols.sdp.answer import AnswerDetails, LocalPeer, Sending, order_candidates, write_answer
from roomtone.protocols.sdp.codecs import (
    Codec,
    map_payload_types,
    media_feedback,
    redundancy_wanted,
    rtx_payload_types,
)
from roomtone.protocols.sdp.errors import NegotiationCode, NegotiationError, SdpError
from roomtone.protocols.sdp.model import MediaDescription, SessionDescription, parse_session
from roomtone.protocols.sdp.negotiation import (
    AnswerRole,
    Negotiated,
    NegotiatedMedia,
    RemotePeer,
    negotiate,
)
from roomtone.protocols.sdp.support import Format, Support

__all__ = [
    "AnswerDetails",
    "AnswerRole",
    "Codec",
    "Format",
    "LocalPeer",
    "MediaDescription",
    "Negotiated",
    "NegotiatedMedia",
    "NegotiationCode",
    "NegotiationError",
    "RemotePeer",
    "SdpError",
    "Sending",
    "SessionDescription",
    "Support",
    "map_payload_types",
    "media_feedback",
    "negotiate",
    "order_candidates",
    "parse_session",
    "redundancy_wanted",
    "rtx_payload_types",
    "write_answer",
]
