"""What is wrong with a payload: a closed set of codes, and which field."""

from __future__ import annotations

from enum import StrEnum


class PayloadCode(StrEnum):
    """Why a payload is refused."""

    MALFORMED = "malformed_payload"
    MISSING_FIELD = "missing_field"
    BAD_FIELD = "bad_field"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    NO_COMMON_CODEC = "no_common_codec"


class PayloadError(Exception):
    """The peer's payload cannot be served; nothing was done."""

    def __init__(self, code: PayloadCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
