"""What the page's script draws, as plain data: curves, warm-ups, ends and trends. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import accumulate
from typing import Any

from leakhunt.model.plan import Work
from leakhunt.model.report import JudgedRun, Report
from leakhunt.model.run import Ending
from leakhunt.model.series import AUDIO, Series, SeriesDisplay, Unit, displayed
from leakhunt.reporting.charts.series_values import (
    heights,
    is_absolute,
    is_drawable,
    is_worth_drawing,
    limited_series,
    seconds_passed,
    title,
    unit,
)
from leakhunt.reporting.charts.thinning import decimated
from leakhunt.reporting.charts.trendline import trend_line
from leakhunt.reporting.shared.load_table import work_of
from leakhunt.text.language import mark, tr

# Between these the script finds the time and the audio of a call.
_KNOTS = 400
# At most about so many points a curve, so that the page stays below 6 MB.
POINTS = 1000
_MINUTE = 60e9


def plot_data(report: Report) -> dict[str, Any]:
    """What is drawn: the series that a run has read, and every run's curves.

    Values are in the series' unit. A curve with many samples is thinned as the figures are: each
    bucket keeps its lowest and highest sample. ``along`` holds calls with the seconds spent in
    calls, or passed under load (and the minutes of audio heard) until then; a second that is looked
    on is its own time.
    """
    return {
        "series": [
            {
                "name": series.name,
                "title": title(series, work_of(report)),
                "unit": _unit(unit(series)),
                "absolute": is_absolute(series.name),
            }
            for series in _drawn_series(report)
        ],
        "variants": [_variant(entry) for entry in report.entries],
    }


def _unit(unit: Unit) -> str:
    """What the script scales by, and what it writes where there is nothing to scale."""
    return tr(unit) if unit is Unit.BLOCKS else str(unit)


def _drawn_series(report: Report) -> Iterator[Series]:
    known = {series.name: series for entry in report.entries for series in entry.run.series}
    for facts in displayed(SeriesDisplay.PAGE):
        if facts.name in known and any(
            is_worth_drawing(entry.run, facts) for entry in report.entries
        ):
            yield known[facts.name]


def _variant(entry: JudgedRun) -> dict[str, Any]:
    run = entry.run
    drawn = [facts.name for facts in displayed(SeriesDisplay.PAGE) if is_drawable(run, facts.name)]
    first = min(run.judged_from, max(run.samples_done - 1, 0))
    return {
        "name": entry.variant,
        "ended": _ended(entry),
        "limit": run.plan.memory_limit_bytes,
        "limited": limited_series(run),
        "warmUp": run.calls[first - 1] if first else 0,
        "judgedFrom": run.calls[first] if run.samples_done else 0,
        "along": _along(entry),
        "curves": {name: _curve(entry, name) for name in drawn},
        "base": {name: run.samples[name][first] for name in drawn if not is_absolute(name)},
        "trends": {
            name: asdict(line) for name in drawn if (line := trend_line(entry, name)) is not None
        },
    }


_ENDED = {
    Work.CALL: mark("{ending}{signal} after call {calls_done:,}"),
    Work.REQUEST: mark("{ending}{signal} after request {calls_done:,}"),
    Work.SECOND: mark("{ending}{signal} after {calls_done:,} s"),
}


def _ended(entry: JudgedRun) -> str:
    outcome = entry.run.outcome
    if outcome.ending is Ending.OK:
        return ""
    signal = f" ({outcome.signal})" if outcome.signal else ""
    return tr(
        _ENDED[entry.run.plan.work],
        ending=tr(outcome.ending),
        signal=signal,
        calls_done=entry.run.calls_done,
    )


def _along(entry: JudgedRun) -> dict[str, list[float]]:
    run = entry.run
    count = run.samples_done
    knots = sorted({round(at * (count - 1) / _KNOTS) for at in range(_KNOTS + 1)}) if count else []
    axes: dict[str, list[float]] = {"call": [run.calls[at] for at in knots]}
    passed = seconds_passed(run) if run.plan.work.is_timed else []
    heard = [spent / _MINUTE for spent in accumulate(run.samples.get(AUDIO, ()))]
    for name, total in (("time", passed), ("audio", heard)):
        if total:
            axes[name] = [round(total[at], 6) for at in knots]
    return axes


def _curve(entry: JudgedRun, name: str) -> dict[str, list[float]]:
    places, shown = decimated(heights(entry.run, name), POINTS)
    return {"call": [entry.run.calls[place] for place in places], "value": list(shown)}
