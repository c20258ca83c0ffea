"""The floor of a series and its slope.

A leak must raise the *floor*: transient peaks, collector sawteeth and one-off high-water marks do
not. So the samples are cut into blocks, each block gives its minimum, and the slope is estimated on
these few floors by Theil and Sen's method with exact confidence bounds.

Sources: Theil (1950), Sen (1968); the bounds invert Kendall's test as in Hollander, Wolfe and
Chicken, Nonparametric Statistical Methods, 3rd ed., section 9.3, one side at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import factorial
from statistics import median

BLOCKS = 8
# One-sided. With 8 blocks the exact level is 0.0071, the largest attainable not above this.
ALPHA = 0.01


@dataclass(frozen=True, slots=True)
class Slope:
    """Units per call: the median of the pairwise slopes, with one-sided 99 % bounds."""

    rate: float
    low: float
    high: float


def floors(values: Sequence[int]) -> tuple[list[int], list[float]]:
    """The minima of `BLOCKS` blocks of equal length and the blocks' centres, in calls.

    Samples that do not fill the blocks evenly are left out at the start, where warm-up is likelier.
    """
    length = len(values) // BLOCKS
    first = len(values) - length * BLOCKS
    edges = range(first, len(values), length)
    return (
        [min(values[edge : edge + length]) for edge in edges],
        [edge + (length - 1) / 2 for edge in edges],
    )


def theil_sen(heights: Sequence[float], places: Sequence[float]) -> Slope:
    """The slope of `heights` over `places` (same length, 5 or more, places rising)."""
    points = zip(places, heights, strict=True)
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for earlier, later in combinations(points, 2)
    )
    critical = kendall_critical(len(heights), ALPHA)
    # A slope b is rejected as too small if S(b) = #(slopes > b) - #(slopes < b) >= critical.
    skipped = (len(slopes) - critical) // 2
    return Slope(median(slopes), slopes[skipped], slopes[-1 - skipped])


@cache
def kendall_critical(count: int, alpha: float) -> int:
    """The smallest S with P(Kendall's S >= S) <= alpha for `count` points without ties; exact.

    Raises:
        ValueError: too few points for this alpha.
    """
    pairs = count * (count - 1) // 2
    inversions = [1]
    for size in range(2, count + 1):
        inversions = _with_one_more(inversions, size)
    tail = 0
    for discordant in range(pairs + 1):
        tail += inversions[discordant]
        if tail > alpha * factorial(count):
            if discordant == 0:
                raise ValueError(f"{count} points cannot reach alpha {alpha}")
            return pairs - 2 * (discordant - 1)
    raise ValueError(f"alpha {alpha} is not below 1")


def _with_one_more(inversions: list[int], size: int) -> list[int]:
    """Permutations of `size` things by their number of inversions, from those of one fewer."""
    longer = [0] * (len(inversions) + size - 1)
    for already, permutations in enumerate(inversions):
        for added in range(size):
            longer[already + added] += permutations
    return longer
