"""Rules by which others call a series a leak, each as published, for one series of readings.

Where a tool decides from more than one series, or while it measures, what it does is translated;
the docstring says how. One-sided level of the statistical tests: 0.01.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]
Rule = Callable[[Series], bool]

ALPHA_NORMAL = 2.326
BASE_IN_SIGMA = 200.0


def end_minus_start(values: Series) -> bool:
    """Ten last against ten first readings, by more than 3 sigma (from the differences)."""
    sigma = float(np.median(np.abs(np.diff(values)))) / 0.954
    return bool(values[-10:].mean() - values[:10].mean() > 3 * sigma)


def _line(values: Series) -> tuple[float, Series, Series]:
    """The least-squares slope, the centred times, and what the line leaves."""
    times: Series = np.arange(len(values), dtype=float) - (len(values) - 1) / 2
    slope = float(times @ values / (times @ times))
    rest: Series = values - float(values.mean()) - slope * times
    return slope, times, rest


def least_squares(values: Series) -> bool:
    """The t-test of a regression slope."""
    slope, times, rest = _line(values)
    error = sqrt(float(rest @ rest) / (len(values) - 2) / float(times @ times))
    return slope > ALPHA_NORMAL * error and slope > 0


def newey_west(values: Series) -> bool:
    """The same with Newey and West's errors (1987), lag 4 (n / 100) ** (2 / 9)."""
    slope, times, rest = _line(values)
    moments = times * rest
    variance = float(moments @ moments)
    lags = int(4 * (len(values) / 100) ** (2 / 9))
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(moments[lag:] @ moments[:-lag])
    error = sqrt(max(variance, 0.0)) / float(times @ times)
    return slope > ALPHA_NORMAL * error and slope > 0


def _kendall(values: Series) -> tuple[float, float]:
    """Kendall's S and its variance without ties."""
    count = len(values)
    score = float(np.sign(values[None, :] - values[:, None])[np.triu_indices(count, 1)].sum())
    return score, count * (count - 1) * (2 * count + 5) / 18


def mann_kendall(values: Series) -> bool:
    """Mann (1945) and Kendall (1975)."""
    score, variance = _kendall(values)
    return score - 1 > ALPHA_NORMAL * sqrt(variance)


def hamed_rao(values: Series) -> bool:
    """Mann-Kendall with Hamed and Rao's variance (1998) for autocorrelated ranks."""
    count = len(values)
    score, variance = _kendall(values)
    slope = float(np.median(np.diff(values)))
    ranks = np.argsort(np.argsort(values - slope * np.arange(count))).astype(float)
    ranks -= ranks.mean()
    total = float(ranks @ ranks)
    factor = 1.0
    for lag in range(1, count - 1):
        correlation = float(ranks[lag:] @ ranks[:-lag]) / total
        if abs(correlation) > 1.96 / sqrt(count):
            weight = (count - lag) * (count - lag - 1) * (count - lag - 2)
            factor += 2 * weight * correlation / (count * (count - 1) * (count - 2))
    return score - 1 > ALPHA_NORMAL * sqrt(variance * max(factor, 1e-9))


def theil_sen(values: Series) -> bool:
    """The lower 99 % bound of Sen's slope (1968) on the raw readings is above zero."""
    earlier, later = np.triu_indices(len(values), 1)
    slopes = np.sort((values[later] - values[earlier]) / (later - earlier))
    _, variance = _kendall(values)
    return bool(slopes[int((len(slopes) - ALPHA_NORMAL * sqrt(variance)) / 2)] > 0)


def precog(values: Series) -> bool:
    """Jindal et al., Online memory leak detection in the cloud-based infrastructures (2021).

    Readings smoothed over five; windows from each change point (a step of more than 3 standard
    deviations of the differences, or the start) to the end; a leak if a window of a fifth of the
    readings or more fits a rising line with R2 above 0.88. The critical utilization that the
    paper extrapolates to is left out: any rising line meets it in the end.
    """
    smooth = np.convolve(values, np.ones(5) / 5, mode="valid")
    moves = np.diff(smooth)
    limit = 3 * float(moves.std()) or np.inf
    starts = [0, *(np.flatnonzero(np.abs(moves - moves.mean()) > limit) + 1)]
    for start in starts:
        window = smooth[start:]
        if len(window) < max(len(values) // 5, 10):
            continue
        slope, _, rest = _line(window)
        spread = float(((window - window.mean()) ** 2).sum())
        if slope > 0 and spread > 0 and 1 - float(rest @ rest) / spread > 0.88:
            return True
    return False


def psleak(values: Series) -> bool:
    """psleak 0.1.6 (Rodola): growth per call that does not fade over rounds of 1.5 times the calls.

    Ten rounds, each half as long again; it passes at the first round that does not grow, or when
    the growth per call falls by a fifth twice in a row. Here the rounds share the readings there
    are. psleak collects and trims at both ends of a round, which a series cannot show.
    """
    rounds = 10
    lengths = np.cumsum([1.5**number for number in range(rounds)])
    edges = np.round(lengths / lengths[-1] * (len(values) - 1)).astype(int)
    start, previous, fading = 0, 0.0, 0
    for edge in edges:
        if edge == start:
            continue
        growth = values[edge] - values[start]
        average = growth / (edge - start)
        if growth <= 0:
            return False
        fading = fading + 1 if average <= previous * 0.8 else 0
        if fading >= 2:
            return False
        start, previous = edge, average
    return True


def scalene(values: Series) -> bool:
    """Scalene (Berger): Laplace's rule of succession at new maxima of the footprint.

    Scalene tracks one allocation whenever the footprint reaches a new maximum, and asks at the next
    one whether it was freed; likelihood of a leak 1 - (frees + 1) / (allocations + 2) of 0.95 or
    more, with growth of 1 % or more. Here the allocation counts as freed if the series went below
    where it was before that maximum; the base that the 1 % is of is 200 sigma.
    """
    allocations = frees = 0
    highest, before, lowest = values[0], values[0], values[0]
    for value in values[1:]:
        lowest = min(lowest, value)
        if value > highest:
            allocations += 1
            frees += int(lowest < before)
            before, highest, lowest = highest, value, value
    likelihood = 1 - (frees + 1) / (allocations + 2)
    return bool(likelihood >= 0.95 and values[-1] - values[0] >= 0.01 * BASE_IN_SIGMA)


RIVALS: dict[str, Rule] = {
    "end minus start": end_minus_start,
    "least squares": least_squares,
    "least squares, Newey-West": newey_west,
    "Mann-Kendall": mann_kendall,
    "Mann-Kendall, Hamed-Rao": hamed_rao,
    "Theil-Sen": theil_sen,
    "Precog": precog,
    "psleak": psleak,
    "scalene": scalene,
}
