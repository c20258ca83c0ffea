"""The curves of a comparison laid over each other: a row a variant, a panel a series.

Every curve is the change since the end of its own warm-up, over the calls since then, so that runs
with another base or a longer warm-up can be held against each other. Repeats have one colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from leakhunt.model.comparison import Comparison
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending
from leakhunt.model.series import RSS, SERIES, SeriesDisplay, Unit, displayed, short_title
from leakhunt.reporting.charts.style import (
    COLOURS,
    DASHES,
    SOFT,
    Label,
    byte_scale,
    label_in_margin,
    named,
    png,
    svg_element,
)
from leakhunt.reporting.charts.thinning import decimated
from leakhunt.reporting.comparison.tables import title
from leakhunt.text.language import tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More make a picture that nobody looks at; the table has them all.
MAX_VARIANTS = 24
_PANEL_INCHES = (4.7, 2.3)
_MAX_COLUMNS = 3
_MIN_WIDTH_INCHES = 7.0


def comparison_png(comparison: Comparison) -> bytes:
    """The figure as PNG."""
    return png(partial(comparison_figure, comparison))


def comparison_svg(comparison: Comparison) -> str:
    """The figure as an ``<svg>`` element for an HTML page, the same for the same comparison."""
    return svg_element(partial(comparison_figure, comparison), "comparison")


@dataclass(frozen=True, slots=True)
class _Curve:
    """One run in a panel: calls since the warm-up, and the change since then."""

    side: int
    label: str
    calls: Sequence[int]
    heights: Sequence[float]
    ended_early: bool


def comparison_figure(comparison: Comparison) -> Figure:
    """A panel for each variant that was compared and each series that one of its runs has read."""
    from matplotlib.figure import Figure

    variants = _variants(comparison)
    shown = dict(list(variants.items())[:MAX_VARIANTS])
    order = [side.label for side in comparison.sides]
    series = [
        facts.name
        for facts in displayed(SeriesDisplay.COMPARISON)
        if any(_curves(sides, facts.name, order) for sides in shown.values())
    ] or [RSS]
    columns = min(len(series), _MAX_COLUMNS)
    each = -(-len(series) // columns)
    rows = max(len(shown) * each, 1)
    size = (
        max(_PANEL_INCHES[0] * columns, _MIN_WIDTH_INCHES),
        _PANEL_INCHES[1] * rows + 0.5,
    )
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for number, (variant, sides) in enumerate(shown.items()):
        own = panels[number * each : (number + 1) * each].ravel()
        for axes, name in zip(own, series, strict=False):
            heading = f"{variant}{tr(': ')}{short_title(name)}"
            _draw_panel(axes, heading, _curves(sides, name, order), name)
        for axes in own[len(series) :]:
            axes.remove()
    for axes in panels[-1]:
        axes.set_xlabel(tr("calls after warm-up"))
    more = len(variants) - len(shown)
    rest = (
        tr(
            " (the first {most_variants} of {variants} variants)",
            most_variants=MAX_VARIANTS,
            variants=len(variants),
        )
        if more
        else ""
    )
    figure.suptitle(f"{named(title(comparison))}{rest}", fontsize=12, weight="bold")
    return figure


_Sides = dict[str, tuple[JudgedRun, ...]]


def _variants(comparison: Comparison) -> dict[str, _Sides]:
    """The runs of every variant that was compared, by the label of their side, in order."""
    found: dict[str, _Sides] = {}
    for pair in comparison.pairs:
        sides = found.setdefault(pair.name, {})
        sides[pair.before_label] = pair.before
        sides[pair.after_label] = pair.after
    return found


def _curves(sides: _Sides, name: str, order: Sequence[str]) -> list[_Curve]:
    return [
        _curve(entry, name, order.index(label), label)
        for label, entries in sides.items()
        for entry in entries
        if entry.run.samples.get(name) and entry.run.samples_done > entry.run.judged_from
    ]


def _curve(entry: JudgedRun, name: str, side: int, label: str) -> _Curve:
    run = entry.run
    first = run.judged_from
    values = run.samples[name][first : run.samples_done]
    begin = run.calls[first]
    return _Curve(
        side,
        label,
        [run.calls[place] - begin for place in range(first, run.samples_done)],
        [float(value - values[0]) for value in values],
        run.outcome.ending is not Ending.OK,
    )


def _draw_panel(axes: Axes, heading: str, curves: Sequence[_Curve], name: str) -> None:
    axes.set_title(named(heading), loc="left", fontsize=10)
    if not curves:
        axes.text(0.5, 0.5, tr("not read"), transform=axes.transAxes, ha="center", color=SOFT)
        return
    spread = max(abs(height) for curve in curves for height in curve.heights)
    scale, word = _scale(SERIES[name].unit, spread)
    axes.set_ylabel(word)
    axes.axhline(0, color="#999999", linewidth=0.8, zorder=1)
    for curve in curves:
        colour = COLOURS[curve.side % len(COLOURS)]
        places, heights = decimated([height / scale for height in curve.heights])
        axes.plot(
            [curve.calls[place] for place in places],
            heights,
            color=colour,
            linestyle=DASHES[curve.side % len(DASHES)],
            linewidth=2.8 if curve.side == 0 else 1.6,
            zorder=2 if curve.side == 0 else 3,  # on the baseline's line, not hidden by it
        )
        if curve.ended_early:
            end = (curve.calls[-1], curve.heights[-1] / scale)
            axes.plot(*([each] for each in end), marker="X", markersize=8, color=colour, zorder=4)
    axes.set_xlim(0, max(*(curve.calls[-1] for curve in curves), 2))
    from matplotlib.ticker import MaxNLocator

    # Panels are narrow, and some runs have hundreds of thousands of calls.
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    low, high = axes.get_ylim()
    if high - low < 1 / scale:  # all but level: no noise blown up to fill the panel
        axes.set_ylim(-1 / scale, 1 / scale)
    _label_ends(axes, curves, scale)


def _scale(unit: Unit, spread: float) -> tuple[float, str]:
    """What to divide by, and the name of what is left."""
    return byte_scale(spread) if unit is Unit.BYTES else (1.0, tr(unit))


def _label_ends(axes: Axes, curves: Sequence[_Curve], scale: float) -> None:
    """Each side's label beside the end of its longest curve."""
    longest: dict[int, _Curve] = {}
    for curve in curves:
        if curve.side not in longest or curve.calls[-1] > longest[curve.side].calls[-1]:
            longest[curve.side] = curve
    label_in_margin(
        axes,
        [
            Label(
                named(curve.label),
                (curve.calls[-1], curve.heights[-1] / scale),
                COLOURS[side % len(COLOURS)],
                bold=side == 0,
            )
            for side, curve in longest.items()
        ],
    )
