"""The checklist: fifty-one rules, each a function from what was seen to a verdict."""

from roomtone.checks.hls.rules import blocking, cmaf, content, date_ranges, delivery, delta, hints, shape, window

RULES = (
    *shape.RULES,
    *window.RULES,
    *content.RULES,
    *blocking.RULES,
    *delta.RULES,
    *hints.RULES,
    *delivery.RULES,
    *cmaf.RULES,
    *date_ranges.RULES,
)

__all__ = ["RULES"]
