"""The leak curves: all variants on one axis, one panel a series, before and after side by side.

Every curve is the change since the first call after the warm-up, so that variants with different
bases can be compared and the one-off growth of the warm-up does not flatten what follows; where it
leaves the panel it is cut off there, and the panel says so.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from leakhunt.model import Ending, JudgedRun, Report
from leakhunt.reporting.xml_text import xml_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = ("live_heap", "rss", "python_blocks", "cuda_allocated", "cuda_reserved", "duration")
# At most about so many points a curve: each bucket keeps its lowest and highest sample, so that no
# step and no spike disappears.
MOST_POINTS = 1500
# Okabe and Ito's palette, safe for the colour-blind; line styles differ as well.
_COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a8a3a")
_DASHES: tuple[Any, ...] = (
    "solid",
    (0, (6, 2)),
    (0, (1, 1.2)),
    (0, (8, 2, 1.5, 2)),
    (0, (3, 1.5)),
    (0, (10, 3)),
    (0, (4, 1.5, 1, 1.5, 1, 1.5)),
    (0, (2, 3)),
)
_WIDTH_INCHES = 9.0
_PANEL_INCHES = 2.5
_PNG_DOTS_PER_INCH = 150
# Labels at the right end stand at least this share of the panel's height apart.
_LABEL_SPACING = 0.09
_SMOOTHED_CALLS = 9
_LOGARITHMIC_FROM_RATIO = 8.0
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


def curves_png(report: Report) -> bytes:
    """The figure as PNG."""
    return _saved(report, "png")


def curves_svg(report: Report) -> str:
    """The figure as an ``<svg>`` element for an HTML page, the same for the same report."""
    text = _saved(report, "svg").decode()
    return text[text.index("<svg") :]


def curves_svg_file(report: Report) -> bytes:
    """The figure as an SVG file of its own: text stays text, in whatever font there is."""
    return _saved(report, "svg")


def _saved(report: Report, kind: str) -> bytes:
    import matplotlib

    stream = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure = curves_figure(report)
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(stream, format=kind, dpi=_PNG_DOTS_PER_INCH, metadata=metadata)
    return stream.getvalue()


def curves_figure(report: Report) -> Figure:
    """One panel for each of `PANELS` that a run has read."""
    from matplotlib.figure import Figure

    names = [name for name in PANELS if _read_by_any(report, name)] or ["rss"]
    height = _PANEL_INCHES * len(names) + 0.5
    figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(panels, names, strict=True):
        _draw_panel(axes, report, name)
    label = "call"
    if _by_sample(report):
        each = sorted({entry.run.calls_per_sample for entry in report.entries})
        label = f"sample (of {each[0]:,} to {each[-1]:,} calls, by variant)"
    panels[-1].set_xlabel(label)
    figure.suptitle(f"{_plain(report.title)}: memory call by call", fontsize=12, weight="bold")
    return figure


def _read_by_any(report: Report, name: str) -> bool:
    return any(entry.run.samples.get(name) for entry in report.entries)


def _draw_panel(axes: Axes, report: Report, name: str) -> None:
    runs = [
        (index, entry) for index, entry in enumerate(report.entries) if entry.run.samples.get(name)
    ]
    if not runs:
        axes.text(0.5, 0.5, "no samples", transform=axes.transAxes, ha="center", color="#666666")
        return
    curves = {index: _heights(entry, name) for index, entry in runs}
    scale, unit = _scale(name, _spread(list(curves.values()), [entry for _, entry in runs]))
    ends = []
    for index, entry in runs:
        heights = [height / scale for height in curves[index]]
        places, shown = decimated(heights)
        along = _along(entry, report)
        axes.plot(
            [along[place] for place in places],
            shown,
            color=_COLOURS[index % len(_COLOURS)],
            linestyle=_DASHES[index % len(_DASHES)],
            linewidth=2.4 if index == 0 else 1.6,
            zorder=3 if index == 0 else 2,
        )
        ends.append((index, entry, along[len(heights) - 1], heights[-1]))
        first = entry.run.judged_from
        if name != "duration" and 0 < first < len(heights):
            colour = _COLOURS[index % len(_COLOURS)]
            axes.plot([along[first]], [heights[first]], marker=".", color=colour, zorder=4)
    warmup = min(_warm_up_end(entry, report) for _, entry in runs)
    axes.set_xlim(0, max(*(call for _, _, call, _ in ends), 2))
    if warmup:
        axes.axvspan(0, warmup, color="#f0f0f0", zorder=0, linewidth=0)
    axes.set_title(_title(name, runs[0][1]), loc="left", fontsize=10)
    axes.set_ylabel(unit)
    scaled = [[height / scale for height in heights] for heights in curves.values()]
    judged = [
        height
        for heights, (_, entry) in zip(scaled, runs, strict=True)
        for height in (heights[entry.run.judged_from :] or heights)
    ]
    _set_limits(axes, name, judged, min(map(min, scaled)))
    if warmup:
        axes.text(
            warmup / 2, 0.95, "warm-up", transform=axes.get_xaxis_transform(),
            ha="center", va="top", color="#666666", fontsize=9,
        )  # fmt: skip
    _label_ends(axes, ends)


def _by_sample(report: Report) -> bool:
    """Whether calls are no common measure: a sample is one call here and a thousand there."""
    return len({entry.run.calls_per_sample for entry in report.entries}) > 1


def _along(entry: JudgedRun, report: Report) -> Sequence[int]:
    """Where each sample stands on the axis."""
    if _by_sample(report):
        return range(1, entry.run.samples_done + 1)
    return entry.run.calls


def _warm_up_end(entry: JudgedRun, report: Report) -> int:
    first = entry.run.judged_from
    return _along(entry, report)[first - 1] if first else 0


def _heights(entry: JudgedRun, name: str) -> list[float]:
    """Seconds as they are (smoothed), anything else as change since the end of the warm-up."""
    values = entry.run.samples[name]
    if name == "duration":
        each = _calls_of_samples(entry)
        return [
            seconds / calls / 1e9 for seconds, calls in zip(_smoothed(values), each, strict=False)
        ]
    base = values[min(entry.run.judged_from, len(values) - 1)]
    return [float(value - base) for value in values]


def _calls_of_samples(entry: JudgedRun) -> Iterator[int]:
    """How many calls each sample stands for."""
    before = 0
    for calls in entry.run.calls:
        yield max(calls - before, 1)
        before = calls


def _smoothed(values: Sequence[int]) -> list[float]:
    """The median of each call and its neighbours: one slow call is no curve."""
    reach = _SMOOTHED_CALLS // 2
    return [
        median(values[max(place - reach, 0) : place + reach + 1]) for place in range(len(values))
    ]


def decimated(heights: Sequence[float], most: int = MOST_POINTS) -> tuple[list[int], list[float]]:
    """Places and heights, thinned to the lowest and highest of each bucket, in order."""
    if len(heights) <= most:
        return list(range(len(heights))), list(heights)
    size = -(-len(heights) * 2 // most)
    kept: list[int] = []
    for first in range(0, len(heights), size):
        bucket = range(first, min(first + size, len(heights)))
        low = min(bucket, key=heights.__getitem__)
        high = max(bucket, key=heights.__getitem__)
        kept += sorted({low, high})
    return kept, [heights[place] for place in kept]


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
    if name == "duration":
        return (1.0, "s") if spread >= 1 else (1e-3, "ms") if spread >= 1e-3 else (1e-6, "µs")
    if name == "python_blocks":
        return 1.0, "blocks"
    for power, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if spread >= 2 * power:
            return float(power), unit
    return 1.0, "bytes"


def _title(name: str, entry: JudgedRun) -> str:
    titles = {series.name: series.title for series in entry.run.series}
    title = titles.get(name, name)
    if name == "duration":
        return _plain(f"{title} (median of {_SMOOTHED_CALLS} calls)")
    return _plain(f"{title}, change since the warm-up")


def _set_limits(axes: Axes, name: str, judged: Sequence[float], lowest: float) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = min(judged), max(judged)
    if name == "duration":
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
            0.995, 0.03, "growth during the warm-up is cut off", transform=axes.transAxes,
            ha="right", va="bottom", color="#666666", fontsize=8,
        )  # fmt: skip


def _label_ends(axes: Axes, ends: Sequence[tuple[int, JudgedRun, int, float]]) -> None:
    """A label at the right of each curve, pushed apart where curves end close together."""
    place_of = axes.transData + axes.transAxes.inverted()
    wanted = sorted(
        (min(max(float(place_of.transform((call, height))[1]), 0.0), 1.0), index)
        for index, _, call, height in ends
    )
    heights = spread_out([place for place, _ in wanted], _LABEL_SPACING)
    placed = {index: height for (_, index), height in zip(wanted, heights, strict=True)}
    for index, entry, call, height in ends:
        colour = _COLOURS[index % len(_COLOURS)]
        axes.annotate(
            _plain(_label(entry)),
            xy=(call, height),
            xytext=(1.02, placed[index]),
            textcoords=axes.transAxes,
            color=colour,
            va="center",
            fontsize=9,
            weight="bold" if index == 0 else "normal",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.6,
                "alpha": 0.6,
                "relpos": (0, 0.5),
            },
        )
        if entry.run.outcome.ending is not Ending.OK:
            axes.plot([call], [height], marker="X", markersize=8, color=colour, zorder=4)


def spread_out(places: Sequence[float], spacing: float) -> list[float]:
    """`places` (rising), moved as little as needed to stand `spacing` apart, within 0 to 1.

    Least squares: with the wanted distances taken off, neighbours in the wrong order are pooled at
    their mean (pool adjacent violators).
    """
    spacing = min(spacing, 1 / max(len(places) - 1, 1))
    pools: list[list[float]] = []
    for index, place in enumerate(places):
        pools.append([place - index * spacing])
        while len(pools) > 1 and fmean(pools[-2]) > fmean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    even = [fmean(pool) for pool in pools for _ in pool]
    ceiling = 1.0 - (len(places) - 1) * spacing
    return [max(min(place, ceiling), 0.0) + index * spacing for index, place in enumerate(even)]


def _label(entry: JudgedRun) -> str:
    outcome = entry.run.outcome
    if outcome.ending is Ending.OK:
        return entry.variant
    signal = f" ({outcome.signal})" if outcome.signal else ""
    return f"{entry.variant}: {outcome.ending}{signal}"


def _plain(text: str) -> str:
    """`text` with its dollar signs shown, not read as mathematics, and nothing no SVG can hold."""
    return xml_text(text).replace("$", r"\$")
