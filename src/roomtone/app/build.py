"""What this build is: version and whether the engine is optimised."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

from roomtone.media.core import core_module
from roomtone.media.errors import EngineStartError


def version() -> str:
    """Version of the installed package, or of the tree it runs from."""
    try:
        return installed_version("roomtone")
    except PackageNotFoundError:
        return "0.0.0+source"


def engine_profile() -> str:
    """``release``, ``debug``, or ``none`` where the engine is not built."""
    try:
        core = core_module()
    except EngineStartError:
        return "none"
    profile: str = core.build_info()["profile"]
    return profile
