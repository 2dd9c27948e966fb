"""The HTTP API: WHIP, WHEP, `/api/v1`."""

from roomtone.servers.api.app import create_app
from roomtone.servers.api.context import ApiContext

__all__ = ["ApiContext", "create_app"]
