"""The engine never hears of who meets in it: its identifiers are made of its own nouns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOUNS = ("room", "participant", "account", "tenant", "moderator", "leg", "dialog", "trunk")
REFUSED = frozenset({*NOUNS, *(f"{noun}s" for noun in NOUNS), "livekit"})
# Word → why it may stand.
ALLOWED = {
    "roomtone": "the name of the product",
}


def words_of(source: str) -> set[str]:
    """Identifiers of a Rust source split into words, without comments and literals."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", " ", source, flags=re.DOTALL)
    code = re.sub(r'b?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"', " ", code, flags=re.DOTALL)
    words: set[str] = set()
    for identifier in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", code):
        words.update(part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier))
    return words - ALLOWED.keys()


def test_the_words_of_a_source_are_found_in_identifiers_only() -> None:
    source = '// a room\nlet callLeg = "room"; struct RoomId; fn roomtone_x() {}'
    assert words_of(source) & REFUSED == {"leg", "room"}


@pytest.mark.parametrize("crate", sorted(path.name for path in (ROOT / "crates").iterdir()))
def test_a_crate_uses_no_word_of_the_control_plane(crate: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {word}"
        for path in (ROOT / "crates" / crate).rglob("*.rs")
        for word in words_of(path.read_text()) & REFUSED
    }
    assert not found
