"""What is drawn of a series: its readings, or the figure per call, per second or per hundred. Pure.

A run file holds raw sums since the sample before; what people read of them is a rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from leakhunt.model.plan import Work
from leakhunt.model.run import Run
from leakhunt.model.series import (
    ANONYMOUS,
    CGROUP,
    DURATION,
    ELAPSED,
    FAILURES,
    RSS,
    SERIES,
    Series,
    SeriesFacts,
    Unit,
    full_title,
)
from leakhunt.reporting.charts.thinning import SMOOTHED_SAMPLES, smoothed, smoothed_title
from leakhunt.text.language import mark, tr

_SECOND = 1e9
# What is drawn of these is a rate.
_TITLES = {
    ELAPSED: mark("requests per second"),
    FAILURES: mark("failed requests (%)"),
}
_OF_REQUESTS = {DURATION: mark("response time, mean")}


def is_absolute(name: str) -> bool:
    """Whether a series is drawn as it is. Of memory and counts the change is what matters."""
    return name in SERIES and SERIES[name].is_absolute


def is_drawable(run: Run, name: str) -> bool:
    """Whether a series was read and is a figure: a second that is looked on always takes one."""
    return bool(len(run.samples.get(name, ()))) and (name != DURATION or run.plan.work.is_timed)


def is_worth_drawing(run: Run, facts: SeriesFacts) -> bool:
    """Whether a series was read and, where that is asked for, ever changed."""
    if not is_drawable(run, facts.name):
        return False
    values = run.samples[facts.name]
    moves = min(values) != max(values) or (facts.is_summed and any(values))
    return moves or not facts.only_if_moving


def heights(run: Run, name: str) -> Sequence[float]:
    """One number a sample: nanoseconds per call, requests a second, failures of a hundred.

    These are smoothed: one slow call is no curve. Any other series is as it was read.
    """
    values = run.samples[name][: run.samples_done]
    if not is_absolute(name):
        return values
    if name == FAILURES:
        return _failing(values, list(_calls(run)))
    figures = [
        _figure(name, value, calls) for value, calls in zip(values, _calls(run), strict=True)
    ]
    return smoothed(figures, SMOOTHED_SAMPLES // 2)


def _calls(run: Run) -> Iterator[int]:
    """The calls that each sample stands for; a warm-up may have other samples."""
    made = (0, *run.calls[: run.samples_done])
    return (max(later - sooner, 1) for sooner, later in pairwise(made))


def _figure(name: str, value: int, calls: int) -> float:
    if name == DURATION:
        return value / calls
    if name == ELAPSED:
        return calls * _SECOND / max(value, 1)
    return float(value)


def _failing(failures: Sequence[int], calls: Sequence[int]) -> list[float]:
    """Of a hundred, over as many samples as are smoothed: most have none, and a median says so."""
    reach, failed, made = SMOOTHED_SAMPLES // 2, [0, *accumulate(failures)], [0, *accumulate(calls)]
    ends = [
        (max(place - reach, 0), min(place + reach + 1, len(calls))) for place in range(len(calls))
    ]
    return [100 * (failed[end] - failed[at]) / (made[end] - made[at]) for at, end in ends]


def title(series: Series, work: Work) -> str:
    """The title of what is drawn of a series."""
    title = _TITLES.get(series.name)
    if title is None and work is Work.REQUEST:
        title = _OF_REQUESTS.get(series.name)
    named = tr(title) if title is not None else _title(series)
    if series.name == FAILURES:
        return tr("{title} (mean of {count} samples)", title=named, count=SMOOTHED_SAMPLES)
    return smoothed_title(named) if is_absolute(series.name) else named


def _title(series: Series) -> str:
    return str(full_title(series)) if series.name in SERIES else tr(series.title)


def unit(series: Series) -> Unit:
    """The unit of what is drawn of a series."""
    return Unit.COUNT if series.name in _TITLES else series.unit


def seconds_passed(run: Run) -> list[float]:
    """Seconds until each sample: of the load on a service those that passed, else those in calls.

    Empty where neither was read.
    """
    name = DURATION if run.plan.load is None else ELAPSED
    return [spent / _SECOND for spent in accumulate(run.samples.get(name, ()))]


def limited_series(run: Run) -> str:
    """The series that a memory limit is about: of a service in a cgroup, what that counts most."""
    return ANONYMOUS if run.samples.get(CGROUP) and ANONYMOUS in run.samples else RSS
