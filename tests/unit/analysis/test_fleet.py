"""What the memory of an instance does, from a series that something else has measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from leakhunt.analysis.fleet.fleet import fleet_report, judged_instance
from leakhunt.analysis.fleet.foreign_run import drops, foreign_run
from leakhunt.analysis.verdict.lives import RESTARTED
from leakhunt.foreign.streamed import StreamedSeries
from leakhunt.model.fleet import Course, JudgedInstance
from leakhunt.model.foreign import MeasuredFleet, MeasuredSeries

MIB = 1 << 20
HOUR, DAY = 3600.0, 86_400.0
Floats = NDArray[np.float64]


def series(memory: Floats, step: float = 300.0, name: str = "one") -> MeasuredSeries:
    """Points at even distances."""
    made = StreamedSeries(name)
    for place, size in enumerate(memory.tolist()):
        assert made.add(1_700_000_000 + step * place, size)
    measured = made.measured()
    assert measured is not None
    return measured


def noise(count: int, size: float = 2 * MIB, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(0, size, count)


def times(days: float = 7, step: float = 300.0) -> Floats:
    return np.arange(0, days * DAY, step)


def since_restart(seconds: Floats, each: float) -> Floats:
    return seconds % each


def judged(memory: Floats, limit: int | None = 2048 * MIB, step: float = 300.0) -> JudgedInstance:
    return judged_instance(series(memory, step), limit)


def test_a_leak_grows_and_its_time_left_is_that_of_its_rate() -> None:
    seconds = times()
    found = judged(300 * MIB + seconds * 1024 + noise(len(seconds)))
    assert found.course is Course.GROWS
    assert found.rate == pytest.approx(1024, rel=0.05)
    room = 2048 * MIB - found.last_bytes
    assert found.seconds_left == pytest.approx(room / 1024, rel=0.1)
    assert found.seconds_soonest is not None
    assert found.seconds_left is not None
    assert found.seconds_latest is not None
    assert found.seconds_soonest <= found.seconds_left <= found.seconds_latest


def test_flat_memory_is_level_and_runs_out_of_nothing() -> None:
    found = judged(300 * MIB + noise(len(times())))
    assert (found.course, found.seconds_left, found.restarts) == (Course.LEVEL, None, 0)


def test_a_daily_tide_is_no_growth() -> None:
    seconds = times()
    daily_cycle = 60 * MIB * np.maximum(np.sin(2 * np.pi * seconds / DAY + 1.0), -0.5)
    assert judged(300 * MIB + daily_cycle + noise(len(seconds))).course is Course.LEVEL


def test_a_leak_below_a_tide_grows() -> None:
    seconds = times()
    daily_cycle = 60 * MIB * np.sin(2 * np.pi * seconds / DAY)
    found = judged(300 * MIB + daily_cycle + seconds * 500 + noise(len(seconds)))
    assert found.course is Course.GROWS
    assert found.rate == pytest.approx(500, rel=0.1)


def test_a_leak_that_deploys_take_back_grows_within_each_life() -> None:
    seconds = times()
    ages = since_restart(seconds, 1.1 * DAY)
    found = judged(200 * MIB + ages * 3000 + noise(len(seconds)))
    assert (found.course, found.restarts) == (Course.GROWS, 6)
    assert found.rate == pytest.approx(3000, rel=0.1)
    room = 2048 * MIB - found.last_bytes
    assert found.seconds_left == pytest.approx(room / 3000, rel=0.2)


@pytest.mark.parametrize("hours", [2.0, 6.0])
def test_a_cache_that_fills_again_after_each_restart_is_no_leak(hours: float) -> None:
    seconds = times()
    ages = since_restart(seconds, 1.1 * DAY)
    cache = 300 * MIB * (1 - np.exp(-ages / (hours * HOUR)))
    found = judged(200 * MIB + cache + noise(len(seconds)))
    assert found.course in (Course.SLOWING, Course.LEVEL, Course.LEVELLED)


def test_a_cache_that_fills_once_levels_off() -> None:
    seconds = times()
    cache = 300 * MIB * (1 - np.exp(-seconds / (0.6 * DAY)))
    found = judged(200 * MIB + cache + noise(len(seconds)))
    assert found.course is Course.LEVELLED
    assert found.level_after_seconds is not None
    assert DAY < found.level_after_seconds < 3 * DAY


def test_a_collector_that_frees_often_is_no_row_of_restarts() -> None:
    seconds = times(2, 60.0)
    teeth = 100 * MIB * (since_restart(seconds, 480.0) / 480.0)
    found = judged(200 * MIB + teeth + noise(len(seconds), MIB), step=60.0)
    assert found.course in (Course.LEVEL, Course.UNDECIDED)
    assert found.restarts == 0


def test_small_drops_may_be_restarts_or_garbage_and_so_nothing_is_said_for_certain() -> None:
    seconds = times()
    teeth = 40 * MIB * (since_restart(seconds, DAY) / DAY)
    found = judged(300 * MIB + teeth + noise(len(seconds), MIB / 4))
    assert found.course is Course.UNDECIDED
    assert "a leak if these are restarts" in str(found.verdict.sentence)


def test_too_few_points_are_told_as_such() -> None:
    found = judged(300 * MIB + noise(20))
    assert found.course is Course.TOO_SHORT


def test_a_gap_is_bridged_and_told() -> None:
    seconds = times()
    memory = 300 * MIB + seconds * 1024 + noise(len(seconds))
    made = StreamedSeries("gap")
    for at, size in zip(seconds.tolist(), memory.tolist(), strict=True):
        if not 2 * DAY < at < 4.5 * DAY:
            made.add(at, size)
    measured = made.measured()
    assert measured is not None
    found = judged_instance(measured, 2048 * MIB)
    assert found.course is Course.GROWS
    assert found.rate == pytest.approx(1024, rel=0.1)
    assert any("longest gap" in str(each) for each in found.caveats)


def test_points_that_are_no_number_are_left_out_and_counted() -> None:
    made = StreamedSeries("nan")
    for place, size in enumerate((300 * MIB + noise(600)).tolist()):
        made.add(300.0 * place, float("nan") if place % 10 == 0 else size)
    measured = made.measured()
    assert measured is not None
    found = judged_instance(measured, None)
    assert (found.points, measured.left_out) == (600, 60)
    assert any("60 of 600 points are not numbers." in str(each) for each in found.caveats)


def test_of_what_is_inconclusive_the_soonest_end_is_told() -> None:
    found = judged(300 * MIB + noise(200, 20 * MIB), step=60.0)
    assert found.course is Course.UNDECIDED
    assert found.seconds_left is None
    assert found.seconds_soonest is not None
    assert found.rate_high is not None
    room = 2048 * MIB - found.last_bytes
    assert found.seconds_soonest == pytest.approx(room / found.rate_high)


def test_an_instance_above_its_limit_has_no_time_left() -> None:
    assert judged(300 * MIB + noise(600), limit=200 * MIB).seconds_left == 0.0


def test_a_fleet_is_in_the_order_in_which_it_runs_out_of_memory() -> None:
    seconds = times()
    rates = {"slow": 500.0, "fast": 2000.0, "flat": 0.0}
    made = [
        series(300 * MIB + rate * seconds + noise(len(seconds)), name=name)
        for name, rate in rates.items()
    ]
    report = fleet_report(MeasuredFleet("made", tuple(made)), "test", 2048 * MIB)
    assert [each.instance for each in report.instances] == ["fast", "slow", "flat"]


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        (lambda at: 400 - 200 * (at >= 50), [50]),
        (lambda at: 400 - 200 * (at == 50), []),
        (lambda at: 400 + 200 * (at == 50), []),
        (lambda at: 400 - 2 * at, []),
    ],
    ids=["falls and stays", "dip", "spike", "slope"],
)
def test_a_restart_is_a_fall_that_stays(
    heights: Callable[[Floats], Floats], expected: list[int]
) -> None:
    made = heights(np.arange(100.0)) + noise(100, 1.0)
    assert [each.place for each in drops(made)] == expected


def with_starts(memory: Floats, *starts: float, step: float = 300.0) -> MeasuredSeries:
    """... whose processes started so many seconds after its first point."""
    return replace(series(memory, step), starts=tuple(1_700_000_000 + each for each in starts))


def test_restarts_are_those_that_are_told() -> None:
    seconds = times()
    level = 300 * MIB + noise(len(seconds))
    # No drop shows the restart on day 3; a cache of 120 MiB is emptied on day 5 by no restart.
    level[seconds >= 1 * DAY] += 120 * MIB
    level[seconds >= 5 * DAY] -= 120 * MIB
    told = judged_instance(with_starts(level, -DAY, 3 * DAY), 2048 * MIB)
    not_measurable = judged_instance(series(level), 2048 * MIB)
    assert (told.restarts, not_measurable.restarts) == (1, 1)
    run = foreign_run(with_starts(level, -DAY, 3 * DAY)).run
    (birth,) = [each for each in run.readings if each.step == RESTARTED]
    assert run.calls[birth.sample] == pytest.approx(3 * DAY, abs=600)
    assert foreign_run(with_starts(level, -DAY)).run.readings == ()


def test_before_starts_are_told_restarts_are_drops() -> None:
    seconds = times()
    leaking = 300 * MIB + since_restart(seconds, 2 * DAY) * 1024 + noise(len(seconds))
    found = judged_instance(with_starts(leaking, 4 * DAY, 6 * DAY - 100.0), 2048 * MIB)
    assert found.restarts == 3
    assert found.course is Course.GROWS
    found = judged_instance(with_starts(leaking, 4 * DAY), 2048 * MIB)
    assert found.restarts == 2


@pytest.mark.parametrize("late", [-200.0, 0.0, 200.0])
def test_clocks_may_differ_by_a_sample(late: float) -> None:
    seconds = times()
    leaking = 300 * MIB + since_restart(seconds, 2 * DAY) * 1024
    made = with_starts(leaking, *(each * 2 * DAY + late for each in (1, 2, 3)))
    run = foreign_run(made).run
    births = [run.calls[each.sample] - 1 for each in run.readings]
    assert births == [2 * DAY, 4 * DAY, 6 * DAY]
