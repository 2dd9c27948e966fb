"""WHIP (RFC 9725) and WHEP: resources, trickle fragments, links, problems. Pure."""

from roomtone.protocols.whip.fragment import Fragment, LocalIce, parse_fragment, write_fragment
from roomtone.protocols.whip.links import (
    EVENT_TYPES,
    PUBLISHER_EVENT_TYPES,
    IceServer,
    extension_links,
    ice_server_link,
    publisher_links,
)
from roomtone.protocols.whip.problem import Problem
from roomtone.protocols.whip.resource import (
    IceGeneration,
    PatchStatus,
    Restart,
    Trickle,
    WhipError,
    check_precondition,
    plan_patch,
)

__all__ = [
    "EVENT_TYPES",
    "PUBLISHER_EVENT_TYPES",
    "Fragment",
    "IceGeneration",
    "IceServer",
    "LocalIce",
    "PatchStatus",
    "Problem",
    "Restart",
    "Trickle",
    "WhipError",
    "check_precondition",
    "extension_links",
    "ice_server_link",
    "parse_fragment",
    "plan_patch",
    "publisher_links",
    "write_fragment",
]
