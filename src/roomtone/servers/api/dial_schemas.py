"""Bodies about calls that rooms make."""

# ruff: noqa: TC001 - pydantic reads the annotations

from __future__ import annotations

from pydantic import ConfigDict, Field

from roomtone.control.calls import CallState
from roomtone.servers.api.schemas import Body


class _Dialling(Body):
    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")


class DialBody(_Dialling):
    """Whom a room calls, and as whom they take part."""

    to: str = Field(examples=["+49 30 555 77", "1001", "sip:door@192.0.2.9"])
    """A number, an account, or a SIP or tel URI; spaces, dashes, dots and brackets of a number are taken out."""
    trunk: str = ""
    """The trunk it goes by; empty: to where a rule or an account of that name leads."""
    identity: str = ""
    """The participant's; empty: `sip_` and what is dialled."""
    name: str = ""
    """The participant's; empty: what is dialled."""
    metadata: str = ""
    attributes: dict[str, str] = Field(default_factory=dict)
    from_number: str = Field(default="", max_length=64, pattern=r"^[A-Za-z0-9+._#*~-]*$")
    """The number that calls; empty: the trunk's, else the room's name."""
    from_name: str = Field(default="", max_length=128)
    """The name that calls."""
    wait_until_answered: bool = False
    """Whether the request waits until somebody has answered, or nobody does."""
    ringing_timeout_s: float | None = Field(default=None, ge=1, le=600)
    """How long it rings; by default `sip.ring_timeout_s`."""
    max_duration_s: float | None = Field(default=None, gt=0)
    """The call ends so long after it was answered."""
    dtmf: str = Field(default="", examples=["ww1234#"])
    """Keys pressed once it is answered: 0-9, *, #, A-D; each w waits half a second."""
    join_early: bool = False
    """Whether the participant is there while it rings, with `sip.callStatus` `dialing`; early media is heard."""
    ring_tone: str = Field(default="", pattern="^([A-Z]{2})?$", examples=["DE"])
    """With `join_early`: the country whose ringing tone the room hears until somebody answers; empty: none."""


class DialledBody(_Dialling):
    """A call that a room makes. It is listed and ended under `/calls`."""

    id: str
    room: str
    identity: str
    participant: str | None
    """The participant's id, where it is there already."""
    called: str
    state: CallState
