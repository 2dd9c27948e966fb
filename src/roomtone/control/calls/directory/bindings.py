"""Bindings of accounts (RFC 3261 section 10): what is asked for, what is held, what happens to it, and its rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.store import SipBindingRecord

_MAX_USER_AGENT = 256
_MAX_HOST = 64
_MAX_INSTANCE = 256


@dataclass(frozen=True, slots=True)
class RegistrarRules:
    """Limits of the registrar, in seconds and bindings."""

    min_expires_s: int = 60
    max_expires_s: int = 3_600
    default_expires_s: int = 600
    max_bindings: int = 10
    """Of one account; a further one takes the place of that which was refreshed longest ago."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact of a REGISTER; ``expires_s`` None: the default; zero: the binding is to go."""

    uri: str
    expires_s: int | None = None
    q: float = 1.0
    instance: str = ""
    """``+sip.instance`` (RFC 5626): a new contact of a device replaces the old one."""
    reg_id: int = 0
    """Which of the device's flows it registers by, each a binding of its own; 0: it has one only."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What all contacts of a REGISTER share."""

    account: str
    flow: Flow
    call_id: str
    cseq: int
    path: tuple[str, ...] = ()
    user_agent: str = ""
    wants_gruu: bool = False
    """Whether the phone knows GRUUs (RFC 5627), and is given new temporary ones."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A contact and the way to it. Times are seconds since the epoch."""

    key: str
    account: str
    contact: str
    path: tuple[str, ...]
    flow: Flow
    call_id: str
    cseq: int
    user_agent: str
    q: float
    registered_at: float
    expires_at: float
    instance: str = ""
    reg_id: int = 0
    mark: str = ""
    """Of its device, in temporary GRUUs (RFC 5627); empty: it was given none."""

    @property
    def is_flow(self) -> bool:
        """Whether it is reached by the flow it registered by and by no other way (RFC 5626 section 5.3)."""
        return self.reg_id > 0


class BindingEvent(StrEnum):
    """What happened to a binding, in the words of RFC 3680 section 5.2."""

    CREATED = "created"
    REFRESHED = "refreshed"
    EXPIRED = "expired"
    UNREGISTERED = "unregistered"
    DEACTIVATED = "deactivated"
    """Taken out here: it made way for another, or its account is no more."""
    REJECTED = "rejected"
    """The way it registered by is gone (RFC 5626 section 5.3)."""


@dataclass(frozen=True, slots=True)
class BindingChange:
    """A binding, and what has just happened to it."""

    binding: Binding
    event: BindingEvent

    @property
    def is_end(self) -> bool:
        """Whether the binding is no more."""
        return self.event not in {BindingEvent.CREATED, BindingEvent.REFRESHED}


def bind(
    registration: Registration, key: str, contact: Contact, *, now: float, seconds: int, mark: str = ""
) -> Binding:
    """Make the binding of one contact of a REGISTER."""
    return Binding(
        key=key,
        account=registration.account,
        contact=contact.uri,
        path=registration.path,
        flow=registration.flow,
        call_id=registration.call_id,
        cseq=registration.cseq,
        user_agent=registration.user_agent[:_MAX_USER_AGENT],
        q=contact.q,
        registered_at=now,
        expires_at=now + seconds,
        instance=contact.instance[:_MAX_INSTANCE],
        reg_id=contact.reg_id,
        mark=mark,
    )


def told(binding: Binding) -> tuple[object, ...]:
    """Give what of a binding has to be written at once; connections are not kept over a restart."""
    return (binding.contact, binding.path, binding.flow[:5], binding.user_agent, binding.q, binding.mark)


def record_of(binding: Binding) -> SipBindingRecord:
    """Write a binding as a row of its table."""
    flow = binding.flow
    return SipBindingRecord(
        key=binding.key,
        account=binding.account,
        contact=binding.contact,
        path=json.dumps(binding.path),
        transport=flow.transport.value,
        remote_host=flow.remote_host[:_MAX_HOST],
        remote_port=flow.remote_port,
        local_host=flow.local_host[:_MAX_HOST],
        local_port=flow.local_port,
        call_id=binding.call_id,
        cseq=binding.cseq,
        user_agent=binding.user_agent,
        q=binding.q,
        registered_at=binding.registered_at,
        expires_at=binding.expires_at,
        instance=binding.instance,
        reg_id=binding.reg_id,
        mark=binding.mark,
    )


def binding_of(record: SipBindingRecord) -> Binding:
    """Read a row; connections are not kept over a restart."""
    flow = Flow(
        Transport(record.transport), record.remote_host, record.remote_port, record.local_host, record.local_port
    )
    return Binding(
        key=record.key,
        account=record.account,
        contact=record.contact,
        path=tuple(json.loads(record.path)),
        flow=flow,
        call_id=record.call_id,
        cseq=record.cseq,
        user_agent=record.user_agent,
        q=record.q,
        registered_at=record.registered_at,
        expires_at=record.expires_at,
        instance=record.instance,
        reg_id=record.reg_id,
        mark=record.mark,
    )
