"""What a start waits for: the modules it loads."""

from __future__ import annotations

import subprocess
import sys

LATER = ("alembic", "av", "dns", "numpy", "PIL")
"""Heavy, and needed by few servers, or by none before it is ready."""


def test_what_a_start_does_not_need_is_not_loaded() -> None:
    program = f"import sys, roomtone.app.run, roomtone.app.people_sql; print(sorted(set(sys.modules) & set({LATER})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
