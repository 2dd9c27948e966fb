from sfu_world import make_sfu, sfu

__all__ = ["make_sfu", "sfu"]
