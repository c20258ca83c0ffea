from __future__ import annotations

from itertools import combinations, permutations

import pytest

from leakhunt.verdict.trend import ALPHA, floors, kendall_critical, theil_sen


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


def test_the_slope_of_a_line_is_found_exactly() -> None:
    slope = theil_sen([10.0 + 3 * place for place in range(8)], range(8))
    assert (slope.rate, slope.low, slope.high) == (3, 3, 3)


def test_the_bounds_are_where_kendalls_test_begins_to_reject() -> None:
    heights = [0.0, 3.0, 2.0, 7.0, 5.0, 11.0, 9.0, 14.0]

    def score(slope: float) -> int:
        straightened = [height - slope * place for place, height in enumerate(heights)]
        return sum(1 if later > earlier else -1 for earlier, later in combinations(straightened, 2))

    found = theil_sen(heights, range(8))
    critical = kendall_critical(8, ALPHA)
    assert score(found.low - 1e-9) >= critical > score(found.low + 1e-9)
    assert score(found.high + 1e-9) <= -critical < score(found.high - 1e-9)


def test_one_wild_floor_does_not_move_the_slope() -> None:
    heights: list[float] = [float(place) for place in range(8)]
    heights[3] = 1000.0
    slope = theil_sen(heights, range(8))
    assert slope.rate == pytest.approx(1.0, abs=0.5)
    assert slope.low <= 1.0 <= slope.high


def test_a_floor_is_the_lowest_sample_of_its_block() -> None:
    sawtooth = [place % 10 for place in range(80)]
    heights, places = floors(sawtooth)
    assert heights == [0] * 8
    assert places == [4.5 + 10 * block for block in range(8)]


def test_samples_that_do_not_fill_the_blocks_are_left_out_at_the_start() -> None:
    heights, _ = floors([-100, -100, -100, *range(80)])
    assert min(heights) == 0
