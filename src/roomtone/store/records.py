"""Rows as values. Times are seconds since the epoch; secrets are hashes or sealed text, never as they are."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """A person who can log in."""

    id: str
    username: str
    """Lower case, unique."""
    role: str
    password_hash: str = field(repr=False)
    email: str | None = None
    """Lower case, unique where given."""
    name: str = ""
    disabled: bool = False
    totp_sealed: str | None = field(default=None, repr=False)
    """The secret of one-time passwords, sealed with the key file."""
    totp_active: bool = False
    totp_last_step: int = 0
    """The last time step that was used, so that a code works once."""
    tokens_valid_after: float = 0.0
    """Access tokens issued before this are refused."""
    created_at: float = 0.0
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True)
class RefreshTokenRecord:
    """One refresh token; the tokens that came of one log-in are a family."""

    digest: str = field(repr=False)
    family: str
    account_id: str
    created_at: float
    expires_at: float
    used_at: float | None = None
    revoked_at: float | None = None


@dataclass(frozen=True, slots=True)
class ResetTokenRecord:
    """A link that sets a new password, once."""

    digest: str = field(repr=False)
    account_id: str
    created_at: float
    expires_at: float
    used_at: float | None = None


@dataclass(frozen=True, slots=True)
class BackupCodeRecord:
    """A code that stands in for a one-time password, once."""

    digest: str = field(repr=False)
    account_id: str
    used_at: float | None = None


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """A key of a server; its secret signs tokens, so it is sealed instead of hashed."""

    name: str
    secret_sealed: str = field(repr=False)
    label: str = ""
    created_at: float = 0.0
    created_by: str = ""
    revoked_at: float | None = None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who did what to whom, and how it ended."""

    at: float
    kind: str
    outcome: str
    account: str = ""
    actor: str = ""
    address: str = ""
    detail: str = ""
    id: int | None = None
    """Given by the database."""


@dataclass(frozen=True, slots=True)
class ChatRecord:
    """A chat message of a room, as rooms know it."""

    id: str
    room: str
    sender: str
    sender_name: str
    text: str
    at: float
    edited_at: float | None = None
    deleted_at: float | None = None
    deleted_by: str | None = None
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterRecord:
    """A webhook that was given up."""

    url: str
    event_id: str
    event: str
    body: bytes
    attempts: int
    last_error: str
    created_at: float
    given_up_at: float
    id: int | None = None
    """Given by the database."""


@dataclass(frozen=True, slots=True)
class WaitingWebhookRecord:
    """A webhook that is still to arrive, and the server that sees to it."""

    owner: str
    lease_until: float
    url: str
    event_id: str
    event: str
    room: str
    body: bytes
    created_at: float
    id: int | None = None
    """Given by the database."""


@dataclass(frozen=True, slots=True)
class SipAccountRecord:
    """An account that phones register with."""

    username: str
    """As in SIP URIs; unique."""
    password_sealed: str = field(repr=False)
    """The password, sealed with the key file: digest needs it for each algorithm and realm."""
    name: str = ""
    media_security: str = "optional"
    algorithm: str = ""
    """The only digest algorithm it may use; empty: all."""
    disabled: bool = False
    created_at: float = 0.0
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True)
class SipBindingRecord:
    """Where an account can be reached (RFC 3261 section 10), and the way its REGISTER came."""

    key: str
    """Digest of account and contact."""
    account: str
    contact: str
    """The contact's URI as it was written."""
    path: str
    """Path (RFC 3327), a JSON list of texts, the next hop first."""
    transport: str
    remote_host: str
    remote_port: int
    local_host: str
    local_port: int
    call_id: str
    cseq: int
    user_agent: str
    q: float
    registered_at: float
    expires_at: float
    instance: str = ""
    """Which device (``+sip.instance``, RFC 5626); empty: it does not say."""
    reg_id: int = 0
    """Which of the device's flows; 0: it has one contact only."""
    mark: str = ""
    """Of the device, in its temporary GRUUs (RFC 5627)."""


@dataclass(frozen=True, slots=True)
class DispatchRuleRecord:
    """Where calls to some numbers go; numbers and target are JSON."""

    name: str
    numbers: str
    target: str
    created_at: float


@dataclass(frozen=True, slots=True)
class SipTrunkRecord:
    """A peer that carries calls to and from the public network."""

    name: str
    profile: str
    """How it is spoken to, in JSON."""
    password_sealed: str
    """Empty where there is none."""
    created_at: float


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call that has ended."""

    id: str
    caller: str
    called: str
    caller_account: str
    callee_account: str
    """Who answered; empty where nobody did."""
    begun_at: float
    answered_at: float | None
    ended_at: float
    reason: str
    status: int
    """The SIP status the caller was given; 200 once answered."""
    codec: str
    """Such as ``PCMU/8000``; empty where nobody answered."""
    quality: str | None = None
    """How good the sound of each leg was, each way, in JSON; None where that was not measured."""


@dataclass(frozen=True, slots=True)
class StreamKeyRecord:
    """A key that lets publish under one name."""

    id: str
    digest: str = field(repr=False)
    """SHA-256 of the key."""
    stream: str
    label: str
    created_at: float
    created_by: str


@dataclass(frozen=True, slots=True)
class IngressRecord:
    """A place for a source that is made beforehand."""

    id: str
    profile: str
    """All but its key, in JSON."""
    key_sealed: str = field(repr=False)
    """Empty where there is none."""
    created_at: float
