"""The table of bad lines in its long form, ours others' estimators beside, plots of rate, estimate, queue and loss.

It is played in virtual time: no figure depends on the machine. `roomtone-lines` marks with `!!` what lies outside
its bound; that is printed and counted here, and fails nothing: docs/explanation/bandwidth.md names what is missed.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any

from targets import CARGO_TARGET, ROOT, BenchError

PLOTS = ROOT / "artefacts" / "lines"
MARK = "!!"
MISSED = 1
"""Exit status where a figure lies outside its bound."""
TIMEOUT_S = 3600
PARTS = ("router", "estimators")


def figures(*, seeds: int) -> dict[str, Any]:
    """Play all rows, router beside estimators; give the text and how many figures lie outside their bounds."""
    program = CARGO_TARGET / "release" / "roomtone-lines"
    if not program.exists():
        raise BenchError(f"{program} is not built")
    running = [
        subprocess.Popen(
            [program, "--what", part, "--seeds", str(seeds), "--plots", PLOTS],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"RUST_BACKTRACE": "0"},
        )
        for part in PARTS
    ]
    text = ""
    for part, process in zip(PARTS, running, strict=True):
        printed, _ = process.communicate(timeout=TIMEOUT_S)
        if process.returncode not in (0, MISSED):
            raise BenchError(f"roomtone-lines --what {part}: {printed[-500:]}")
        text += printed
    return {"text": text, "missed": text.count(MARK), "plots": len(list(PLOTS.glob("*.svg")))}


def page(found: dict[str, Any]) -> str:
    """The rows as they were printed, and where the plots are."""
    return (
        f"{found['text'].rstrip()}\n\n- {found['missed']} figures outside their bounds; "
        f"{found['plots']} plots in {PLOTS.relative_to(ROOT)}"
    )
