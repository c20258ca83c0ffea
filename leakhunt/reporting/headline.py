"""What is to be read first: who leaks, at which rate, and how little would have been seen. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leakhunt.language import mark, retold, tr
from leakhunt.model import JudgedRun, Report, Status
from leakhunt.reporting.facts import (
    series_words,
)
from leakhunt.units import format_amount, format_rate


def summary(report: Report) -> str:
    """Who leaks and who does not, in one line: ``Leaks: naive. Does not leak: fixed-shape.``."""
    told = []
    for status, words in _SUMMARIES.items():
        names = [entry.variant for entry in report.entries if entry.verdict.status is status]
        if names:
            told.append(tr("{kind}: {told}.", kind=tr(words), told=tr(", ").join(names)))
    return " ".join(told) or tr("Nothing was measured.")


_SUMMARIES: Mapping[Status, str] = {
    Status.LEAK: mark("Leaks"),
    Status.INCONCLUSIVE: mark("Not decided"),
    Status.NO_LEAK: mark("Does not leak"),
}


@dataclass(frozen=True, slots=True)
class Headline:
    """The one rate of a run to be read first: its series, the rate, and its 99 % bounds."""

    title: str
    text: str
    bounds: str


# What stands for a run: the series that leaks, else the first of these that was judged.
_HEADLINES = (
    "live_heap",
    "cuda_allocated",
    "python_blocks",
    "rss",
    "descriptors",
    "threads",
    "children",
)


def main_series(entry: JudgedRun) -> str:
    """The series to be shown where there is room for one; empty where none was read."""
    read = [name for name in _HEADLINES if len(entry.run.samples.get(name, ()))]
    trends = entry.verdict.trends
    leaking = [name for name in read if name in trends and trends[name].status is Status.LEAK]
    return next(iter((*leaking, *read)), "")


def headline(entry: JudgedRun) -> Headline | None:
    """The rate to show beside a verdict; None where none could be told."""
    trend = entry.verdict.trends.get(main_series(entry))
    if trend is None or trend.rate is None or trend.rate_low is None or trend.rate_high is None:
        return None
    titles = {series.name: retold(series.title) for series in entry.run.series}
    low, high = (format_amount(bound, trend.unit) for bound in (trend.rate_low, trend.rate_high))
    return Headline(
        titles.get(trend.series, trend.series),
        format_rate(trend.rate, trend.unit),
        tr("({low} to {high})", low=low, high=high),
    )


NOISE_HEADINGS = (
    mark("variant"),
    mark("series"),
    mark("smallest leak that would show"),
    mark("tolerance"),
    mark("samples"),
)


def noise(report: Report) -> tuple[tuple[str, ...], ...]:
    """Under `NOISE_HEADINGS`, for every run and series: what a leak must be to be seen."""
    return tuple(
        (
            entry.variant,
            series_words(trend.series),
            format_rate(trend.detectable, trend.unit),
            format_rate(trend.tolerance, trend.unit),
            f"{trend.samples:,}",
        )
        for entry in report.entries
        for trend in entry.verdict.trends.values()
        if trend.detectable is not None
    )
