"""What is to be read first: who leaks, at which rate, and how little would have been seen. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from leakhunt.amounts import format_amount, format_rate
from leakhunt.model.kinds import Kind
from leakhunt.model.report import JudgedRun, Report
from leakhunt.model.run import Run
from leakhunt.model.verdict import Status, Verdict
from leakhunt.reporting.shared.facts import series_words
from leakhunt.text.language import mark, tr


def summary(report: Report) -> str:
    """Who leaks and who does not, in one line: ``Leaks: naive. Does not leak: fixed-shape.``."""
    told = []
    for status, words in _SUMMARIES.items():
        names = Counter(e.variant for e in report.entries if e.verdict.status is status)
        if names:
            each = tr(", ").join(_often(name, count) for name, count in names.items())
            told.append(tr("{kind}: {told}.", kind=tr(words), told=each))
    return " ".join(told) or tr("Nothing was measured.")


def _often(name: str, count: int) -> str:
    """A variant, with how many runs of it there are where there are several."""
    return name if count == 1 else tr("{name} ({count} runs)", name=name, count=count)


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


# What stands for a run: the series that leaks, else that was judged; the first of these.
SHOWN_SERIES = (
    "live_heap",
    "cuda_allocated",
    "python_blocks",
    "anonymous",
    "rss",
    "cuda_process",
    "descriptors",
    "threads",
    "children",
)
# ... but of a leak in CUDA, of mappings or of resources, these before all.
_FIRST = {
    str(Kind.CUDA_LEAK): ("cuda_allocated",),
    str(Kind.RESOURCE_GROWTH): ("descriptors", "threads", "children"),
    str(Kind.MAPPING_GROWTH): ("rss",),
    # Of a killed service, what its limit counts.
    str(Kind.KILLED): ("anonymous",),
}


def shown_series(kind: str, read: Collection[str], leaking: Collection[str]) -> str:
    """The series of a run to be shown where there is room for one; empty where none was read."""
    order = (*_FIRST.get(kind, ()), *SHOWN_SERIES)
    told = [name for name in order if name in leaking] + [name for name in order if name in read]
    return next(iter(told), "")


def main_series(run: Run, verdict: Verdict | None) -> str:
    """`shown_series` of a run; `verdict` is None where it is not judged."""
    read = {name for name in SHOWN_SERIES if len(run.samples.get(name, ()))}
    if verdict is None:
        return shown_series("", read, ())
    leaking = {name for name, trend in verdict.trends.items() if trend.status is Status.LEAK}
    return shown_series(str(verdict.kind), read, leaking & read)


def headline(entry: JudgedRun) -> Headline | None:
    """The rate to show beside a verdict; None where none could be told."""
    trend = entry.verdict.trends.get(main_series(entry.run, entry.verdict))
    if trend is None or trend.rate is None or trend.rate_low is None or trend.rate_high is None:
        return None
    titles = {series.name: tr(series.title) for series in entry.run.series}
    low, high = (format_amount(bound, trend.unit) for bound in (trend.rate_low, trend.rate_high))
    return Headline(
        titles.get(trend.series, trend.series),
        format_rate(trend.rate, trend.unit, entry.run.plan.work),
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
            format_rate(trend.detectable, trend.unit, entry.run.plan.work),
            format_rate(trend.tolerance, trend.unit, entry.run.plan.work),
            f"{trend.samples:,}",
        )
        for entry in report.entries
        for trend in entry.verdict.trends.values()
        if trend.detectable is not None
    )
