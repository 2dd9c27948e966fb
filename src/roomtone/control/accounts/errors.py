"""Why something about an account or a key was refused: a closed set."""

from __future__ import annotations

from enum import StrEnum


class AccountRefusal(StrEnum):
    """Why a request was not done; nothing of it remains."""

    BAD_CREDENTIALS = "bad_credentials"
    TOTP_REQUIRED = "totp_required"
    BAD_TOTP = "bad_totp"
    BAD_REFRESH_TOKEN = "bad_refresh_token"  # noqa: S105 - no token
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 - no token
    BAD_RESET_TOKEN = "bad_reset_token"  # noqa: S105 - no token
    REGISTRATION_CLOSED = "registration_closed"
    BAD_USERNAME = "bad_username"
    BAD_EMAIL = "bad_email"
    BAD_DISPLAY_NAME = "bad_display_name"
    WEAK_PASSWORD = "weak_password"  # noqa: S105 - no password
    NAME_TAKEN = "name_taken"
    NO_MAIL = "no_mail"
    NO_ACCOUNT = "no_account"
    NO_SUCH_ACCOUNT = "no_such_account"
    LAST_ADMIN = "last_admin"
    LOCKED_OUT = "locked_out"
    TOTP_ACTIVE = "totp_active"
    TOTP_NOT_SET_UP = "totp_not_set_up"
    NO_SUCH_KEY = "no_such_key"
    BAD_KEY = "bad_key"
    KEY_TAKEN = "key_taken"
    BUSY = "busy"


class AccountError(Exception):
    """A request about an account or a key was refused; it had no effect."""

    def __init__(self, refusal: AccountRefusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message

    @property
    def retryable(self) -> bool:
        """The same request may succeed later."""
        return self.refusal is AccountRefusal.BUSY
