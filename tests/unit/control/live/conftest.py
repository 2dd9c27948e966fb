"""Fixtures of this folder."""

from live_world import engine, link, rooms, world

__all__ = ["engine", "link", "rooms", "world"]
