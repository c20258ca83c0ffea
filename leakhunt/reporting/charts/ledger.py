"""The ledgers as a figure: for each variant a waterfall from the first RSS to the last."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from leakhunt.amounts import format_bytes
from leakhunt.model.report import JudgedRun, Ledger, Report
from leakhunt.model.series import RSS
from leakhunt.reporting.charts.style import SMALL, SOFT, WIDTH_INCHES, byte_scale, named, png, svg
from leakhunt.text.language import tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More, of blue and of grey: more and less are told by the sign and the hatch as well.
_MORE, _LESS, _REST, _TOTAL = "#0072B2", "#56B4E9", "#E69F00", "#1c2024"
_INCHES_PER_LINE = 0.27
_COLUMNS = 2
# Room beside the bars for their figures, as a part of the span.
_ROOM = 0.4


def ledger_png(report: Report) -> bytes:
    """The figure as PNG."""
    return png(partial(ledger_figure, report))


def ledger_svg(report: Report) -> bytes:
    """The figure as an SVG file."""
    return svg(partial(ledger_figure, report))


def ledger_figure(report: Report) -> Figure:
    """One panel a variant, with the same lines and the same scale."""
    from matplotlib.figure import Figure

    titles = _titles(report.entries)
    columns = min(_COLUMNS, max(len(report.entries), 1))
    rows = -(-max(len(report.entries), 1) // columns)
    height = rows * (_INCHES_PER_LINE * (len(titles) + 1) + 0.95) + 0.6
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    title = tr(
        "{title}: RSS growth by kind of memory",
        title=named(str(report.title)),
    )
    figure.suptitle(title, fontsize=12, weight="bold")
    scale, unit = byte_scale(_span(report.entries))
    for axes, entry in zip(panels, report.entries, strict=False):
        _draw(axes, entry, titles, scale)
    for axes in panels[len(report.entries) :]:
        axes.axis("off")
    low, high = _reach(report.entries)
    room = _ROOM * max(high - low, 1)
    panels[0].set_xlim((low - (room if low < 0 else 0.02 * room)) / scale, (high + room) / scale)
    if any(entry.ledger for entry in report.entries):
        panels[0].set_ylim(len(titles) + 0.6, -0.6)
        panels[0].set_yticks(range(len(titles) + 1), [*titles.values(), tr("RSS, total")])
    for axes in panels[max(len(report.entries) - columns, 0) : len(report.entries)]:
        axes.set_xlabel(unit)
        axes.tick_params(labelbottom=True)
    return figure


def no_ledger(entry: JudgedRun) -> str:
    """Why there is no ledger of a run."""
    if entry.run.samples_done:
        return tr("no full reading of RSS at the start")
    return tr("not measured")


def _titles(entries: Sequence[JudgedRun]) -> dict[str, str]:
    """The lines that are not zero in every ledger, in their order."""
    ledgers = sorted(
        (entry.ledger for entry in entries if entry.ledger), key=lambda each: -len(each.lines)
    )
    lines = [line for ledger in ledgers for line in ledger.lines]
    sized = {line.name for line in lines if line.size_bytes}
    found = {line.name: str(line.title) for line in lines if line.name in sized}
    rest = {name: found.pop(name) for name in list(found) if name == "unexplained"}
    return found | rest


def _steps(ledger: Ledger) -> list[tuple[int, int]]:
    """Where each line begins and ends, from zero on."""
    ends = list(accumulate((line.size_bytes for line in ledger.lines), initial=0))
    return list(pairwise(ends))


def _reach(entries: Sequence[JudgedRun]) -> tuple[int, int]:
    ends = [
        end for entry in entries if entry.ledger for step in _steps(entry.ledger) for end in step
    ]
    return min(ends, default=0), max(ends, default=1)


def _span(entries: Sequence[JudgedRun]) -> float:
    low, high = _reach(entries)
    return float(max(abs(low), abs(high)))


def _draw(axes: Axes, entry: JudgedRun, titles: dict[str, str], scale: float) -> None:
    ledger = entry.ledger
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color="#999999", linewidth=0.8, zorder=1)
    if ledger is None:
        axes.set_title(named(entry.variant), loc="left", fontsize=11, weight="bold")
        axes.text(0.02, 0.5, no_ledger(entry), transform=axes.transAxes, color=SOFT)
        return
    places = {name: place for place, name in enumerate(titles)}
    for line, (start, end) in zip(ledger.lines, _steps(ledger), strict=True):
        if line.name not in places:
            continue
        place = places[line.name]
        _bar(axes, place, start / scale, end / scale, _bar_style(line.name, end - start))
        _write(axes, place, max(start, end) / scale, line.size_bytes)
        if place < len(titles) - 1:
            axes.plot([end / scale] * 2, [place, place + 1],
                      color="#999999", linewidth=0.7, zorder=1)  # fmt: skip
    _bar(axes, len(titles), 0, ledger.growth_bytes / scale, {"color": _TOTAL})
    _write(axes, len(titles), max(ledger.growth_bytes, 0) / scale, ledger.growth_bytes)
    axes.set_title(_title(entry, ledger), loc="left", fontsize=SMALL, weight="bold")


def _bar_style(name: str, size: int) -> dict[str, Any]:
    if name == "unexplained":
        return {"facecolor": "white", "edgecolor": _REST, "hatch": "////"}
    if size < 0:
        return {"facecolor": "white", "edgecolor": _LESS, "hatch": "||||"}
    return {"color": _MORE}


def _bar(axes: Axes, place: int, start: float, end: float, style: dict[str, Any]) -> None:
    axes.barh(place, end - start, left=start, height=0.66, zorder=2, **style)


def _write(axes: Axes, place: int, right: float, size: int) -> None:
    sign = "+" if size > 0 else ""
    axes.annotate(
        f"{sign}{format_bytes(size)}", (right, place), xytext=(4, 0), textcoords="offset points",
        va="center", fontsize=SMALL, annotation_clip=False,
    )  # fmt: skip


def _title(entry: JudgedRun, ledger: Ledger) -> str:
    title = named(entry.variant)
    if not ledger.complete:
        title = tr("{told} (incomplete: {ending})", told=title, ending=tr(entry.run.outcome.ending))
    start, end = entry.run.reading("start"), entry.run.reading("end")
    if start is not None and end is not None:
        first, last = (format_bytes(each.values.get(RSS, 0)) for each in (start, end))
        title += f"\n{first} → {last}"
    return title
