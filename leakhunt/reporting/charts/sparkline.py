"""A run's memory as a curve of a word's size: for a card, a table, a terminal. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING

from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Run
from leakhunt.reporting.shared.headline import main_series

if TYPE_CHECKING:
    from markupsafe import Markup

# Width and height of the picture, in its own units.
_PICTURE = (144.0, 35.0)
_BARS = "▁▂▃▄▅▆▇█"
# A curve that moves by less than this part of what it stands at is drawn level.
_LEVEL = 0.001


@dataclass(frozen=True, slots=True)
class Sparkline:
    """`heights` from 0 to 1, evenly along the run; the first `warm_up` part of it is not judged."""

    heights: tuple[float, ...]
    warm_up: float


def sparkline(entry: JudgedRun, points: int) -> Sparkline:
    """At most `points` heights, each the mean of its stretch of the run; none without samples."""
    return series_line(entry.run, main_series(entry.run, entry.verdict), points)


def series_line(run: Run, series: str, points: int) -> Sparkline:
    """The same of one series, whatever is judged."""
    values = run.samples.get(series, ())
    if not len(values):
        return Sparkline((), 0.0)
    if run.plan.load is not None:
        return _along_requests(run, values[: run.samples_done], points)
    return Sparkline(_scaled(_means(values, points)), run.judged_from / len(values))


def _along_requests(run: Run, values: Sequence[int], points: int) -> Sparkline:
    """A long soak takes its samples ever further apart: evenly is by requests, not by samples."""
    calls = run.calls[: run.samples_done]
    count = min(points, len(values))
    ends = [bisect_left(calls, at * calls[-1] / count) for at in range(count)]
    stretches = pairwise((*ends, len(values)))
    means = [fmean(values[begin : max(end, begin + 1)]) for begin, end in stretches]
    warm_up = calls[run.judged_from - 1] if run.judged_from else 0
    return Sparkline(_scaled(means), warm_up / calls[-1])


def bars(drawn: Sparkline) -> str:
    """``▁▂▃▄▅▆▇█``: one character a height."""
    return "".join(_BARS[min(int(height * len(_BARS)), len(_BARS) - 1)] for height in drawn.heights)


def path(drawn: Sparkline, width: float, height: float) -> str:
    """The ``d`` of an SVG path in a box of this size."""
    step = width / max(len(drawn.heights) - 1, 1)
    places = (f"{at * step:.1f},{height * (1 - each):.1f}" for at, each in enumerate(drawn.heights))
    return "M" + " L".join(places) if drawn.heights else ""


def picture(drawn: Sparkline) -> Markup:
    """The curve as a small SVG, hidden from screen readers: the text beside it says it."""
    from markupsafe import Markup

    width, height = _PICTURE
    return Markup(
        '<svg class="spark" viewBox="0 -2 {w:g} {h:g}" preserveAspectRatio="none"'
        ' aria-hidden="true"><rect y="-2" width="{warm:.1f}" height="{h:g}"/>'
        '<path d="{path}"/></svg>'
    ).format(w=width, h=height + 4, warm=width * drawn.warm_up, path=path(drawn, width, height))


def _means(values: Sequence[int], points: int) -> list[float]:
    count = min(points, len(values))
    ends = [round(at * len(values) / count) for at in range(count + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(ends)]


def _scaled(means: Sequence[float]) -> tuple[float, ...]:
    low, high = min(means), max(means)
    span = max(high - low, _LEVEL * abs(high), 1.0)
    return tuple((each - low) / span for each in means)
