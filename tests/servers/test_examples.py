"""Each example runs, says what it saw, and ends well only if media flowed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)
FOLDER = Path(__file__).resolve().parents[2] / "examples"
PHONES = {"softphone.py", "auto_attendant.py", "trunk_gateway.py"}
"""Those that need somebody to call: they have tests of their own."""
PROGRAMS = sorted(path.name for path in FOLDER.glob("*.py") if path.name != "wire.py" and path.name not in PHONES)
SAYS = {
    "header_extensions.py": "heard [20, 21, 22",
    "bundle.py": "{'hear': 20, 'see': 20}",
    "simulcast.py": "asked for h: five pictures of 400 bytes",
    "svc.py": "asked for layer 1: five pictures that end with it",
    "bandwidth_estimation.py": "the line carries",
    "sfu_client.py": "['sender', 'receiver'] were in the room",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_example_runs_and_says_what_it_saw(program: str) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / program)], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert SAYS[program] in done.stdout
    assert "Traceback" not in done.stderr


def test_every_example_is_in_the_table() -> None:
    table = (FOLDER / "README.md").read_text()
    assert all(f"[{program}]({program})" in table for program in (*PROGRAMS, *PHONES))
    assert set(PROGRAMS) == set(SAYS)
