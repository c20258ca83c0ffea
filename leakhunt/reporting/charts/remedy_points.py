"""The remedy board: what each remedy saves and what it costs, as points with intervals. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leakhunt.model.attribution import Interval
from leakhunt.model.report import Cost, Report
from leakhunt.model.series import ANONYMOUS, LIVE_HEAP
from leakhunt.model.verdict import Trend


@dataclass(frozen=True, slots=True)
class BoardPoint:
    """A remedy that was tried, or a variant beside its reference.

    `saved` is in bytes per call, of live memory where it is seen; `time_ratio` the time of a call
    as a multiple of what it was. For a remedy both are 95 % intervals over its rounds; for a
    variant the bounds of `saved` are those of two trends (99 % each), of the ratio the quartiles.
    `differs`: whether the results are others; None where they were not compared. `rounding`: so
    much may two allocators be apart that count the same blocks.
    """

    name: str
    saved: Interval
    time_ratio: Interval
    differs: bool | None
    rounding: float = 0.0

    @property
    def saves(self) -> bool:
        """Whether anything that shows is saved."""
        return self.saved.low > self.rounding


def board(report: Report) -> tuple[BoardPoint, ...]:
    """One point a remedy and a variant, where both sides could be measured."""
    return (*_trials(report), *_variants(report))


def _trials(report: Report) -> Iterator[BoardPoint]:
    for trial in report.trials:
        if trial.saved is None:  # what it saves is not known: it has no place on the board
            continue
        yield BoardPoint(
            name=f"{trial.variant}: {trial.remedy}",
            saved=trial.saved,
            time_ratio=trial.time_ratio,
            differs=trial.differing > 0 if trial.compared else None,
            rounding=trial.rounding,
        )


def _variants(report: Report) -> Iterator[BoardPoint]:
    if not report.entries or report.entries[0].variant != report.entries[0].run.plan.reference:
        return
    base, series = report.entries[0], saved_series(report)
    for entry in report.entries[1:]:
        saved = _saved(base.verdict.trends.get(series), entry.verdict.trends.get(series))
        ratio = _ratio(base.cost, entry.cost)
        if saved is not None and ratio is not None:
            difference = entry.difference
            differs = None if difference is None else difference.differing > 0
            yield BoardPoint(entry.variant, saved, ratio, differs)


def saved_series(report: Report) -> str:
    """By which series variants are compared: live memory, or of services what is seen of it."""
    read = report.entries[0].verdict.trends if report.entries else {}
    return ANONYMOUS if LIVE_HEAP not in read and ANONYMOUS in read else LIVE_HEAP


def _saved(base: Trend | None, trend: Trend | None) -> Interval | None:
    if base is None or trend is None or base.rate is None or trend.rate is None:
        return None
    assert base.rate_low is not None and base.rate_high is not None
    assert trend.rate_low is not None and trend.rate_high is not None
    return Interval(
        base.rate - trend.rate, base.rate_low - trend.rate_high, base.rate_high - trend.rate_low
    )


def _ratio(base: Cost | None, cost: Cost | None) -> Interval | None:
    if base is None or cost is None or base.median_seconds <= 0:
        return None
    seconds = (cost.median_seconds, cost.lower_quartile_seconds, cost.upper_quartile_seconds)
    return Interval(*(each / base.median_seconds for each in seconds))
