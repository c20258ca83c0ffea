"""The growth of each version that was looked at, in the order of versions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from leakhunt.model.bisection import BisectReport, BisectStep
from leakhunt.model.series import Unit
from leakhunt.model.verdict import Status
from leakhunt.reporting.bisect.tables import heading, short
from leakhunt.reporting.charts.style import SMALL, WIDTH_INCHES, byte_scale, named, png, svg_element
from leakhunt.text.language import tr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {Status.LEAK: "#D55E00", Status.NO_LEAK: "#009E73", Status.INCONCLUSIVE: "#CC79A7"}
_MARKS = {Status.LEAK: "^", Status.NO_LEAK: "o", Status.INCONCLUSIVE: "s"}


def chart_png(report: BisectReport) -> bytes:
    """The chart as PNG."""
    return png(partial(chart_figure, report))


def chart_element(report: BisectReport) -> str:
    """The same as an ``<svg>`` element; empty where nothing was measured."""
    if not _measured(report):
        return ""
    return svg_element(partial(chart_figure, report), "bisect")


def _measured(report: BisectReport) -> list[BisectStep]:
    found = [step for step in report.steps if step.status is not None and step.rate is not None]
    return sorted(found, key=lambda step: step.place)


def chart_figure(report: BisectReport) -> Figure:
    """A point with its bounds for each version that was measured."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, 3.6), layout="constrained")
    axes = figure.subplots()
    steps = _measured(report)
    in_bytes = all(step.unit is Unit.BYTES for step in steps)
    scale, word = byte_scale(max((abs(step.rate or 0) for step in steps), default=0))
    if not in_bytes:
        scale, word = 1.0, tr("per call")
    for place, step in enumerate(steps):
        assert step.status is not None
        rate = (step.rate or 0.0) / scale
        low = (step.rate_low if step.rate_low is not None else step.rate or 0.0) / scale
        high = (step.rate_high if step.rate_high is not None else step.rate or 0.0) / scale
        axes.errorbar(
            [place],
            [rate],
            yerr=[[max(rate - low, 0)], [max(high - rate, 0)]],
            fmt=_MARKS[step.status],
            color=_COLOURS[step.status],
            markersize=8,
            capsize=3,
        )
    axes.set_xticks(
        range(len(steps)), [named(short(step.version)) for step in steps], fontsize=SMALL
    )
    if len(steps) > 6:
        axes.tick_params(axis="x", rotation=45)
    axes.set_ylabel(word)
    axes.axhline(0, color="#999999", linewidth=0.8)
    figure.suptitle(named(heading(report)), fontsize=12, weight="bold")
    return figure
