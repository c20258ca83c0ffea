"""The verdict on curves whose truth is known. The seeded noise makes every case repeatable."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from conftest import MakeRun

from leakhunt.model import Ending, Outcome, Status, Unit
from leakhunt.verdict.judge import MIN_SAMPLES, judge, judge_trend

KIB = 1024
BASE = 200 << 20
CALLS = 300


def noisy(values: Sequence[float], sigma: float, seed: int = 0) -> list[int]:
    source = random.Random(seed)
    return [round(BASE + value + source.gauss(0, sigma)) for value in values]


def live_heap(values: Sequence[int]) -> Status:
    return judge_trend("live_heap", Unit.BYTES, values).status


def test_a_steady_leak_is_growing_and_its_rate_is_within_the_bounds() -> None:
    values = noisy([64 * KIB * call for call in range(CALLS)], sigma=100 * KIB)
    trend = judge_trend("live_heap", Unit.BYTES, values)
    assert trend.status is Status.GROWING
    assert trend.rate_low is not None and trend.rate_high is not None
    assert trend.rate_low < 64 * KIB < trend.rate_high
    assert trend.net == values[-1] - values[0]


def test_a_series_that_never_moves_is_flat() -> None:
    assert live_heap([BASE] * CALLS) is Status.FLAT


def test_noise_without_growth_is_not_called_a_leak() -> None:
    statuses = {live_heap(noisy([0.0] * CALLS, sigma=50 * KIB, seed=seed)) for seed in range(40)}
    assert Status.GROWING not in statuses


def test_one_late_step_is_not_called_a_leak() -> None:
    step = [0.0 if call < 200 else 8 << 20 for call in range(CALLS)]
    trend = judge_trend("live_heap", Unit.BYTES, noisy(step, sigma=KIB))
    assert trend.status is Status.BOUNDED
    assert "in one step" in trend.reason


def test_a_filling_cache_is_not_called_a_leak() -> None:
    cache = [(20 << 20) * (1 - math.exp(-call / 60)) for call in range(CALLS)]
    trend = judge_trend("live_heap", Unit.BYTES, noisy(cache, sigma=KIB))
    assert trend.status is Status.BOUNDED
    assert "slowing down" in trend.reason


def test_a_collector_sawtooth_is_flat() -> None:
    sawtooth = [KIB * 40 * (call % 17) for call in range(CALLS)]
    assert live_heap([BASE + height for height in sawtooth]) is Status.FLAT


def test_a_leak_beneath_a_sawtooth_is_growing() -> None:
    values = [BASE + KIB * 4 * (call % 17) + 8 * KIB * call for call in range(CALLS)]
    assert live_heap(values) is Status.GROWING


def test_a_leak_of_one_call_in_ten_is_growing() -> None:
    values = [BASE + 30 * KIB * (call // 10) for call in range(CALLS)]
    assert live_heap(values) is Status.GROWING


def test_growth_below_the_tolerance_is_flat() -> None:
    assert live_heap([BASE + 96 * call for call in range(CALLS)]) is Status.FLAT


def test_few_samples_are_too_short_to_say() -> None:
    trend = judge_trend("live_heap", Unit.BYTES, [BASE + 99999 * n for n in range(MIN_SAMPLES - 1)])
    assert (trend.status, trend.rate) == (Status.TOO_SHORT, None)


def test_an_empty_run_says_that_nothing_was_measured(make_run: MakeRun) -> None:
    verdict = judge(make_run())
    assert verdict.status is Status.TOO_SHORT
    assert "Nothing was measured" in verdict.sentence


def test_growth_in_rss_alone_is_memory_that_is_kept(make_run: MakeRun) -> None:
    rising = [BASE + 100 * KIB * call for call in range(CALLS)]
    verdict = judge(make_run(live_heap=[BASE] * CALLS, rss=rising))
    assert verdict.status is Status.BOUNDED
    assert "memory is kept: RSS" in verdict.sentence


def test_a_full_cache_beside_rising_rss_is_told_as_memory_that_is_kept(make_run: MakeRun) -> None:
    full = [BASE + min(call, 120) * 64 * KIB for call in range(CALLS)]
    rising = [BASE + 100 * KIB * call for call in range(CALLS)]
    verdict = judge(make_run(live_heap=full, rss=rising))
    assert verdict.status is Status.BOUNDED
    assert "Memory is kept, not used: RSS by 100.0 KiB/call" in verdict.sentence


def test_growth_in_python_blocks_alone_is_growing(make_run: MakeRun) -> None:
    verdict = judge(make_run(live_heap=[BASE] * CALLS, python_blocks=list(range(CALLS))))
    assert verdict.status is Status.GROWING
    assert "Python blocks by 1 blocks/call" in verdict.sentence


@pytest.mark.parametrize(
    ("after_collections", "status"),
    [
        ((1000, 1000, 1010), Status.BOUNDED),
        ((1000, 1400, 1500), Status.BOUNDED),
        ((1000, 1600, 2200), Status.GROWING),
    ],
    ids=["all garbage", "what is left slows down", "what is left grows on"],
)
def test_growth_is_told_from_cyclic_garbage_by_what_collections_leave(
    make_run: MakeRun, after_collections: tuple[int, int, int], status: Status
) -> None:
    steps = ("warm", "half", "collected")
    verdict = judge(
        make_run(
            readings={
                step: {"python_blocks": blocks}
                for step, blocks in zip(steps, after_collections, strict=True)
            },
            python_blocks=[1000 + 6 * call for call in range(CALLS)],
        )
    )
    assert verdict.status is status


@pytest.mark.parametrize(("rate_bytes", "status"), [(100, Status.FLAT), (300, Status.GROWING)])
def test_blocks_are_judged_by_their_bytes_where_those_are_known(
    make_run: MakeRun, rate_bytes: int, status: Status
) -> None:
    verdict = judge(
        make_run(
            readings={
                step: {"python_blocks": 1000 + call, "python_live": 9000 + rate_bytes * call}
                for step, call in (("warm", 75), ("half", 187), ("collected", 300))
            },
            live_heap=[BASE] * CALLS,
            python_blocks=[1000 + call for call in range(CALLS)],
        )
    )
    assert verdict.status is status


def test_a_killed_run_is_judged_on_what_it_left_and_says_how_it_ended(make_run: MakeRun) -> None:
    values = [BASE + 64 * KIB * call for call in range(100)]
    verdict = judge(
        make_run(
            outcome=Outcome(Ending.KILLED, "SIGKILL after call 100 of 500"),
            plan_changes={"calls": 500, "warmup": 125},
            live_heap=values,
            rss=values,
        )
    )
    assert verdict.status is Status.GROWING
    assert "killed" in verdict.sentence and "SIGKILL after call 100" in verdict.sentence
    assert "RSS went from 200.0 MiB to 206.2 MiB" in verdict.sentence


def test_an_open_descriptor_per_call_is_growing(make_run: MakeRun) -> None:
    verdict = judge(
        make_run(live_heap=[BASE] * CALLS, descriptors=[7 + call for call in range(CALLS)])
    )
    assert verdict.status is Status.GROWING
    assert "descriptors by 1/call" in verdict.sentence
