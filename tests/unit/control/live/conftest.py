"""Fixtures of this folder."""

from live_world import world

__all__ = ["world"]
