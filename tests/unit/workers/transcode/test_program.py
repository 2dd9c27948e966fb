"""A program: which picture is shown when, and that sources of all sizes leave as one picture that goes on."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from test_jobs import TICKS, Sent, decoded, luma, pictures

from roomtone.workers.transcode.messages import Codec, Format, Unit
from roomtone.workers.transcode.plan import Plan, Rung, read_plan
from roomtone.workers.transcode.program import CLOCK, DELAY_S, HOLD_S, MAX_WAITING, MOST_LATE_S, ProgramJob, Stage

FPS = 25
STEP_S = 1 / FPS
ZERO = 1_000.0
"""When the program was at zero, by the clock of the process."""


def due(stage: Stage, now: float) -> list[tuple[int, object | None]]:
    found = []
    while (step := stage.poll(now)) is not None:
        found.append(step)
    return found


def begun(at_s: float = 10.0) -> tuple[Stage, float]:
    """A stage that knows where the program is, and the time at which its first step is due."""
    stage = Stage(FPS)
    assert (stage.poll(ZERO), stage.next_timeout()) == (None, None)
    now = ZERO + at_s
    stage.handle_time(int(at_s * CLOCK), now)
    first = stage.next_timeout()
    assert first is not None
    assert now < first <= now + STEP_S + 1e-6
    return stage, first


def test_there_is_a_step_each_25th_of_a_second_whatever_comes() -> None:
    stage, first = begun()
    steps = due(stage, first + 1)
    assert len(steps) in {25, 26}
    times = [at for at, _ in steps]
    assert {later - before for before, later in itertools.pairwise(times)} == {CLOCK // FPS}
    assert abs(times[0] / CLOCK - (first - ZERO - DELAY_S)) < 1e-3
    assert {picture for _, picture in steps} == {None}


def test_a_picture_is_shown_from_its_time_to_the_next_ones_and_then_for_a_while() -> None:
    stage, first = begun()
    at = int((first - ZERO - DELAY_S) * CLOCK)
    stage.handle_picture(at + CLOCK // 2, "a")
    stage.handle_picture(at + CLOCK, "b")
    stage.handle_picture(at + CLOCK + 1, "c")
    seen = {}
    for number in range(int((1 + HOLD_S) / STEP_S) + 10):
        seen |= dict(due(stage, first + number * STEP_S))
    of = lambda name: [shown - at for shown, picture in sorted(seen.items()) if picture == name]  # noqa: E731
    assert abs(of("a")[0] - CLOCK // 2) <= CLOCK // FPS
    assert len(of("a")) in {12, 13}
    assert len(of("b")) + len(of("c")) in range(int(HOLD_S * FPS), int(HOLD_S * FPS) + 3)
    assert max(seen) - at > (1 + HOLD_S) * CLOCK
    assert seen[max(seen)] is None, "nothing came for longer than it is held"


def test_steps_that_come_much_too_late_are_left_out_and_the_time_is_corrected_by_what_comes_sooner() -> None:
    stage, first = begun()
    assert len(due(stage, first + 10)) == 1
    assert stage.left_out in range(int(9.5 * FPS), int(10.5 * FPS))
    before = stage.next_timeout()
    assert before is not None
    stage.handle_time(int(20.5 * CLOCK), ZERO + 20)
    assert stage.next_timeout() == before - 0.5
    stage.handle_time(int(20.5 * CLOCK), ZERO + 20 + MOST_LATE_S / 2)
    assert stage.next_timeout() == before - 0.5, "it was only told late"


def test_no_more_pictures_wait_than_there_is_place_for() -> None:
    stage, first = begun()
    at = int((first - ZERO - DELAY_S) * CLOCK)
    for number in range(2 * MAX_WAITING):
        stage.handle_picture(at + number * CLOCK // FPS + 1, number)
    shown = [picture for _, picture in due(stage, first + 1)]
    assert shown[0] is None
    assert not [picture for picture in shown if picture is not None], "those that would be shown had to go"
    assert due(stage, first + MAX_WAITING * STEP_S + 0.5)[-1][1] is not None


def moved(units: list[Unit], to_s: float) -> list[Unit]:
    by = int(to_s * CLOCK) - 900_000
    return [Unit(unit.dts + by, unit.pts + by, unit.keyframe, unit.data) for unit in units]


def play(job: ProgramJob, units: list[Unit], begin_s: float, end_s: float) -> None:
    """Let the time pass from one second of the program to another; units come at their time."""
    waiting = sorted(units, key=lambda unit: unit.dts)
    for number in range(int((end_s - begin_s) * 100)):
        now = begin_s + number / 100
        job.handle_time(int(now * CLOCK), ZERO + now)
        while waiting and waiting[0].dts <= now * CLOCK:
            job.handle_unit(waiting.pop(0))
        job.handle_timeout(ZERO + now)


def test_sources_of_two_codecs_and_no_source_are_one_picture_that_goes_on() -> None:
    plan = Plan(rungs=(Rung(180),), keeps_source=False, preset="ultrafast", canvas=(320, 180), fps=FPS)
    sent = Sent()
    job = ProgramJob(plan, {"h264": "libx264"}, sent)
    play(job, [], 10, 11)
    job.handle_format(Format(Codec.H264, 90_000))
    play(job, moved(pictures("libx264", 50), 11), 11, 13)
    job.handle_break()
    job.handle_format(Format(Codec.VP8, 90_000))
    play(job, moved(pictures("libvpx", 50), 13), 13, 15)
    play(job, [], 15, 18.5)
    job.close()
    assert (sent.names, job.canvas.refused) == (["v180"], "")
    made = sent.units[0]
    times = [unit.pts for unit in made]
    assert {later - before for before, later in itertools.pairwise(times)} == {TICKS}
    assert {round(unit.pts / CLOCK) for unit in made if unit.keyframe} == {10, 12, 14, 16, 18}
    frames = decoded(made)
    assert {(frame.width, frame.height) for frame in frames} == {(320, 180)}
    planes = [frame.to_ndarray(format="yuv420p")[:180] for frame in frames]
    black = [float(np.mean(plane[:, :20])) for plane in planes]  # sources are 4:3: beside them it is dark
    assert max(black[35:60] + black[85:100]) < 20
    middle = {
        round((unit.pts / CLOCK - 11) * FPS): float(np.mean(plane[60:120, 100:220]))
        for unit, plane in zip(made, planes, strict=False)
    }
    # fmt: off
    for number in [*range(2, 48), *range(52, 98)]:
        assert abs(middle[number] - luma(number % 50)) < 10, number
    slate = middle[-10]
    assert abs(slate - luma(0)) > 15
    assert abs(middle[150] - slate) < 3, "nobody has sent for three seconds"
    # fmt: on
    assert job.slates >= 40
    assert (job.decoder.decoded, job.decoder.undecodable, job.left_out) == (100, 0, 0)


def test_a_slate_that_cannot_be_read_is_told_of_and_our_own_is_shown(tmp_path: Path) -> None:
    plan = read_plan(f'{{"canvas": [320, 180], "fps": 25, "keeps_source": false, "slate": "{tmp_path}/none.png"}}')
    assert (plan.is_program, plan.canvas) == (True, (320, 180))
    sent = Sent()
    job = ProgramJob(plan, {"h264": "libx264"}, sent)
    assert "none.png" in job.canvas.refused
    play(job, [], 10, 11)
    job.close()
    (first, *_) = decoded(sent.units[0])
    luma_plane = first.to_ndarray(format="yuv420p")[:180]
    assert float(np.mean(luma_plane[60:120, :40])) > 60, "the first of the bars"
