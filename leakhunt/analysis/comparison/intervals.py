"""Student's 99 % intervals, for one mean and for the difference of two. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance

from leakhunt.analysis.student import student


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with the variance of that mean, estimated with so many degrees of freedom."""

    value: float
    variance: float
    freedom: float

    @property
    def half_width(self) -> float:
        """Half of the 99 % interval."""
        return student(self.freedom) * sqrt(self.variance)


def mean_of(values: Sequence[float]) -> Mean:
    """The mean of two or more independent values."""
    return Mean(fmean(values), variance(values) / len(values), len(values) - 1)


def pooled(values: Sequence[float], pieces: Sequence[float]) -> Mean:
    """The mean of rates over pieces of so many calls each; two or more.

    For growth that comes in independent steps: a rate over n calls then has a variance of one call
    over n.
    """
    total = sum(pieces)
    both = list(zip(values, pieces, strict=True))
    mean = sum(value * piece for value, piece in both) / total
    one_call = sum(piece * (value - mean) ** 2 for value, piece in both) / (len(both) - 1)
    return Mean(mean, one_call / total, len(both) - 1)


def less(after: Mean, before: Mean) -> Mean:
    """`after` less `before`, independent of each other: Welch's, with Satterthwaite's freedom."""
    total = after.variance + before.variance
    if not total:
        return Mean(after.value - before.value, 0.0, min(after.freedom, before.freedom))
    parts = after.variance**2 / after.freedom + before.variance**2 / before.freedom
    # So small that its square is no number any more: as good as none.
    freedom = total**2 / parts if parts else min(after.freedom, before.freedom)
    return Mean(after.value - before.value, total, freedom)


def between_runs(before: Sequence[float], after: Sequence[float]) -> Mean:
    """The mean of `after` less that of `before`, by the spread between runs; three values or more.

    Welch's, where both have repeats. A single run is taken to vary as the repeats beside it do.
    """
    if len(before) > 1 and len(after) > 1:
        return less(mean_of(after), mean_of(before))
    repeats = before if len(before) > 1 else after
    spread = variance(repeats) * (1 + 1 / len(repeats))
    return Mean(fmean(after) - fmean(before), spread, len(repeats) - 1)
