from __future__ import annotations

from pathlib import Path

from roomtone.config import Settings, load_settings, sample

SAMPLE = Path(__file__).parents[2] / "deploy" / "roomtone.example.toml"


def test_the_sample_file_is_the_one_the_program_writes() -> None:
    assert SAMPLE.read_text() == sample(), "run: roomtone config sample > deploy/roomtone.example.toml"


def test_the_sample_file_equals_the_defaults() -> None:
    assert load_settings(SAMPLE) == Settings()
