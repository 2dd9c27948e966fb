"""What the documents promise is there: links lead somewhere, commands exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from roomtone.app.main import app

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


@pytest.mark.parametrize("document", ["sip-rfcs.md", "phone-proofs.md"])
def test_what_proves_a_claim_of_phones_exists_in_either_language(document: str) -> None:
    rows = (ROOT / "docs/reference" / document).read_text().splitlines()
    proofs = {name for row in rows if row.startswith("| ") for name in re.findall(r"`(\w+)`", row.rsplit("|", 2)[1])}
    in_rust = re.compile(r"#\[test\]\s*(?:#\[[^\]]*\]\s*)*fn (\w+)\(")
    rust = {name for path in ROOT.glob("crates/**/*.rs") for name in in_rust.findall(path.read_text())}
    assert len(proofs) > 50
    assert proofs - TESTS - rust == set()


def test_each_claim_of_phones_names_what_shows_it() -> None:
    text = (ROOT / "docs/reference/phone-proofs.md").read_text()
    rows = [row for row in text.splitlines() if row.startswith("| ") and not row.startswith("| claim ")]
    assert len(rows) > 30
    assert [row for row in rows if not re.search(r"`\w+`", row.rsplit("|", 2)[1])] == []


def commands(document: Path) -> set[str]:
    """The lines that call `roomtone`, in a block or between backticks, up to what ends a command."""
    text = document.read_text()
    at_start = r"(?:^|`|\$\(| )(?:uv run |\.venv/bin/)?roomtone ([a-z][^\n`]*)"
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, flags=re.DOTALL)
    spans = re.findall(r"`(?:uv run |\.venv/bin/)?roomtone ([a-z][^\n`]*)`", text)
    lines = [found for block in blocks for found in re.findall(at_start, block, flags=re.MULTILINE)]
    return {re.split(r" [|>&;#]|\)| {2}", line)[0] for line in (*spans, *lines)}


def wrong_in(line: str) -> str:
    """What is wrong with a command: a subcommand or an option that is not there; empty for none."""
    command: Any = typer.main.get_command(app)
    words = line.split()
    while words and (below := getattr(command, "commands", {})):
        names = words.pop(0).split("|")
        if missing := [name for name in names if name not in below]:
            return f"{line}: {missing[0]}"
        command = below[names[0]]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known | {"--help"}]
    return f"{line}: {unknown[0]}" if unknown else ""


def test_each_roomtone_command_named_exists_with_its_subcommands_and_options() -> None:
    named = {line for document in DOCUMENTS for line in commands(document)}
    assert len(named) > 20
    assert [wrong for line in sorted(named) if (wrong := wrong_in(line))] == []


@pytest.mark.parametrize("line", ["nothing", "sip nobody", "sip account create 1001 --colour red", "keys list|forget"])
def test_a_command_that_is_not_there_is_found(line: str) -> None:
    assert wrong_in(line)


def test_each_make_target_has_a_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    public = set(re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)[0].split()) - {
        "tools",
        "tools-test",
        "tools-long",
        "tools-fuzz",
    }
    helped = set(re.findall(r"^([a-z-]+):.*##", makefile, flags=re.MULTILINE))
    assert public <= helped
