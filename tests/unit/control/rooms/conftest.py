"""Fixtures of this folder."""

from rooms_world import make_world, world

__all__ = ["make_world", "world"]
