"""Which rungs a source has."""

from __future__ import annotations

import pytest

from roomtone.workers.transcode.plan import Plan, Rung, fitting, rated, read_plan, sized

LADDER = (Rung(360), Rung(1080), Rung(720), Rung(480))


@pytest.mark.parametrize(
    ("size", "keeps", "same", "expected"),
    [
        ((1920, 1080), True, True, [720, 480, 360]),
        ((1920, 1080), True, False, [1080, 720, 480, 360]),
        ((1280, 720), False, True, [720, 480, 360]),
        ((720, 1280), True, True, [480, 360]),
        ((320, 180), True, True, []),
        ((320, 180), False, False, [180]),
        ((641, 361), True, True, [360]),
    ],
    ids=["beside itself", "another codec", "in no list", "upright", "smaller than all", "small and alone", "odd"],
)
def test_rungs_above_the_source_are_left_out(
    size: tuple[int, int], *, keeps: bool, same: bool, expected: list[int]
) -> None:
    found = fitting(Plan(rungs=LADDER, keeps_source=keeps), *size, same_codec=same)
    assert [rung.lines for rung in found] == expected


@pytest.mark.parametrize(
    ("source", "lines", "expected"),
    [((1920, 1080), 720, (1280, 720)), ((1080, 1920), 480, (480, 854)), ((1440, 1080), 361, (480, 360))],
)
def test_rungs_have_the_proportion_of_the_source_and_even_sides(
    source: tuple[int, int], lines: int, expected: tuple[int, int]
) -> None:
    assert sized(Rung(lines), *source) == expected


def test_a_rung_without_a_rate_has_one_by_its_size() -> None:
    assert rated(Rung(720, bps=7), 1280, 720).bps == 7
    assert 1_500_000 < rated(Rung(720), 1280, 720).bps < 2_500_000


def test_a_plan_is_read_as_it_was_written() -> None:
    plan = read_plan('{"rungs":[{"lines":480,"bps":5}],"keeps_source":false,"encoders":["a","b"]}')
    assert plan == Plan(rungs=(Rung(480, 5),), keeps_source=False, encoders=("a", "b"))
    assert plan.is_video
    assert not read_plan('{"sound":"aac"}').is_video
    with pytest.raises(TypeError):
        read_plan('{"unknown":1}')
