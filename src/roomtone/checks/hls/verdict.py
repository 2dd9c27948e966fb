"""What a check says of a rule."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.checks.hls.seen import Seen


class Outcome(StrEnum):
    """Whether a rule is kept."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome and what it rests on, in a sentence."""

    outcome: Outcome
    evidence: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the checklist."""

    number: int
    title: str
    source: str
    """A section of RFC 8216bis (S), of Apple's authoring rules (A), or practice (F)."""
    judge: Callable[[Seen], Verdict]


def judged(problems: Sequence[str], looked_at: int, what: str) -> Verdict:
    """Fail with the first problem; pass with how many things were looked at; without any, the rule does not apply."""
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return Verdict(Outcome.FAIL, problems[0] + more)
    if not looked_at:
        return absent(f"no {what} seen")
    return Verdict(Outcome.PASS, f"{looked_at} {what}")


def absent(why: str) -> Verdict:
    """Say why a rule does not apply."""
    return Verdict(Outcome.NOT_APPLICABLE, why)
