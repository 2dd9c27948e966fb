"""Fixtures of this folder."""

from livekit_world import livekit, make_livekit

__all__ = ["livekit", "make_livekit"]
