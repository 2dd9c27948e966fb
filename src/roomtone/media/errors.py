"""Errors of the media façade: what the engine refused, and what this side did wrong."""

from __future__ import annotations

from roomtone.media.values import ErrorCode

_RETRYABLE = frozenset({ErrorCode.QUEUE_FULL, ErrorCode.LIMIT, ErrorCode.NO_PORT})


class MediaError(Exception):
    """Base of everything the façade raises; ``retryable`` says whether the same call may succeed later."""

    retryable: bool = False


class EngineStartError(MediaError):
    """The engine could not start: a port is taken, an address is not ours, the module is not built."""


class QueueFull(MediaError):  # noqa: N818 - named as asyncio.QueueFull is
    """A link's command queue is full; the command was not sent."""

    retryable = True


class EngineCommandError(MediaError):
    """The engine answered a command with an error; the command had no effect."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code.value}: {message}")
        self.code = code
        self.message = message
        self.retryable = code in _RETRYABLE


class MailboxOverflow(MediaError):  # noqa: N818 - says what happened
    """A mailbox was not read fast enough and an event that may not be lost did not fit; the mailbox is closed."""


class MailboxClosed(MediaError):  # noqa: N818 - says what happened
    """The mailbox is closed and empty: no event will come any more."""
