"""The curves of a comparison laid over each other: a row a variant, a panel a series.

Every curve is the change since the end of its own warm-up, over the calls since then, so that runs
with another base or a longer warm-up can be held against each other. Repeats have one colour.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leakhunt.compared import Comparison
from leakhunt.model import Ending, JudgedRun, Unit
from leakhunt.reporting.comparison_words import title
from leakhunt.reporting.curves import decimated, spread_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES = {
    "live_heap": ("live heap", Unit.BYTES),
    "rss": ("RSS", Unit.BYTES),
    "python_blocks": ("Python blocks", Unit.BLOCKS),
    "cuda_allocated": ("CUDA allocated", Unit.BYTES),
    "cuda_reserved": ("CUDA reserved", Unit.BYTES),
}
# More make a picture that nobody looks at; the table has them all.
MOST_VARIANTS = 24
# Okabe and Ito's palette, safe for the colour-blind; line styles differ as well.
_COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a8a3a")
_DASHES: tuple[Any, ...] = ("solid", (0, (6, 2)), (0, (1, 1.2)), (0, (8, 2, 1.5, 2)))
_PANEL_INCHES = (4.7, 2.3)
_MOST_COLUMNS = 3
_LEAST_WIDTH_INCHES = 7.0
_PNG_DOTS_PER_INCH = 150
# Labels at the right end stand at least this share of the panel's height apart.
_LABEL_SPACING = 0.11
_LONGEST_LABEL = 22
_STYLE: Any = {
    "font.size": 10.0,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "svg.fonttype": "none",
    "svg.hashsalt": "leakhunt",
}


def comparison_png(comparison: Comparison) -> bytes:
    """The figure as PNG."""
    return _saved(comparison, "png")


def comparison_svg(comparison: Comparison) -> str:
    """The figure as an ``<svg>`` element for an HTML page, the same for the same comparison."""
    text = _saved(comparison, "svg").decode()
    return text[text.index("<svg") :]


def _saved(comparison: Comparison, kind: str) -> bytes:
    import matplotlib

    stream = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure = comparison_figure(comparison)
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        with warnings.catch_warnings():
            # A letter that no font here has is a box in the PNG, and itself in the SVG.
            warnings.filterwarnings("ignore", message="Glyph")
            figure.savefig(stream, format=kind, dpi=_PNG_DOTS_PER_INCH, metadata=metadata)
    return stream.getvalue()


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
    shown = dict(list(variants.items())[:MOST_VARIANTS])
    order = [side.label for side in comparison.sides]
    series = [
        name for name in SERIES if any(_curves(sides, name, order) for sides in shown.values())
    ] or ["rss"]
    columns = min(len(series), _MOST_COLUMNS)
    each = -(-len(series) // columns)
    rows = max(len(shown) * each, 1)
    size = (
        max(_PANEL_INCHES[0] * columns, _LEAST_WIDTH_INCHES),
        _PANEL_INCHES[1] * rows + 0.5,
    )
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for number, (variant, sides) in enumerate(shown.items()):
        own = panels[number * each : (number + 1) * each].ravel()
        for axes, name in zip(own, series, strict=False):
            _draw_panel(axes, f"{variant}: {SERIES[name][0]}", _curves(sides, name, order), name)
        for axes in own[len(series) :]:
            axes.remove()
    for axes in panels[-1]:
        axes.set_xlabel("calls since the warm-up")
    more = len(variants) - len(shown)
    rest = f" (the first {MOST_VARIANTS} of {len(variants)} variants)" if more else ""
    figure.suptitle(f"{_plain(title(comparison))}{rest}", fontsize=12, weight="bold")
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
    axes.set_title(_plain(heading), loc="left", fontsize=10)
    if not curves:
        axes.text(0.5, 0.5, "not read", transform=axes.transAxes, ha="center", color="#666666")
        return
    spread = max(abs(height) for curve in curves for height in curve.heights)
    scale, word = _scale(SERIES[name][1], spread)
    axes.set_ylabel(word)
    axes.axhline(0, color="#999999", linewidth=0.8, zorder=1)
    for curve in curves:
        colour = _COLOURS[curve.side % len(_COLOURS)]
        places, heights = decimated([height / scale for height in curve.heights])
        axes.plot(
            [curve.calls[place] for place in places],
            heights,
            color=colour,
            linestyle=_DASHES[curve.side % len(_DASHES)],
            linewidth=2.8 if curve.side == 0 else 1.6,
            zorder=2 if curve.side == 0 else 3,  # on the baseline's line, not hidden by it
        )
        if curve.ended_early:
            end = (curve.calls[-1], curve.heights[-1] / scale)
            axes.plot(*([each] for each in end), marker="X", markersize=8, color=colour, zorder=4)
    axes.set_xlim(0, max(*(curve.calls[-1] for curve in curves), 2))
    low, high = axes.get_ylim()
    if high - low < 1 / scale:  # all but level: no noise blown up to fill the panel
        axes.set_ylim(-1 / scale, 1 / scale)
    _label_ends(axes, curves, scale)


def _scale(unit: Unit, spread: float) -> tuple[float, str]:
    """What to divide by, and the name of what is left."""
    if unit is not Unit.BYTES:
        return 1.0, str(unit)
    for power, word in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if spread >= 2 * power:
            return float(power), word
    return 1.0, "bytes"


def _label_ends(axes: Axes, curves: Sequence[_Curve], scale: float) -> None:
    """Each side's label beside the end of its longest curve, pushed apart where they are close."""
    longest: dict[int, _Curve] = {}
    for curve in curves:
        if curve.side not in longest or curve.calls[-1] > longest[curve.side].calls[-1]:
            longest[curve.side] = curve
    place_of = axes.transData + axes.transAxes.inverted()
    ends = [(curve.calls[-1], curve.heights[-1] / scale, curve) for curve in longest.values()]
    wanted = sorted(
        (min(max(float(place_of.transform((call, height))[1]), 0.0), 1.0), curve.side)
        for call, height, curve in ends
    )
    heights = spread_out([place for place, _ in wanted], _LABEL_SPACING)
    placed = {side: height for (_, side), height in zip(wanted, heights, strict=True)}
    for call, height, curve in ends:
        colour = _COLOURS[curve.side % len(_COLOURS)]
        axes.annotate(
            _plain(_shortened(curve.label)),
            xy=(call, height),
            xytext=(1.02, placed[curve.side]),
            textcoords=axes.transAxes,
            color=colour,
            va="center",
            fontsize=9,
            weight="bold" if curve.side == 0 else "normal",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "relpos": (0, 0.5)},
        )


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


def _plain(text: str) -> str:
    """`text` with its dollar signs shown, not read as mathematics, and nothing no font can take."""
    return text.encode("utf-8", "backslashreplace").decode().replace("$", r"\$")
