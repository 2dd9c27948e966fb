"""Settings of webhooks."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from roomtone.config.section import NotNegative, Positive, Section
from roomtone.config.types import Strings  # noqa: TC001 - pydantic reads the annotation


class WebhookSettings(Section):
    """Webhooks: what happens in rooms, told to other programs as LiveKit's server tells it."""

    urls: Strings = ()
    """Where to: "https://example.org/hook". Empty: nothing is told."""
    key: str = ""
    """Name of the API key that signs them. Empty: the first of [keys], else the oldest key of the database."""
    allow_private: bool = False
    """Whether they may go to loopback, private and link-local addresses, by name or not."""
    retries: NotNegative = 12
    """Attempts after the first; then a webhook is among the dead letters."""
    first_pause_s: Annotated[float, Field(gt=0)] = 1.0
    """Longest pause before the second attempt; it doubles with each further one, and is shortened at random."""
    max_pause_s: Annotated[float, Field(gt=0)] = 300.0
    """No pause is longer."""
    connect_timeout_s: Positive = 5
    """How long a connection may take, its name looked up."""
    timeout_s: Positive = 10
    """How long an attempt may take in all."""
    queue: Positive = 10_000
    """Webhooks that may wait for one target; a further one is among the dead letters at once."""
    concurrency: Positive = 8
    """Attempts at one target at once; webhooks of one room go one after the other."""
    drain_s: NotNegative = 2
    """How long a stopping server goes on sending; what is left then is sent after the next start."""

    @model_validator(mode="after")
    def _are_urls(self) -> Self:
        for url in self.urls:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError(f"{url!r} is no http or https URL")
            if parts.username is not None or parts.password is not None or parts.fragment:
                raise ValueError("a URL of [webhooks] has no user name, password or fragment: webhooks are signed")
        return self
