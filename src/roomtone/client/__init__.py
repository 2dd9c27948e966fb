"""Clients of a running server, for programs of its users."""

from roomtone.client.sfu import (
    SfuClient,
    SfuConsumerInfo,
    SfuHealth,
    SfuJoined,
    SfuProducerInfo,
    SfuRequestError,
    SfuRoom,
    SfuTransportInfo,
)

__all__ = [
    "SfuClient",
    "SfuConsumerInfo",
    "SfuHealth",
    "SfuJoined",
    "SfuProducerInfo",
    "SfuRequestError",
    "SfuRoom",
    "SfuTransportInfo",
]
