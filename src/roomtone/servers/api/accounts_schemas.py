"""Bodies of the routes of accounts and keys."""

from __future__ import annotations

from pydantic import Field

from roomtone.control.policy import Ability, Role
from roomtone.servers.api.schemas import Body

_PASSWORD = Field(min_length=1, max_length=1024, json_schema_extra={"format": "password"})
_CODE = Field(default=None, max_length=64, description="One-time password, or a backup code")


class RegisterBody(Body):
    """A new account."""

    username: str = Field(max_length=64, examples=["ada"])
    password: str = _PASSWORD
    email: str | None = Field(default=None, max_length=254)
    name: str = Field(default="", max_length=128, description="As others see it")


class NewAccountBody(RegisterBody):
    """A new account made by an administrator."""

    role: Role = Role.MEMBER


class LoginBody(Body):
    """Who logs in."""

    login: str = Field(min_length=1, max_length=254, description="User name or mail address")
    password: str = _PASSWORD
    totp: str | None = _CODE


class RefreshBody(Body):
    """A refresh token; absent, the cookie has it."""

    refresh_token: str | None = Field(default=None, max_length=128)


class PasswordBody(Body):
    """Another password."""

    old: str = _PASSWORD
    new: str = _PASSWORD


class ForgotBody(Body):
    """Whose password is forgotten."""

    login: str = Field(min_length=1, max_length=254, description="User name or mail address")


class ResetBody(Body):
    """A new password, with the token of a link that was mailed."""

    token: str = Field(min_length=1, max_length=128)
    password: str = _PASSWORD


class CodeBody(Body):
    """A one-time password."""

    totp: str = Field(min_length=1, max_length=64)


class RemoveTotpBody(Body):
    """What it takes to remove one-time passwords."""

    password: str = _PASSWORD
    totp: str | None = _CODE


class ProfileBody(Body):
    """What changes; absent or null stays. An empty `email` takes it away."""

    name: str | None = Field(default=None, max_length=128)
    email: str | None = Field(default=None, max_length=254)
    password: str | None = Field(default=None, max_length=1024, description="Needed for another mail address")


class AccountChangeBody(Body):
    """What an administrator changes; absent or null stays."""

    role: Role | None = None
    disabled: bool | None = None


class AccountBody(Body):
    """An account."""

    id: str
    username: str
    name: str
    email: str | None
    role: Role
    disabled: bool
    totp: bool = Field(description="Whether one-time passwords are asked for")
    created_at: float


class MeBody(AccountBody):
    """One's own account, and what it may do."""

    abilities: list[Ability]


class LogInBody(Body):
    """Tokens of somebody who has logged in. The refresh token is also in an HttpOnly cookie."""

    access_token: str
    access_expires_at: float
    refresh_token: str
    refresh_expires_at: float
    account: AccountBody


class ResetLinkBody(Body):
    """A link that sets a new password, once: hand it to whom the account belongs to."""

    link: str
    expires_at: float


class TotpBody(Body):
    """What an authenticator app needs: shown once."""

    secret: str
    uri: str = Field(description="For a QR code")


class BackupCodesBody(Body):
    """Codes that stand in for one-time passwords, each once: shown once."""

    backup_codes: list[str]


class RoomTokenBody(Body):
    """A token for a room."""

    token: str
    room: str
    identity: str
    expires_at: float


class NewKeyBody(Body):
    """A key to be made."""

    label: str = Field(default="", max_length=128)
    name: str | None = Field(default=None, max_length=64, description="Absent: one is made up")


class MadeKeyBody(Body):
    """A key just made: the only time its secret is shown."""

    key: str
    secret: str


class KeyBody(Body):
    """A key."""

    key: str
    label: str
    created_at: float | None
    created_by: str
    revoked_at: float | None
    settings: bool = Field(description="Of the settings, not of the database")


class AuditBody(Body):
    """An audited event."""

    id: int
    at: float
    kind: str
    outcome: str
    account: str
    actor: str
    address: str
    detail: str
