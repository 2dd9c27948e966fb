"""Settings of what accounts need: a database, log-ins, mail, Redis."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from roomtone.config.section import Positive, Section

PROBABLE_COST = 12


class DatabaseSettings(Section):
    """Where accounts, keys, chat and the audit trail are kept."""

    url: SecretStr = SecretStr("")
    """postgresql://user:password@host/name, mysql://... or sqlite:///path. Empty: a SQLite file in the data directory,
    `roomtone.db`, or `dev.db` with `--dev`."""
    pool_size: Positive = 5
    """Most connections to the database."""
    timeout_s: Positive = 10
    """How long a connection, or a free one of the pool, is waited for."""
    keep_audit_days: Positive = 365
    """How long the audit trail is kept."""
    keep_calls_days: Positive = 365
    """How long records of calls are kept."""
    keep_chat_days: Positive = 365
    """How long chat is kept at most; see `chat.keep` for what goes with its room."""


class AccountRates(Section):
    """How often the same account or address may try; above it 429 with Retry-After. The first of a burst are free."""

    logins_per_minute: Positive = 10
    """Attempts to log in to one account."""
    logins_per_minute_of_address: Positive = 30
    """Attempts of one address to log in, refresh or set a new password, to whatever account."""
    resets_per_hour: Positive = 5
    """Links to reset the password of one account."""
    registrations_per_hour: Positive = 20
    """New accounts of one address."""
    room_tokens_per_minute: Positive = 120
    """Room tokens of one account."""
    room_tokens_per_minute_of_address: Positive = 600
    """Room tokens of one address."""


class AccountSettings(Section):
    """Accounts of people."""

    registration: bool = True
    """Whether anybody may register; otherwise administrators make accounts."""
    min_password_length: Annotated[int, Field(ge=8, le=128)] = 10
    """Shortest password."""
    bcrypt_cost: Annotated[int, Field(ge=4, le=16)] = PROBABLE_COST
    """Work of hashing a password; one more doubles it. 12 takes about a quarter of a second."""
    access_ttl_s: Positive = 86_400
    """Life of an access token."""
    refresh_ttl_s: Positive = 604_800
    """Life of a refresh token."""
    reset_ttl_s: Positive = 3_600
    """Life of a link that sets a new password."""
    room_token_ttl_s: Positive = 21_600
    """Life of a room token given to an account."""
    totp_issuer: str = "Roomtone"
    """Name that authenticator apps show."""
    key_file: Path | None = None
    """Key that seals secrets in the database, made at first start with mode 0600. Default: `secrets.key` in the data
    directory. Servers that share a database share this file."""
    refresh_cache_s: Positive = 5
    """How often this server looks for keys and accounts that another process has changed."""
    rates: AccountRates = AccountRates()


class MailSecurity(StrEnum):
    """How the connection to the mail server is kept private."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class MailSettings(Section):
    """Mail by SMTP, for links that reset a password. Without `host` the link is logged with `--dev`, else refused."""

    host: str = ""
    """Mail server; empty: no mail."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Its port; 0 takes 587, or 465 with `security = "tls"`."""
    security: MailSecurity = MailSecurity.STARTTLS
    """starttls, tls or none."""
    username: str = ""
    """User name at the mail server; empty: no log-in there."""
    password: SecretStr = SecretStr("")
    """Password at the mail server."""
    sender: str = "Roomtone <roomtone@localhost>"
    """From whom mail comes."""
    public_url: str = ""
    """Where people reach this server, "https://meet.example.org": links in mail begin so. Needed with `host`."""
    timeout_s: Positive = 30
    """How long the mail server may take."""
    queue: Positive = 256
    """Mails that may wait; one more is dropped, logged and counted."""

    @model_validator(mode="after")
    def _links_lead_somewhere(self) -> Self:
        if self.host and not self.public_url.startswith(("http://", "https://")):
            raise ValueError("links in mail need public_url, for example https://meet.example.org")
        return self


class RedisSettings(Section):
    """Redis, for limits that several servers share, and for the names of their live streams (`live.node_url`)."""

    url: SecretStr = SecretStr("")
    """redis://host:6379/0, rediss://... or unix:///path. Empty: limits are kept in memory."""
    timeout_s: Annotated[float, Field(gt=0)] = 2.0
    """How long Redis may take; a limit that cannot be asked for is counted in memory instead."""
