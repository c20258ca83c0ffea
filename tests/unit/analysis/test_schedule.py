"""How a run goes on, decided from what it left so far; no process is needed to see it."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace
from math import exp
from typing import Any

import pytest
from conftest import MakeRun, plan

from leakhunt.analysis.attribution.windows import instrumented_plan
from leakhunt.analysis.verdict.effort import SLOW_CALLS, has_grown_enough, has_slow_calls
from leakhunt.analysis.verdict.judge import judge
from leakhunt.analysis.verdict.schedule import (
    EARLIEST_CLEAN,
    HORIZON_CALLS,
    MAX_SAMPLES,
    MAX_WARM_UP_STEPS,
    WARM_UP_STEP,
    next_phase,
)
from leakhunt.analysis.verdict.series import INTERIM_CHECKS
from leakhunt.model.attribution import Instrument
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Reading, Run
from leakhunt.model.series import Series, Unit
from leakhunt.model.verdict import Status

MICROSECONDS = 1000
MILLISECONDS = 1000 * MICROSECONDS

Curve = Callable[[int], int]


def played(
    curve: Curve,
    call_ns: int = 5 * MILLISECONDS,
    garbage: int = 0,
    collect_ns: int = MILLISECONDS,
    rss: bool = False,
    **changes: Any,
) -> Run:
    """A run as a worker would leave it whose live heap after n calls is `curve(n)`."""
    settings = {"calls": None, "warmup": None, "calls_per_sample": None, "collect": "auto"}
    run = Run(
        plan=plan(**settings | changes),
        outcome=Outcome(Ending.OK),
        series=(
            Series("live_heap", Unit.BYTES, "live heap", ""),
            Series("duration", Unit.NANOSECONDS, "time", ""),
            *([Series("rss", Unit.BYTES, "RSS", "")] if rss else []),
        ),
        samples={"live_heap": array("q"), "duration": array("q")}
        | ({"rss": array("q")} if rss else {}),
        calls=array("q"),
        readings=(Reading("start", {"live_heap": curve(0), "clock_ns": 0}, 0),),
    )
    for _ in range(60):
        phase = next_phase(run)
        if phase is None:
            return run
        run = _taken(run, phase, curve, call_ns, garbage, collect_ns)
    raise AssertionError("it never ends")


def _taken(
    run: Run, phase: Phase, curve: Curve, call_ns: int, garbage: int, collect_ns: int
) -> Run:
    heap, times, calls = array("q", run.samples["live_heap"]), array("q"), array("q", run.calls)
    times = array("q", run.samples["duration"])
    for _ in range(phase.samples):
        calls.append((calls[-1] if calls else 0) + phase.calls_per_sample)
        heap.append(curve(calls[-1]))
        times.append(call_ns * phase.calls_per_sample)
    live, spent = curve(calls[-1]), sum(times)
    return replace(
        run,
        samples={name: times if name == "duration" else heap for name in run.samples},
        calls=calls,
        phases=(*run.phases, phase),
        readings=(
            *run.readings,
            Reading("look", {"live_heap": live + garbage, "clock_ns": spent}, len(calls)),
            Reading(
                "look_collected",
                {"live_heap": live, "collect_ns": collect_ns, "clock_ns": spent},
                len(calls),
            ),
        ),
    )


def flat(call: int) -> int:
    return 1 << 20


def leaking(call: int) -> int:
    return (1 << 20) + 4096 * call


def filling(call: int) -> int:
    return round((20 << 20) * (1 - exp(-call / 150)))


def cache(entries: int) -> Curve:
    """A cache of so many entries of 20 KiB, one more at each call."""
    return lambda call: (1 << 20) + (20 << 10) * min(call, entries)


def judged_samples(run: Run) -> int:
    return run.samples_done - run.judged_from


def test_a_forced_number_of_calls_is_kept_to_with_a_look_on_the_way() -> None:
    run = played(leaking, calls=200, warmup=50, calls_per_sample=1, collect="never")
    assert (run.calls_done, run.judged_from) == (200, 50)
    assert [phase.first_sample for phase in run.phases] == [0, 20, 50, 150]


def test_a_quiet_service_is_warm_after_one_step_and_clean_at_the_first_look_for_it() -> None:
    run = played(flat)
    assert run.judged_from == 2 * WARM_UP_STEP or run.judged_from == WARM_UP_STEP
    assert judged_samples(run) == EARLIEST_CLEAN


def test_a_leak_is_never_quiet_and_is_known_at_the_second_look() -> None:
    run = played(leaking)
    assert run.judged_from == MAX_WARM_UP_STEPS * WARM_UP_STEP
    assert judged_samples(run) == INTERIM_CHECKS[1]


def test_a_warm_up_is_waited_for_until_it_is_quiet() -> None:
    run = played(lambda call: (1 << 20) + 4096 * min(call, 50))
    assert run.judged_from == 80
    assert judged_samples(run) == EARLIEST_CLEAN


def test_what_stays_inconclusive_ends_with_the_last_look() -> None:
    assert judged_samples(played(filling)) == INTERIM_CHECKS[-1]


def test_resolving_goes_on_until_it_is_known() -> None:
    run = played(filling, resolve=True)
    assert INTERIM_CHECKS[-1] < judged_samples(run) < MAX_SAMPLES
    assert judge(run).status is Status.NO_LEAK


@pytest.mark.parametrize(
    ("call_ns", "calls_per_sample"),
    [(5 * MILLISECONDS, 1), (100 * MICROSECONDS, 10), (MICROSECONDS, 1000), (1, 1000)],
)
def test_calls_too_short_to_read_after_each_are_sampled_in_batches(
    call_ns: int, calls_per_sample: int
) -> None:
    run = played(flat, call_ns=call_ns)
    assert run.phases[0].calls_per_sample == 1
    assert run.calls_per_sample == calls_per_sample
    assert judged_samples(run) == EARLIEST_CLEAN


def test_a_batch_that_was_asked_for_is_kept_to() -> None:
    assert {phase.calls_per_sample for phase in played(flat, calls_per_sample=7).phases} == {7}


@pytest.mark.parametrize(
    ("garbage", "collect_ns", "collects"),
    [
        (0, MILLISECONDS, False),
        (200 << 10, MILLISECONDS, True),
        (200 << 10, 250 * MILLISECONDS, False),
    ],
    ids=["no garbage", "much garbage, cheap", "much garbage, dear"],
)
def test_it_collects_before_each_reading_where_garbage_matters_and_it_is_cheap(
    garbage: int, collect_ns: int, collects: bool
) -> None:
    run = played(flat, garbage=garbage, collect_ns=collect_ns)
    assert run.collects is collects
    warm_up = [phase for phase in run.phases if phase.purpose is Purpose.WARM_UP]
    assert not any(phase.collects for phase in warm_up)


@pytest.mark.parametrize(("word", "collects"), [("always", True), ("never", False)])
def test_collecting_can_be_asked_for_and_refused(word: str, collects: bool) -> None:
    assert played(flat, garbage=200 << 10, collect=word).collects is collects


def test_growth_is_followed_to_the_horizon_before_it_is_called_a_leak() -> None:
    run = played(leaking, budget_seconds=60.0)
    assert run.calls_done == HORIZON_CALLS
    assert judge(run).status is Status.LEAK
    assert "a cache of up to 5,500 entries would have filled" in str(judge(run).sentence)


def test_growth_is_followed_no_longer_than_the_budget() -> None:
    run = played(leaking, call_ns=40 * MILLISECONDS, budget_seconds=60.0)
    assert 1400 < run.calls_done <= 1500
    assert judge(run).status is Status.LEAK


def test_growth_is_followed_no_further_than_memory_is_to_spare() -> None:
    run = played(lambda call: call << 20, budget_seconds=60.0, rss=True)
    assert judged_samples(run) < 2000
    assert judge(run).status is Status.LEAK


@pytest.mark.parametrize("entries", [150, 500, 1024, 3000])
def test_a_cache_is_run_past_until_it_is_level(entries: int) -> None:
    run = played(cache(entries), budget_seconds=60.0)
    verdict = judge(run)
    assert verdict.status is Status.NO_LEAK
    assert entries < run.calls_done <= max(4 * entries, 1000)
    after = verdict.trends["live_heap"].level_after
    assert after is not None
    assert run.calls[run.judged_from] + after == pytest.approx(entries, rel=0.06, abs=10)


def test_a_leak_behind_a_cache_that_has_filled_is_one() -> None:
    filling = cache(500)
    run = played(lambda call: filling(call) + 1100 * call, budget_seconds=60.0)
    verdict = judge(run)
    assert verdict.status is Status.LEAK
    assert verdict.trends["live_heap"].rate == pytest.approx(1100)
    before = instrumented_plan(run, Instrument.MEMRAY).warmup
    assert before is not None and before >= 1000  # who fills the cache is not who leaks


@pytest.mark.parametrize("calls", [1700, 2000, 2500, 3500])
def test_a_forced_run_past_a_ceiling_is_no_leak(calls: int) -> None:
    run = played(cache(1024), calls=calls, warmup=calls // 4, calls_per_sample=1, collect="never")
    assert judge(run).status is Status.NO_LEAK


def test_events_that_did_not_come_for_a_while_are_not_over() -> None:
    steps = (90, 180)  # rarer than the interim checks are apart
    run = played(lambda call: (1 << 20) * (1 + sum(call >= at for at in steps)), calls=400,
                 warmup=50, calls_per_sample=1, collect="never")  # fmt: skip
    assert judge(run).status is not Status.LEAK
    assert judge(run).trends["live_heap"].level_after in (None, 0)


def test_calls_that_are_dear_are_few() -> None:
    run = played(leaking, call_ns=2000 * MILLISECONDS, budget_seconds=60.0)
    assert run.calls_done == SLOW_CALLS
    assert has_slow_calls(run)
    assert judge(run).status is Status.INCONCLUSIVE
    assert not has_slow_calls(played(flat, call_ns=100 * MILLISECONDS, budget_seconds=60.0))
    assert not has_slow_calls(played(flat, call_ns=2000 * MILLISECONDS))


@pytest.mark.parametrize(("milliseconds", "steps"), [(400, 3), (200, 4), (50, MAX_WARM_UP_STEPS)])
def test_dear_calls_that_grow_evenly_are_warm(milliseconds: int, steps: int) -> None:
    """After a quarter of the budget: 15 s."""
    run = played(leaking, call_ns=milliseconds * MILLISECONDS, budget_seconds=60.0)
    assert run.judged_from == steps * WARM_UP_STEP


def test_dear_calls_that_grow_less_and_less_are_not_warm_yet() -> None:
    run = played(
        lambda call: round((20 << 20) * (1 - exp(-call / 30))),
        call_ns=400 * MILLISECONDS,
        budget_seconds=60.0,
    )
    assert run.judged_from == MAX_WARM_UP_STEPS * WARM_UP_STEP


@pytest.mark.parametrize(("milliseconds", "checks"), [(100, 507), (400, 338), (900, 150)])
def test_an_open_trend_takes_three_budgets_at_most(milliseconds: int, checks: int) -> None:
    """And is checked there for the last time."""
    run = played(filling, call_ns=milliseconds * MILLISECONDS, budget_seconds=60.0)
    assert judge(run).status is Status.INCONCLUSIVE
    assert judged_samples(run) == checks


def test_an_open_verdict_goes_on_past_a_scenarios_own_number_of_calls() -> None:
    own: dict[str, Any] = {"calls": 200, "warmup": 50, "calls_per_sample": 1, "collect": "never"}
    run = played(cache(140), budget_seconds=60.0, **own)
    assert 200 < run.calls_done < 1000
    assert judge(run).status is Status.NO_LEAK
    assert played(cache(140), **own).calls_done == 200
    assert played(flat, budget_seconds=60.0, **own).calls_done == 200


@pytest.mark.parametrize(("seconds", "calls"), [(26.0, 260), (23.0, 200)])
def test_an_open_verdict_gets_the_rest_of_the_budget_if_that_is_worth_it(
    seconds: float, calls: int
) -> None:
    own: dict[str, Any] = {"calls": 200, "warmup": 50, "calls_per_sample": 1, "collect": "never"}
    run = played(cache(140), call_ns=100 * MILLISECONDS, budget_seconds=seconds, **own)
    assert run.calls_done == calls


@pytest.mark.parametrize(("name", "enough"), [("descriptors", True), ("failures", False)])
def test_descriptors_are_not_followed_until_there_are_none_left(
    make_run: MakeRun, name: str, enough: bool
) -> None:
    run = make_run(**{name: range(150), "rss": [1 << 20] * 150})
    counted = tuple(replace(each, unit=Unit.COUNT) for each in run.series if each.name == name)
    assert has_grown_enough(replace(run, series=counted)) is enough
