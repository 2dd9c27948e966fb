"""The benches must be able to say no."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

BENCHES = Path(__file__).resolve().parents[2] / "benches"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of the benches as they import each other."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHES))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for name in set(sys.modules) - before:
        if str(BENCHES) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def baseline() -> dict[str, float]:
    counts: dict[str, float] = json.loads((BENCHES / "instructions.json").read_text())
    return counts


def test_baseline_counts_pass(bench: Any) -> None:
    assert bench("instructions").compare(baseline())["worse"] == []


def test_six_per_cent_more_instructions_are_refused(bench: Any) -> None:
    counts = {case: count * 1.06 for case, count in baseline().items()}
    assert len(bench("instructions").compare(counts)["worse"]) == len(counts)


def test_growth_with_the_audience_is_refused_where_each_count_alone_would_pass(bench: Any) -> None:
    counts = baseline()
    counts["video gcm 50"] *= 0.93
    counts["video gcm 200"] *= 1.04
    worse = bench("instructions").compare(counts)["worse"]
    assert len(worse) == 1
    assert "from 50 to 200" in worse[0]


def test_a_case_without_baseline_is_refused(bench: Any) -> None:
    assert bench("instructions").compare({"video gcm 50": 1.0, "new 7": 1.0})["worse"]


def samples(bench: Any, **growth: float) -> list[Any]:
    soak = bench("soak")
    steady = {"resident_kb": 80_000, "malloc_kb": 20_000, "descriptors": 28, "threads": 5, "tasks": 4, "objects": 1}
    return [
        soak.Sample(joins=n * 40, **{name: value + n * growth.get(name, 0.0) for name, value in steady.items()})
        for n in range(40)
    ]


def test_steady_server_passes_the_soak(bench: Any) -> None:
    assert bench("soak").verdict(samples(bench)) == []


@pytest.mark.parametrize(
    ("name", "each"), [("descriptors", 1), ("tasks", 0.5), ("objects", 0.25), ("resident_kb", 400), ("malloc_kb", 400)]
)
def test_soak_names_what_grew(bench: Any, name: str, each: float) -> None:
    grown = bench("soak").verdict(samples(bench, **{name: each}))
    assert len(grown) == 1
    assert grown[0].startswith(name)


def row(us: float, lost: int = 0, viewers: int = 100) -> dict[str, Any]:
    return {
        "server": "roomtone",
        "shape": "filled",
        "viewers": viewers,
        "srtp": "gcm",
        "gro": True,
        "cpu_us_per_packet": us,
        "out_packets": 1_000,
        "lost_packets": lost,
        "ready_s": 1.0,
    }


def result(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "rows": rows,
        "sendto": [],
        "runs": 1,
        "seconds": 1,
        "failures": [],
        "load_before": (0,),
        "load_after": (0,),
    }


def test_a_run_that_lost_packets_does_not_count_beside_a_clean_one(bench: Any) -> None:
    figures = bench("report").Figures(result([row(1.0, lost=500), row(2.0), row(2.2)]))
    assert figures.us("roomtone", "filled") == pytest.approx(2.1)


def test_a_goal_that_is_missed_is_called_so(bench: Any) -> None:
    page = bench("report").report(result([row(1.9)]))
    assert "us a packet: 1.9, goal 1.8: **not met**" in page
    assert "1.7, goal 1.8: met" in bench("report").report(result([row(1.7)]))
