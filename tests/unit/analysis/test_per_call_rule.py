"""The rule of N: what stays per call, told from what only moves."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import accumulate, pairwise

import pytest
from conftest import MakeRun

from leakhunt.analysis.attribution.per_call_rule import RetainedPerCall, lasting, retained
from leakhunt.analysis.attribution.windows import (
    HEAP_CALLS,
    MAX_CALLS,
    MIN_CALLS,
    SLOW_HEAP_CALLS,
    instrumented_plan,
    next_window,
    prime_from,
    windows,
)
from leakhunt.model.attribution import MEMRAY_WINDOWS, Instrument
from leakhunt.model.run import Phase, Purpose

MARKS = (200, 210, 222, 237)


def after(per_call: float, start: int = 50) -> list[int]:
    return [start + round(per_call * (mark - MARKS[0])) for mark in MARKS]


@pytest.mark.parametrize("blocks", [1, 2, 7])
def test_the_same_whole_number_in_every_stretch_is_exact(blocks: int) -> None:
    assert retained(MARKS, after(blocks)) == RetainedPerCall(blocks, exact=True)


@pytest.mark.parametrize(
    "counts",
    [
        (50, 50, 50, 50),
        (50, 87, 87, 87),  # a buffer
        (50, 60, 60, 97),  # nothing in one stretch
        (50, 60, 72, 60),  # given back
        (50, 51, 52, 53),  # one a mark: the marking itself
        (50, 90, 91, 92),  # a cache that has filled
        (50, 150, 151, 300),  # hardly anything in a stretch between
    ],
    ids=["flat", "one-off", "pauses", "freed", "each-mark", "filled", "uneven"],
)
def test_what_only_moves_is_not_kept(counts: tuple[int, ...]) -> None:
    assert retained(MARKS, counts) is None


def test_what_stays_of_one_call_in_ten_is_found_among_more_calls() -> None:
    marks = (1000, 1034, 1076, 1127)
    found = retained(marks, [100 + mark // 10 for mark in marks])
    assert found is not None and not found.exact
    assert found.per_call == pytest.approx(0.1, abs=0.01)


def test_what_stays_of_calls_at_random_is_found_nearly_always() -> None:
    generator = random.Random(1)
    marks = (0, 34, 76, 127)
    hits = 0
    for _ in range(200):
        leaks = list(accumulate(generator.random() < 0.2 for _ in range(127)))
        counts = [0, *(leaks[mark - 1] for mark in marks[1:])]
        hits += retained(marks, counts) is not None
    assert hits >= 190


def test_a_level_that_only_fluctuates_is_hardly_ever_kept() -> None:
    generator = random.Random(2)
    marks = (0, 34, 76, 127)
    alarms = sum(
        retained(marks, [generator.randint(0, 40) for _ in marks]) is not None for _ in range(1000)
    )
    assert alarms < 60  # rising three times in a row is one in 24


def test_fewer_than_two_marks_say_nothing() -> None:
    assert retained((), ()) is None
    assert retained((5,), (9,)) is None


def test_the_watched_calls_are_a_prime_number_in_stretches_of_different_lengths() -> None:
    for watched in (31, 37, 127, 1009):
        ends = windows(500, 500 + watched)
        lengths = [later - earlier for earlier, later in pairwise(ends)]
        assert (ends[0], ends[-1]) == (500, 500 + watched)
        assert len(set(lengths)) == 3


def test_primes() -> None:
    assert [prime_from(number) for number in (0, 2, 4, 24, 31, 90, 1000)] == [
        2, 2, 5, 29, 31, 97, 1009,
    ]  # fmt: skip


def test_memray_watches_few_calls_where_it_grows_as_it_did_when_judged(make_run: MakeRun) -> None:
    run = make_run(live_heap=[1000 * call for call in range(250)])
    plan = instrumented_plan(run, Instrument.MEMRAY)
    assert plan.instrument is Instrument.MEMRAY
    assert (plan.warmup, plan.calls) == (60, 60 + HEAP_CALLS)
    assert not plan.is_measured


def test_what_fills_first_is_not_watched_but_what_comes_after(make_run: MakeRun) -> None:
    fills = [min(call, 120) * 20_000 + 1000 * call for call in range(600)]
    plan = instrumented_plan(make_run(live_heap=fills), Instrument.MEMRAY)
    assert plan.warmup == 250


def test_dear_calls_are_watched_in_few(make_run: MakeRun) -> None:
    growth = [1000 * call for call in range(250)]
    dear = make_run(live_heap=growth, duration=[500_000_000] * 250)
    plan = instrumented_plan(dear, Instrument.MEMRAY)
    assert plan.calls is not None and plan.warmup is not None
    assert plan.calls - plan.warmup == SLOW_HEAP_CALLS
    assert plan.warmup == 20
    ends = windows(plan.warmup, plan.calls, Instrument.MEMRAY)
    assert [later - earlier for earlier, later in pairwise(ends)] == [5, 7, 22, 3]


def test_dear_calls_too_are_watched_once_they_grow_evenly(make_run: MakeRun) -> None:
    fills = [min(call, 40) * 20_000 + 1000 * call for call in range(250)]
    dear = make_run(live_heap=fills, duration=[500_000_000] * 250)
    assert instrumented_plan(dear, Instrument.MEMRAY).warmup == 60


def test_memrays_stretches_are_of_different_lengths_before_the_last() -> None:
    for watched in (SLOW_HEAP_CALLS, HEAP_CALLS, 251, 1009):
        ends = windows(60, 60 + watched, Instrument.MEMRAY)
        lengths = [later - earlier for earlier, later in pairwise(ends)]
        assert len(lengths) == MEMRAY_WINDOWS + 1
        assert len(set(lengths[:-1])) == MEMRAY_WINDOWS
        assert min(lengths[:-1]) >= 5


def test_what_replaces_older_things_does_not_last() -> None:
    calls = (0, 7, 18, 90)
    assert lasting(calls, (0, 7, 18, 90)) == RetainedPerCall(1, exact=True)
    # A full cache of 30 entries: each call makes one, and as many go.
    assert lasting(calls, (0, 7, 18, 48)) is None
    # One call in three, at random.
    seldom = lasting(calls, (0, 2, 6, 29))
    assert seldom is not None and not seldom.exact


def test_a_leak_of_few_calls_is_watched_for_longer(make_run: MakeRun) -> None:
    every = make_run(live_heap=[1000 * call for call in range(600)])
    seldom = make_run(live_heap=[1000 * (call // 10) for call in range(600)])
    lengths = []
    for run in (every, seldom):
        plan = instrumented_plan(run, Instrument.TRACEMALLOC)
        assert plan.calls is not None and plan.warmup is not None
        lengths.append(plan.calls - plan.warmup)
    assert lengths[0] < 60
    assert 200 < lengths[1] <= MAX_CALLS


def test_the_number_of_watched_calls_is_prime(make_run: MakeRun) -> None:
    for calls in (100, 250, 600):
        plan = instrumented_plan(
            make_run(live_heap=[1000 * (call // 3) for call in range(calls)]), Instrument.MEMRAY
        )
        assert plan.calls is not None and plan.warmup is not None
        watched = plan.calls - plan.warmup
        assert prime_from(watched) == watched


def test_what_begins_late_is_watched_late(make_run: MakeRun) -> None:
    early = make_run(live_heap=[1000 * call for call in range(9000)])
    assert instrumented_plan(early, Instrument.MEMRAY).warmup == 60
    late = [0] * 7000 + [1000 * call for call in range(2000)]
    plan = instrumented_plan(make_run(live_heap=late), Instrument.MEMRAY)
    assert plan.warmup is not None and plan.warmup > 8000


def test_a_run_of_few_calls_is_still_watched_for_enough(make_run: MakeRun) -> None:
    plan = instrumented_plan(make_run(live_heap=[0, 1, 2]), Instrument.TRACEMALLOC)
    assert (plan.calls, plan.warmup) == (MIN_CALLS + 2, 2)


def test_what_grew_faster_at_first_is_watched_where_it_grows_as_in_the_end(
    make_run: MakeRun,
) -> None:
    filling = [1000 * call + 1400 * min(call, 400) for call in range(1000)]
    plan = instrumented_plan(make_run(live_heap=filling), Instrument.MEMRAY)
    assert plan.warmup is not None and plan.warmup >= 400


def test_the_worker_is_led_through_the_calls_before_and_every_stretch(make_run: MakeRun) -> None:
    plan_changes = {"calls": 131, "warmup": 100, "instrument": Instrument.TRACEMALLOC}
    run = make_run(plan_changes=plan_changes)
    assert next_window(replace(run, phases=())) == Phase(0, 38, Purpose.WARM_UP, 1, collects=False)
    led = next_window(make_run(plan_changes=plan_changes, rss=[1] * 38))
    assert led == Phase(38, 62, Purpose.WARM_UP, 1, collects=False)
    taken, ends = 100, []
    while taken < 131:
        run = make_run(plan_changes=plan_changes, rss=[1] * taken)
        phase = next_window(run)
        assert phase is not None and phase.purpose is Purpose.JUDGED
        taken += phase.samples
        ends.append(taken)
    assert ends == windows(100, 131)[1:]
    assert next_window(make_run(plan_changes=plan_changes, rss=[1] * 131)) is None
