"""What is retained as a treemap: an area for each holder, and inside it for its largest parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from leakhunt.amounts import format_bytes
from leakhunt.model.retained import OTHER, HolderKind, RetainedHeap, RetainedHolder, RetainedReport
from leakhunt.reporting.charts.style import SMALL, WIDTH_INCHES, plain, png, svg_element
from leakhunt.reporting.retained.squarify import Tile, squarified
from leakhunt.reporting.retained.tables import named, title
from leakhunt.text.language import tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT_INCHES = 5.0
_HEADER_INCHES = 0.2
_MARGIN_INCHES = 0.03
# A letter of the small font is about so wide.
_LETTER_INCHES = 0.077
_LINE_INCHES = 0.17
_MIN_SHARE = 0.003
_MIN_SHARE_OF_PARTS = 0.3
_MIN_LETTERS = 4
_SMALLER = SMALL - 1.5
# Objects, their parts, and packages, as the legend has them.
_OBJECT, _PART, _PACKAGE = "#56B4E9", "#bfe1f6", "#dedede"


def treemap_png(report: RetainedReport) -> bytes:
    """All variants, one below the other."""
    return png(partial(treemap_figure, report.scenario, report.heaps))


def treemap_element(scenario: str, heap: RetainedHeap, name: str) -> str:
    """The treemap of one variant as an ``<svg>`` element; empty where there is nothing to draw."""
    if not heap.holders:
        return ""
    return svg_element(partial(treemap_figure, scenario, [heap]), name)


def treemap_figure(scenario: str, heaps: Sequence[RetainedHeap]) -> Figure:
    """A panel for each variant."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    count = max(len(heaps), 1)
    figure = Figure(figsize=(WIDTH_INCHES, _HEIGHT_INCHES * count), layout="constrained")
    panels = figure.subplots(count, squeeze=False)[:, 0]
    for axes, heap in zip(panels, heaps, strict=False):
        whole = Tile(0.0, 0.0, WIDTH_INCHES, _HEIGHT_INCHES - 0.9)
        axes.set_xlim(0, whole.width)
        axes.set_ylim(0, whole.height)
        axes.set_axis_off()
        shown = f"{title(scenario, heap)}, {format_bytes(heap.total_bytes)}"
        axes.set_title(plain(shown), fontsize=12, weight="bold", loc="left")
        _draw(axes, heap, whole)
    legend = [
        Patch(facecolor=_OBJECT, edgecolor="white", label=tr("object")),
        Patch(facecolor=_PART, edgecolor="white", label=tr("part of it")),
        Patch(facecolor=_PACKAGE, edgecolor="white", label=tr("package: code, classes")),
    ]
    figure.legend(handles=legend, loc="outside lower left", ncols=3, frameon=False, fontsize=SMALL)
    return figure


def _draw(axes: Axes, heap: RetainedHeap, whole: Tile) -> None:
    shown = list(_shown(heap))
    tiles = squarified([size for _, size in shown], whole)
    for (holder, size), tile in zip(shown, tiles, strict=True):
        if holder is None:
            _rectangle(axes, tile, _PACKAGE)
            _label(axes, tile, tr("smaller holders"), size)
        elif holder.kind is HolderKind.PACKAGE:
            _rectangle(axes, tile, _PACKAGE)
            _label(axes, tile, named(holder) if holder.path == OTHER else holder.path, size)
        else:
            _rectangle(axes, tile, _OBJECT)
            _draw_parts(axes, holder, tile)
            _label(axes, tile, holder.path, size)


def _draw_parts(axes: Axes, holder: RetainedHolder, tile: Tile) -> None:
    """The largest parts, below the name; not where they are only a little of it."""
    inside = tile.inset(_MARGIN_INCHES, _HEADER_INCHES)
    known = sum(part.retained_bytes for part in holder.parts)
    has_room = inside.height > 2 * _LINE_INCHES and inside.width > 6 * _LETTER_INCHES
    if not has_room or known < _MIN_SHARE_OF_PARTS * holder.retained_bytes:
        return
    rest = max(holder.retained_bytes - known, 0)
    parts = sorted(
        [*((part, part.retained_bytes) for part in holder.parts), *([(None, rest)] * bool(rest))],
        key=lambda entry: -entry[1],
    )
    tiles = squarified([size for _, size in parts], inside)
    for (part, size), below in zip(parts, tiles, strict=True):
        if part is not None:
            _rectangle(axes, below, _PART)
            _label(axes, below, part.path.removeprefix(holder.path) or part.type, size)


def _shown(heap: RetainedHeap) -> Iterator[tuple[RetainedHolder | None, int]]:
    """The holders that are large enough to be seen, and all others together (None)."""
    least = _MIN_SHARE * heap.total_bytes
    large = [each for each in heap.holders if each.retained_bytes >= least]
    yield from ((each, each.retained_bytes) for each in large)
    rest = heap.total_bytes - sum(each.retained_bytes for each in large)
    if rest > 0:
        yield None, rest


def _rectangle(axes: Axes, tile: Tile, colour: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle((tile.x, tile.y), tile.width, tile.height, facecolor=colour,
                  edgecolor="white", linewidth=1.0)
    )  # fmt: skip


def _label(axes: Axes, tile: Tile, name: str, size: int) -> None:
    """A name in the upper left corner, and its size below or behind it, where there is room."""
    room = int((tile.width - 3 * _MARGIN_INCHES) / _LETTER_INCHES)
    amount = format_bytes(size)
    if room < _MIN_LETTERS or tile.height < _LINE_INCHES + _MARGIN_INCHES:
        return
    if len(name) + 1 + len(amount) <= room:
        lines = [f"{name} {amount}"]
    elif tile.height >= 2 * _LINE_INCHES + _MARGIN_INCHES and len(amount) <= room:
        lines = [_cut(name, room), amount]
    else:
        lines = [_cut(name, room)]
    for number, line in enumerate(lines):
        axes.text(
            tile.x + 2 * _MARGIN_INCHES,
            tile.y + tile.height - _MARGIN_INCHES - number * _LINE_INCHES,
            plain(line),
            fontsize=_SMALLER,
            va="top",
            color="black",
            clip_on=True,
        )


def _cut(text: str, room: int) -> str:
    """The end of a path says most, the beginning of a word."""
    if len(text) <= room:
        return text
    dots = "\N{HORIZONTAL ELLIPSIS}"
    return f"{dots}{text[-(room - 1) :]}" if "." in text else f"{text[: room - 1]}{dots}"
