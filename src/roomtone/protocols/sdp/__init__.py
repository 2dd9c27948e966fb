"""SDP: parse, serialise, answer offers. Pure: nothing is opened, read from a clock or drawn at random."""

from roomtone.protocols.sdp.answer import AnswerDetails, LocalPeer, Sending, order_candidates, write_answer
from roomtone.protocols.sdp.attributes import Direction
from roomtone.protocols.sdp.attributes_ice import IceCandidate
from roomtone.protocols.sdp.codecs import (
    Codec,
    map_payload_types,
    media_feedback,
    redundancy_wanted,
    rtx_payload_types,
)
from roomtone.protocols.sdp.errors import NegotiationCode, NegotiationError, SdpError
from roomtone.protocols.sdp.mixed import MediaAnswer, PeerMedia, PeerOffer, read_peer_offer, write_peer_answer
from roomtone.protocols.sdp.model import MediaDescription, SessionDescription, parse_session
from roomtone.protocols.sdp.negotiation import (
    AnswerRole,
    Negotiated,
    NegotiatedMedia,
    RemotePeer,
    negotiate,
)
from roomtone.protocols.sdp.offer import AnsweredMedia, OfferedData, OfferedMedia, PeerAnswer, read_answer, write_offer
from roomtone.protocols.sdp.support import Format, Support

__all__ = [
    "AnswerDetails",
    "AnswerRole",
    "AnsweredMedia",
    "Codec",
    "Direction",
    "Format",
    "IceCandidate",
    "LocalPeer",
    "MediaAnswer",
    "MediaDescription",
    "Negotiated",
    "NegotiatedMedia",
    "NegotiationCode",
    "NegotiationError",
    "OfferedData",
    "OfferedMedia",
    "PeerAnswer",
    "PeerMedia",
    "PeerOffer",
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
    "read_answer",
    "read_peer_offer",
    "redundancy_wanted",
    "rtx_payload_types",
    "write_answer",
    "write_offer",
    "write_peer_answer",
]
