"""Why a request is not allowed: a closed set."""

from __future__ import annotations

from enum import StrEnum


class AccessDenial(StrEnum):
    """Why a token does not open a door."""

    MISSING = "token_missing"
    MALFORMED = "token_malformed"
    UNKNOWN_KEY = "token_unknown_key"
    BAD_SIGNATURE = "token_bad_signature"
    EXPIRED = "token_expired"
    NOT_YET_VALID = "token_not_yet_valid"
    LIVES_TOO_LONG = "token_lives_too_long"
    WITHDRAWN = "token_withdrawn"
    NO_IDENTITY = "token_no_identity"
    OTHER_ROOM = "other_room"
    NOT_GRANTED = "not_granted"
    SENT_AWAY = "sent_away"
    WRONG_STREAM_KEY = "wrong_stream_key"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a word for it
    HOOK_REFUSED = "hook_refused"
    UNDECIDED = "undecided"
    """What would decide does not answer."""

    @property
    def is_forbidden(self) -> bool:
        """The token is good but does not cover the request; otherwise it is no valid token at all."""
        return self in {AccessDenial.OTHER_ROOM, AccessDenial.NOT_GRANTED, AccessDenial.SENT_AWAY}


class AccessError(Exception):
    """A request is not allowed."""

    def __init__(self, denial: AccessDenial, message: str) -> None:
        super().__init__(message)
        self.denial = denial
        self.message = message
