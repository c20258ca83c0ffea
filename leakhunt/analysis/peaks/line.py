"""Peak over input size: a least-squares line, and what it predicts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import fmean

from leakhunt.analysis.student import student
from leakhunt.model.peaks import PeakLine, PeakPoint, PredictedPeak

_MIN_POINTS = 5
# The largest input is at least so many times the smallest, or there is no slope to speak of.
_RANGE = 1.5


def fitted(points: Sequence[PeakPoint], unit: str, base_bytes: float) -> PeakLine | None:
    """The line through the points; None where the peak does not depend on the input for certain.

    `base_bytes` is the RSS that the peaks are counted from.
    """
    sizes = [point.input for point in points]
    if len(points) < _MIN_POINTS or min(sizes) <= 0 or max(sizes) < _RANGE * min(sizes):
        return None
    taken = [float(point.size_bytes) for point in points]
    mean, level = fmean(sizes), fmean(taken)
    spread = sum((size - mean) ** 2 for size in sizes)
    slope = sum((size - mean) * (each - level) for size, each in zip(sizes, taken, strict=True))
    slope /= spread
    intercept = level - slope * mean
    off = [each - intercept - slope * size for size, each in zip(sizes, taken, strict=True)]
    freedom = len(points) - 2
    residual = sqrt(sum(each**2 for each in off) / freedom)
    reach = student(freedom) * residual / sqrt(spread)
    if slope - reach <= 0:
        return None
    return PeakLine(
        unit=unit,
        per_unit_bytes=slope,
        low=slope - reach,
        high=slope + reach,
        base_bytes=base_bytes + intercept,
        largest_input=max(sizes),
        count=len(points),
        mean_input=mean,
        spread=spread,
        residual_bytes=residual,
    )


def predicted(line: PeakLine, size: float) -> PredictedPeak:
    """The RSS that a call with an input of that `size` reaches: 99 % interval for one call."""
    middle = line.base_bytes + line.per_unit_bytes * size
    share = 1 + 1 / line.count + (size - line.mean_input) ** 2 / line.spread
    reach = student(line.count - 2) * line.residual_bytes * sqrt(share)
    return PredictedPeak(size, middle, middle - reach, middle + reach)
