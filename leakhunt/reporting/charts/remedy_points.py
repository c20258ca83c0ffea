"""The remedy board: what each remedy saves and what it costs, as points with intervals. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leakhunt.model.attribution import Interval
from leakhunt.model.report import Cost, Report


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
    base = report.entries[0]
    for entry in report.entries[1:]:
        saved = report.saved(entry)
        ratio = _ratio(base.cost, entry.cost)
        if saved is not None and ratio is not None:
            difference = entry.difference
            differs = None if difference is None else difference.differing > 0
            yield BoardPoint(entry.variant, saved, ratio, differs)


def _ratio(base: Cost | None, cost: Cost | None) -> Interval | None:
    if base is None or cost is None or base.median_seconds <= 0:
        return None
    seconds = (cost.median_seconds, cost.lower_quartile_seconds, cost.upper_quartile_seconds)
    return Interval(*(each / base.median_seconds for each in seconds))
