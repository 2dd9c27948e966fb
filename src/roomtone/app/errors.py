"""Why the server did not start."""

from __future__ import annotations

EXIT_USAGE = 2


class StartError(Exception):
    """The server cannot start as configured; the message is one line that says what to do."""
