"""Small multiples: a panel for each cell, all on one scale, what matters most first."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from leakhunt.model.matrix import CellResult, MatrixReport
from leakhunt.model.report import JudgedRun
from leakhunt.model.series import LIVE_HEAP, RSS, SERIES, Unit, short_title
from leakhunt.model.verdict import Status
from leakhunt.reporting.charts.style import SMALL, SOFT, byte_scale, named, plain, png, svg_element
from leakhunt.reporting.charts.thinning import decimated
from leakhunt.reporting.matrix.tables import WORDS, Grid, GridCell, grid, heading
from leakhunt.text.language import tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More make a picture that nobody looks at; the table has them all.
MAX_PANELS = 60
MAX_COLUMNS, MAX_ROWS = 24, 60
_COLUMNS = 4
_PANEL_INCHES = (2.6, 1.5)
_SQUARE_INCHES = (1.55, 0.72)
_COLOURS = {
    Status.LEAK: "#D55E00",
    Status.NO_LEAK: "#009E73",
    Status.INCONCLUSIVE: "#CC79A7",
    None: "#8a8a8a",
}
# Behind black letters, the darker the faster a cell grows.
_PAPER = {
    Status.LEAK: "#f6b38f",
    Status.NO_LEAK: "#bfe5d6",
    Status.INCONCLUSIVE: "#ecd0e0",
    None: "#e4e4e4",
}


def curves_png(report: MatrixReport) -> bytes:
    """The small multiples as PNG."""
    return png(partial(curves_figure, report))


def curves_element(report: MatrixReport) -> str:
    """The same as an ``<svg>`` element; empty where nothing was measured."""
    if not any(_curve(each) for each in report.results):
        return ""
    return svg_element(partial(curves_figure, report), "curves")


def heat_map_png(report: MatrixReport) -> bytes:
    """The heat map as PNG."""
    return png(partial(heat_map_figure, report))


def curves_figure(report: MatrixReport) -> Figure:
    """A panel for each cell that was measured: the change since its warm-up."""
    from matplotlib.figure import Figure

    found = [(each, _curve(each)) for each in report.results_by_interest]
    drawn = [(each, curve) for each, curve in found if curve]
    shown = drawn[:MAX_PANELS]
    columns = max(min(_COLUMNS, len(shown)), 1)
    rows = max(-(-len(shown) // columns), 1)
    size = (max(_PANEL_INCHES[0] * columns, 5.0), _PANEL_INCHES[1] * rows + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    scale, word = _scale([curve for _, curve in shown])
    for axes, (result, curve) in zip(panels, shown, strict=False):
        _draw(axes, result, curve, scale)
    for axes in panels[len(shown) :]:
        axes.remove()
    highest = max((max(heights) for _, (_, heights) in shown), default=1.0) / scale
    for axes in panels[: len(shown)]:
        axes.set_ylim(min(-0.05 * highest, -1 / scale), max(1.1 * highest, 1 / scale))
    more = len(drawn) - len(shown)
    rest = tr(", the first {count} cells", count=len(shown)) if more else ""
    title = short_title(_series(drawn[0][0])) if drawn else short_title(RSS)
    figure.suptitle(
        plain(f"{title}, {word}, {tr('calls after warm-up')}{rest}"), fontsize=11, weight="bold"
    )
    return figure


_Curve = tuple[list[float], list[float]]


def _series(result: CellResult) -> str:
    """The live heap, where it was read."""
    entry = result.entry
    return LIVE_HEAP if entry is not None and LIVE_HEAP in entry.run.samples else RSS


def _curve(result: CellResult) -> _Curve | None:
    entry = result.entry
    return None if entry is None else _points(entry, _series(result))


def _points(entry: JudgedRun, name: str) -> _Curve | None:
    run = entry.run
    first, end = run.judged_from, run.samples_done
    values = run.samples.get(name, ())[first:end]
    if len(values) < 2:
        return None
    places, heights = decimated([float(value - values[0]) for value in values])
    begin = run.calls[first]
    return [float(run.calls[first + place] - begin) for place in places], list(heights)


def _scale(curves: list[_Curve]) -> tuple[float, str]:
    spread = max((max(map(abs, heights)) for _, heights in curves), default=0.0)
    return byte_scale(spread) if SERIES[LIVE_HEAP].unit is Unit.BYTES else (1.0, "")


def _draw(axes: Axes, result: CellResult, curve: _Curve, scale: float) -> None:
    from matplotlib.ticker import MaxNLocator

    calls, heights = curve
    colour = _COLOURS[result.status]
    axes.set_title(named(result.cell.name), loc="left", fontsize=SMALL - 2.0)
    axes.axhline(0, color="#999999", linewidth=0.6)
    axes.plot(calls, [height / scale for height in heights], color=colour, linewidth=1.4)
    axes.text(
        0.02, 0.95, plain(tr(WORDS[result.status])), transform=axes.transAxes, va="top",
        fontsize=SMALL - 2.0, color=SOFT,
    )  # fmt: skip
    axes.tick_params(labelsize=SMALL - 2.5)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3))


def heat_map_figure(report: MatrixReport) -> Figure:
    """A square for each combination: verdict, rate and time, its colour by the verdict."""
    from matplotlib.figure import Figure

    made = _shortened(grid(report))
    columns, rows = len(made.columns), len(made.rows)
    left = max(len(name) for name, _ in made.rows) * 0.085 + 0.4
    size = (_SQUARE_INCHES[0] * columns + left, _SQUARE_INCHES[1] * rows + 1.1)
    figure = Figure(figsize=(max(size[0], 5.0), size[1]), layout="constrained")
    axes = figure.subplots()
    for down, (_, cells) in enumerate(made.rows):
        for across, cell in enumerate(cells):
            _square(axes, cell, across, down)
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    axes.grid(visible=False)
    axes.set_xticks([each + 0.5 for each in range(columns)], list(map(named, made.columns)))
    axes.set_yticks([each + 0.5 for each in range(rows)], [named(name) for name, _ in made.rows])
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=SMALL)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel(named(made.corner), fontsize=SMALL)
    figure.suptitle(named(heading(report)), fontsize=12, weight="bold")
    return figure


def _shortened(made: Grid) -> Grid:
    """As much of a heat map as a picture can show; the page has all of it."""
    rows = tuple((name, cells[:MAX_COLUMNS]) for name, cells in made.rows[:MAX_ROWS])
    more_columns, more_rows = len(made.columns) - MAX_COLUMNS, len(made.rows) - MAX_ROWS
    if max(more_columns, more_rows) <= 0:
        return made
    rest = tr(
        "{corner} (the first {columns} columns and {rows} rows)",
        corner=made.corner,
        columns=min(len(made.columns), MAX_COLUMNS),
        rows=len(rows),
    )
    return Grid(rest, made.columns[:MAX_COLUMNS], rows)


def _square(axes: Axes, cell: GridCell, across: int, down: int) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle((across + 0.03, down + 0.05), 0.94, 0.9, facecolor=_PAPER[cell.status])
    )
    axes.text(
        across + 0.5, down + 0.5, plain("\n".join(cell.lines)), ha="center", va="center",
        fontsize=SMALL - 1.5, color="#1c2024",
    )  # fmt: skip
