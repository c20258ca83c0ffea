"""Intervals of means and of their differences."""

from __future__ import annotations

from statistics import variance

import numpy as np
import pytest

from leakhunt.analysis.comparison.intervals import (
    Mean,
    between_runs,
    less,
    mean_of,
    pooled,
)
from leakhunt.analysis.student import student


def test_a_mean_has_students_interval() -> None:
    found = mean_of([1.0, 2.0, 3.0])
    assert (found.value, found.freedom) == (2.0, 2)
    assert found.half_width == pytest.approx(9.925 / 3**0.5)
    assert mean_of([5.0, 5.0]).half_width == 0.0


def test_fewer_degrees_of_freedom_are_taken_where_the_table_has_none() -> None:
    assert student(13.9) == student(12)
    assert student(1e9) == student(30)
    assert student(0.3) == student(1)
    assert sorted((student(n) for n in range(1, 40)), reverse=True) == [
        student(n) for n in range(1, 40)
    ]


def test_welchs_freedom_lies_between_the_smaller_and_the_sum() -> None:
    found = less(Mean(5.0, 4.0, 3), Mean(2.0, 4.0, 3))
    assert (found.value, found.variance) == (3.0, 8.0)
    assert found.freedom == pytest.approx(6)
    assert less(Mean(0.0, 1e-9, 2), Mean(0.0, 1.0, 5)).freedom == pytest.approx(5, rel=1e-3)
    assert less(Mean(1.0, 0.0, 2), Mean(0.0, 0.0, 5)) == Mean(1.0, 0.0, 2)
    assert less(Mean(1.0, 1e-200, 2), Mean(0.0, 1e-200, 5)).freedom == 2


def test_growth_over_longer_pieces_weighs_more() -> None:
    found = pooled([10.0, 40.0], [200.0, 100.0])
    assert found.value == pytest.approx(20.0)
    # One call varies by 200 * 10**2 + 100 * 20**2, with one degree of freedom; 300 calls by less.
    assert found.variance == pytest.approx(60_000 / 300)
    assert found.freedom == 1


def test_a_single_run_is_taken_to_vary_as_the_repeats_beside_it() -> None:
    repeats = [10.0, 12.0, 14.0]
    found = between_runs([3.0], repeats)
    assert found.value == pytest.approx(9.0)
    assert found.variance == pytest.approx(variance(repeats) * (1 + 1 / 3))
    assert found.freedom == 2
    assert between_runs(repeats, [3.0]).value == pytest.approx(-9.0)


@pytest.mark.parametrize(("before", "after"), [(3, 3), (2, 5), (1, 4)])
def test_repeats_of_the_same_differ_in_one_of_a_hundred(before: int, after: int) -> None:
    rng = np.random.default_rng(4)
    misses = 0
    for _ in range(2000):
        found = between_runs(rng.normal(size=before).tolist(), rng.normal(size=after).tolist())
        misses += abs(found.value) > found.half_width
    assert misses / 2000 <= 0.016  # 0.01, and three standard errors
