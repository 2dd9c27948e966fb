"""Fixtures of this folder."""

from api_world import api, make_api

__all__ = ["api", "make_api"]
