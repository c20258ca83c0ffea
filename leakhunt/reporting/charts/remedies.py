"""The remedy board as a figure: bytes per call saved against the time of a call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from leakhunt.amounts import format_rate
from leakhunt.model.plan import Work
from leakhunt.model.report import Report
from leakhunt.model.series import Unit
from leakhunt.reporting.charts.remedy_points import BoardPoint, board
from leakhunt.reporting.charts.style import (
    COLOURS,
    SMALL,
    SOFT,
    WIDTH_INCHES,
    Label,
    byte_scale,
    label_in_margin,
    named,
    png,
    svg,
    svg_element,
)
from leakhunt.reporting.shared.load_table import work_of
from leakhunt.text.language import mark, tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT_INCHES = 4.2
# Each label has two lines; more points need more room for them.
_INCHES_PER_POINT = 0.5
_LOGARITHMIC_FROM_RATIO = 5.0
_SAVED = {
    Work.CALL: mark("saved per call ({unit})"),
    Work.REQUEST: mark("saved per request ({unit})"),
    Work.SECOND: mark("saved per second ({unit})"),
}
_TIME = {
    Work.CALL: mark("time per call, ratio to before"),
    Work.REQUEST: mark("time per request, ratio to before"),
    Work.SECOND: mark("time, ratio to before"),
}
_NOTE = mark("bars: intervals · hollow: no significant saving · square: results differ")


def remedies_png(report: Report) -> bytes:
    """The figure as PNG."""
    return png(partial(remedies_figure, report))


def remedies_svg(report: Report) -> bytes:
    """The figure as an SVG file."""
    return svg(partial(remedies_figure, report))


def remedies_element(report: Report) -> str:
    """The figure as an ``<svg>`` element."""
    return svg_element(partial(remedies_figure, report), "remedies")


def remedies_figure(report: Report) -> Figure:
    """Every point of the board with its intervals, and its words in the margin."""
    from matplotlib.figure import Figure

    points = board(report)
    height = max(_HEIGHT_INCHES, 1.2 + _INCHES_PER_POINT * len(points)) if points else 1.2
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    axes = figure.subplots()
    title = tr("{title}: saving and overhead of each fix", title=named(str(report.title)))
    figure.suptitle(title, fontsize=12, weight="bold")
    if points:
        _draw(axes, points, work_of(report))
        figure.supxlabel(tr(_NOTE), fontsize=SMALL, color=SOFT)
    else:
        axes.axis("off")
        axes.text(0, 0.5, tr("No fix was tried, and no variant can be compared."), va="center")
    return figure


def _draw(axes: Axes, points: Sequence[BoardPoint], work: Work) -> None:
    ends = [bound for point in points for bound in (point.saved.low, point.saved.high)]
    scale, unit = byte_scale(max(map(abs, ends)))
    labels = []
    for index, point in enumerate(points):
        colour = COLOURS[(index + 1) % len(COLOURS)]
        place = (point.time_ratio.estimate, point.saved.estimate / scale)
        axes.errorbar(
            *place,
            xerr=[[place[0] - point.time_ratio.low], [point.time_ratio.high - place[0]]],
            yerr=[[place[1] - point.saved.low / scale], [point.saved.high / scale - place[1]]],
            fmt="s" if point.differs else "o",
            markersize=8,
            color=colour,
            markerfacecolor=colour if point.saves else "white",
            capsize=4,
            linewidth=1.4,
        )
        labels.append(Label(words(point, work), place, colour))
    _set_axes(axes, points, scale)
    axes.set_ylabel(tr(_SAVED[work], unit=unit))
    axes.set_xlabel(tr(_TIME[work]))
    label_in_margin(axes, labels)


def words(point: BoardPoint, work: Work = Work.CALL) -> str:
    """What is written beside a point, in two lines."""
    saved = (
        tr("saves {estimate}", estimate=format_rate(point.saved.estimate, Unit.BYTES, work))
        if point.saves
        else tr("no significant saving")
    )
    label = tr(
        "{name}\n{saved}, {estimate:.2f} × time",
        name=named(point.name),
        saved=saved,
        estimate=point.time_ratio.estimate,
    )
    return tr("{told}; results differ", told=label) if point.differs else label


def _set_axes(axes: Axes, points: Sequence[BoardPoint], scale: float) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    lows = [min(point.time_ratio.low, 1.0) for point in points]
    highs = [max(point.time_ratio.high, 1.0) for point in points]
    low, high = max(min(lows), 1e-3), max(highs)
    if high / low >= _LOGARITHMIC_FROM_RATIO:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(low / 1.3, high * 1.3)
    else:
        room = 0.12 * max(high - low, 0.2)
        axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_formatter("{x:g} ×")
    bottom = min(0.0, *(point.saved.low / scale for point in points))
    top = max(0.0, *(point.saved.high / scale for point in points))
    height = (top - bottom) or 1.0  # all points may lie on the line
    axes.set_ylim(bottom - 0.08 * height, top + 0.16 * height)
    axes.axhline(0, color="#999999", linewidth=0.8, zorder=1)
    axes.axvline(1, color="#999999", linewidth=0.8, zorder=1)
    axes.fill_between(
        [axes.get_xlim()[0], 1], 0, axes.get_ylim()[1], color="#009E73", alpha=0.08, zorder=0
    )
    axes.text(
        0.01, 0.985, tr("saving without\noverhead"), transform=axes.transAxes,
        va="top", fontsize=SMALL, color="#006b4f",
    )  # fmt: skip
