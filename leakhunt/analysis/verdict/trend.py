"""The floor of a series, its slope, and the three ways in which growth may be no leak.

A leak must raise the *floor*: transient peaks, collector sawteeth and one-off high-water marks do
not. So the samples are cut into blocks, each block gives its minimum, and everything is decided on
these floors: their slope by Theil and Sen's method with exact bounds, then whether one step made
most of it, whether it slows down, and whether a warm-up fits them as well as a leak does.

Sources: Theil (1950), Sen (1968); the bounds invert Kendall's test as in Hollander, Wolfe and
Chicken, Nonparametric Statistical Methods, 3rd ed., section 9.3, one side at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import factorial, inf

import numpy as np
from numpy.typing import NDArray

from leakhunt.analysis.student import student

Floats = NDArray[np.float64]

BLOCKS = 8
# Each block is cut into three again for the warm-up profile, which needs more points.
FINE_BLOCKS = 3 * BLOCKS
# One-sided. With 8 blocks the exact level is 0.0071, the largest attainable not above this.
ALPHA = 0.01
# No step between two floors may be more than this share of the net growth: else it is one-off.
LARGEST_STEP_SHARE = 0.5
# The later half must grow at this share of the earlier half's rate or faster: else it slows down.
MIN_LATER_SHARE = 0.6
# Time constants of a warm-up that are tried, in blocks of the fine floors: from one to 3/4 of all.
# Slower ones cannot be told from a line at all. So many that none falls between two, 5 % apart.
_TIME_CONSTANTS = np.geomspace(1, 0.75 * FINE_BLOCKS, 60)
# 95 % one-sided, with 21 degrees of freedom (24 floors, 3 parameters).
_STUDENT = student(FINE_BLOCKS - 3, 0.90)
# 90 % of F(1, 21): a time constant is out when its residual is worse than the best by more. A 95 %
# point would keep more of them, at the price of detection; the curves showed no need.
_F_RATIO = 2.96


@dataclass(frozen=True, slots=True)
class Slope:
    """Units per sample: the median of the pairwise slopes, with one-sided bounds."""

    rate: float
    low: float
    high: float


def fine_floors(values: Floats) -> tuple[Floats, int]:
    """The minima of `FINE_BLOCKS` blocks of equal length, and that length in samples.

    Samples that do not fill the blocks evenly are left out at the start, where warm-up is likelier.
    """
    length = len(values) // FINE_BLOCKS
    first = len(values) - length * FINE_BLOCKS
    return values[first:].reshape(FINE_BLOCKS, length).min(axis=1), length


def floors(fine: Floats) -> Floats:
    """The minima of `BLOCKS` blocks, from those of the fine ones."""
    least: Floats = fine.reshape(BLOCKS, -1).min(axis=1)
    return least


def theil_sen(heights: Floats, width: float, alpha: float = ALPHA) -> Slope:
    """The slope of `heights` (4 or more) that stand `width` samples apart; bounds of 1 - alpha."""
    earlier, later = np.triu_indices(len(heights), 1)
    slopes = np.sort((heights[later] - heights[earlier]) / ((later - earlier) * width))
    critical = kendall_critical(len(heights), alpha)
    # A slope b is rejected as too small if S(b) = #(slopes > b) - #(slopes < b) >= critical.
    skipped = (len(slopes) - critical) // 2
    return Slope(float(np.median(slopes)), float(slopes[skipped]), float(slopes[-1 - skipped]))


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


@cache
def kendall_tail(count: int, score: int) -> float:
    """P(Kendall's S >= `score`) for `count` points without ties and without a trend; exact."""
    pairs = count * (count - 1) // 2
    inversions = [1]
    for size in range(2, count + 1):
        inversions = _with_one_more(inversions, size)
    # S = pairs - 2 * discordant.
    most = (pairs - score) // 2
    return sum(inversions[: max(most + 1, 0)]) / factorial(count)


def _with_one_more(inversions: list[int], size: int) -> list[int]:
    """Permutations of `size` things by their number of inversions, from those of one fewer."""
    longer = [0] * (len(inversions) + size - 1)
    for already, permutations in enumerate(inversions):
        for added in range(size):
            longer[already + added] += permutations
    return longer


def mostly_one_step(heights: Floats) -> bool:
    """Whether one step between two floors is more than half of the net growth."""
    return bool(np.diff(heights).max() > LARGEST_STEP_SHARE * (heights[-1] - heights[0]))


def later_share(heights: Floats) -> float:
    """The slope of the later half of the floors over that of the earlier half; inf for a flat one.

    A line has 1; a ramp that stopped half-way 0; what accelerates more than 1.
    """
    half = len(heights) // 2
    earlier, later = _median_slope(heights[:half]), _median_slope(heights[half:])
    return later / earlier if earlier > 0 else inf


def _median_slope(heights: Floats) -> float:
    one, other = np.triu_indices(len(heights), 1)
    return float(np.median((heights[other] - heights[one]) / (other - one)))


# Warm-ups with time constants up to this share of the samples are told from a leak.
SLOWEST_WARM_UP_SHARE = float(_TIME_CONSTANTS[-1]) / FINE_BLOCKS


def slope_beyond_warm_up(fine: Floats, width: int) -> float:
    """What is left of the slope if a warm-up explains as much of the growth as it can.

    The 95 % lower bound of b in a + b t + c exp(-t / tau) with c <= 0, in units per sample: the
    least over all tau that the fine floors do not rule out, and over the straight line.
    """
    curves = _curves()
    slopes, squares = _line().fit(fine)
    bent_slopes, bent_squares = curves.fit(fine)
    downwards = curves.solve(fine)[:, 2] <= 0
    lows = np.concatenate([slopes, bent_slopes[downwards]])
    left = np.concatenate([squares, bent_squares[downwards]])
    allowed = left <= left.min() * (1 + _F_RATIO / (FINE_BLOCKS - 3))
    return float(lows[allowed].min()) / width


@dataclass(frozen=True, slots=True)
class _Designs:
    """Least-squares designs of one form: columns (n, 24, k), and what solves them."""

    columns: Floats
    inverses: Floats
    slope_variances: Floats

    @classmethod
    def of(cls, columns: Floats) -> _Designs:
        covariances = np.linalg.inv(columns.transpose(0, 2, 1) @ columns)
        variances: Floats = covariances[:, 1, 1].astype(float)
        return cls(columns, np.linalg.pinv(columns).astype(float), variances)

    def solve(self, heights: Floats) -> Floats:
        """The coefficients (n, k): constant, slope and, for a curve, its exponential part."""
        solution: Floats = self.inverses @ heights
        return solution

    def fit(self, heights: Floats) -> tuple[Floats, Floats]:
        """Lower bounds of the slope (n,) and sums of squared residuals (n,)."""
        solutions = self.solve(heights)
        rest = heights - (self.columns @ solutions[:, :, None])[:, :, 0]
        squares = (rest**2).sum(axis=1)
        freedom = len(heights) - solutions.shape[1]
        spread = np.sqrt(squares / freedom * self.slope_variances)
        return solutions[:, 1] - _STUDENT * spread, squares


@cache
def _line() -> _Designs:
    times = np.arange(FINE_BLOCKS, dtype=float)
    return _Designs.of(np.stack([np.ones_like(times), times], axis=1)[None])


@cache
def _curves() -> _Designs:
    times = np.arange(FINE_BLOCKS, dtype=float)
    return _Designs.of(
        np.stack(
            [
                np.stack([np.ones_like(times), times, np.exp(-times / constant)], axis=1)
                for constant in _TIME_CONSTANTS
            ]
        )
    )
