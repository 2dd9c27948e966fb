"""Fixtures of this folder."""

from accounts_world import make_accounts, world
from api_world import api, make_api

__all__ = ["api", "make_accounts", "make_api", "world"]
