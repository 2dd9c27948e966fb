"""Settings of encoders that publish by SRT, RTMP and RTP."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roomtone.config.section import Section
from roomtone.config.types import Address, Addresses

_SRT, _RTMP, _RTMPS, _RTP = 8890, 1935, 1936, 5004


class SrtSettings(Section):
    """Encoders that publish MPEG-TS by SRT, and programs that read it: a stream id `publish:NAME` or `read:NAME`.

    Or, in the standard form, `#!::r=NAME,m=publish` and `#!::r=NAME,m=request`.
    """

    enabled: bool = True
    """Whether it is listened for."""
    listen: Addresses = (Address("0.0.0.0", _SRT), Address("::", _SRT))  # noqa: S104 - a server listens
    """UDP addresses."""
    passphrase: Annotated[str, Field(max_length=80)] = ""
    """10 to 80 characters; with it callers without or with another are refused, without it those that have one."""
    latency_ms: Annotated[int, Field(ge=20, le=8_000)] = 120
    """How long it waits for what is missing; a caller may ask for more. Three to four round trips are usual."""
    max_readers: Annotated[int, Field(ge=0, le=1_000)] = 256
    """Programs that read streams at a time, and play them by RTMP; one more is refused as too many."""


class RtmpSettings(Section):
    """Encoders that publish by RTMP, Enhanced RTMP too, to `rtmp://HOST/live/NAME?token=TOKEN`, and players of it."""

    enabled: bool = True
    """Whether it is listened for."""
    listen: Addresses = (Address("0.0.0.0", _RTMP), Address("::", _RTMP))  # noqa: S104 - likewise
    """TCP addresses."""


class RtmpsSettings(Section):
    """Encoders that publish by RTMP behind TLS, with the certificate of HTTPS: `rtmps://HOST:1936/live/NAME?token=TOKEN`."""

    enabled: bool = True
    """Whether it is listened for, where there is a certificate: `http.cert`, or the one made for `http.tls_listen`."""
    listen: Addresses = (Address("0.0.0.0", _RTMPS), Address("::", _RTMPS))  # noqa: S104 - likewise
    """TCP addresses."""


class PullSettings(Section):
    """Streams that are fetched from other servers (`/api/v1/pulls`)."""

    allow_private: bool = False
    """Whether they may come from loopback, private and link-local addresses, by name or not."""


class RtpIngestSettings(Section):
    """The port to which RTP and MPEG-TS of all inputs come that have no port of their own (`/api/v1/inputs`)."""

    enabled: bool = True
    """Whether it is listened for."""
    listen: Addresses = (Address("0.0.0.0", _RTP),)  # noqa: S104 - likewise
    """UDP addresses; RTCP comes to the port above."""
