"""How likely growth is by chance, and what is left of many verdicts at one false discovery rate.

The p-value of a run is that of its verdict's own test: Kendall's, exact, of the floors of the
series against its tolerance. Repeats of a cell are joined by Fisher's method, cells are corrected
by Benjamini and Hochberg's (1995): of the cells called a leak, at most that share is false, in the
mean. They hold where runs are independent, which processes of their own are.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import numpy as np

from leakhunt.analysis.verdict.judge import tolerance_of
from leakhunt.analysis.verdict.resampling import distance, resampled
from leakhunt.analysis.verdict.series import DISCARDED_SHARE, MIN_SAMPLES
from leakhunt.analysis.verdict.trend import BLOCKS, Floats, fine_floors, floors, kendall_tail
from leakhunt.model.run import Run
from leakhunt.model.series import leak_series


def p_value(run: Run) -> float | None:
    """The chance of growth above the tolerance like this run's, where there is none; None: no idea.

    The smallest of its series, times their number.
    """
    even = resampled(run)
    found = [
        _of_series(even, series.name, tolerance_of(series.name, series.unit, distance(even)))
        for series in even.series
        if series.name in leak_series()
    ]
    known = [each for each in found if each is not None]
    return min(min(known) * len(known), 1.0) if known else None


def _of_series(run: Run, name: str, tolerance: float) -> float | None:
    readings = np.asarray(run.samples[name][run.judged_from : run.samples_done])
    if len(readings) < MIN_SAMPLES:
        return None
    heights: Floats = (readings - readings[:1]).astype(float)
    fine, width = fine_floors(heights[int(len(heights) * DISCARDED_SHARE) :])
    return _of_floors(floors(fine), tolerance * distance(run) * width * len(fine) / BLOCKS)


def _of_floors(heights: Floats, tolerance: float) -> float:
    """`tolerance`: from one floor to the next."""
    earlier, later = np.triu_indices(len(heights), 1)
    rises = heights[later] - heights[earlier] - tolerance * (later - earlier)
    return kendall_tail(len(heights), int((rises > 0).sum() - (rises < 0).sum()))


def joined(p_values: Sequence[float]) -> float:
    """The p-value of several independent ones together, by Fisher's method.

    The tail of chi-squared with an even number of degrees of freedom has a closed form.
    """
    if not p_values:
        return 1.0
    if min(p_values) <= 0:
        return 0.0
    half = -sum(map(log, p_values))
    term = total = 1.0
    for place in range(1, len(p_values)):
        term *= half / place
        total += term
    return min(exp(-half) * total, 1.0)


def q_values(p_values: Sequence[float]) -> list[float]:
    """The false discovery rate at which each is still a discovery, in the order given."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    found = [1.0] * len(p_values)
    least = 1.0
    for rank in range(len(order), 0, -1):
        place = order[rank - 1]
        least = min(least, p_values[place] * len(order) / rank)
        found[place] = least
    return found
