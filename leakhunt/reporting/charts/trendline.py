"""The fitted trend of a series as a line with its band, to be drawn over the curve. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from leakhunt.model.report import JudgedRun


@dataclass(frozen=True, slots=True)
class TrendLine:
    """From the first judged call to the last: both ends of the line and of its 99 % band.

    The lines cross where the judged calls have their mean: the bounds are bounds of the slope.
    Heights are in the series' unit.
    """

    calls: tuple[int, int]
    heights: tuple[float, float]
    lowest: tuple[float, float]
    highest: tuple[float, float]


def trend_line(entry: JudgedRun, name: str) -> TrendLine | None:
    """The trend of a series over the judged calls; None where there is none."""
    trend = entry.verdict.trends.get(name)
    run = entry.run
    judged = run.samples.get(name, ())[run.judged_from :]
    if trend is None or trend.rate is None or len(judged) < 2:
        return None
    if trend.rate_low is None or trend.rate_high is None:
        return None
    ends = (run.calls[run.judged_from], run.calls[run.samples_done - 1])
    calls = run.calls[run.judged_from : run.samples_done]
    # A long soak takes its samples ever further apart: each counts by the calls it stands for.
    weights = [max(later - sooner, 1) for sooner, later in pairwise((calls[0] - 1, *calls))]
    weights[0] = weights[1]
    middle, mean = fmean(calls, weights), fmean(judged[: len(calls)], weights)

    def through(rate: float) -> tuple[float, float]:
        return mean + rate * (ends[0] - middle), mean + rate * (ends[1] - middle)

    return TrendLine(ends, through(trend.rate), through(trend.rate_low), through(trend.rate_high))
