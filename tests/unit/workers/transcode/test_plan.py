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
    found = fitting(Plan(rungs=LADDER, keeps_source=keeps), *size, source_codec="h264" if same else "vp8")
    assert [rung.lines for rung in found] == expected


def test_rungs_of_other_codecs_than_the_source_may_be_as_large_and_are_named_so() -> None:
    plan = Plan(rungs=(Rung(480), Rung(720), Rung(480, codec="hevc"), Rung(720, codec="hevc"), Rung(720, codec="av1")))
    found = fitting(plan, 1280, 720, source_codec="h264")
    assert [rung.name for rung in found] == ["v720av1", "v720hevc", "v480hevc", "v480"]
    assert plan.codecs == ("h264", "hevc", "av1")
    small = fitting(Plan(rungs=(Rung(480, codec="hevc"),), keeps_source=False), 320, 180, source_codec="vp8")
    assert [rung.name for rung in small] == ["v180hevc"]


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
    made = read_plan('{"rungs":[{"lines":480,"codec":"av1"}],"av1_encoders":["c"]}')
    assert made.encoders_of("av1") == ("c",)
    with pytest.raises(ValueError, match="no codec vp9"):
        read_plan('{"rungs":[{"lines":480,"codec":"vp9"}]}')
    with pytest.raises(TypeError):
        read_plan('{"unknown":1}')
