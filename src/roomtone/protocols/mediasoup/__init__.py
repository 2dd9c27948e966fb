"""mediasoup's signalling: RTP capabilities and parameters, transport parameters, requests. Pure: values in, values out.

The shapes are those of mediasoup's public API and of `mediasoup-client`; the names of events are this server's own.
"""

from roomtone.protocols.mediasoup.capabilities import ClientCapabilities, read_capabilities, router_capabilities
from roomtone.protocols.mediasoup.errors import PayloadCode, PayloadError
from roomtone.protocols.mediasoup.parameters import (
    ConsumerType,
    ReceivedMedia,
    Sending,
    SentMedia,
    choose_received_media,
    consumer_type,
    read_sent_media,
    write_received_media,
    write_sent_media,
)
from roomtone.protocols.mediasoup.payload import Payload
from roomtone.protocols.mediasoup.requests import ANSWERS, Direction, Event, Request, read_request
from roomtone.protocols.mediasoup.transports import (
    StreamParameters,
    write_candidates,
    write_dtls,
    write_ice,
    write_ice_servers,
    write_sctp,
    write_stream,
)

__all__ = [
    "ANSWERS",
    "ClientCapabilities",
    "ConsumerType",
    "Direction",
    "Event",
    "Payload",
    "PayloadCode",
    "PayloadError",
    "ReceivedMedia",
    "Request",
    "Sending",
    "SentMedia",
    "StreamParameters",
    "choose_received_media",
    "consumer_type",
    "read_capabilities",
    "read_request",
    "read_sent_media",
    "router_capabilities",
    "write_candidates",
    "write_dtls",
    "write_ice",
    "write_ice_servers",
    "write_received_media",
    "write_sctp",
    "write_sent_media",
    "write_stream",
]
