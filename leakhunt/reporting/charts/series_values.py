"""What is drawn of a series: its readings, or the figure per call, per second or per hundred. Pure.

A run file holds raw sums since the sample before; what people read of them is a rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from leakhunt.model.plan import Work
from leakhunt.model.run import Run
from leakhunt.model.series import Series, Unit
from leakhunt.reporting.charts.thinning import SMOOTHED_SAMPLES, smoothed, smoothed_title
from leakhunt.text.language import mark, tr

_SECOND = 1e9
# Drawn as they are. All others are memory or a count, whose change is what matters.
ABSOLUTE = ("duration", "p95", "elapsed", "failures")
_TITLES = {
    "elapsed": mark("requests a second"),
    "failures": mark("failed, of 100 requests"),
}
_OF_REQUESTS = {"duration": mark("response time, mean")}


def heights(run: Run, name: str) -> Sequence[float]:
    """One number a sample: nanoseconds per call, requests a second, failures of a hundred.

    These are smoothed: one slow call is no curve. Any other series is as it was read.
    """
    values = run.samples[name][: run.samples_done]
    if name not in ABSOLUTE:
        return values
    if name == "failures":
        return _failing(values, list(_calls(run)))
    told = [_figure(name, value, calls) for value, calls in zip(values, _calls(run), strict=True)]
    return smoothed(told, SMOOTHED_SAMPLES // 2)


def _calls(run: Run) -> Iterator[int]:
    """The calls that each sample stands for; a warm-up may have other samples."""
    made = (0, *run.calls[: run.samples_done])
    return (max(later - sooner, 1) for sooner, later in pairwise(made))


def _figure(name: str, value: int, calls: int) -> float:
    if name == "duration":
        return value / calls
    if name == "elapsed":
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
    told = _TITLES.get(series.name)
    if told is None and work is Work.REQUEST:
        told = _OF_REQUESTS.get(series.name)
    named = tr(told) if told is not None else tr(series.title)
    if series.name == "failures":
        return tr("{title} (mean of {count} samples)", title=named, count=SMOOTHED_SAMPLES)
    return smoothed_title(named) if series.name in ABSOLUTE else named


def unit(series: Series) -> Unit:
    """The unit of what is drawn of a series."""
    return Unit.COUNT if series.name in _TITLES else series.unit


def seconds_passed(run: Run) -> list[float]:
    """Seconds until each sample: of the load on a service those that passed, else those in calls.

    Empty where neither was read.
    """
    name = "duration" if run.plan.load is None else "elapsed"
    return [spent / _SECOND for spent in accumulate(run.samples.get(name, ()))]


def limited_series(run: Run) -> str:
    """The series that a memory limit is about: of a service in a cgroup, what that counts most."""
    return "anonymous" if run.samples.get("cgroup") and "anonymous" in run.samples else "rss"
