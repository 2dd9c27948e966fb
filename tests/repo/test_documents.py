"""What the documents promise is there: links lead somewhere, commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "deploy/**/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts
)

TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^ *(?:async )?def (test_\w+)\(", path.read_text(), flags=re.MULTILINE)
}


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_leads_somewhere(document: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = (document.parent / path).resolve() if path else document
        if not to.exists() or (anchor and to.suffix == ".md" and anchor not in anchors(to)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_make_target_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`|    )make ([a-z-]+)", document.read_text(), flags=re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_test_named_exists(document: Path) -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", document.read_text()))
    assert named <= TESTS


def test_each_rfc_of_sip_has_a_test() -> None:
    rows = [
        line for line in (ROOT / "docs/reference/sip-rfcs.md").read_text().splitlines() if re.match(r"\| \d{4}", line)
    ]
    assert rows
    assert [row for row in rows if "`test_" not in row] == []


def test_each_roomtone_command_named_exists() -> None:
    named = set()
    for document in DOCUMENTS:
        named.update(re.findall(r"(?:^|`|    |uv run )roomtone ([a-z]+)", document.read_text(), flags=re.MULTILINE))
    helped = subprocess.run(
        [sys.executable, "-m", "roomtone", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert named
    assert {name for name in named if not re.search(rf"\b{name}\b", helped)} == set()


def test_each_make_target_has_a_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    public = set(re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)[0].split()) - {
        "tools",
        "tools-test",
        "tools-long",
    }
    helped = set(re.findall(r"^([a-z-]+):.*##", makefile, flags=re.MULTILINE))
    assert public <= helped
