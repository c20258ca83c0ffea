"""The leak curves: all variants on one axis, one panel a series, before and after side by side.

Every curve is the change since the first call after the warm-up, so that variants with different
bases can be compared and the one-off growth of the warm-up does not flatten what follows; where it
leaves the panel it is cut off there, and the panel says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from leakhunt.amounts import Count, format_bytes
from leakhunt.model.plan import Work
from leakhunt.model.report import JudgedRun, Report
from leakhunt.model.run import Ending
from leakhunt.model.series import (
    DURATION,
    ELAPSED,
    FAILURES,
    RSS,
    SERIES,
    SeriesDisplay,
    SeriesFacts,
    Unit,
    displayed,
)
from leakhunt.model.verdict import Status
from leakhunt.reporting.charts.series_values import (
    heights,
    is_absolute,
    is_worth_drawing,
    limited_series,
    title,
)
from leakhunt.reporting.charts.style import (
    COLOURS,
    DASHES,
    SMALL,
    SOFT,
    WIDTH_INCHES,
    Label,
    byte_scale,
    label_in_margin,
    named,
    plain,
    png,
    stack,
    svg,
    svg_element,
)
from leakhunt.reporting.charts.thinning import MAX_POINTS, decimated
from leakhunt.reporting.charts.trendline import trend_line
from leakhunt.reporting.shared.load_table import work_of
from leakhunt.text.language import mark, tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLES = {
    Work.CALL: mark("{title}: memory by call"),
    Work.REQUEST: mark("{title}: memory by request"),
    Work.SECOND: mark("{title}: memory over time"),
}
_UNITS = {ELAPSED: mark("requests/s"), FAILURES: mark("of 100")}
_PANEL_INCHES = 2.5
# Every curve has its label beside the panel.
_INCHES_PER_LABEL = 0.24
_TITLE_INCHES = 0.1
_MAX_PANEL_INCHES = 12.0
# The still picture of a page, which also carries all curves as data.
_POINTS_IN_A_PAGE = 600
_LOGARITHMIC_FROM_RATIO = 8.0


def curves_png(report: Report) -> bytes:
    """The figure as PNG."""
    return png(partial(curves_figure, report))


def curves_svg(report: Report) -> bytes:
    """The figure as an SVG file."""
    return svg(partial(curves_figure, report))


def curves_element(report: Report) -> str:
    """The figure as an ``<svg>`` element for an HTML page, the same for the same report."""
    return svg_element(partial(curves_figure, report, _POINTS_IN_A_PAGE), "curves")


def curves_figure(report: Report, most: int = MAX_POINTS) -> Figure:
    """A panel for each series that is drawn and was read; at most some `most` points a curve."""
    from matplotlib.figure import Figure

    shown = [facts.name for facts in displayed(SeriesDisplay.FIGURE) if _read_by_any(report, facts)]
    names = shown or [RSS]
    labels = _INCHES_PER_LABEL * len(report.entries)
    height = min(max(_PANEL_INCHES, labels), _MAX_PANEL_INCHES) * len(names) + 0.5
    figure = Figure(figsize=(WIDTH_INCHES, height))
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(panels, names, strict=True):
        _draw_panel(axes, report, name, most, is_first=axes is panels[0])
    label = tr(work_of(report))
    if _by_sample(report):
        each = _calls_per_sample(report)
        label = tr(
            "sample (of {fewest:,} to {most:,} calls, by variant)", fewest=each[0], most=each[-1]
        )
    panels[-1].set_xlabel(label)
    title_of_all = tr(_TITLES[work_of(report)], title=named(str(report.title)))
    figure.suptitle(title_of_all, fontsize=12, weight="bold", y=1.0 - _TITLE_INCHES / height)
    stack(figure, list(panels))
    return figure


def _read_by_any(report: Report, facts: SeriesFacts) -> bool:
    return any(is_worth_drawing(entry.run, facts) for entry in report.entries)


def _draw_panel(axes: Axes, report: Report, name: str, most: int, is_first: bool) -> None:
    runs = [
        (index, entry) for index, entry in enumerate(report.entries) if entry.run.samples.get(name)
    ]
    if not runs:
        axes.text(0.5, 0.5, tr("no samples"), transform=axes.transAxes, ha="center", color=SOFT)
        return
    curves = {index: _heights(entry, name) for index, entry in runs}
    scale, unit = _scale(name, _spread(list(curves.values()), [entry for _, entry in runs]))
    scaled = {index: [height / scale for height in heights] for index, heights in curves.items()}
    ends = []
    for index, entry in runs:
        along = _along(entry, report)
        _draw_curve(axes, index, *decimated(scaled[index], most), along)
        ends.append((index, entry, along[len(scaled[index]) - 1], scaled[index][-1]))
        if not is_absolute(name) and not _by_sample(report):
            _draw_trend(axes, index, entry, name, scale)
    axes.set_xlim(0, max(*(call for _, _, call, _ in ends), 2))
    axes.set_title(_title(name, runs[0][1], report), loc="left", fontsize=11)
    axes.set_ylabel(unit)
    judged = [
        height
        for index, entry in runs
        for height in (scaled[index][entry.run.judged_from :] or scaled[index])
    ]
    _set_limits(axes, name, judged, min(map(min, scaled.values())))
    _mark_warm_up(axes, min(_warm_up_end(entry, report) for _, entry in runs))
    for index, entry in runs:
        if name == limited_series(entry.run):
            _mark_memory_limit(axes, index, entry, scale)
    lengths = {entry.run.calls_done for entry in report.entries}
    _label_ends(axes, ends, with_calls=is_first and len(lengths) > 1)


def _draw_curve(
    axes: Axes,
    index: int,
    places: Sequence[int],
    heights: Sequence[float],
    along: Sequence[int],
) -> None:
    axes.plot(
        [along[place] for place in places],
        heights,
        color=COLOURS[index % len(COLOURS)],
        linestyle=DASHES[index % len(DASHES)],
        linewidth=2.4 if index == 0 else 1.6,
        zorder=3 if index == 0 else 2,
    )


def _draw_trend(axes: Axes, index: int, entry: JudgedRun, name: str, scale: float) -> None:
    """The trend of what leaks, over the judged calls, with the band of its 99 % bounds."""
    trend, line = entry.verdict.trends.get(name), trend_line(entry, name)
    if trend is None or trend.status is not Status.LEAK or line is None:
        return
    colour = COLOURS[index % len(COLOURS)]
    base = entry.run.samples[name][entry.run.judged_from]
    low, high, middle = (
        [(height - base) / scale for height in heights]
        for heights in (line.lowest, line.highest, line.heights)
    )
    axes.fill_between(line.calls, low, high, color=colour, alpha=0.14, linewidth=0, zorder=1)
    axes.plot(line.calls, middle, color=colour, linewidth=0.8, linestyle=(0, (1, 2)), zorder=4)


def _mark_warm_up(axes: Axes, end: int) -> None:
    if not end:
        return
    axes.axvspan(0, end, color="#f0f0f0", zorder=0, linewidth=0)
    axes.annotate(
        tr("warm-up"), (0, 0.95), xycoords=axes.get_xaxis_transform(), xytext=(4, 0),
        textcoords="offset points", va="top", color=SOFT, fontsize=SMALL,
    )  # fmt: skip


def _mark_memory_limit(axes: Axes, index: int, entry: JudgedRun, scale: float) -> None:
    """The limit that a run was given, in its own colour, where it is in view."""
    limit = entry.run.plan.memory_limit_bytes
    if limit is None:
        return
    read = entry.run.samples[limited_series(entry.run)]
    place = (limit - read[min(entry.run.judged_from, len(read) - 1)]) / scale
    if axes.get_ylim()[0] < place < axes.get_ylim()[1]:
        colour = COLOURS[index % len(COLOURS)]
        axes.axhline(place, color=colour, linewidth=1.2, linestyle="dashed", zorder=1)
        axes.text(
            0.995,
            place,
            tr(
                "memory limit of {name}: {limit}",
                name=named(entry.variant),
                limit=format_bytes(limit),
            ),
            transform=axes.get_yaxis_transform(), ha="right", va="top", color=colour,
            fontsize=SMALL,
        )  # fmt: skip


def _by_sample(report: Report) -> bool:
    """Whether calls are no common measure: a sample is one call here and a thousand there.

    The requests of services are one, however many of them a sample stands for.
    """
    return work_of(report) is Work.CALL and len(_calls_per_sample(report)) > 1


def _calls_per_sample(report: Report) -> list[int]:
    """How many calls a sample may be, of runs that have one."""
    return sorted(
        {entry.run.calls_per_sample for entry in report.entries if entry.run.samples_done}
    )


def _along(entry: JudgedRun, report: Report) -> Sequence[int]:
    """Where each sample stands on the axis."""
    if _by_sample(report):
        return range(1, entry.run.samples_done + 1)
    return entry.run.calls


def _warm_up_end(entry: JudgedRun, report: Report) -> int:
    first = entry.run.judged_from
    return _along(entry, report)[first - 1] if first else 0


def _heights(entry: JudgedRun, name: str) -> list[float]:
    """Times and rates as they are, anything else as change since the end of the warm-up."""
    values = heights(entry.run, name)
    if is_absolute(name):
        return [value / (1e9 if name == DURATION else 1.0) for value in values]
    base = values[min(entry.run.judged_from, len(values) - 1)]
    return [float(value - base) for value in values]


def _spread(curves: Sequence[Sequence[float]], entries: Sequence[JudgedRun]) -> float:
    """The largest distance from zero after the warm-up."""
    return max(
        (
            abs(height)
            for heights, entry in zip(curves, entries, strict=True)
            for height in (heights[entry.run.judged_from :] or heights)
        ),
        default=0.0,
    )


def _scale(name: str, spread: float) -> tuple[float, str]:
    if name == DURATION:
        return (1.0, "s") if spread >= 1 else (1e-3, "ms") if spread >= 1e-3 else (1e-6, "µs")
    if name in _UNITS:
        return 1.0, tr(_UNITS[name])
    unit = SERIES[name].unit
    return byte_scale(spread) if unit is Unit.BYTES else (1.0, tr(unit))


def _title(name: str, entry: JudgedRun, report: Report) -> str:
    titles = {series.name: title(series, work_of(report)) for series in entry.run.series}
    text = titles.get(name, name)
    if is_absolute(name):
        return plain(text)
    return plain(tr("{title}, change after warm-up", title=text))


def _set_limits(axes: Axes, name: str, judged: Sequence[float], lowest: float) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = min(judged), max(judged)
    if is_absolute(name):
        if low > 0 and high / low >= _LOGARITHMIC_FROM_RATIO:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.set_ylim(low / 1.4, high * 1.6)
        else:
            axes.set_ylim(0, high * 1.15 or 1)
        return
    room = max(high - low, 1.0)
    axes.set_ylim(low - 0.12 * room, high + 0.12 * room)
    axes.axhline(0, color="#999999", linewidth=0.8, zorder=1)
    if lowest < low - 0.12 * room:
        axes.text(
            0.995, 0.03, tr("growth during warm-up is not shown"), transform=axes.transAxes,
            ha="right", va="bottom", color=SOFT, fontsize=SMALL,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )  # fmt: skip


def _label_ends(
    axes: Axes, ends: Sequence[tuple[int, JudgedRun, int, float]], with_calls: bool
) -> None:
    """A label at the right of each curve; a dot where it ends, a cross where that is too early."""
    labels = []
    for index, entry, call, height in ends:
        colour = COLOURS[index % len(COLOURS)]
        text = named(_label(entry, with_calls))
        labels.append(Label(text, (call, height), colour, bold=index == 0))
        if entry.run.outcome.ending is not Ending.OK:
            axes.plot([call], [height], marker="X", markersize=8, color=colour, zorder=4)
        else:
            axes.plot([call], [height], marker="o", markersize=4, color=colour, zorder=4)
    label_in_margin(axes, labels)


def _label(entry: JudgedRun, with_calls: bool) -> str:
    """The variant, and how it ended, if early; else its calls, where others made more or fewer."""
    run, outcome = entry.run, entry.run.outcome
    if outcome.ending is not Ending.OK:
        signal = f" ({outcome.signal})" if outcome.signal else ""
        return f"{entry.variant}: {tr(outcome.ending)}{signal}"
    if with_calls:
        calls = Count(run.calls_done, run.plan.work)
        return tr("{name} ({calls})", name=entry.variant, calls=calls)
    return entry.variant
