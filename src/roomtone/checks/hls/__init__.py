"""`roomtone check-hls` watches any LL-HLS origin, judged by fifty-one rules (RFC 8216bis, Apple's, and practice).

`observe` makes the requests, `judge` is pure: what was seen in, verdicts out.
"""

from roomtone.checks.hls.check import CannotCheckError, judge, observe
from roomtone.checks.hls.report import as_json, summary, write_table
from roomtone.checks.hls.requests import make_client
from roomtone.checks.hls.rules import RULES
from roomtone.checks.hls.verdict import Outcome, Rule, Verdict

__all__ = [
    "RULES",
    "CannotCheckError",
    "Outcome",
    "Rule",
    "Verdict",
    "as_json",
    "judge",
    "make_client",
    "observe",
    "summary",
    "write_table",
]
