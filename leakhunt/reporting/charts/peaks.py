"""Peak over input size as a figure: a point for each call, a line for each variant."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from leakhunt.amounts import format_bytes
from leakhunt.model.peaks import Peak
from leakhunt.model.report import Report
from leakhunt.reporting.charts.style import (
    COLOURS,
    DASHES,
    WIDTH_INCHES,
    Label,
    byte_scale,
    label_in_margin,
    named,
    plain,
    svg_element,
)
from leakhunt.text.language import tr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT_INCHES = 3.4


def has_peaks(report: Report) -> bool:
    """Whether there is anything to draw."""
    return any(entry.peak is not None and entry.peak.points for entry in report.entries)


def peaks_element(report: Report) -> str:
    """The figure as an ``<svg>`` element; empty where there is nothing to draw."""
    return svg_element(partial(peaks_figure, report), "peaks") if has_peaks(report) else ""


def peaks_figure(report: Report) -> Figure:
    """The calls that were measured after each run, with the fitted lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, _HEIGHT_INCHES), layout="constrained")
    axes = figure.subplots()
    title = tr("{title}: peak by input size", title=named(str(report.title)))
    figure.suptitle(title, fontsize=12, weight="bold")
    drawn = [
        (index, entry.variant, entry.peak)
        for index, entry in enumerate(report.entries)
        if entry.peak is not None and entry.peak.points
    ]
    highest = max(point.size_bytes for _, _, peak in drawn for point in peak.points)
    scale, unit = byte_scale(max(highest, 1))
    labels = []
    for index, variant, peak in drawn:
        colour = COLOURS[index % len(COLOURS)]
        sizes = [point.input for point in peak.points]
        taken = [point.size_bytes / scale for point in peak.points]
        axes.plot(sizes, taken, "o", color=colour, markersize=5, alpha=0.7)
        end = (max(sizes), taken[sizes.index(max(sizes))])
        if peak.line is not None:
            ends = _line_ends(peak, scale)
            axes.plot(*zip(*ends, strict=True), color=colour, dashes=(), linewidth=1.4)
            axes.lines[-1].set_linestyle(DASHES[index % len(DASHES)])
            end = ends[-1]
        labels.append(Label(_label(variant, peak), end, colour, bold=index == 0))
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(plain(tr("input ({unit})", unit=tr(drawn[0][2].unit))))
    axes.set_ylabel(tr("peak of a call over live memory ({unit})", unit=unit))
    label_in_margin(axes, labels)
    return figure


def _line_ends(peak: Peak, scale: float) -> list[tuple[float, float]]:
    """The fitted line from the smallest input to the largest, as the points are drawn."""
    line = peak.line
    assert line is not None
    middle = sum(point.size_bytes for point in peak.points) / line.count
    sizes = [point.input for point in peak.points]
    return [
        (size, (middle + line.per_unit_bytes * (size - line.mean_input)) / scale)
        for size in (min(sizes), max(sizes))
    ]


def _label(variant: str, peak: Peak) -> str:
    if peak.line is None:
        return named(variant)
    each = tr("{size} per {unit}", size=format_bytes(peak.line.per_unit_bytes), unit=tr(peak.unit))
    return f"{named(variant)}\n{plain(each)}"
