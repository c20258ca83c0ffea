"""One series, judged: curves whose truth is known. Seeds make every case repeatable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

import leakhunt
from leakhunt.analysis.verdict.series import MIN_SAMPLES, judge_series
from leakhunt.model.series import Unit
from leakhunt.model.verdict import Shape, Status, Trend

KIB = 1024
BASE = 200 << 20
CALLS = 338


def noisy(values: Sequence[float], sigma: float, seed: int = 0) -> list[int]:
    noise = (
        np.random.default_rng(seed).normal(0, sigma, len(values)) if sigma else [0] * len(values)
    )
    return [round(BASE + value + error) for value, error in zip(values, noise, strict=True)]


def judged(values: Sequence[float], sigma: float = 0.0, **settings: Any) -> Trend:
    return judge_series(noisy(values, sigma), unit="bytes", **settings)


def test_a_steady_leak_is_a_leak_and_its_rate_is_within_the_bounds() -> None:
    trend = judged([64 * KIB * call for call in range(CALLS)], sigma=100 * KIB)
    assert (trend.status, trend.shape) == (Status.LEAK, Shape.LINEAR)
    assert trend.rate_low is not None and trend.rate_high is not None
    assert trend.rate_low < 64 * KIB < trend.rate_high
    assert (trend.calls_needed, trend.detection_limit) == (None, None)


def test_a_leak_names_the_warm_up_that_would_look_like_it() -> None:
    trend = judged([KIB * call for call in range(CALLS)], sigma=8 * KIB)
    assert trend.status is Status.LEAK
    assert "not warm-up, unless its time constant exceeds 190 calls" in str(trend.reason)


def test_a_series_that_never_moves_is_clean_and_says_what_it_would_have_shown() -> None:
    trend = judged([0.0] * CALLS)
    assert (trend.status, trend.shape, trend.upper_bound) == (Status.NO_LEAK, Shape.FLAT, 0)
    assert trend.detection_limit == trend.tolerance == 256


def test_a_clean_noisy_series_would_have_shown_a_leak_of_its_noise() -> None:
    trend = judged([0.0] * CALLS, sigma=2 * KIB)
    assert trend.status is Status.NO_LEAK
    assert trend.detection_limit is not None and 256 < trend.detection_limit < 2 * KIB
    leak = [trend.detection_limit * 1.5 * call for call in range(CALLS)]
    assert judged(leak, sigma=2 * KIB).status is Status.LEAK


@pytest.mark.parametrize(
    ("curve", "shape"),
    [
        ([0.0 if call < 250 else 8 << 20 for call in range(CALLS)], Shape.ONE_OFF_STEP),
        ([(20 << 20) * (1 - math.exp(-call / 90)) for call in range(CALLS)], Shape.FILLING_CACHE),
        ([(20 << 20) * min(call / 60, 1) for call in range(CALLS)], Shape.WARM_UP),
        ([40 * KIB * (call % 17) for call in range(CALLS)], Shape.SAWTOOTH),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_growth_that_ends_is_no_leak(curve: list[float], shape: Shape) -> None:
    trend = judged(curve, sigma=64)
    assert trend.status is not Status.LEAK
    assert trend.shape is shape


def test_a_cache_that_still_fills_is_inconclusive_and_says_how_long_to_wait() -> None:
    trend = judged([(20 << 20) * (1 - math.exp(-call / 150)) for call in range(CALLS)], sigma=KIB)
    assert trend.status is Status.INCONCLUSIVE
    assert trend.calls_needed is not None and trend.calls_needed >= CALLS // 2
    assert f"but growth slows down; needs another {trend.calls_needed} calls" in str(trend.reason)


@pytest.mark.parametrize(
    ("curve", "shape"),
    [
        ([30.0 * KIB * (call // 10) for call in range(CALLS)], Shape.STEPWISE),
        ([KIB * 4 * (call % 17) + 8 * KIB * call for call in range(CALLS)], Shape.LINEAR),
        ([16.0 * KIB * max(call - 110, 0) for call in range(CALLS)], Shape.LATE_START),
        ([40.0 * call**2 for call in range(CALLS)], Shape.ACCELERATING),
    ],
    ids=["one call in ten", "beneath a sawtooth", "after a third", "quadratic"],
)
def test_leaks_that_are_no_straight_line_are_leaks(curve: list[float], shape: Shape) -> None:
    trend = judged(curve)
    assert (trend.status, trend.shape) == (Status.LEAK, shape)


def test_growth_below_the_tolerance_is_no_leak() -> None:
    assert judged([96.0 * call for call in range(CALLS)]).status is Status.NO_LEAK


def test_thirty_two_bytes_a_call_are_found_with_a_hundred_calls_a_sample() -> None:
    trend = judged([3200.0 * sample for sample in range(CALLS)], calls_per_sample=100)
    assert (trend.status, trend.rate, trend.tolerance) == (Status.LEAK, 32, 2.56)


def test_growth_in_every_one_of_100_samples_is_not_yet_a_leak() -> None:
    trend = judged([64.0 * KIB * call for call in range(100)])
    assert (trend.status, trend.calls_needed) == (Status.INCONCLUSIVE, 50)


def test_few_samples_say_nothing() -> None:
    trend = judged([99999.0 * call for call in range(MIN_SAMPLES - 1)])
    assert (trend.status, trend.rate, trend.shape) == (
        Status.INCONCLUSIVE,
        None,
        Shape.UNLABELLED,
    )
    assert f"samples; needs {MIN_SAMPLES}, for a leak" in str(trend.reason)


def test_the_net_growth_is_exact_beyond_what_a_float_holds() -> None:
    big = 2**62
    trend = judge_series([big + call for call in range(CALLS)], unit="count", tolerance=2)
    assert trend.net == CALLS - 1


@pytest.mark.parametrize(
    ("values", "settings", "expected"),
    [
        ([1.0, math.nan], {}, "finite"),
        ([[1, 2], [3, 4]], {}, "flat sequence"),
        ([1, 2], {"tolerance": -1}, "tolerance"),
        ([1, 2], {"tolerance": math.inf}, "tolerance"),
        ([1, 2], {"calls_per_sample": 0}, "calls_per_sample"),
        ([1, 2], {"alpha": 0.5}, "alpha"),
        ([1, 2], {"unit": "furlongs"}, "furlongs"),
        ([1, 2], {"unit": "ns"}, "give a tolerance"),
    ],
)
def test_what_makes_no_sense_is_refused(
    values: list[Any], settings: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        judge_series(values, **{"unit": "bytes"} | settings)


def test_the_public_name_is_the_same_and_its_result_cannot_be_changed() -> None:
    trend = leakhunt.judge_series([0] * CALLS, unit=Unit.COUNT)
    with pytest.raises(FrozenInstanceError):
        trend.status = Status.LEAK  # type: ignore[misc]
