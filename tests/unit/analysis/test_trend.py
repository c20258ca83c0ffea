from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from leakhunt.analysis.verdict.trend import (
    ALPHA,
    FINE_BLOCKS,
    fine_floors,
    floors,
    kendall_critical,
    later_share,
    mostly_one_step,
    slope_beyond_warm_up,
    theil_sen,
)


@pytest.mark.parametrize(("count", "alpha"), [(5, 0.05), (6, 0.01), (7, 0.01)])
def test_the_critical_value_is_that_of_counting_all_permutations(count: int, alpha: float) -> None:
    scores = [
        sum(1 if later > earlier else -1 for earlier, later in combinations(order, 2))
        for order in permutations(range(count))
    ]
    critical = kendall_critical(count, alpha)
    assert sum(score >= critical for score in scores) <= alpha * len(scores)
    assert sum(score >= critical - 2 for score in scores) > alpha * len(scores)


def test_too_few_points_for_the_level_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot reach"):
        kendall_critical(3, 0.01)


def heights(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def test_the_slope_of_a_line_is_found_exactly() -> None:
    slope = theil_sen(10 + 6 * np.arange(8.0), width=2)
    assert (slope.rate, slope.low, slope.high) == (3, 3, 3)


def test_the_bounds_are_where_kendalls_test_begins_to_reject() -> None:
    uneven = heights(0, 3, 2, 7, 5, 11, 9, 14)

    def score(slope: float) -> int:
        straightened = uneven - slope * np.arange(8)
        return sum(1 if later > earlier else -1 for earlier, later in combinations(straightened, 2))

    found = theil_sen(uneven, width=1)
    critical = kendall_critical(8, ALPHA)
    assert score(found.low - 1e-9) >= critical > score(found.low + 1e-9)
    assert score(found.high + 1e-9) <= -critical < score(found.high - 1e-9)


def test_one_wild_floor_does_not_move_the_slope() -> None:
    slope = theil_sen(heights(0, 1, 2, 1000, 4, 5, 6, 7), width=1)
    assert slope.rate == pytest.approx(1.0, abs=0.5)
    assert slope.low <= 1.0 <= slope.high


def test_a_floor_is_the_lowest_sample_of_its_block() -> None:
    fine, width = fine_floors(np.arange(240.0) % 10)
    assert (width, len(fine)) == (10, FINE_BLOCKS)
    assert set(fine) == {0}
    assert list(floors(np.arange(24.0))) == [0, 3, 6, 9, 12, 15, 18, 21]


def test_samples_that_do_not_fill_the_blocks_are_left_out_at_the_start() -> None:
    fine, _ = fine_floors(np.array([-100.0] * 3 + list(range(48))))
    assert fine.min() == 0


def test_a_ramp_that_stopped_half_way_has_no_later_share() -> None:
    assert later_share(heights(0, 1, 2, 3, 4, 4, 4, 4)) == 0
    assert later_share(np.arange(8.0)) == 1
    assert later_share(heights(0, 0, 0, 0, 1, 2, 3, 4)) == np.inf


def test_one_step_is_told_from_even_growth() -> None:
    assert mostly_one_step(heights(0, 0, 0, 9, 9, 9, 9, 9))
    assert not mostly_one_step(np.arange(8.0))


@pytest.mark.parametrize("time_constant", [2.0, 6.0, 12.0])
def test_a_warm_up_leaves_no_slope_of_its_own(time_constant: float) -> None:
    curve = 100 * (1 - np.exp(-np.arange(FINE_BLOCKS) / time_constant))
    noise = np.random.default_rng(1).normal(0, 0.5, FINE_BLOCKS)
    assert slope_beyond_warm_up(curve + noise, width=1) < 0.2


def test_a_line_keeps_its_slope_whatever_warm_up_is_tried() -> None:
    noise = np.random.default_rng(1).normal(0, 0.5, FINE_BLOCKS)
    assert 1 < slope_beyond_warm_up(10 * np.arange(FINE_BLOCKS) + noise, width=5) <= 2


def test_a_warm_up_before_a_leak_takes_nothing_from_its_slope() -> None:
    times = np.arange(FINE_BLOCKS)
    noise = np.random.default_rng(1).normal(0, 0.1, FINE_BLOCKS)
    low = slope_beyond_warm_up(50 * (1 - np.exp(-times / 3)) + times + noise, width=1)
    assert 0.8 < low < 1.1
