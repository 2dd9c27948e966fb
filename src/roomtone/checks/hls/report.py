"""Verdicts as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from roomtone.checks.hls.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from roomtone.checks.hls.seen import Seen
    from roomtone.checks.hls.verdict import Rule, Verdict

_STYLES = {Outcome.PASS: "green", Outcome.FAIL: "bold red", Outcome.NOT_APPLICABLE: "dim"}


def write_table(seen: Seen, verdicts: Sequence[tuple[Rule, Verdict]], out: TextIO) -> None:
    """Print the table and a line that counts."""
    console = Console(file=out, highlight=False)
    table = Table(title=f"LL-HLS of {seen.url}", title_justify="left")
    for heading in ("", "rule", "source", "verdict", "evidence"):
        table.add_column(heading, overflow="fold")
    for rule, verdict in verdicts:
        style = _STYLES[verdict.outcome]
        table.add_row(
            str(rule.number), rule.title, rule.source, f"[{style}]{verdict.outcome.value}[/]", verdict.evidence
        )
    console.print(table)
    console.print(summary(seen, verdicts))


def summary(seen: Seen, verdicts: Sequence[tuple[Rule, Verdict]]) -> str:
    """Count verdicts and what they rest on."""
    counts = Counter(verdict.outcome for _, verdict in verdicts)
    told = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome)
    return f"{told}; {len(seen.exchanges)} requests, {sum(len(one.states) for one in seen.renditions)} playlists"


def as_json(seen: Seen, verdicts: Sequence[tuple[Rule, Verdict]]) -> str:
    """Give all verdicts as one JSON document."""
    counts = Counter(verdict.outcome for _, verdict in verdicts)
    return json.dumps(
        {
            "url": seen.url,
            "requests": len(seen.exchanges),
            "renditions": [
                {"url": one.url, "video": one.is_video, "playlists": len(one.states), "media": len(one.media)}
                for one in seen.renditions
            ],
            "counts": {outcome.value: counts[outcome] for outcome in Outcome},
            "rules": [
                {
                    "rule": rule.number,
                    "title": rule.title,
                    "source": rule.source,
                    "verdict": verdict.outcome.value,
                    "evidence": verdict.evidence,
                }
                for rule, verdict in verdicts
            ],
        },
        indent=2,
    )
