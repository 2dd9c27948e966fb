"""What a driver of SIP drives: any sans-IO core with these methods, `TransactionLayer` among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from roomtone.protocols.sip.flow import Flow, Transmit
    from roomtone.protocols.sip.message import Request, Response


class SipCore(Protocol):
    """Messages in, messages out; times are milliseconds of one clock that never goes back."""

    def handle_message(self, message: Request | Response, flow: Flow, now: int) -> None:
        """Take a message. May raise `SipSyntaxError`."""

    def handle_transport_error(self, transmit: Transmit, now: int) -> None:
        """Take back what could not be sent."""

    def handle_timeout(self, now: int) -> None:
        """Do what is due."""

    def next_timeout(self) -> int | None:
        """When `handle_timeout` is to be called, at the latest."""

    def poll_transmit(self) -> Transmit | None:
        """Take the next message to be sent."""


class ConnectionWatcher(Protocol):
    """Who wants to know of connections: registrations that live on one, a trunk's health."""

    def connection_opened(self, flow: Flow) -> None:
        """One is there; its flow carries its number."""

    def connection_closed(self, flow: Flow, reason: str) -> None:
        """One is gone, and why (`ConnectionEnd`)."""
