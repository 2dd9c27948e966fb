"""The reference is what the code says: written from it, or held to it row by row."""

from __future__ import annotations

import re
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest

from roomtone.control.policy import AccessDenial, AccessError
from roomtone.control.rooms import CloseReason, Refusal, RoomError
from roomtone.servers.api.status import MAPPERS, status_of_close

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
HTTP_TESTS = "\n".join(path.read_text() for path in (ROOT / "tests/unit/servers/api").glob("test_*.py"))
ROW = re.compile(r"^\| [^|]+ \| ([\d, ]+) \| .+ \| `(test_\w+)` \|$", re.MULTILINE)
ROWS = ROW.findall((REFERENCE / "whip-whep.md").read_text())


def test_the_reference_is_the_one_the_code_writes() -> None:
    checked = subprocess.run(
        [sys.executable, "tools/reference.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(("statuses", "test"), ROWS)
def test_each_status_of_whip_and_whep_names_a_test_that_sees_it(statuses: str, test: str) -> None:
    found = re.search(rf"((?:@pytest[^\n]*\n(?:[^\n]+\n)*?)?)async def {test}\(.*?(?=\n\n\n|\Z)", HTTP_TESTS, re.DOTALL)
    assert found, f"there is no {test}"
    before = HTTP_TESTS[: found.start()].rpartition("\n\n\n")[2]
    for status in statuses.split(", "):
        assert status in before + found[0], f"{test} never sees {status}"


def test_each_status_that_rooms_and_tokens_give_is_in_the_reference() -> None:
    given = {MAPPERS[RoomError](RoomError(refusal, ""))[0].status for refusal in Refusal}
    given |= {MAPPERS[AccessError](AccessError(denial, ""))[0].status for denial in AccessDenial}
    told = {int(status) for statuses, _ in ROWS for status in statuses.split(", ")}
    # 500 is a defect of ours, which no reference promises.
    assert given - told == {HTTPStatus.INTERNAL_SERVER_ERROR}
    assert all(status_of_close(reason) for reason in CloseReason)
