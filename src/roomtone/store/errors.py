"""Why the store did not do something: a closed set."""

from __future__ import annotations

from enum import StrEnum


class StoreFailure(StrEnum):
    """What went wrong."""

    UNREACHABLE = "unreachable"
    BAD_URL = "bad_url"
    NO_DRIVER = "no_driver"
    BAD_SCHEMA = "bad_schema"
    TAKEN = "taken"
    BAD_KEY_FILE = "bad_key_file"
    UNREADABLE = "unreadable"
    FAILED = "failed"


class StoreError(Exception):
    """The store refused or could not be asked; ``message`` is one line without secrets."""

    def __init__(self, failure: StoreFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure
        self.message = message

    @property
    def retryable(self) -> bool:
        """The same request may succeed later."""
        return self.failure in {StoreFailure.UNREACHABLE, StoreFailure.FAILED}
