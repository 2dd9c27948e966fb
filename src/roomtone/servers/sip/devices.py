"""Whom a URI of ours is for: a number or name, or one device of an account by a GRUU (RFC 5627)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.calls import Registrar
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.uri import Uri


def device_of(registrar: Registrar | None, number: str | None, uri: Uri) -> tuple[str | None, str]:
    """Give number and instance: the account behind a temporary GRUU, None where there is none; "" for all devices."""
    if not isinstance(uri, SipUri) or not uri.params.has("gr"):
        return number, ""
    instance = uri.params.get("gr")
    if instance:
        return number, instance
    found = None if registrar is None or not number else registrar.of_temporary(number)
    return (None, "") if found is None else found


class FlowWatch:
    """Takes out what was registered by connections that are gone (a `ConnectionWatcher`)."""

    def __init__(self, registrar: Registrar, clock: Callable[[], float]) -> None:
        self._registrar = registrar
        self._clock = clock

    def connection_opened(self, flow: Flow) -> None:
        """Nothing is registered by it yet."""

    def connection_closed(self, flow: Flow, reason: str) -> None:  # noqa: ARG002 - as of the protocol
        """Take out the flows there were by it (RFC 5626 section 5.3)."""
        self._registrar.flow_closed(flow, self._clock())
