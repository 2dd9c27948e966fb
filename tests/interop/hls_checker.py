"""`roomtone check-hls` as tests ask it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

SLACK_MS = 2000
"""Times of a busy machine are no fault of the origin."""


def check_hls(url: str, seconds: int) -> list[dict[str, Any]]:
    """Watch a stream for some seconds; gives each rule of the checklist with its verdict and evidence."""
    command = [sys.executable, "-m", "roomtone", "check-hls", url, "--json"]
    command += ["--seconds", str(seconds), "--slack-ms", str(SLACK_MS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    rules: list[dict[str, Any]] = json.loads(done.stdout)["rules"]
    assert done.returncode == int(bool(broken(rules)))
    return rules


def broken(rules: list[dict[str, Any]]) -> dict[int, str]:
    """Give the evidence of each rule that is not kept, by the rule's number."""
    return {one["rule"]: one["evidence"] for one in rules if one["verdict"] == "fail"}
