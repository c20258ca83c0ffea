"""What is to be read first: who leaks, at which rate, and how little would have been seen. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from leakhunt.amounts import format_amount, format_rate
from leakhunt.model.kinds import Kind
from leakhunt.model.report import JudgedRun, Report
from leakhunt.model.run import Run
from leakhunt.model.series import (
    ANONYMOUS,
    CUDA_ALLOCATED,
    RSS,
    SeriesDisplay,
    SeriesRole,
    Unit,
    displayed,
    judged_series,
    short_title,
)
from leakhunt.model.verdict import Status, Verdict
from leakhunt.reporting.shared.facts import title_in
from leakhunt.text.interval import lower_bound
from leakhunt.text.language import mark, tr


def summary(report: Report) -> str:
    """Who leaks and who does not, in one line: ``Leaks: naive. Does not leak: fixed-shape.``."""
    sentences = []
    for status, words in _SUMMARIES.items():
        names = Counter(e.variant for e in report.entries if e.verdict.status is status)
        if names:
            each = tr(", ").join(_often(name, count) for name, count in names.items())
            sentences.append(tr("{kind}: {told}.", kind=tr(words), told=each))
    filling = Counter(e.variant for e in report.entries if e.verdict.warns)
    if filling:
        each = tr(", ").join(_often(name, count) for name, count in filling.items())
        sentences.append(tr("{kind}: {told}.", kind=tr("Memory fills the limit"), told=each))
    return " ".join(sentences) or tr("Not measured.")


def _often(name: str, count: int) -> str:
    """A variant, with how many runs of it there are where there are several."""
    return name if count == 1 else tr("{name} ({count} runs)", name=name, count=count)


_SUMMARIES: Mapping[Status, str] = {
    Status.LEAK: mark("Leaks"),
    Status.INCONCLUSIVE: mark("Inconclusive"),
    Status.NO_LEAK: mark("No leak"),
}


@dataclass(frozen=True, slots=True)
class Headline:
    """The one rate of a run to be read first: its series, the rate, and its 99 % bounds."""

    title: str
    text: str
    bounds: str


_ROLES = (SeriesRole.LIVE, SeriesRole.RETAINED, SeriesRole.RESOURCE)


def headline_series() -> tuple[str, ...]:
    """What stands for a run: the series that leaks, else that was judged; the first of these.

    What is live comes before what is held, and bytes before blocks.
    """
    rows = [row for row in displayed(SeriesDisplay.HEADLINE) if row.role in _ROLES]
    rows.sort(key=lambda row: (_ROLES.index(row.role), row.unit is not Unit.BYTES))
    return tuple(row.name for row in rows)


def _first_of(kind: str) -> tuple[str, ...]:
    """... but of a leak in CUDA, of mappings or of resources, these before all."""
    if kind == Kind.CUDA_LEAK:
        return (CUDA_ALLOCATED,)
    if kind == Kind.RESOURCE_GROWTH:
        return judged_series(SeriesRole.RESOURCE)
    if kind == Kind.MAPPING_GROWTH:
        return (RSS,)
    # Of a killed service, what its limit counts.
    return (ANONYMOUS,) if kind == Kind.KILLED else ()


def shown_series(kind: str, read: Collection[str], leaking: Collection[str]) -> str:
    """The series of a run to be shown where there is room for one; empty where none was read."""
    order = (*_first_of(kind), *headline_series())
    names = [name for name in order if name in leaking] + [name for name in order if name in read]
    return next(iter(names), "")


def main_series(run: Run, verdict: Verdict | None) -> str:
    """`shown_series` of a run; `verdict` is None where it is not judged."""
    read = {name for name in headline_series() if len(run.samples.get(name, ()))}
    if verdict is None:
        return shown_series("", read, ())
    leaking = {name for name, trend in verdict.trends.items() if trend.status is Status.LEAK}
    return shown_series(str(verdict.kind), read, leaking & read)


def headline(entry: JudgedRun) -> Headline | None:
    """The rate to show beside a verdict; None where none could be told."""
    trend = entry.verdict.trends.get(main_series(entry.run, entry.verdict))
    if trend is None or trend.rate is None or trend.rate_low is None or trend.rate_high is None:
        return None
    low, high = (format_amount(bound, trend.unit) for bound in (trend.rate_low, trend.rate_high))
    work = entry.run.plan.work
    rate = format_rate(trend.rate, trend.unit, work)
    if trend.rate_in_bytes:
        rate = f"{rate}, {format_rate(trend.rate_in_bytes, Unit.BYTES, work)}"
    return Headline(
        title_in(entry.run, trend.series),
        rate,
        tr("({low} to {high})", low=lower_bound(low, high), high=high),
    )


NOISE_HEADINGS = (
    mark("variant"),
    mark("series"),
    mark("detection limit"),
    mark("tolerance"),
    mark("samples"),
)


def noise(report: Report) -> tuple[tuple[str, ...], ...]:
    """Under `NOISE_HEADINGS`, for every run and series: what a leak must be to be seen."""
    return tuple(
        (
            entry.variant,
            str(short_title(trend.series)),
            format_rate(trend.detection_limit, trend.unit, entry.run.plan.work),
            format_rate(trend.tolerance, trend.unit, entry.run.plan.work),
            f"{trend.samples:,}",
        )
        for entry in report.entries
        for trend in entry.verdict.trends.values()
        if trend.detection_limit is not None
    )
