"""How a soak goes on, decided from what it left so far; no service is needed to see it."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from conftest import plan

from leakhunt.analysis.verdict.resampling import resampled
from leakhunt.analysis.verdict.schedule import MAX_WARM_UP_STEPS, WARM_UP_STEP
from leakhunt.analysis.verdict.series import INTERIM_CHECKS
from leakhunt.analysis.verdict.soak_schedule import PAUSE_SPACING, next_phase
from leakhunt.model.plan import PlannedLoad
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Reading, Run
from leakhunt.model.series import Series, Unit

SECOND = 1_000_000_000
DAY_SECONDS = 86_400
READING_SECONDS = 0.003
SERIES = (
    Series("rss", Unit.BYTES, "RSS", ""),
    Series("live_heap", Unit.BYTES, "live heap", ""),
    Series("python_blocks", Unit.BLOCKS, "blocks", ""),
    *(Series(name, Unit.NANOSECONDS, name, "") for name in ("elapsed", "duration")),
)
Curve = Callable[[int], int]


def soaked(curve: Curve, per_second: float, heap: int = 1, **changes: Any) -> Run:
    """A soak of a service that answers so many requests per second, in heaps."""
    load = PlannedLoad("http://x", "app", "upload", 4, changes.pop("duration_seconds", None))
    pause_seconds = changes.pop("pause_seconds", None)
    settings = {"calls": None, "warmup": None, "calls_per_sample": None, "load": load}
    run = Run(
        plan=plan(**settings | changes),
        outcome=Outcome(Ending.OK),
        series=SERIES,
        samples={series.name: array("q") for series in SERIES},
        calls=array("q"),
        readings=(Reading("start", {"live_heap": curve(0), "python_blocks": 0}, 0),),
    )
    while (phase := next_phase(run, READING_SECONDS, pause_seconds)) is not None:
        assert len(run.phases) < 60, "it never ends"
        run = _taken(run, phase, curve, per_second, heap)
        if _is_over(run):
            break
    return run


def _is_over(run: Run) -> bool:
    load = run.plan.load
    assert load is not None
    seconds = sum(run.samples["elapsed"]) / SECOND
    is_late = load.duration_seconds is not None and seconds >= load.duration_seconds
    return is_late or (run.plan.calls is not None and run.calls_done >= run.plan.calls)


def _taken(run: Run, phase: Phase, curve: Curve, per_second: float, heap: int) -> Run:
    rows = {name: array("q", values) for name, values in run.samples.items()}
    calls = array("q", run.calls)
    for _ in range(phase.samples):
        done = calls[-1] if calls else 0
        calls.append(-(-(done + phase.calls_per_sample) // heap) * heap)
        elapsed = round((calls[-1] - done) / per_second * SECOND)
        found = {"elapsed": elapsed, "duration": 4 * elapsed, "python_blocks": 0}
        for name, values in rows.items():
            values.append(found.get(name, curve(calls[-1])))
    look = {"live_heap": curve(calls[-1]), "python_blocks": 0}
    return replace(
        run,
        samples=rows,
        calls=calls,
        phases=(*run.phases, phase),
        readings=(
            *run.readings,
            Reading("look", look, len(calls)),
            Reading("look_collected", look, len(calls)),
        ),
    )


def flat(request: int) -> int:
    return 1 << 28


def leaking(request: int) -> int:
    return (1 << 28) + 1024 * request


def leaking_fast(request: int) -> int:
    return (1 << 28) + (1 << 20) * request


def judged_samples(run: Run) -> int:
    return run.samples_done - run.judged_from


def test_the_first_step_reads_after_every_request_to_learn_the_pace() -> None:
    run = soaked(flat, per_second=200)
    assert run.phases[0] == Phase(0, WARM_UP_STEP, Purpose.WARM_UP, 1, False)
    assert {phase.calls_per_sample for phase in run.phases[1:]} == {20}  # a tenth of a second


def test_a_soak_that_goes_on_from_nothing_learns_the_pace_first() -> None:
    run = soaked(flat, per_second=50, calls=10)
    before = replace(run, samples={name: values[:1] for name, values in run.samples.items()},
                     calls=run.calls[:1])  # fmt: skip
    phase = next_phase(before, READING_SECONDS)
    assert phase is not None and phase.calls_per_sample == 1


def test_a_clean_and_a_leaking_service_are_known_at_a_look() -> None:
    assert judged_samples(soaked(flat, per_second=50)) in INTERIM_CHECKS
    known = judged_samples(soaked(leaking, per_second=50))
    assert known in INTERIM_CHECKS and known < INTERIM_CHECKS[-1]


def test_a_service_that_grows_fast_is_read_more_often() -> None:
    run = soaked(leaking_fast, per_second=200)
    assert run.phases[1].calls_per_sample == 2


def test_reading_takes_little_of_the_time() -> None:
    run = soaked(flat, per_second=2000)
    assert run.phases[1].calls_per_sample >= 2000 * 10 * READING_SECONDS


def test_a_leaking_service_warms_up_for_so_many_steps_and_no_more() -> None:
    run = soaked(leaking, per_second=50)
    warm = [phase for phase in run.phases if phase.purpose is Purpose.WARM_UP]
    assert len(warm) == MAX_WARM_UP_STEPS


@pytest.mark.parametrize("requests", [200, 2000, 100_000])
def test_of_requests_that_are_asked_for_a_quarter_at_most_is_warm_up(requests: int) -> None:
    run = soaked(leaking, per_second=50, calls=requests)
    assert run.calls_done >= requests
    steps = WARM_UP_STEP * run.phases[-1].calls_per_sample
    assert run.calls[run.judged_from] <= requests / 4 + steps + 1
    assert judged_samples(resampled(run)) >= 100


@pytest.mark.parametrize("days", [0.1, 3, 30])
def test_days_are_some_thousand_samples_and_all_of_them_are_judged(days: float) -> None:
    run = soaked(flat, per_second=40, duration_seconds=days * DAY_SECONDS)
    assert run.samples_done < 6000
    even = resampled(run)
    assert judged_samples(even) >= 500
    assert run.calls[even.judged_from] < 0.01 * run.calls_done
    assert len(run.readings) < 70


def test_requests_that_come_in_heaps_are_read_a_heap_at_a_time() -> None:
    run = soaked(flat, per_second=50, heap=150, calls=100_000)
    assert run.phases[1].calls_per_sample >= 150


def in_flight(request: int) -> int:
    """What several requests at once hold, now this much, now that."""
    return (1 << 28) + (request * 7919 % 101 << 20)


def test_the_load_is_held_for_judged_readings_where_that_costs_little() -> None:
    run = soaked(flat, per_second=50, pause_seconds=0.1)
    assert run.pauses
    assert not any(phase.pauses for phase in run.phases if phase.purpose is Purpose.WARM_UP)
    assert run.calls_per_sample == pytest.approx(50 * PAUSE_SPACING * 0.1, rel=0.1)
    assert judged_samples(run) in INTERIM_CHECKS


def test_pauses_that_are_short_bring_no_samples_closer_together() -> None:
    without = soaked(flat, per_second=200)
    run = soaked(flat, per_second=200, pause_seconds=0.001)
    assert run.pauses and run.calls_per_sample == without.calls_per_sample


@pytest.mark.parametrize(
    ("pause_seconds", "changes", "pauses"),
    [
        (None, {}, False),
        (2.2, {}, True),
        (2.3, {}, False),  # 98 samples in the usual time
        (0.4, {"duration_seconds": 120.0}, True),
        (0.4, {"duration_seconds": 100.0}, False),  # 93 samples
        (2.6, {"duration_seconds": DAY_SECONDS}, True),
        (0.4, {"calls": 6_000}, True),
        (0.4, {"calls": 5_000}, False),
        (0.4, {"calls": 5_000, "duration_seconds": 420.0}, False),
    ],
)
def test_enough_pauses_for_a_verdict_must_fit_in(
    pause_seconds: float | None, changes: dict[str, Any], pauses: bool
) -> None:
    run = soaked(in_flight, per_second=50, pause_seconds=pause_seconds, **changes)
    assert run.pauses is pauses
    assert judged_samples(resampled(run)) >= INTERIM_CHECKS[0]


def leaking_in_flight(request: int) -> int:
    return in_flight(request) + 1024 * request


@pytest.mark.parametrize(
    ("curve", "pauses"), [(leaking, False), (leaking_fast, False), (leaking_in_flight, True)]
)
def test_growth_that_stands_out_is_read_as_often_as_can_be(curve: Curve, pauses: bool) -> None:
    run = soaked(curve, per_second=13, pause_seconds=0.3)
    assert run.pauses is pauses
    if not pauses:
        assert run.calls_per_sample == soaked(curve, per_second=13).calls_per_sample


def test_a_load_that_cannot_be_held_any_more_is_not_held() -> None:
    run = soaked(flat, per_second=50, pause_seconds=0.1, duration_seconds=3600.0)
    assert run.pauses
    before = replace(run, plan=replace(run.plan, calls=10 * run.calls_done))
    assert (phase := next_phase(before, READING_SECONDS, 0.1)) is not None and phase.pauses
    assert (phase := next_phase(before, READING_SECONDS, None)) is not None and not phase.pauses


def test_a_long_soak_keeps_its_pauses_though_they_come_further_apart() -> None:
    run = soaked(flat, per_second=40, duration_seconds=3 * DAY_SECONDS, pause_seconds=0.5)
    judged = [phase for phase in run.phases if phase.purpose is Purpose.JUDGED]
    assert all(phase.pauses for phase in judged)
    assert judged[-1].calls_per_sample > judged[0].calls_per_sample
    assert resampled(run).pauses
