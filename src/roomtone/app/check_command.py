"""`roomtone check-hls`: judge an LL-HLS origin by the checklist."""

from __future__ import annotations

import asyncio
import sys

from roomtone.app.errors import StartError
from roomtone.checks.hls import CannotCheckError, Outcome, as_json, judge, make_client, observe, write_table

EXIT_FAILED = 1


def check_hls(url: str, seconds: float, *, as_json_: bool, slack_ms: float, insecure: bool, http1: bool) -> int:
    """Check and print; give the exit code: 0 where no rule failed, else 1. Raise `StartError` without a playlist."""
    return asyncio.run(_check(url, seconds, as_json_=as_json_, slack_s=slack_ms / 1000, insecure=insecure, http1=http1))


async def _check(url: str, seconds: float, *, as_json_: bool, slack_s: float, insecure: bool, http1: bool) -> int:
    async with make_client(http2=not http1, verify=not insecure) as client:
        try:
            seen = await observe(client, url, seconds, slack_s=slack_s)
        except CannotCheckError as error:
            raise StartError(str(error)) from error
    verdicts = judge(seen)
    if as_json_:
        sys.stdout.write(as_json(seen, verdicts) + "\n")
    else:
        write_table(seen, verdicts, sys.stdout)
    return EXIT_FAILED if any(verdict.outcome is Outcome.FAIL for _, verdict in verdicts) else 0
