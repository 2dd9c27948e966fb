"""The ICE side of a WHIP or WHEP resource: its entity tag, and what a PATCH asks for.

Inputs: the request's If-Match and body. Outputs: `Trickle` or `Restart`, or a `WhipError` with its code.
Order: a PATCH is planned against the generation it finds, so the caller handles one PATCH at a time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from roomtone.protocols.whip.fragment import Fragment, parse_fragment

if TYPE_CHECKING:
    from roomtone.media.values import Candidate

_ENTITY_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|\Z)')


class PatchStatus(IntEnum):
    """Why a PATCH is refused (RFC 9725 section 4.3.1)."""

    PRECONDITION_FAILED = 412
    PRECONDITION_REQUIRED = 428


class WhipError(ValueError):
    """A PATCH that its precondition forbids."""

    def __init__(self, status: PatchStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class IceGeneration:
    """One ICE generation of a resource; a restart makes the next one under a new tag."""

    tag: str
    remote_ufrag: str
    remote_pwd: str

    @property
    def etag(self) -> str:
        """The strong entity tag, as the header writes it."""
        return f'"{self.tag}"'


@dataclass(frozen=True, slots=True)
class Trickle:
    """More candidates for the present generation: answer 204."""

    candidates: tuple[Candidate, ...]
    end_of_candidates: bool


@dataclass(frozen=True, slots=True)
class Restart:
    """New credentials: restart ICE, answer 200 with our own and a new tag."""

    ice_ufrag: str
    ice_pwd: str
    candidates: tuple[Candidate, ...]
    fragment: Fragment


def matches(if_match: str, tag: str) -> bool:
    """Whether If-Match allows a request (RFC 9110 section 13.1.1); a quoted ``"*"`` is what RFC 9725 shows."""
    if if_match.strip() in {"*", '"*"'}:
        return True
    position = 0
    while (found := _ENTITY_TAG.match(if_match, position)) is not None and found.end() > position:
        if found[1] is None and found[2] == tag:
            return True
        position = found.end()
    return False


def check_precondition(generation: IceGeneration, if_match: str | None) -> None:
    """Raise `WhipError` 428 without If-Match and 412 with one of another generation."""
    if if_match is None:
        raise WhipError(
            PatchStatus.PRECONDITION_REQUIRED, "a PATCH needs If-Match: the resource's ETag, or * to restart"
        )
    if not matches(if_match, generation.tag):
        raise WhipError(PatchStatus.PRECONDITION_FAILED, "If-Match is not the ETag of the present ICE generation")


def plan_patch(generation: IceGeneration, if_match: str | None, body: str | bytes) -> Trickle | Restart:
    """Say what a PATCH asks for; raise `WhipError` or `SdpError`."""
    check_precondition(generation, if_match)
    fragment = parse_fragment(body)
    given = (fragment.ice_ufrag, fragment.ice_pwd)
    if given in {(None, None), (generation.remote_ufrag, generation.remote_pwd)}:
        return Trickle(fragment.reachable(), fragment.end_of_candidates)
    return Restart(fragment.ice_ufrag or "", fragment.ice_pwd or "", fragment.reachable(), fragment)
